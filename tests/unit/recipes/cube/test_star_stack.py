"""Exposures of a star in one cube: a companion where it stands on the sky, noise as stated, holes filled by others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.star_field import lattice, source, spectra_of
from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.recipes.cube.star_cube import StarCubeParams, StarFrame, build_star_cube
from tracecube.recipes.cube.star_stack import stack_star

WAVE = np.linspace(9600.0, 16400.0, 3)
SPREAD = np.full(3, 150.0)
PARAMS = StarCubeParams(size=61)
X, Y = lattice(0.32)
EAST, NORTH = 0.10, 0.05  # arcsec
FRAMES = [
    StarFrame(x, y, angle, 44.5, -32.1) for x, y, angle in ((8e-3, -5e-3, 10.0), (0.0, 4e-3, 35.0), (-6e-3, 0.0, 61.0))
]


def field(light: np.ndarray, variance: float = 1e-6):
    return spectra_of(X, Y, WAVE, SPREAD, light, np.full(light.shape, variance))


def companion(frame: StarFrame):
    turn = np.radians(frame.angle)
    x = frame.x - EAST * np.cos(turn) + NORTH * np.sin(turn)
    y = frame.y + NORTH * np.cos(turn) + EAST * np.sin(turn)
    return field(source(X, Y, WAVE, SPREAD, lambda _: (x, y), 1.0))


def test_a_companion_of_a_turning_field_stands_where_the_sky_has_it() -> None:
    made = stack_star([companion(frame) for frame in FRAMES], FRAMES, PARAMS)
    alone = build_star_cube(companion(FRAMES[0]), PARAMS, frame=None)
    assert np.nanmax(made.data, axis=(1, 2)) == pytest.approx(
        np.nanmax(alone.data, axis=(1, 2)), rel=0.06
    )  # of a peak on pixels
    y, x = np.mgrid[:61, :61]
    near = np.hypot((30 - x) * PARAMS.pixel - EAST, (y - 30) * PARAMS.pixel - NORTH) < 0.04  # noqa: PLR2004
    light = np.where(near & np.isfinite(made.data[0]), made.data[0], 0.0)
    assert (30 - (light * x).sum() / light.sum()) * PARAMS.pixel == pytest.approx(EAST, abs=2e-3)
    assert ((light * y).sum() / light.sum() - 30) * PARAMS.pixel == pytest.approx(NORTH, abs=2e-3)
    assert made.meta["NDITS"] == 3


def test_noise_is_what_is_stated_and_exposures_weigh_by_theirs() -> None:
    rng, noise = np.random.default_rng(5), (1.0, 2.0, 4.0)
    stacks = [
        stack_star([field(rng.normal(0.0, s, (X.size, 3)), s**2) for s in noise], FRAMES, PARAMS) for _ in range(8)
    ]
    data = np.stack([one.data for one in stacks]).astype(float)
    good = np.isfinite(data).all(axis=0)
    assert np.sqrt(np.mean(data[:, good] ** 2 / stacks[0].variance[good])) == pytest.approx(1.0, abs=0.06)
    best = build_star_cube(field(np.zeros((X.size, 3)), 1.0), PARAMS, frame=None).variance
    assert np.nanmedian(stacks[0].variance) < np.nanmedian(best)


def test_what_one_exposure_lacks_another_has() -> None:
    flags = np.zeros((X.size, 3), np.int32)
    flags[np.hypot(X, Y) < 0.05, 1] = int(Flag.BAD_PIXEL)
    light = field(np.full((X.size, 3), 5.0))
    spoilt = replace(light, flags=flags)
    whole = stack_star([light, light], FRAMES[:2], PARAMS)
    some, none = (stack_star([a, b], FRAMES[:2], PARAMS) for a, b in ((spoilt, light), (spoilt, spoilt)))
    assert some.data[1, 30, 30] == pytest.approx(whole.data[1, 30, 30], rel=1e-4)
    assert np.isnan(none.data[1, 30, 30])
    assert none.flags[1, 30, 30] == Flag.NOT_MEASURED


def test_exposures_on_other_channels_are_refused() -> None:
    light = field(np.ones((X.size, 3)))
    with pytest.raises(BadData, match="other channels"):
        stack_star([light, replace(light, wave=WAVE + 10.0)], FRAMES[:2], PARAMS)
    with pytest.raises(BadData, match="2 exposures and 1 places"):
        stack_star([light, light], FRAMES[:1], PARAMS)
