from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecube.kernels.psf import (
    Shape,
    full_width,
    hexagon_area,
    hexagon_nodes,
    lattice_angle,
    lattice_pitch,
    lenslet_fractions,
    mixture_density,
)

PITCH = 0.64


def lattice(pitch: float, angle: float, half: int = 40) -> tuple[np.ndarray, np.ndarray]:
    q, r = (index.ravel() for index in np.mgrid[-half : half + 1, -half : half + 1])
    x, y = pitch * (q + r / 2), pitch * r * np.sqrt(0.75)
    return np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y


def triangles(pitch: float, angle: float, parts: int = 20) -> np.ndarray:
    """Centres of small triangles of equal area that tile a hexagon."""
    points = []
    for k in range(6):
        a, b = (pitch / np.sqrt(3) * np.exp(1j * (angle + np.pi / 6 + (k + s) * np.pi / 3)) for s in (0, 1))
        for i in range(parts):
            for j in range(parts - i):
                points.append(((i + 1 / 3) * a + (j + 1 / 3) * b) / parts)
                if i + j < parts - 1:
                    points.append(((i + 2 / 3) * a + (j + 2 / 3) * b) / parts)
    return np.array(points)


@pytest.fixture
def shape() -> Shape:
    return Shape(sigma=0.76, alpha=1.6, beta=2.5, core=0.5, rho=-0.2, e1=0.04, e2=-0.03)


@given(st.integers(0, 5), st.integers(0, 5), st.floats(-0.5, 0.5))
def test_nodes_integrate_polynomials_to_degree_five(i: int, j: int, angle: float) -> None:
    if i + j > 5:
        return
    x, y, weight = hexagon_nodes(1.0, angle)
    tiny = triangles(1.0, angle)
    assert np.sum(weight * x**i * y**j) == pytest.approx(np.mean(tiny.real**i * tiny.imag**j), abs=3e-4)


def test_lattice_is_measured_on_the_places_themselves() -> None:
    x, y = lattice(PITCH, 0.31, half=10)
    assert lattice_pitch(x, y) == pytest.approx(PITCH)
    assert lattice_angle(x, y) == pytest.approx(0.31)


@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
def test_lenslets_collect_all_light_wherever_the_source_stands(x0: float, y0: float, e1: float, e2: float) -> None:
    x, y = lattice(PITCH, 0.2)
    # a halo exponent of 4: what lies beyond the last lenslet is less than a millionth
    shape = Shape(sigma=0.7, alpha=1.5, beta=4.0, core=0.5, rho=-0.2, e1=e1, e2=e2)
    share = lenslet_fractions(
        x,
        y,
        (np.array([x0]), np.array([y0])),
        np.array([1.0]),
        shape,
        hexagon_nodes(PITCH, 0.2),
        area=hexagon_area(PITCH),
    )
    assert share.sum() == pytest.approx(1.0, abs=1e-4)


def test_seven_nodes_agree_with_the_integral(shape: Shape) -> None:
    x, y = lattice(PITCH, 0.2, half=4)
    none = np.zeros(1)
    nodes = triangles(PITCH, 0.2)
    many = (nodes.real, nodes.imag, np.full(nodes.size, 1.0 / nodes.size))
    few = lenslet_fractions(x, y, (none, none), np.ones(1), shape, hexagon_nodes(PITCH, 0.2), area=1.0)
    fine = lenslet_fractions(x, y, (none, none), np.ones(1), shape, many, area=1.0)
    np.testing.assert_allclose(few, fine, atol=1e-4 * fine.max())


def test_width_goes_with_growth(shape: Shape) -> None:
    radius2 = np.array([0.3, 1.0, 4.0])
    np.testing.assert_allclose(
        mixture_density(radius2 * 1.1**2, np.array(1.1), shape), mixture_density(radius2, np.array(1.0), shape) / 1.1**2
    )


def test_full_width_of_gaussian_and_moffat() -> None:
    gauss = Shape(sigma=0.8, alpha=1.0, beta=2.5, core=1.0, rho=0.0, e1=0.0, e2=0.0)
    moffat = Shape(sigma=0.8, alpha=1.3, beta=3.0, core=0.0, rho=0.0, e1=0.0, e2=0.0)
    assert full_width(gauss) == pytest.approx(0.8 * 2.35482, rel=1e-4)
    assert full_width(moffat) == pytest.approx(2 * 1.3 * np.sqrt(2 ** (1 / 3) - 1), rel=1e-4)


def test_ellipse_has_its_long_axis_where_it_says() -> None:
    long = Shape(sigma=0.8, alpha=1.0, beta=2.5, core=1.0, rho=0.0, e1=0.1, e2=0.0)
    x, y = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    share = lenslet_fractions(
        x, y, (np.zeros(1), np.zeros(1)), np.ones(1), long, (np.zeros(1),) * 2 + (np.ones(1),), area=1.0
    )
    along, across = np.exp(-0.5 / (0.8 * np.exp(0.1)) ** 2), np.exp(-0.5 / (0.8 * np.exp(-0.1)) ** 2)
    assert share[0, 0] / share[0, 1] == pytest.approx(along / across)
