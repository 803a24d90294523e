from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.stamps import Lattice, Profile, gather, lattice_of, paint

STEP = 1e-3
RADIUS2 = STEP * np.arange(402)
PROFILE = Profile(np.exp(-0.5 * RADIUS2 / np.array([[0.02], [0.03]])), STEP, np.array([0.6, 0.6]))


@pytest.fixture(scope="module")
def lattice() -> Lattice:
    rng = np.random.default_rng(4)
    return lattice_of(rng.uniform(-3, 3, 900), rng.uniform(-3, 3, 900), 0.3)


def test_painted_source_is_its_profile(lattice: Lattice) -> None:
    at = np.array([0.2, 0.25]).reshape(1, 1, 2), np.array([-0.4, -0.4]).reshape(1, 1, 2)
    image = paint(lattice, PROFILE, *at, np.full((1, 1, 2), 5.0))
    square = (lattice.x - 0.25) ** 2 + (lattice.y + 0.4) ** 2
    expected = np.where(square < 0.36, 5.0 * np.exp(-0.5 * square / 0.03), 0.0)
    assert image[0, 1] == pytest.approx(expected, abs=1e-3)


def test_gathering_is_the_transpose_of_painting(lattice: Lattice) -> None:
    rng = np.random.default_rng(5)
    px, py = rng.uniform(-2, 2, (2, 700, 3, 2))
    light, samples = rng.standard_normal((700, 3, 2)), rng.standard_normal((3, 2, 900))
    painted = np.vdot(paint(lattice, PROFILE, px, py, light), samples)
    one = np.ones((1, 3, 2))
    several = gather(lattice, PROFILE, px, py, samples)
    again = np.array([np.vdot(paint(lattice, PROFILE, px[[i]], py[[i]], one), samples) for i in range(5)])
    assert several[:5].sum(axis=1) == pytest.approx(again)
    parts = sum(
        float(np.sum(light[:, t] * gather(lattice, PROFILE, px[:, [t]], py[:, [t]], samples[[t]]))) for t in range(3)
    )
    assert painted == pytest.approx(parts)
