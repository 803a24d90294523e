"""The shape of lines as a spline that changes with wavelength, from lines of unknown strength.

A sample at offset v from a line of place z sees ``strength * sum_jp c_jp B_j(v) z^p + ground``: cubic B-splines in the
offset, powers in z. Strength and ground belong to the line, the shape is common; with one of them known, the other
is a linear problem.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["Shape", "evaluate_shape", "line_terms", "shape_system"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class Shape(NamedTuple):
    """Grid of the splines: knots at ``first + i * step``; ``splines`` of them, powers up to ``degree``."""

    first: float
    step: float
    splines: int
    degree: int

    @property
    def size(self) -> int:
        """Number of coefficients, those of one spline beside each other."""
        return self.splines * (self.degree + 1)


@compiled(inline="always")
def _splines(t: float) -> tuple[float, float, float, float]:
    """Values of the four cubic B-splines at ``t`` (0 to 1) within their interval (de Boor 1978)."""
    r = 1.0 - t
    return (
        r * r * r / 6.0,
        (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
        (3.0 * r * r * r - 6.0 * r * r + 4.0) / 6.0,
        t * t * t / 6.0,
    )


@compiled()
def _shape_system(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    offset: F8, value: F8, weight: F8, line: I8, strength: F8, ground: F8, z: F8,
    first: float, step: float, count: int, degree: int,
) -> tuple[F8, F8]:  # fmt: skip
    size = count * (degree + 1)
    matrix, rhs = np.zeros((size, size)), np.zeros(size)
    term = np.empty(4 * (degree + 1))
    for i in range(offset.size):
        at = (offset[i] - first) / step
        j = int(np.floor(at))
        if weight[i] <= 0.0 or j < 0 or j + 3 >= count:
            continue
        b = _splines(at - j)
        amplitude = strength[line[i]]
        for a in range(4):
            power = amplitude * b[a]
            for p in range(degree + 1):
                term[a * (degree + 1) + p] = power
                power *= z[line[i]]
        base = j * (degree + 1)
        left = value[i] - ground[line[i]]
        for a in range(term.size):
            rhs[base + a] += weight[i] * term[a] * left
            for c in range(term.size):
                matrix[base + a, base + c] += weight[i] * term[a] * term[c]
    return matrix, rhs


def shape_system(
    samples: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]],
    strength: NDArray[Any],
    ground: NDArray[Any],
    z: NDArray[Any],
    shape: Shape,
) -> tuple[F8, F8]:
    """Return the normal equations of the shape's coefficients.

    Parameters
    ----------
    samples : (offset, value, weight, line)
        Arrays (k,); samples beyond the splines, or of no weight, are passed over.
    strength, ground, z : array (n_line,)
    shape : Shape
    """
    matrix, rhs = _shape_system(*samples, strength, ground, z, shape.first, shape.step, shape.splines, shape.degree)
    return matrix, rhs


@compiled()
def evaluate_shape(offset: F8, line: I8, z: F8, coefficients: F8, first: float, step: float) -> F8:  # noqa: PLR0913 - the arrays of one loop
    """Return the shape at samples (k,).

    Parameters
    ----------
    offset : array (k,)
    line : int array (k,)
    z : array (n_line,)
    coefficients : array (count, degree + 1)
    first, step : float
    """
    out = np.zeros(offset.size)
    count, terms = coefficients.shape
    for i in range(offset.size):
        at = (offset[i] - first) / step
        j = int(np.floor(at))
        if j < 0 or j + 3 >= count:
            continue
        b = _splines(at - j)
        power = 1.0
        for p in range(terms):
            value = 0.0
            for a in range(4):
                value += b[a] * coefficients[j + a, p]
            out[i] += power * value
            power *= z[line[i]]
    return out


@compiled()
def line_terms(value: F8, weight: F8, line: I8, model: F8, n_line: int) -> tuple[F8, F8, F8]:
    """Return strength and ground of each line, and its reduced chi-square, the shape ``model`` (k,) known."""
    sums = np.zeros((n_line, 6))
    for i in range(value.size):
        w, m, v = weight[i], model[i], value[i]
        s = sums[line[i]]
        s[0] += w
        s[1] += w * m
        s[2] += w * m * m
        s[3] += w * v
        s[4] += w * v * m
        s[5] += 1.0 if w > 0.0 else 0.0
    strength, ground = np.zeros(n_line), np.zeros(n_line)
    for k in range(n_line):
        s = sums[k]
        determinant = s[0] * s[2] - s[1] * s[1]
        if determinant > 1e-12 * s[0] * s[2] and s[5] > 10:
            strength[k] = (s[0] * s[4] - s[1] * s[3]) / determinant
            ground[k] = (s[2] * s[3] - s[1] * s[4]) / determinant
    chi2 = np.zeros(n_line)
    for i in range(value.size):
        left = value[i] - strength[line[i]] * model[i] - ground[line[i]]
        chi2[line[i]] += weight[i] * left * left
    return strength, ground, chi2 / np.maximum(sums[:, 5] - 2.0, 1.0)
