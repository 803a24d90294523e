"""Contrast curves against VIP's (Gomez Gonzalez et al. 2017), where it is installed: the same simulated sequence.

Ours works on the lenslets, VIP on the square cube built of them; both take one brightness along time off (classical
ADI), then a mean over the turned frames. What must differ is known:

- VIP sums light in apertures one FWHM wide, ours weighs it with the star's image out to 1.25 lambda / D. In white noise
  that makes our scatter 0.88 of VIP's, in noise that is speckles alone 1.07 (`weights_over_apertures`, no data needed).
- VIP gives all samples equal weight, ours less to bright ones, which makes our scatter 0.8 of what equal weights give.
  At 0.16 arcsec, in the bright halo, it is 0.63 of VIP's: distances below 0.2 arcsec are not compared.
- Self-subtraction bites a little more where the weights reach further: shares kept differ by up to 5 per cent.
- Scatter from n places is known to 1 / sqrt(2 n): 15 per cent at one distance, 5 per cent over all and the seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from tracecube.core.companions import ContrastCurve
from tracecube.kernels.airy import airy_density
from tracecube.kernels.few_samples import few_sample_threshold
from tracecube.recipes.cube.star_cube import StarCubeParams, build_star_cube
from tracecube.recipes.science.companion_search import SearchParams
from tracecube.recipes.science.high_contrast import HighContrastParams, contrast_curve, surroundings
from tracecube.recipes.science.speckle_learning import SpeckleParams
from tracecube.recipes.science.star_sequence import star_sequence
from tracecube.simulate.coronagraph import CoronagraphScene, observe_star, speckle_field, speckle_intensity

pytestmark = pytest.mark.peers

WAVE = np.array([15900.0, 16000.0, 16100.0])
ANGLE = np.linspace(0.0, 60.0, 10)
PIXEL, SIZE, SEEDS = 7.46e-3, 121, 3
UNIT = float(np.degrees(WAVE[1] * 1e-10 / 8.0) * 3600.0)
FWHM = 1.029  # lambda / D, of an aperture without obstruction
STAR = 6e4
INNER = 0.2  # arcsec
SCENE = CoronagraphScene(
    wave=WAVE,
    star=np.full(WAVE.size, STAR),
    east=np.zeros(0),
    north=np.zeros(0),
    contrast=np.zeros((0, WAVE.size)),
    angle=ANGLE,
    speckles=2e-4,
    memory=0.97,
    wander=0.0,
)
PARAMS = HighContrastParams(speckles=SpeckleParams(outer=0.45, method="adi"), search=SearchParams(inner=0.1))


@dataclass(frozen=True)
class Both:
    """Our curve, and the columns of VIP's at our distances beyond ``INNER``."""

    ours: ContrastCurve
    outer: np.ndarray
    vip: Mapping[str, np.ndarray]


def star_image() -> np.ndarray:
    """The star beside its mask, electron / Angstrom a pixel."""
    y, x = PIXEL * np.mgrid[-30:31, -30:31] / UNIT
    return STAR * (PIXEL / UNIT) ** 2 * airy_density(np.hypot(x, y).ravel(), 0.0)[0].reshape(x.shape)


def both(seed: int) -> Both:
    """Curves of one sequence."""
    metrics, psfsub = pytest.importorskip("vip_hci.metrics"), pytest.importorskip("vip_hci.psfsub")
    forward = pytest.importorskip("vip_hci.fm")
    seen = observe_star(SCENE, seed)
    sequence = star_sequence(seen.spectra, seen.centres, list(ANGLE), seen.psf)
    found = surroundings(sequence, PARAMS)
    ours = contrast_curve(found, sequence, PARAMS)
    cubes = [build_star_cube(one, StarCubeParams(size=SIZE), frame=None) for one in seen.spectra]
    frames = np.nan_to_num(np.stack([one.data.mean(axis=0) for one in cubes]))
    image, fwhm = star_image(), FWHM * UNIT / PIXEL
    flux = float(forward.normalize_psf(image, fwhm=fwhm, full_output=True, verbose=False)[1])
    table = metrics.contrast_curve(
        frames, -ANGLE, image, fwhm, PIXEL, flux, psfsub.pca, nbranch=1, plot=False, verbose=False, smooth=False,
        ncomp=1, collapse="mean", mask_center_px=int(PARAMS.speckles.inner / PIXEL),
    )  # fmt: skip
    outer = ours.separation > INNER
    at = ours.separation[outer]
    return Both(ours, outer, {name: np.interp(at, table.distance_arcsec, table[name]) for name in table.columns})


