from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from tracecube.recipes.science.chromatic_fit import Geometry, Setting
from tracecube.recipes.science.neighbours import find_neighbours, with_neighbours
from tracecube.recipes.science.scene import make_scene, make_slices

WAVE = np.arange(3800.0, 9250.0, 25.57)


def setting(sim: ModuleType, light: np.ndarray) -> Setting:
    scene = make_scene(sim.observe(light, 0))
    region = scene.near(0.4, -0.7, 12.0)
    slices = make_slices(region, sim.track(), np.ones(WAVE.size), low=4000.0, high=9200.0, number=6)
    planes = np.stack([np.ones_like(region.x), region.x / 12, region.y / 12])
    return Setting(slices, region, Geometry.of(scene), np.broadcast_to(planes, (slices.wave.size, *planes.shape)), 3)


def test_neighbours_are_found_brightest_first(sim: ModuleType, star: np.ndarray) -> None:
    places = [(-6.0, 2.0, 4e3), (5.0, -6.0, 2e3)]
    light = 3e3 * star + sum(sim.light_of_star(np.full(WAVE.size, f), x, y) for x, y, f in places)
    start = sim.prior(0.4, -0.7, 0.2)
    found = find_neighbours(setting(sim, light), start, minimum_share=0.1)
    np.testing.assert_allclose(found, [place[:2] for place in places], atol=0.25)
    alone, core = with_neighbours(setting(sim, light), start, found)
    assert alone.sky.shape[1] == 5
    assert not alone.slices.weight[:, core].any()
    assert np.hypot(alone.scene.x[core] - 0.4, alone.scene.y[core] + 0.7).min() > 4.0


@pytest.mark.parametrize("flux", [0.0, 150.0])
def test_no_neighbour_is_made_of_noise_or_of_little_light(sim: ModuleType, star: np.ndarray, flux: float) -> None:
    light = 3e3 * star + sim.light_of_star(np.full(WAVE.size, flux), -6.0, 2.0)
    found = find_neighbours(setting(sim, light), sim.prior(0.4, -0.7, 0.2), minimum_share=0.1)
    assert found.shape == (0, 2)
