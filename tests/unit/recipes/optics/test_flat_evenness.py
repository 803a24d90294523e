"""How uneven a flat's lamp may have been: the smooth part of the flat, whatever single lenslets do."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.optics import Layout, Throughput
from tracecube.recipes.optics.flat_evenness import flat_surface, flat_unevenness


def field(count: int, slope: float) -> tuple[Throughput, Layout]:
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-0.8, 0.8, (2, count))
    white = (1.0 + slope * x / 0.8) * (1.0 + 0.015 * rng.normal(size=count))
    white[: count // 20] *= 0.3  # dim lenslets
    none = np.zeros(count, np.int32)
    value = np.repeat(white[:, None], 5, axis=1).astype(np.float32)
    value[-3:] = np.nan
    number = np.arange(count)
    flat = Throughput(number, none, white, value, 0.01 * value, np.linspace(1e4, 1.6e4, 5))
    return flat, Layout(number, x, y, none, 0.0129, -90.0)


def test_a_slope_is_found_and_scatter_of_lenslets_is_not() -> None:
    assert flat_unevenness(*field(6000, 0.05)) == pytest.approx(0.05 / np.sqrt(3.0), rel=0.05)
    assert flat_unevenness(*field(6000, 0.0)) < 0.002


def test_lenslets_that_miss_a_channel_and_edges_that_are_dim_count() -> None:
    flat, layout = field(6000, 0.5)  # from half to half as much again
    expected = 0.5 / np.sqrt(3.0)
    assert flat_unevenness(flat, layout) == pytest.approx(expected, rel=0.1)
    flat.value[::2, 0] = np.nan
    flat.value[1::2, 4] = np.nan
    assert flat_unevenness(flat, layout) == pytest.approx(expected, rel=0.1)


def test_too_few_lenslets_tell_nothing() -> None:
    assert np.isnan(flat_unevenness(*field(100, 0.05)))


def test_a_slope_is_told_from_what_is_bent() -> None:
    flat, layout = field(6000, 0.05)
    found = flat_surface(flat, layout)
    assert found.rms == flat_unevenness(flat, layout)
    assert found.slope == pytest.approx(0.05 / 0.8, rel=0.05)
    assert found.bent < 0.002
    bent = flat.value * (1.0 + 0.06 * (layout.y[:, None] / 0.8) ** 2).astype(np.float32)
    found = flat_surface(Throughput(flat.aperture, flat.dq, flat.mean, bent, flat.error, flat.wave), layout)
    assert found.slope == pytest.approx(0.05 / 0.8, rel=0.05)
    assert found.bent == pytest.approx(0.06 * np.sqrt(1.0 / 5.0 - 1.0 / 9.0), rel=0.1)