def weights_over_apertures() -> tuple[float, float]:
    """Noise of a source's contrast by the image's weights over that by an aperture: white noise, and speckles alone."""
    line = np.arange(-2.0, 2.05, 0.1)
    x, y = (axis.ravel() for axis in np.meshgrid(line, line))
    radius = np.hypot(x, y)
    image = airy_density(radius, 0.0)[0]
    filters = [np.where(radius < PARAMS.search.core, image, 0.0), np.where(radius < 0.5 * FWHM, 1.0, 0.0)]
    filters = [one / (one @ image) for one in filters]
    white = np.sqrt((filters[0] ** 2).sum() / (filters[1] ** 2).sum())
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(40):
        at = rng.uniform(-25.0, 25.0, (60, 2, 1))
        light = speckle_intensity(speckle_field(rng), (at[:, 0] + x).ravel(), (at[:, 1] + y).ravel())
        seen.append(light.reshape(60, -1) @ np.transpose(filters))
    speckles = np.std(np.concatenate(seen), axis=0)
    return float(white), float(speckles[0] / speckles[1])


@pytest.fixture(scope="module")
def curves() -> list[Both]:
    pytest.importorskip("vip_hci", reason="VIP is not installed: pip install vip_hci")
    return [both(seed) for seed in range(SEEDS)]


def test_throughput_of_injected_companions_is_vips_within_five_per_cent(curves: list[Both]) -> None:
    ratio = [(c.ours.signal * c.ours.throughput)[c.outer] / c.vip["throughput"] for c in curves]
    assert np.mean(ratio, axis=0) == pytest.approx(np.ones(ratio[0].size), abs=0.05)


def test_scatter_is_vips_within_what_weights_and_apertures_differ_by(curves: list[Both]) -> None:
    ratio = np.array([c.ours.sigma[c.outer] / c.vip["sensitivity_gaussian"] * 5.0 for c in curves])
    white, speckles = weights_over_apertures()
    assert white == pytest.approx(0.88, abs=0.01)
    assert speckles == pytest.approx(1.07, abs=0.03)
    assert white - 0.05 < np.exp(np.mean(np.log(ratio))) < speckles + 0.05


def test_threshold_of_few_samples_is_vips_at_equal_numbers(curves: list[Both]) -> None:
    for curve in curves:
        places = np.floor(2.0 * np.pi * curve.vip["distance"] / (FWHM * UNIT / PIXEL))
        # Between VIP's own distances the curve is interpolated: its number of apertures is that of either.
        low, high = (few_sample_threshold(places + d) for d in (1.0, -1.0))
        assert np.all((low < curve.vip["sigma corr"]) & (curve.vip["sigma corr"] < high))


def test_contrast_curve_is_vips_but_for_the_number_of_places(curves: list[Both]) -> None:
    ratio = np.array([c.ours.contrast[c.outer] / c.vip["sensitivity_student"] for c in curves])
    # Our rings are 2 lambda / D wide: more places tell the scatter, so the threshold is lower.
    places = np.array([few_sample_threshold(c.ours.elements[c.outer]) / c.vip["sigma corr"] for c in curves])
    assert np.mean(places) == pytest.approx(0.92, abs=0.03)
    white, speckles = weights_over_apertures()
    assert white - 0.05 < np.exp(np.mean(np.log(ratio / places))) < speckles + 0.05
    assert np.exp(np.mean(np.log(ratio), axis=0)) == pytest.approx(0.9 * np.ones(ratio.shape[1]), abs=0.3)
