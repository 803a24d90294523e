from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.recipes.science.scene import brightest, make_scene, make_slices

WAVE = np.arange(3800.0, 9250.0, 25.57)


def test_brightest_is_a_source_and_not_a_bad_lenslet(sim: ModuleType, star: np.ndarray) -> None:
    spectra = sim.observe(500.0 * star, 0)
    flux = spectra.flux.copy()
    flux[1500] += 1e4
    x, y = brightest(make_scene(replace(spectra, flux=flux)), low=4500.0, high=8500.0, radius=1.28)
    assert np.hypot(x - 0.4, y + 0.7) < 0.5


def test_lenslets_of_little_throughput_are_left_out(sim: ModuleType, star: np.ndarray) -> None:
    spectra = sim.observe(star, 0)
    flags = spectra.flags.copy()
    flags[:100] = int(Flag.LOW_THROUGHPUT)
    dq = spectra.dq.copy()
    dq[200] = int(Flag.NOT_MEASURED)
    scene = make_scene(replace(spectra, flags=flags, dq=dq))
    assert scene.x.size == spectra.x.size - 101


def test_covariance_with_a_bad_neighbour_is_none(sim: ModuleType, star: np.ndarray) -> None:
    spectra = sim.observe(star, 0)
    flags = spectra.flags.copy()
    flags[5, 50] = int(Flag.COSMIC_RAY)
    scene = make_scene(replace(spectra, flags=flags))
    assert scene.covariance[49, 5] == scene.covariance[50, 5] == 0.0
    assert scene.covariance[48, 5] > 0.0


def test_variance_of_slices_knows_the_covariance(sim: ModuleType, star: np.ndarray) -> None:
    scene = make_scene(sim.observe(0.0 * star, 1))
    slices = make_slices(scene, sim.track(), np.ones(WAVE.size), low=4000.0, high=9200.0, number=10)
    pull = (slices.flux - 30.0) * np.sqrt(slices.weight)
    assert np.std(pull) == pytest.approx(1.0, abs=0.02)
    assert len(slices.members) == slices.wave.size == 10
    assert np.all(np.diff(slices.wave) > 0)


def test_place_of_a_slice_is_weighted_with_light(sim: ModuleType, star: np.ndarray) -> None:
    scene = make_scene(sim.observe(star, 1))
    blue = np.where(WAVE < 4300, 100.0, 1.0)
    even = make_slices(scene, sim.track(), np.ones(WAVE.size), low=4000.0, high=9000.0, number=4)
    weighted = make_slices(scene, sim.track(), blue, low=4000.0, high=9000.0, number=4)
    assert weighted.wave[0] < even.wave[0] - 100
    assert weighted.track.east[0] > even.track.east[0]
    assert weighted.wave[2] == pytest.approx(even.wave[2])


def test_too_few_lenslets_are_refused(sim: ModuleType, star: np.ndarray) -> None:
    spectra = sim.observe(star, 0)
    with pytest.raises(BadData, match="lenslets are usable"):
        make_scene(replace(spectra, dq=np.full(spectra.x.size, int(Flag.BAD_PIXEL), dtype=np.int32)))
    with pytest.raises(BadData, match="lenslet to lenslet"):
        make_scene(replace(spectra, wave=np.tile(WAVE, (spectra.x.size, 1))))
