"""Patterns of a galaxy's light: what they can make, and what they can not."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from tracecube.recipes.science.chromatic_fit import Setting
from tracecube.recipes.science.point_lattice import lattice_of, points_with_patterns, refraction_of
from tracecube.recipes.science.scene import make_scene
from tracecube.recipes.science.source_fit import Field
from tracecube.recipes.science.source_fit import setting_of as _setting


@pytest.fixture
def setting(sim: ModuleType) -> Setting:
    light = sim.light_of_star(np.full(sim.WAVE.size, 3e3), 0.4, -0.7)
    scene = make_scene(sim.observe(light, 2))
    return _setting(Field(scene, scene), sim.track(), sim.prior(0.4, -0.7, 0.1), sim.choices(), 9.0, 1)


def test_the_lattice_covers_the_lenslets(setting: Setting) -> None:
    x, y = lattice_of(setting.scene.x, setting.scene.y)
    gap = np.hypot(x[:, None] - setting.scene.x, y[:, None] - setting.scene.y)
    assert gap.min(axis=0).max() < 0.4  # each lenslet has a point within two thirds of the spacing
    assert gap.min(axis=1).max() <= 1.5


def test_patterns_make_a_knot_between_points(sim: ModuleType, setting: Setting) -> None:
    """A star anywhere is a sum of patterns, to some per cent of its peak."""
    values = sim.prior(0.4, -0.7, 0.1).mean
    points = points_with_patterns(setting, setting.slices.weight, values, 3e3, 1.0)
    there = values.copy()
    there[:2] = 3.13, 1.27
    track = setting.slices.track
    rows = points.patterns(setting.scene.x, setting.scene.y, track, refraction_of(values, track))[7]
    knot = setting.share(there)[7]
    left = knot - np.linalg.lstsq(rows.T, knot, rcond=None)[0] @ rows
    assert np.abs(left).max() < 0.06 * knot.max()


def test_brightness_decides_where_light_may_be(sim: ModuleType, setting: Setting) -> None:
    values = sim.prior(0.4, -0.7, 0.1).mean
    x, y = lattice_of(setting.scene.x, setting.scene.y)
    east = np.where(x > 0.4, 1.0, 1e-3)
    points = points_with_patterns(setting, setting.slices.weight, values, 3e3 * east, 1.0)
    power = np.sum(points.pattern**2, axis=0)
    assert power[x < -1.0].max() < 1e-4 * power[x > 1.0].max()
    assert np.all(np.isfinite(y))


def test_pictures_are_sums_of_patterns(sim: ModuleType, setting: Setting) -> None:
    values = sim.prior(0.4, -0.7, 0.1).mean
    points = points_with_patterns(setting, setting.slices.weight, values, 3e3, 1.0)
    track = setting.slices.track
    amplitude = np.random.default_rng(1).standard_normal((2, len(points.pattern)))
    place = setting.scene.x, setting.scene.y, track, refraction_of(values, track)
    expected = np.einsum("aj,kjn->kan", amplitude, points.patterns(*place))
    np.testing.assert_allclose(points.pictures(amplitude, *place), expected, atol=1e-9 * np.abs(expected).max())
