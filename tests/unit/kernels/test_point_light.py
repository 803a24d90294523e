"""Light of points by radial tables, against the light of stars lenslet by lenslet."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.point_light import point_columns, point_sums, radial_table
from tracecube.kernels.psf import Shape, hexagon_area, hexagon_nodes, lenslet_fractions

PITCH = 0.64
NODES, AREA = hexagon_nodes(PITCH, 0.1), hexagon_area(PITCH)
RNG = np.random.default_rng(3)
X, Y = RNG.uniform(-6.0, 6.0, (2, 300))


@pytest.mark.parametrize(
    "shape", [Shape(0.75, 1.3, 2.0, 0.5, -0.2, 0.0, 0.0), Shape(0.55, 1.0, 1.8, 0.6, -0.2, 0.04, -0.03)]
)
@pytest.mark.parametrize("growth", [0.9, 1.15])
def test_a_point_is_a_star(shape: Shape, growth: float) -> None:
    table = radial_table(shape, np.array([growth]), NODES, AREA)[0]
    points = np.array([0.3, -1.2]), np.array([-0.4, 2.0])
    seen = point_columns(X, Y, points, shape, table)
    star = lenslet_fractions(X, Y, points, np.full(2, growth), shape, NODES, area=AREA).T
    assert np.abs(seen - star).max() < 5e-3 * star.max()  # the hexagon has no directions


def test_sums_move_as_a_star_moves() -> None:
    shape = Shape(0.75, 1.3, 2.0, 0.5, -0.2, 0.02, 0.05)
    table = radial_table(shape, np.array([1.0, 1.1]), NODES, AREA)
    points, flux = RNG.uniform(-4.0, 4.0, (2, 20)), RNG.uniform(0.0, 1.0, (3, 20))
    shift = np.array([0.0, 0.7]), np.array([0.2, -0.5])
    found = point_sums(X, Y, tuple(points), flux, shift=shift, shape=shape, table=table)
    for m in range(2):
        moved = points[0] + shift[0][m], points[1] + shift[1][m]
        np.testing.assert_allclose(found[m], flux @ point_columns(X, Y, moved, shape, table[m]).T, rtol=1e-10)


def test_what_is_far_gives_nothing() -> None:
    shape = Shape(0.75, 1.3, 2.0, 0.5, -0.2, 0.0, 0.0)
    table = radial_table(shape, np.ones(1), NODES, AREA)[0]
    assert not point_columns(X, Y, (np.array([60.0]), np.array([0.0])), shape, table).any()
