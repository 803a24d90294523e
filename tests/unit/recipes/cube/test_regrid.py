"""A cube on another grid keeps its light, and its noise is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.cube.regrid import Axis, overlaps, regrid

RNG = np.random.default_rng(8)
SHAPE = (6, 9, 11)


def same() -> list[Axis]:
    return [Axis(0.0, 1.0, size) for size in SHAPE]


def test_the_same_grid_leaves_all_as_it_is():
    data, good = RNG.normal(size=SHAPE), np.ones(SHAPE, bool)
    good[1, 2, 3] = False
    found = regrid(data, data**2, good, tuple(same()))
    assert np.isnan(found.data[1, 2, 3])
    assert found.data[good] == pytest.approx(data[good], rel=1e-6)
    assert found.variance[good] == pytest.approx(data[good] ** 2, rel=1e-6)
    assert found.covariance_value == pytest.approx(0.0)


def test_whole_steps_move_and_what_was_not_seen_is_not_a_number():
    data, axes = RNG.normal(size=SHAPE), same()
    axes[2] = Axis(2.0, 1.0, SHAPE[2])
    found = regrid(data, np.ones(SHAPE), np.ones(SHAPE, bool), tuple(axes))
    assert found.data[..., :-2] == pytest.approx(data[..., 2:], rel=1e-6)
    assert np.isnan(found.data[..., -2:]).all()


@pytest.mark.parametrize("step", [1.0, 0.7, 1.6])
def test_boxes_overlap_by_their_whole_length(step):
    found = overlaps(Axis(2.3, step, 4), 20).toarray()
    assert found.sum(axis=1) == pytest.approx(step)
    middle = found @ np.arange(20) / step
    assert np.diff(middle) == pytest.approx(step, abs=0.35)  # boxes tell places to a part of a sample
    assert found.min() >= 0.0
    assert found.max() <= 1.0


def test_light_of_a_source_stays():
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    star = np.exp(-0.5 * ((y - 4.1) ** 2 + (x - 5.2) ** 2) / 0.8)
    axes = same()
    axes[1], axes[2] = Axis(-0.7, 1.0, 11), Axis(0.4, 1.0, 10)
    found = regrid(np.broadcast_to(star, SHAPE), np.ones(SHAPE), np.ones(SHAPE, bool), tuple(axes))
    assert np.nansum(found.data[2]) == pytest.approx(star.sum(), rel=2e-3)
    columns = np.nansum(found.data[2], axis=0)
    assert columns @ np.arange(10) / columns.sum() == pytest.approx(5.2 - 0.4, abs=0.01)


def test_noise_scatters_and_is_shared_as_is_said():
    axes = (Axis(0.3, 1.0, 5), Axis(-0.2, 1.0, 9), Axis(0.5, 1.0, 10))
    draws = [regrid(RNG.normal(size=SHAPE), np.ones(SHAPE), np.ones(SHAPE, bool), axes) for _ in range(600)]
    inner = np.array([one.data[1:4, 2:7, 2:8] for one in draws])
    assert inner.var() == pytest.approx(float(np.mean(draws[0].variance[1:4, 2:7, 2:8])), rel=0.03)
    for offset, value in zip(draws[0].covariance_offset, draws[0].covariance_value, strict=True):
        cut = tuple(slice(None, -int(k) or None) for k in offset)
        moved = tuple(slice(int(k), None) for k in offset)
        shared = np.mean(inner[(slice(None), *cut)] * inner[(slice(None), *moved)]) / inner.var()
        assert shared == pytest.approx(value, abs=0.02)
    assert {tuple(one) for one in draws[0].covariance_offset.tolist()} >= {(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)}
