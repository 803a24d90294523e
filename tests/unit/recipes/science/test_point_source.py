from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.recipes.science import host, source_fit
from tracecube.recipes.science.chromatic_fit import HALO, NAMES, ChromaticFit, Setting
from tracecube.recipes.science.point_source import PointSource, extract_point_source
from tracecube.recipes.science.scene import make_scene

WAVE = np.arange(3800.0, 9250.0, 25.57)
MIDDLE = (WAVE > 4000) & (WAVE < 9000)
BLUE, RED = MIDDLE & (WAVE < 5000), MIDDLE & (WAVE > 8000)


def bias(found: PointSource, truth: np.ndarray) -> tuple[float, float]:
    """Relative error of the mean flux and of the colour, (4000-5000)/(8000-9000)."""
    ratio = found.flux / truth
    return float(ratio[MIDDLE].mean() - 1), float(ratio[BLUE].mean() / ratio[RED].mean() - 1)


@pytest.mark.parametrize("level", [5e4, 5e3])
def test_flux_and_colour_of_stars_without_bias(sim: ModuleType, star: np.ndarray, level: float) -> None:
    scene = make_scene(sim.observe(level * star, 1))
    found = extract_point_source(scene, sim.track(), sim.prior(0.6, -0.5, 1.0), sim.choices())
    absolute, colour = bias(found, np.full(WAVE.size, level))
    assert abs(absolute) < 0.005
    assert abs(colour) < 0.005
    assert found.fit["x"] == pytest.approx(0.4, abs=4 * found.fit.error("x") + 0.002)
    assert found.fit["y"] == pytest.approx(-0.7, abs=4 * found.fit.error("y") + 0.002)
    assert found.fit["rho"] == pytest.approx(-0.2, abs=0.02)
    assert found.fit["log_refraction"] == pytest.approx(0.0, abs=0.02)


def test_faint_targets_within_their_errors(sim: ModuleType, star: np.ndarray) -> None:
    pulls, levels = [], []
    for seed in range(8):
        scene = make_scene(sim.observe(500.0 * star, seed))
        found = extract_point_source(scene, sim.track(), sim.prior(0.5, -0.8, 0.2, width=0.15), sim.choices())
        level = found.flux[MIDDLE].mean() / 500.0
        pulls.append(((found.flux / level - 500.0) / np.sqrt(found.variance))[MIDDLE])
        levels.append((level - 1.0) / np.hypot(found.level_error.total, 0.003))
    # 8 x 196 samples that share noise with a neighbour: the width is good to 2 per cent
    assert np.std(np.concatenate(pulls)) == pytest.approx(1.0, abs=0.06)
    assert np.sqrt(np.mean(np.square(levels))) < 2.0


def test_covariance_with_the_next_sample_is_that_of_the_estimator(sim: ModuleType, star: np.ndarray) -> None:
    noise = []
    for seed in range(12):
        scene = make_scene(sim.observe(500.0 * star, seed))
        tight = sim.prior(0.4, -0.7, 1e-4, width=1e-4)
        tight = tight._replace(
            sd=np.full(11, 1e-4), mean=np.array([0.4, -0.7, 0, 0, np.log(0.772), 0.73, 0.405, 0, -0.2, 0, 0])
        )
        found = extract_point_source(scene, sim.track(), tight, sim.choices())
        noise.append(found.flux)
    sample = np.array(noise) - np.mean(noise, axis=0)
    measured = np.mean(sample[:, :-1] * sample[:, 1:]) / np.mean(sample**2)
    assert found.covariance[-1] == 0.0
    assert measured == pytest.approx(np.mean(found.covariance[:-1] / found.variance[:-1]), abs=0.05)


