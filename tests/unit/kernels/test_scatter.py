"""Scattered light: the preconditioner is the plain sum over pixels, and changes the speed alone."""

from __future__ import annotations

import numpy as np

from tracecube.kernels.ground import Strips
from tracecube.kernels.scatter import conjugate_gradient, surface


def test_gram_is_the_weighted_sum_over_pixels() -> None:
    rng = np.random.default_rng(1)
    smooth = surface((30, 24), 3)
    weight = rng.uniform(0.0, 2.0, (30, 24)).astype(np.float32)
    functions = np.einsum("xk,ym->kmxy", smooth.across, smooth.along).reshape(36, -1)
    direct = (functions * weight.ravel()) @ functions.T
    assert np.allclose(smooth.gram(smooth, weight), direct, rtol=1e-6, atol=1e-6)


def test_gram_of_two_surfaces_is_the_weighted_sum_over_pixels() -> None:
    rng = np.random.default_rng(3)
    parts = [surface((32, 24), 2), Strips(4, 1, 0.3).surface((32, 24))]
    weight = rng.uniform(0.0, 2.0, (32, 24)).astype(np.float32)
    one, two = (np.einsum("xk,ym->kmxy", p.across, p.along).reshape(-1, 32 * 24) for p in parts)
    assert np.allclose(parts[0].gram(parts[1], weight), (one * weight.ravel()) @ two.T, rtol=1e-6, atol=1e-6)


def test_a_preconditioner_changes_the_number_of_steps_alone() -> None:
    rng = np.random.default_rng(2)
    scale = np.geomspace(1.0, 1e4, 40)
    operator = np.diag(scale) + 0.01 * np.ones((40, 40))
    truth = rng.normal(size=40)
    steps = []

    def apply(x: np.ndarray) -> np.ndarray:
        steps.append(1)
        return np.asarray(operator @ x)

    found = conjugate_gradient(apply, operator @ truth, start=np.zeros(40), precondition=lambda y: y / scale)
    few = len(steps)
    conjugate_gradient(apply, operator @ truth, start=np.zeros(40))
    assert np.linalg.norm(operator @ (found - truth)) < 3e-3 * np.linalg.norm(operator @ truth)
    assert few < (len(steps) - few) / 2
