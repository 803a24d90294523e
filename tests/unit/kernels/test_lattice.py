"""Hexagonal indices through distortion, missing, dead and spurious points."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.kernels.lattice import NEIGHBOURS, hexagon_basis, index_lattice, invert_field
from tracecube.kernels.polynomials import fit_field

PITCH = 45.5


def nodes_of(rng: np.random.Generator, rings: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distorted places of a round lattice of ``rings`` rings."""
    q, r = np.meshgrid(np.arange(-rings, rings + 1), np.arange(-rings, rings + 1), indexing="ij")
    index = np.stack([q.ravel(), r.ravel()], axis=1)
    theta = np.radians(angle)
    basis = PITCH * np.array([[np.cos(t), np.sin(t)] for t in (theta, theta + np.pi / 3)])
    flat = index @ basis
    inside = np.linalg.norm(flat, axis=1) < PITCH * rings
    index, flat = index[inside], flat[inside]
    u = flat / np.abs(flat).max()
    # Second- and third-order distortion of up to half a pitch at the border, and a scatter in each place.
    terms = np.stack([u[:, 0] ** i * u[:, 1] ** j for i in range(4) for j in range(4) if 2 <= i + j <= 3], axis=1)
    bend = rng.uniform(-1, 1, (terms.shape[1], 2))
    places = flat + terms @ bend * (0.5 * PITCH / np.abs(terms @ bend).max())
    return index, places + rng.normal(0, 0.3, places.shape) + rng.uniform(-500, 500, 2)


@given(st.integers(0, 2**32 - 1), st.floats(-40.0, 10.0))
@settings(max_examples=25, deadline=None)
def test_every_index_is_right_with_missing_dead_and_spurious_points(seed: int, angle: float) -> None:
    rng = np.random.default_rng(seed)
    index, places = nodes_of(rng, 16, angle)
    keep = rng.random(len(index)) > 0.02
    hole = np.linalg.norm(places - places[rng.integers(len(places))], axis=1) < 1.8 * PITCH  # a dead patch
    keep &= ~hole
    index, places = index[keep], places[keep]
    low, high = places.min(axis=0), places.max(axis=0)
    false = rng.uniform(low, high, (3, 2))
    points = np.concatenate([places, false])
    weight = np.concatenate([np.full(len(places), 10.0), np.full(3, 1.0)])
    basis = hexagon_basis(points, pitch=0.95 * PITCH, angle=-15.8)
    found, on_node, _ = index_lattice(points, basis, weight=weight)
    real = np.arange(len(points)) < len(places)
    assert on_node[real].all()
    turned = _turn(found[real], index)
    assert len(np.unique(turned - index, axis=0)) == 1
    away = np.min(np.linalg.norm(points[real][None] - points[~real][:, None], axis=2), axis=1)
    assert not np.any(on_node[~real] & (away < 0.2 * PITCH))


def _turn(found: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Turn found indices by the multiple of 60 degrees that makes their steps those of ``index``."""
    turn = np.array([[0, 1], [-1, 1]])
    turned = found
    for _ in range(6):
        if len(np.unique(turned - index, axis=0)) == 1:
            return turned
        turned = turned @ turn
    return turned


def test_first_vector_is_the_one_asked_for() -> None:
    rng = np.random.default_rng(1)
    _, places = nodes_of(rng, 10, -15.8)
    basis = hexagon_basis(places, pitch=50.0, angle=-10.0)
    angles = np.degrees(np.arctan2(basis[:, 1], basis[:, 0]))
    assert np.allclose(angles, [-15.8, 44.2], atol=2.0)
    assert np.allclose(np.linalg.norm(basis, axis=1), PITCH, rtol=0.03)


def test_of_two_points_on_a_node_the_trusted_one_keeps_it() -> None:
    rng = np.random.default_rng(2)
    _, places = nodes_of(rng, 8, -15.8)
    double = places[40] + [0.5, 0.5]
    points = np.vstack([places, double])
    weight = np.ones(len(points))
    weight[40] = 5.0
    _, on_node, _ = index_lattice(points, hexagon_basis(points, pitch=PITCH, angle=-15.8), weight=weight)
    assert on_node[40]
    assert not on_node[-1]
    assert on_node.sum() == len(places)


def test_neighbours_are_sixty_degrees_apart() -> None:
    basis = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    steps = NEIGHBOURS @ basis
    assert np.allclose(np.linalg.norm(steps, axis=1), 1.0)
    angles = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    assert np.allclose(np.diff(angles), np.pi / 3)


def test_inverse_of_a_field_leads_back() -> None:
    rng = np.random.default_rng(3)
    index, places = nodes_of(rng, 12, -15.8)
    field = fit_field(places, index.astype(float), degree=4)
    target = field(places)
    assert np.allclose(invert_field(field, target, places + rng.normal(0, 5, places.shape)), places, atol=1e-6)
