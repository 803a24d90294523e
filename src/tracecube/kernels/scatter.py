"""Scattered light: a smooth surface fitted jointly with the spectra, not between them.

Minimising |d - A f - B c|² (weighted by W) over f first leaves R = I - A (AᵀWA)⁻¹ AᵀW of every
image, what no set of spectra can explain, and the surface's coefficients follow from

    BᵀWRB c = BᵀWR d ,

solved by conjugate gradients; one application of R is one extraction with the same factors. R takes
about the same share everywhere, and so BᵀWB, which costs no extraction, preconditions. Wings of bright
spectra are part of A f and so cannot leak into b. The surface is smooth: every `COLUMN_STEP`-th column
carries all there is to know of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.linalg import cho_factor, cho_solve

from tracecube.kernels.forward import DesignMatrix, adjoint, project
from tracecube.kernels.solve import Factor, factorise, normal_equations, solve

__all__ = [
    "RIDGE",
    "ColumnLevels",
    "Surface",
    "column_levels",
    "conjugate_gradient",
    "fit_scattered",
    "spline_basis",
    "surface",
]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

COLUMN_STEP = 16
# Conjugate-gradient steps at most; it converges to the tolerance in 4 to 10.
STEPS = 25
TOLERANCE = 2e-4
# Added to the diagonal of BᵀWB, as a fraction of its largest element: where no pixel has weight.
RIDGE = 1e-6


class Surface(NamedTuple):
    """Tensor-product splines: value = across @ C @ alongᵀ with C (k_across, k_along)."""

    across: F8
    along: F8

    def image(self, coefficients: F8) -> F4:
        """Evaluate on the grid (n_across, n_along)."""
        return np.asarray((self.across @ coefficients) @ self.along.T, np.float32)

    def adjoint(self, image: F4) -> F8:
        """Return the inner products (k_across, k_along) of an image with every basis function."""
        inner: F8 = (self.across.T @ image.astype(np.float64)) @ self.along
        return inner

    def gram(self, other: Surface, weight: F4) -> F8:
        """Return the weighted inner products (k_across * k_along, the other's) of the functions of two surfaces."""
        k, m = self.across.shape[1], self.along.shape[1]
        j, n = other.across.shape[1], other.along.shape[1]
        pairs = [
            (one[:, :, None] * two[:, None, :]).reshape(len(one), -1)
            for one, two in ((self.across, other.across), (self.along, other.along))
        ]
        inner = (pairs[0].T @ weight.astype(np.float64)) @ pairs[1]
        return np.asarray(inner.reshape(k, j, m, n).transpose(0, 2, 1, 3).reshape(k * m, j * n))


def spline_basis(n: int, pieces: int) -> F8:
    """Cubic B-splines on pixels 0 ... n-1 with ``pieces`` equal pieces: array (n, pieces + 3)."""
    inner = np.linspace(0.0, n - 1.0, pieces + 1)
    knots = np.concatenate([[inner[0]] * 3, inner, [inner[-1]] * 3])
    basis: F8 = BSpline.design_matrix(np.arange(n, dtype=float), knots, 3).toarray()
    return basis


def surface(shape: tuple[int, int], pieces: int) -> Surface:
    """Cubic spline surfaces over an image of ``shape`` (across, along)."""
    return Surface(spline_basis(shape[0], pieces), spline_basis(shape[1], pieces))


def fit_scattered(
    data: F4,
    ivar: F4,
    a: DesignMatrix,
    band: int,
    *,
    pieces: int,
    start: F8 | None = None,
) -> tuple[F4, F8]:
    """Fit the scattered light of an image beside its spectra.

    Parameters
    ----------
    data, ivar : array (across, along)
    a : DesignMatrix
        Footprints one column wide (``lsf`` 0).
    band : int
        Reach of blending.
    pieces : int
        Spline pieces a side.
    start : array or None
        Coefficients to start from.

    Returns
    -------
    scattered : array (across, along)
    coefficients : array (n,)
    """
    whole = surface(a.shape, pieces)
    few = Surface(whole.across, whole.along[::COLUMN_STEP])
    size = whole.across.shape[1], whole.along.shape[1]
    thin, d, w = (
        _every_column(a),
        np.ascontiguousarray(data[:, ::COLUMN_STEP]),
        np.ascontiguousarray(ivar[:, ::COLUMN_STEP]),
    )
    factor = factorise(normal_equations(thin, d, w, band=band))

    def unexplained(image: F4) -> F8:
        flux = solve(factor, adjoint(thin, w * image))
        return few.adjoint(w * (image - project(thin, flux))).ravel()

    rhs = unexplained(d)
    c = conjugate_gradient(
        lambda x: unexplained(few.image(x.reshape(size))),
        rhs,
        start=np.zeros_like(rhs) if start is None else start,
        precondition=_inverse(few.gram(few, w)),
    )
    return whole.image(c.reshape(size)), c


class ColumnLevels(NamedTuple):
    """A level of every column of an image beneath its spectra.

    Parameters
    ----------
    level, variance : array (n_along,)
        Drawn towards zero by how much levels differ from column to column, and what stays unknown of them.
    share : array (n_unknown,)
        What a level of 1 adds to each spectrum if it is left in.
    """

    level: F8
    variance: F8
    share: F8


def column_levels(left: F4, ivar: F4, a: DesignMatrix, factor: Factor) -> ColumnLevels:
    """Measure the level of every column together with its spectra.

    Parameters
    ----------
    left : array (across, along)
        Image less what else lies beneath the spectra.
    ivar : array (across, along)
    a : DesignMatrix
        Footprints one column wide: columns then know nothing of each other.
    factor : Factor
        Of the normal equations of ``a`` and ``ivar``.

    Notes
    -----
    On one column BᵀWRB of the module's equation is a number. The prior is what the levels' scatter (median of the
    absolute deviations) has beyond their errors (Efron & Morris 1973, J. Am. Stat. Assoc. 68, 117).
    """
    share = solve(factor, adjoint(a, ivar))
    bare = ivar * (1.0 - project(a, share))
    told = bare.sum(axis=0, dtype=np.float64)
    known = told > 1e-3 * max(float(told.max()), 1e-30)
    error = 1.0 / np.where(known, told, 1.0)
    found = np.where(known, (bare * left).sum(axis=0, dtype=np.float64) * error, 0.0)
    width = 1.4826 * float(np.median(np.abs(found[known]))) if known.any() else 0.0
    spread = max(width**2 - float(np.median(error[known])), 0.0) if known.any() else 0.0
    trust = np.where(known, spread / (spread + error), 0.0) if spread > 0.0 else np.zeros(found.size)
    return ColumnLevels(trust * found, np.where(known, trust * error, spread), share)


def _every_column(a: DesignMatrix) -> DesignMatrix:
    """Keep the unknowns on every `COLUMN_STEP`-th column, renumbered."""
    keep = a.origin[:, 1] % COLUMN_STEP == 0
    origin = a.origin[keep].copy()
    origin[:, 1] //= COLUMN_STEP
    return DesignMatrix(origin, a.weight[keep], (a.shape[0], -(-a.shape[1] // COLUMN_STEP)))


def _inverse(gram: F8) -> Callable[[F8], F8]:
    """Solver of ``gram x = y`` for an array y of gram's size, whatever its shape."""
    factor = cho_factor(gram + RIDGE * max(float(gram.diagonal().max()), 1e-30) * np.eye(len(gram)))
    return lambda y: np.asarray(cho_solve(factor, y.ravel()).reshape(y.shape))


def conjugate_gradient(
    apply: Callable[[F8], F8], rhs: F8, *, start: F8, precondition: Callable[[F8], F8] = lambda x: x
) -> F8:
    """Solve ``apply(x) = rhs`` for a symmetric positive operator (Hestenes & Stiefel 1952).

    ``precondition`` is a cheap, symmetric approximation of the operator's inverse.
    """
    x = start.copy()
    residual = rhs - apply(x)
    better = precondition(residual)
    direction = better.copy()
    power = float(np.vdot(residual, better))
    target = TOLERANCE**2 * float(np.vdot(rhs, rhs))
    for _ in range(STEPS):
        if float(np.vdot(residual, residual)) <= target:
            break
        image = apply(direction)
        step = power / float(np.vdot(direction, image))
        x += step * direction
        residual -= step * image
        better = precondition(residual)
        power, last = float(np.vdot(residual, better)), power
        direction = better + (power / last) * direction
    return x