def test_no_variance_collapses_where_samples_are_bad(sim: ModuleType, star: np.ndarray) -> None:
    spectra = sim.observe(500.0 * star, 3)
    rng = np.random.default_rng(0)
    flags = np.where(rng.random(spectra.flux.shape) < 0.1, int(Flag.COSMIC_RAY), 0).astype(np.int32)
    flux = np.where(flags > 0, 1e5, spectra.flux)
    flags[:, 100] = int(Flag.BAD_PIXEL)
    scene = make_scene(replace(spectra, flux=flux, flags=flags))
    found = extract_point_source(scene, sim.track(), sim.prior(0.4, -0.7, 0.2), sim.choices())
    assert found.flags[100] & Flag.NOT_MEASURED
    kept = np.arange(WAVE.size) != 100
    assert not found.flags[kept].any()
    assert found.variance[kept].min() > 0.3 * np.median(found.variance[kept])
    assert np.isnan(found.flux[100])
    assert np.isnan(found.variance[100])
    assert found.flux[MIDDLE & kept].mean() == pytest.approx(500.0, rel=0.05)


def test_hits_that_nobody_flagged_are_given_up(sim: ModuleType, star: np.ndarray) -> None:
    spectra = sim.observe(5e3 * star, 4)
    rng = np.random.default_rng(1)
    x, y = sim.field()
    flux = spectra.flux.copy()
    around = np.flatnonzero((np.hypot(x - 0.4, y + 0.7) > 1.5) & (np.hypot(x - 0.4, y + 0.7) < 8))
    for lenslet in rng.choice(around, 200):
        flux[lenslet, rng.integers(WAVE.size)] += 3e3
    clean = extract_point_source(make_scene(spectra), sim.track(), sim.prior(0.4, -0.7, 0.2), sim.choices())
    hit = extract_point_source(
        make_scene(replace(spectra, flux=flux)), sim.track(), sim.prior(0.4, -0.7, 0.2), sim.choices()
    )
    assert hit.outliers > 1e-3
    assert np.max(np.abs(hit.flux / clean.flux - 1.0)) < 0.02


def smooth_galaxy(sim: ModuleType, x0: float, y0: float, level: float) -> np.ndarray:
    """An exponential disc seen through the seeing, as a sum of Gaussians; redder than the star."""
    x, y = sim.field()
    path = sim.track()
    radius2 = (x - x0 - path.east[:, None]) ** 2 + (y - y0 - path.north[:, None]) ** 2
    picture = sum(
        share * np.exp(-0.5 * radius2 / width**2) / (2 * np.pi * width**2)
        for share, width in ((0.1, 1.2), (0.3, 2.0), (0.4, 3.2), (0.2, 5.0))
    )
    return level * np.sqrt(0.75) * 0.64**2 * picture * (WAVE / 6500.0)[:, None] ** 1.5


def test_a_host_galaxy_does_not_bias(sim: ModuleType) -> None:
    features = 1.0 + 0.3 * np.sin(WAVE / 170.0)
    light = sim.light_of_star(500.0 * features, 0.4, -0.7) + smooth_galaxy(sim, 3.8, 1.2, 2000.0)
    scene = make_scene(sim.observe(light, 2))
    start = sim.prior(0.5, -0.6, 0.15, width=0.15)
    alone = extract_point_source(scene, sim.track(), start, sim.choices())
    found = extract_point_source(scene, sim.track(), start, sim.choices(extended=True))
    assert alone.extended is None
    assert found.extended is not None
    assert abs(bias(alone, 500.0 * features)[0]) > 0.2
    assert abs(bias(found, 500.0 * features)[0]) < 0.05
    assert found.fit["x"] == pytest.approx(0.4, abs=0.05)
    assert found.fit.chi2 < 1.1


