"""Smooth functions of place: polynomials over a plane, and coefficients that follow one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CERTAIN", "Field", "Shrunk", "believed_precision", "fit_field", "monomials", "shrink_to_field"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating]
B1 = NDArray[np.bool_]


CERTAIN = 1e6
"""Precision, in units of a coefficient's own, at which it is held at 0."""


class Field(NamedTuple):
    """Polynomial over the plane with values in k dimensions.

    ``coefficients`` (terms, k) belong to the `monomials` of ``(points - centre) / scale``.
    """

    centre: F8
    scale: float
    degree: int
    coefficients: F8

    def __call__(self, points: F8) -> F8:
        """Return the values (n, k) at ``points`` (n, 2)."""
        return self.design(points) @ self.coefficients

    def design(self, points: F8) -> F8:
        """Return the monomials (n, terms) at ``points`` (n, 2)."""
        return monomials((np.asarray(points, float) - self.centre) / self.scale, self.degree)

    def jacobian(self, points: F8) -> F8:
        """Return d values / d points (n, k, 2)."""
        u = (np.asarray(points, float) - self.centre) / self.scale
        powers = [(i, k - i) for k in range(self.degree + 1) for i in range(k, -1, -1)]
        grad = [
            np.stack([i * u[:, 0] ** max(i - 1, 0) * u[:, 1] ** j for i, j in powers], axis=1) @ self.coefficients,
            np.stack([j * u[:, 0] ** i * u[:, 1] ** max(j - 1, 0) for i, j in powers], axis=1) @ self.coefficients,
        ]
        return np.stack(grad, axis=2) / self.scale


def monomials(points: F8, degree: int) -> F8:
    """Return x^i y^j for all i + j <= degree at ``points`` (n, 2): array (n, terms), lowest first.

    Examples
    --------
    >>> monomials(np.array([[2.0, 3.0]]), 2)
    array([[1., 2., 3., 4., 6., 9.]])
    """
    x, y = points[:, 0], points[:, 1]
    return np.stack([x**i * y ** (k - i) for k in range(degree + 1) for i in range(k, -1, -1)], axis=1)


def fit_field(points: F8, values: F8, *, degree: int, weight: F8 | None = None) -> Field:
    """Fit a polynomial field by weighted least squares.

    Parameters
    ----------
    points : array (n, 2)
    values : array (n, k)
    degree : int
    weight : array (n,), optional
        Inverse variances, up to a factor; a point of weight 0 counts for nothing.
    """
    points = np.asarray(points, float)
    root = np.ones(len(points)) if weight is None else np.sqrt(weight)
    used = points[root > 0.0]
    centre = 0.5 * (used.min(axis=0) + used.max(axis=0))
    scale = max(float(np.abs(used - centre).max()), 1e-12)
    design = monomials((points - centre) / scale, degree)
    solution = np.linalg.lstsq(design * root[:, None], values * root[:, None], rcond=None)[0]
    coefficients = np.asarray(solution, np.float64)
    return Field(centre, scale, degree, coefficients)


class Shrunk(NamedTuple):
    """Coefficients of many fits, each drawn towards a common field by its own error.

    ``coefficients`` (n, k) with ``covariance`` (n, k, k), which holds the field's own error too;
    ``field`` (terms, k) is the common field over the given design, ``scatter`` (k,) the standard
    deviation about it (inf where the coefficient is free).
    """

    coefficients: F8
    covariance: F8
    field: F8
    scatter: F8


def believed_precision(value: Floats, variance: Floats, precision: Floats, most: Floats) -> F8:
    """Return the precision of each coefficient's own prior, anew: it is believed as far as it stands out of its error.

    Automatic relevance determination: a coefficient is drawn from N(0, 1 / precision), of most evidence (MacKay 1992,
    Neural Comput. 4, 415).

    Parameters
    ----------
    value, variance : array
        Estimates with the precision of before, and their variances.
    precision : array
    most : array
        Precision at which a coefficient is held at 0.
    """
    told = np.clip(1.0 - precision * variance, 1e-6, 1.0)
    return np.asarray(np.minimum(told / np.maximum(value**2, 1e-300), most))


