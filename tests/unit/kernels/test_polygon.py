from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecube.kernels.polygon import inside_polygon

TURNS = np.linspace(0.0, 2.0 * np.pi, 7)[:-1]


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.3, 4.0), st.floats(0, 6.3), st.booleans(), st.integers(0, 2**31))
def test_a_hexagon_is_where_its_distance_says(cx, cy, size, turn, backwards, seed):
    corners = np.column_stack([cx + size * np.cos(TURNS + turn), cy + size * np.sin(TURNS + turn)])
    x, y = np.random.default_rng(seed).uniform(-10, 10, (2, 200))
    # inside a regular hexagon: nearer than the apothem along all three of its axes
    axes = turn + np.pi / 6 + np.arange(3) * np.pi / 3
    far = np.abs((x - cx)[:, None] * np.cos(axes) + (y - cy)[:, None] * np.sin(axes)).max(1)
    clear = np.abs(far - size * np.sqrt(0.75)) > 1e-9
    found = inside_polygon(x, y, corners[::-1] if backwards else corners)
    np.testing.assert_array_equal(found[clear], (far < size * np.sqrt(0.75))[clear])


@pytest.mark.parametrize(
    ("x", "y", "inside"), [(1.0, 0.5, True), (1.0, 1.9, False), (3.0, 1.9, True), (5.0, 0.5, False)]
)
def test_an_outline_may_bend_inwards(x, y, inside):
    corners = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [2.0, 2.0], [2.0, 1.0], [0.0, 1.0]])
    assert inside_polygon(np.array([x]), np.array([y]), corners)[0] == inside
