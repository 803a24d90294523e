"""Light beneath spectra, from every pixel: steps meet what a plain least-squares solution of all unknowns gives."""

from __future__ import annotations

import numpy as np

from tracecube.kernels.forward import DesignMatrix, adjoint, project
from tracecube.kernels.ground import Strips, ground_of
from tracecube.kernels.solve import band_width, factorise, normal_equations, solve

SHAPE = (160, 96)


def test_strips_are_as_wide_and_hold_a_level_each() -> None:
    made = Strips(4, 3, 0.3).surface((32, 24))
    assert made.across.sum(axis=0).tolist() == [8.0, 8.0, 8.0, 8.0]
    level = np.array([1.0, -2.0, 0.0, 3.0])
    image = made.image(np.repeat(level[:, None], made.along.shape[1], axis=1))
    assert np.allclose(image, np.repeat(level, 8)[:, None], atol=1e-6)


def crowded() -> DesignMatrix:
    """Traces five pixels apart on every column, a little slanted."""
    centre = np.arange(-24.0, 160.0, 5.1)
    along = np.repeat(np.arange(SHAPE[1]), centre.size)
    across = np.tile(centre, SHAPE[1]) + 0.2 * along
    k = np.arange(-6, 7)
    origin = np.stack([np.floor(across + 0.5).astype(int) - 6, along], axis=1).astype(np.int32)
    offset = origin[:, :1] + 6 + k - across[:, None]
    weight = np.exp(-0.5 * (offset / 1.0) ** 2) + 0.01 / (1.0 + offset**2)
    on = (origin[:, :1] + 6 + k >= 0) & (origin[:, :1] + 6 + k < SHAPE[0])
    weight = np.where(on, weight / weight.sum(axis=1, keepdims=True), 0.0)
    return DesignMatrix(origin, weight[:, :, None].astype(np.float32), SHAPE)


def test_steps_meet_the_solution_with_the_spectra_eliminated() -> None:
    rng, a = np.random.default_rng(4), crowded()
    ground = ground_of(SHAPE, pieces=1, strips=Strips(4, 1, 0.5))
    level = 5.0 + np.repeat(rng.normal(0.0, 0.5, 4), 40)[:, None] + np.linspace(0.0, 2.0, SHAPE[1])
    light = project(a, rng.uniform(0.0, 200.0, len(a.origin)))
    data = (light + level + rng.normal(0.0, 2.0, SHAPE)).astype(np.float32)
    ivar = np.where(rng.random(SHAPE) < 0.02, 0.0, 0.25).astype(np.float32)  # noqa: PLR2004 - bad pixels
    factor = factorise(normal_equations(a, data, ivar, band=band_width(a)))
    curvature, c = ground.curvature(ivar, a, factor), ground.empty
    sizes = []
    for _ in range(12):
        flux = solve(factor, adjoint(a, ivar * (data - ground.image(c))))
        left = data - ground.image(c) - project(a, flux)
        step, _ = ground.step(curvature, left, c, ivar=ivar, a=a, factor=factor)
        c = c + step
        sizes.append(float(np.linalg.norm(step)))
    assert sizes[-1] < 0.01 * sizes[0]
    columns = [ground.image(one) for one in np.eye(c.size)]

    def left_by_spectra(image: np.ndarray) -> list[float]:
        left = ivar * (image - project(a, solve(factor, adjoint(a, ivar * image))))
        return [float(np.vdot(one, left)) for one in columns]

    plain = np.linalg.solve(np.array([left_by_spectra(one) for one in columns]) + ground.prior, left_by_spectra(data))
    assert np.abs(ground.image(c - plain)).max() < 0.05  # of errors of 0.1 to 0.5
