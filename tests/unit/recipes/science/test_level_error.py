"""The error of the flux level: frames with structure that is neither star nor noise."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from tracecube.core.spectra import Spectra
from tracecube.recipes.science.chromatic_fit import NAMES, Prior
from tracecube.recipes.science.level_error import LEAST_PLACES, empty_places
from tracecube.recipes.science.point_source import PointSource, extract_point_source
from tracecube.recipes.science.scene import make_scene

WAVE = np.arange(3800.0, 9250.0, 120.0)  # a coarse grid: frames are many, and the level is all that is looked at
LEVEL, SKY = 1000.0, 40.0
HALO = [NAMES.index(name) for name in ("log_ratio", "log_beta", "logit_core")]


def known_halo(sim: ModuleType) -> Prior:
    """The simulated profile in the words of the prior, the place and width as a guider would give them."""
    prior = sim.prior(0.4, -0.7, 0.3, width=0.15)
    mean, sd = prior.mean.copy(), prior.sd.copy()
    mean[HALO] = np.log(2.354820 / 2 / np.sqrt(2**0.4 - 1)), np.log(1.5), 0.0
    sd[HALO] = 0.04, 0.07, 0.12
    return Prior(mean, sd)


class Frames:
    """Frames of one star on a sky with a pattern that all wavelengths share, as an error of a flat is."""

    def __init__(self, sim: ModuleType, share: float) -> None:
        self.sim = sim
        self.star = LEVEL * sim.light_of_star(np.ones(WAVE.size), 0.4, -0.7, wave=WAVE)
        x, y = sim.field()
        gap = np.hypot(x[:, None] - x, y[:, None] - y)
        self.root = np.linalg.cholesky(np.exp(-gap / 1.3) + 1e-9 * np.eye(x.size)) * share

    def one(self, seed: int) -> Spectra:
        rng = np.random.default_rng(1000 + seed)
        pattern = self.root @ rng.standard_normal(len(self.root))
        spectra: Spectra = self.sim.observe(self.star + SKY * pattern, seed, sky=SKY, wave=WAVE)
        return spectra

    def measured(self, seed: int, halos: np.ndarray | None = None, **choices: object) -> PointSource:
        scene, track = make_scene(self.one(seed)), self.sim.track(WAVE)
        return extract_point_source(scene, track, known_halo(self.sim), self.sim.choices(**choices), halos)


def pulls(frames: Frames, number: int, halos: np.ndarray | None = None) -> np.ndarray:
    return _measured(frames, number, halos)[1]


def _measured(frames: Frames, number: int, halos: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the level, relative, and over what is stated."""
    rows = []
    for seed in range(number):
        found = frames.measured(seed, halos)
        photons = np.sqrt(np.sum(found.variance + 2.0 * found.covariance)) / found.flux.sum()
        off = found.flux.mean() / LEVEL - 1.0
        rows.append((off, off / np.hypot(found.level_error.total, photons)))
    off, pull = np.array(rows).T
    return off, pull


@pytest.mark.parametrize("share", [0.0, 0.004])
def test_pulls_of_the_level_have_unit_width(sim: ModuleType, share: float) -> None:
    found = pulls(Frames(sim, share), 16)
    # 16 frames tell a width to 18 per cent; 80 gave 0.90 without and 1.16 with structure, each +-0.09
    assert np.sqrt(np.mean(found**2)) == pytest.approx(1.0, abs=0.4)


def test_structure_is_not_taken_for_the_halo_that_other_stars_have_told(sim: ModuleType) -> None:
    frames, halo = Frames(sim, 0.004), known_halo(sim).mean[HALO]
    alone, _ = _measured(frames, 10)
    told, pull = _measured(frames, 10, np.array([halo, halo]))
    assert np.sqrt(np.mean(told**2)) < 0.75 * np.sqrt(np.mean(alone**2))
    assert np.sqrt(np.mean(pull**2)) == pytest.approx(1.0, abs=0.4)


def test_structure_is_most_of_the_error_where_the_sky_is_bright(sim: ModuleType) -> None:
    calm, rough = (Frames(sim, share).measured(0).level_error for share in (0.0, 0.004))
    assert rough.structure > 2.0 * rough.shape
    assert calm.structure < 0.5 * rough.structure
    assert min(calm.places, rough.places) >= LEAST_PLACES
    assert rough.total == pytest.approx(np.hypot(rough.shape, rough.structure))


@pytest.mark.parametrize(("curvature", "degree"), [(0.0, 1), (0.05, 2)])
def test_the_frame_tells_whether_its_sky_is_curved(sim: ModuleType, curvature: float, degree: int) -> None:
    frames = Frames(sim, 0.002)
    x, y = sim.field()
    frames.star = frames.star + SKY * curvature * (x**2 + y**2) / 13.0**2
    chosen = [frames.measured(seed, sky_degree=2).sky_degree for seed in range(6)]
    # The pattern of a single frame without curvature may still be met better by a curved sky: 4 of 6 take a plane.
    assert chosen.count(degree) >= (3 if degree == 1 else 6)


def test_stars_that_differ_in_their_halo_give_the_level_an_error(sim: ModuleType) -> None:
    frames, prior = Frames(sim, 0.0), known_halo(sim)
    halo = prior.mean[HALO]
    scene, track = make_scene(frames.one(0)), sim.track(WAVE)

    def error(halos: list[np.ndarray]) -> float:
        return extract_point_source(scene, track, prior, sim.choices(), np.array(halos)).level_error.halo

    assert np.isnan(error([halo]))
    assert error([halo, halo]) == 0.0
    near, far = error([halo - 0.02, halo + 0.02]), error([halo - 0.04, halo + 0.04])
    assert 0.0005 < near < 0.05
    assert far == pytest.approx(2.0 * near, rel=0.1)


def test_empty_places_keep_off_sources_and_the_border(sim: ModuleType) -> None:
    x, y = sim.field()
    sources = np.array([[0.4, -0.7], [6.0, 5.0]])
    places = empty_places(x, y, sources, width=1.8, radius=12.0)
    assert LEAST_PLACES <= len(places) <= 60
    assert min(np.hypot(*(places - source).T).min() for source in sources) > 4.5
    assert np.abs(places).max() < 13.0
    gap = np.hypot(*(places[:, None] - places).T) + 99.0 * np.eye(len(places))
    assert gap.min() > 1.6
    assert len(empty_places(x, y, np.column_stack([x, y]), width=1.8, radius=12.0)) == 0


def test_pulls_of_the_colour_have_unit_width(sim: ModuleType) -> None:
    """Of the flux below 5000 Angstrom over that above 8000, with structure whose light is as red as the sky."""
    frames, pull = Frames(sim, 0.004), []
    ends = (WAVE > 4000.0) & (WAVE < 5000.0), (WAVE > 8000.0) & (WAVE < 9200.0)
    for seed in range(12):
        found = frames.measured(seed)
        level = [float(found.flux[end].sum()) for end in ends]
        noise = [
            float((found.variance + 2.0 * found.covariance)[end].sum()) / level[i] ** 2 for i, end in enumerate(ends)
        ]
        colour = np.log(level[0] / level[1] * ends[1].sum() / ends[0].sum())
        pull.append(colour / np.sqrt(sum(noise) + found.level_error.colour**2))
    # 12 frames tell a width to a fifth
    assert np.sqrt(np.mean(np.square(pull))) == pytest.approx(1.0, abs=0.45)
    assert np.isnan(frames.measured(0, blue=3000.0).level_error.colour)