def shrink_to_field(  # noqa: PLR0913 - data, and what is believed of them
    matrix: F8, rhs: F8, design: F8, *, free: B1, rounds: int = 40, relevance: bool = False
) -> Shrunk:
    """Estimate coefficients of many linear fits that vary smoothly over a plane.

    Fit l has normal equations ``matrix[l] c = rhs[l]``; the coefficients are drawn from
    ``c_l ~ N(design[l] @ field, diag(scatter**2))``. Field and scatter are found together from the
    marginal likelihood (empirical Bayes; MacKay 1992, Neural Comput. 4, 415, eq. 2.12 for the
    update of the scatter), the coefficients are the posterior means.

    Parameters
    ----------
    matrix : array (n, k, k)
        Weighted normal matrices; zero for a fit without data.
    rhs : array (n, k)
    design : array (n, terms)
        Values of the field's basis functions at the place of each fit.
    free : bool array (k,)
        Coefficients that follow no field (an offset of each aperture, for example).
    rounds : int
        Largest number of updates of the scatter.
    relevance : bool
        Believe each coefficient of the field only as far as it stands out from its own error: it is drawn from
        N(0, its own variance), which is found with the scatters (automatic relevance determination; MacKay 1992).
    """
    n, k = rhs.shape
    bound = np.flatnonzero(~free)
    measured = matrix[:, bound, bound] > 0.0
    # First scatter: that of the separate fits where they are well determined; it only has to be large.
    start = np.linalg.solve(matrix + _small_ridge(matrix), rhs[:, :, None])[:, :, 0]
    variance = np.full(k, np.inf)
    for j, good in zip(bound, measured.T, strict=True):
        variance[j] = max(float(np.median(start[good, j] ** 2)) if good.any() else 1.0, 1e-300)
    field = np.zeros((design.shape[1], k))
    doubt = np.zeros((design.shape[1], bound.size))  # 1 / variance of the field's coefficients
    most = np.full_like(doubt, np.inf)
    doubting = False
    for turn in range(rounds):
        precision = np.where(np.isinf(variance), 0.0, 1.0 / variance)
        covariance = np.asarray(np.linalg.inv(matrix + np.diag(precision) + _small_ridge(matrix)), np.float64)
        field[:, bound], field_covariance = _marginal_field((matrix, rhs), design, doubt, covariance, bound)
        alone = np.einsum("pjpj->pj", field_covariance)
        if doubting:
            doubt = believed_precision(field[:, bound], alone, doubt, most)
        else:
            most = CERTAIN / alone
        mean: F8 = np.einsum("ljk,lk->lj", covariance, rhs + precision * (design @ field))
        known = n - np.einsum("ljj->j", covariance)[bound] * precision[bound]
        excess = ((mean - design @ field) ** 2).sum(axis=0)[bound]
        new = np.maximum(excess / np.maximum(known, 1e-9 * n), 1e-9 * variance[bound])
        settled = np.abs(np.log(new / variance[bound])) < 0.02
        done = bool(np.all(settled | (new < 1e-8 * start[:, bound].var(axis=0))))
        variance[bound] = new
        if done and (doubting or not relevance):
            break
        # a field can be doubted once the scatter about it is known
        doubting = relevance and (doubting or done or turn >= rounds // 2)
    common = np.einsum("lp,pjqk,lq->ljk", design, field_covariance, design, optimize=True)
    taken = covariance[:, :, bound] * precision[bound]
    covariance = covariance + taken @ common @ taken.transpose(0, 2, 1)
    return Shrunk(mean, covariance, field, np.sqrt(variance))


def _small_ridge(matrix: F8) -> F8:
    """Diagonal that makes singular normal matrices solvable without touching the regular ones."""
    scale = np.einsum("ljj->j", matrix) / max(len(matrix), 1)
    return np.asarray(np.diag(1e-10 * scale + 1e-300))


def _marginal_field(
    data: tuple[F8, F8], design: F8, doubt: F8, covariance: F8, bound: NDArray[np.intp]
) -> tuple[F8, F8]:
    """Generalised least squares of the field, the scatter and the free coefficients integrated out.

    ``data`` are the normal equations, ``doubt`` the precision of the field's coefficients (terms, k), ``covariance``
    (n, k, k) that of the fits' coefficients about a known field. Returns the field (terms, k) and its covariance
    (terms, k, terms, k).
    """
    matrix, rhs = data
    gain = matrix @ covariance
    information = (matrix - gain @ matrix)[:, bound][:, :, bound]
    score = (rhs - np.einsum("ljk,lk->lj", gain, rhs))[:, bound]
    shape = (design.shape[1], bound.size)
    left = np.einsum("lp,ljk,lq->pjqk", design, information, design, optimize=True).reshape(shape[0] * shape[1], -1)
    right = np.einsum("lp,lj->pj", design, score).ravel()
    left[np.diag_indices_from(left)] += doubt.ravel()
    found = np.linalg.pinv(left, rcond=1e-13, hermitian=True)
    return (found @ right).reshape(shape), found.reshape(*shape, *shape)