def test_a_galaxy_that_can_not_be_told_is_said(sim: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    light = sim.light_of_star(np.full(WAVE.size, 500.0), 0.4, -0.7) + smooth_galaxy(sim, 3.8, 1.2, 2000.0)

    def singular(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError

    monkeypatch.setattr(host, "fit_with_extended", singular)
    given = make_scene(sim.observe(light, 2)), sim.track(), sim.prior(0.5, -0.6, 0.15, width=0.15)
    found = extract_point_source(*given, sim.choices(extended=True))
    assert found.untold
    assert found.extended is None
    assert not extract_point_source(*given, sim.choices()).untold


def test_smooth_light_is_looked_for_with_a_plane_sky(
    sim: ModuleType, star: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(setting: Setting, fit: ChromaticFit) -> bool:
        seen.append(setting.surface)
        return False

    monkeypatch.setattr(source_fit, "leaves_light", look)
    scene = make_scene(sim.observe(500.0 * star, 5))
    extract_point_source(scene, sim.track(), sim.prior(0.5, -0.6, 0.2), sim.choices(extended=True, sky_degree=2))
    assert seen == [3]  # a constant and two slopes


def test_no_host_is_invented(sim: ModuleType, star: np.ndarray) -> None:
    scene = make_scene(sim.observe(500.0 * star, 5))
    found = extract_point_source(scene, sim.track(), sim.prior(0.5, -0.6, 0.2), sim.choices(extended=True))
    assert found.extended is None


@pytest.mark.parametrize("distance", [1.9, 2.8])
def test_a_compact_bulge_does_not_bias(sim: ModuleType, distance: float) -> None:
    """As bright as the target where the target is: as broad blobs it goes into the target's flux."""
    place = 0.4 + distance, -0.7
    light = sim.light_of_star(3e3 * np.ones(WAVE.size), 0.4, -0.7)
    light += sim.light_of_star(4e3 * (WAVE / 6000.0) ** 1.2, *place) + smooth_galaxy(sim, *place, 8000.0)
    scene = make_scene(sim.observe(light, 6))
    prior = sim.prior(0.5, -0.65, 0.15, width=0.15)
    halo = np.isin(NAMES, HALO)
    prior.mean[halo] = np.log(1.6 / 0.77), np.log(1.5), 0.0  # as standards tell it
    prior.sd[halo] *= 0.2
    found = extract_point_source(scene, sim.track(), prior, sim.choices(extended=True))
    absolute, colour = bias(found, np.full(WAVE.size, 3e3))
    assert abs(absolute) < 0.08  # 0.6 and more where a galaxy is made of broad blobs
    assert abs(absolute) < 2.0 * found.level_error.total
    assert abs(colour) < 0.05
    assert found.extended is not None


@pytest.mark.parametrize("distance", [6.0, 9.0])
def test_a_neighbouring_star_does_not_bias(sim: ModuleType, star: np.ndarray, distance: float) -> None:
    neighbour = sim.light_of_star(np.full(WAVE.size, 1e4), 0.4 - distance, -0.7)
    clean = extract_point_source(
        make_scene(sim.observe(3e3 * star, 8)), sim.track(), sim.prior(0.4, -0.7, 0.2), sim.choices()
    )
    scene = make_scene(sim.observe(3e3 * star + neighbour, 8))
    found = extract_point_source(scene, sim.track(), sim.prior(0.4, -0.7, 0.2), sim.choices())
    assert found.flux[MIDDLE].mean() == pytest.approx(clean.flux[MIDDLE].mean(), rel=0.02)


def test_picture_holds_data_and_model(sim: ModuleType, star: np.ndarray) -> None:
    found = extract_point_source(
        make_scene(sim.observe(5e3 * star, 6)), sim.track(), sim.prior(0.4, -0.7, 0.2), sim.choices()
    )
    picture = found.picture
    assert picture.data.shape == picture.model.shape == (picture.wave.size, picture.x.size)
    pull = (picture.data - picture.model) / np.sqrt(picture.variance)
    assert np.nanstd(pull) == pytest.approx(1.0, abs=0.05)
    # blue light stands towards the zenith, and is the widest
    assert picture.centre_x[0] > picture.centre_x[-1]
    assert picture.fwhm[0] > picture.fwhm[-1]
    assert picture.fwhm[np.argmin(np.abs(picture.wave - 6500))] == pytest.approx(1.8, abs=0.05)


def test_too_narrow_a_range_says_what_to_do(sim: ModuleType, star: np.ndarray) -> None:
    scene = make_scene(sim.observe(star, 7))
    with pytest.raises(BadData, match="widen fit_low"):
        extract_point_source(scene, sim.track(), sim.prior(0.0, 0.0, 1.0), sim.choices(fit_low=4000.0, fit_high=4100.0))
