"""One dispersion model for all apertures: a universal law, smooth field terms, and two numbers each.

    x_a(λ) = x0_a + s_a v(λ) + z(λ) + Σ_k Σ_p c_kp T_k(v(λ)) P_p(X_a, Y_a)

``z`` is the law of the mean aperture and ``v`` the same scaled to -1 ... 1, so the first term of the
sum is the smooth change of dispersion over the field and the others how its shape changes. Each
aperture has its own zero point ``x0`` and its own small deviation of the scale ``s``, a random effect
whose spread is measured from the data (shrinkage): no aperture can run away from its neighbours.

A blend of unknown make-up shifts a line by the same amount everywhere. Such a bias of a line can
only bend the law, never the field: it is taken off before the field terms are fitted, and the law
weighs each line with its blend error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.chebyshev import chebvander

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.kernels.robust import known_median

__all__ = ["Dispersion", "Law", "fit_dispersion", "fit_law", "leave_one_out"]

# Degree of the field polynomial for T_1, T_2, ...: the scale follows the optics' distortion (cubic),
# the shape of the law changes more slowly.
FIELD_DEGREE = (3, 2, 1, 1)
LAW_DEGREE = 6
REJECT = 5.0
# Start values, px, of what is then measured.
FIRST_SPREAD, FIRST_FLOOR = 0.02, 0.005
# Median of a chi-square of one degree of freedom.
CHI2_MEDIAN = 0.455
ROUNDS = 5


@dataclass(frozen=True)
class Law:
    """Mean dispersion law: place z (px, common scale) as a polynomial in a nominal coordinate.

    Parameters
    ----------
    wave, nominal : array (k,)
        Nominal law.
    coefficients : array (d + 1,)
        Chebyshev coefficients of z in the scaled nominal coordinate.
    covariance : array (d + 1, d + 1)
        Of the coefficients, scaled up where the lines miss the law by more than their errors.
    """

    wave: FloatArray
    nominal: FloatArray
    coefficients: FloatArray
    covariance: FloatArray

    def z(self, wave: FloatArray) -> FloatArray:
        """Place of wavelengths on the common scale, px."""
        return np.asarray(chebvander(self._scaled(wave), self.coefficients.size - 1) @ self.coefficients)

    def v(self, wave: FloatArray) -> FloatArray:
        """Law scaled to -1 ... 1 over the nominal range."""
        ends = self.z(self.wave[[0, -1]])
        return np.asarray((self.z(wave) - ends.mean()) / (0.5 * abs(ends[1] - ends[0])))

    def slope(self, wave: FloatArray) -> FloatArray:
        """Size of dz / dwave, px / Angstrom, over 10 Angstrom."""
        return np.asarray(np.abs(self.z(wave + 5.0) - self.z(wave - 5.0)) / 10.0)

    def error(self, wave: FloatArray) -> FloatArray:
        """One-sigma error of `z`, px: common to all apertures."""
        basis = chebvander(self._scaled(wave), self.coefficients.size - 1)
        return np.asarray(np.sqrt(np.einsum("ki,ij,kj->k", basis, self.covariance, basis)))

    def _scaled(self, wave: FloatArray) -> FloatArray:
        low, high = self.nominal.min(), self.nominal.max()
        return np.asarray((np.interp(wave, self.wave, self.nominal) - low) / (0.5 * (high - low)) - 1.0)


@dataclass(frozen=True)
class Dispersion:
    """The fitted model of all apertures.

    Parameters
    ----------
    law : Law
    zero, scale : array (n,)
        x0 and the aperture's own deviation s.
    covariance : array (n, 2, 2)
        Of (x0, s).
    field : list of arrays
        Coefficients c_k, one array a T_k.
    place : array (n, 2)
        Scaled field position of the apertures.
    spread : float, px
        Spread of s.
    bias : array (f,)
        Common offset of each line from the law, px.
    residual : array (n, f)
        Measured minus model, px; its median over the apertures is the bias of the line.
    used : bool array (n, f)
    floor : float, px
        What the model misses beyond the errors of the measurements, a line (rms).
    """

    law: Law
    zero: FloatArray
    scale: FloatArray
    covariance: FloatArray
    field: FloatArray
    place: FloatArray
    spread: float
    bias: FloatArray
    residual: FloatArray
    used: BoolArray
    floor: float

    def x(self, wave: FloatArray) -> FloatArray:
        """Detector pixel of wavelengths (k,) in all apertures: array (n, k)."""
        v = self.law.v(wave)
        smooth = _smooth_terms(v, self.place, self.field)
        return np.asarray(self.zero[:, None] + self.scale[:, None] * v + self.law.z(wave) + smooth)

    def error(self, wave: FloatArray) -> FloatArray:
        """One-sigma error of `x`: array (n, k), px."""
        basis = np.stack([np.ones(wave.size), self.law.v(wave)])
        own = np.einsum("ik,aij,jk->ak", basis, self.covariance, basis)
        return np.asarray(np.sqrt(own + self.floor**2 + self.law.error(wave) ** 2))


def fit_law(wave: FloatArray, z: FloatArray, weight: FloatArray, nominal: tuple[FloatArray, FloatArray]) -> Law:
    """Fit the mean law to lines at ``z`` (k,); the degree falls when lines are few."""
    law = Law(nominal[0], nominal[1], np.zeros(1), np.zeros((1, 1)))
    degree = min(LAW_DEGREE, max(1, wave.size - 3))
    basis = chebvander(law._scaled(wave), degree)  # noqa: SLF001 - its own scaling
    root = np.sqrt(weight)
    coefficients = np.linalg.lstsq(basis * root[:, None], z * root, rcond=None)[0]
    freedom = max(wave.size - degree - 1, 1)
    chi2 = float((weight * (z - basis @ coefficients) ** 2).sum()) / freedom
    covariance = np.linalg.pinv((basis * weight[:, None]).T @ basis) * max(chi2, 1.0)
    return Law(nominal[0], nominal[1], coefficients, covariance)


def field_basis(place: FloatArray, degree: int) -> FloatArray:
    """Polynomials of the scaled field position (n, 2) up to a total degree: array (n, p)."""
    x, y = place.T
    return np.stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)], axis=1)


def _terms(v: FloatArray, place: FloatArray) -> FloatArray:
    """Smooth terms T_k(v) P_p(X, Y), k > 0, p > 0: array (n, f, p)."""
    vander = chebvander(v, len(FIELD_DEGREE))
    blocks = [
        vander[None, :, k, None] * field_basis(place, degree)[:, None, 1:]
        for k, degree in enumerate(FIELD_DEGREE, start=1)
    ]
    return np.concatenate(blocks, axis=2)


def _smooth_terms(v: FloatArray, place: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Sum of the smooth terms: array (n, f)."""
    vander, total, at = chebvander(v, len(FIELD_DEGREE)), np.zeros((place.shape[0], v.size)), 0
    for k, degree in enumerate(FIELD_DEGREE, start=1):
        basis = field_basis(place, degree)[:, 1:]
        total += (basis @ coefficients[at : at + basis.shape[1]])[:, None] * vander[:, k]
        at += basis.shape[1]
    return total


def fit_dispersion(law: Law, wave: FloatArray, x: FloatArray, error: FloatArray, place: FloatArray) -> Dispersion:
    """Fit the model to measured line places, robustly.

    Parameters
    ----------
    law : Law
    wave : array (f,), Angstrom
    x, error : array (n, f), px
        NaN where a line was not measured.
    place : array (n, 2)
        Field position of the apertures, scaled to -1 ... 1.
    """
    v, terms = law.v(wave), _terms(law.v(wave), place)
    used = np.isfinite(x) & np.isfinite(error) & (error > 0)
    spread, floor, bias = FIRST_SPREAD, FIRST_FLOOR, np.zeros(wave.size)
    x = x - law.z(wave)
    for _ in range(ROUNDS):
        weight = np.where(used, 1.0 / (np.where(used, error, 1.0) ** 2 + floor**2), 0.0)
        zero, scale, covariance, field = _solve(x - bias, weight, v, terms, spread)
        off = np.where(used, x - (zero[:, None] + scale[:, None] * v + terms @ field), np.nan)
        bias = np.nan_to_num(known_median(off, axis=0))
        bias -= np.average(bias, weights=np.sqrt(weight.sum(axis=0)))
        residual = x - bias - (zero[:, None] + scale[:, None] * v + terms @ field)
        used = np.isfinite(residual) & (np.abs(residual) < REJECT * np.sqrt(error**2 + floor**2))
        many = used.sum(axis=1) >= 3  # noqa: PLR2004 - two unknowns and one degree of freedom
        spread = float(np.sqrt(np.mean(scale[many] ** 2 + covariance[many, 1, 1])))
        floor = float(np.sqrt(max(np.median(residual[used] ** 2) / CHI2_MEDIAN - np.median(error[used] ** 2), 1e-6)))
    return Dispersion(law, zero, scale, covariance, field, place, spread, bias, residual + bias, used, floor)


def _solve(
    x: FloatArray, weight: FloatArray, v: FloatArray, terms: FloatArray, spread: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Weighted least squares with (x0, s) of every aperture eliminated first."""
    own = np.stack([np.ones_like(v), v], axis=1)
    wx = weight * np.where(weight > 0, x, 0.0)
    block = np.einsum("af,fi,fj->aij", weight, own, own)
    block[:, 0, 0] += 1e-9
    block[:, 1, 1] += 1.0 / spread**2
    inverse = np.linalg.inv(block)
    cross = np.einsum("af,fi,afp->aip", weight, own, terms)
    rhs = np.einsum("af,fi->ai", wx, own)
    reduced = np.einsum("af,afp,afq->pq", weight, terms, terms, optimize=True)
    reduced -= np.einsum("aip,aij,ajq->pq", cross, inverse, cross, optimize=True)
    right = np.einsum("af,afp->p", wx, terms) - np.einsum("aip,aij,aj->p", cross, inverse, rhs, optimize=True)
    norm = np.sqrt(np.maximum(np.diag(reduced), 1e-30))
    field = np.linalg.lstsq(reduced / np.outer(norm, norm), right / norm, rcond=1e-10)[0] / norm
    own_values = np.einsum("aij,aj->ai", inverse, rhs - np.einsum("aip,p->ai", cross, field))
    return own_values[:, 0], own_values[:, 1], inverse, field


def leave_one_out(
    wave: FloatArray, z: FloatArray, weight: FloatArray, nominal: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Predict the mean place of every line (f,) by a law fitted to all others: measured minus predicted, px."""
    missed = np.empty(wave.size)
    for f in range(wave.size):
        others = np.arange(wave.size) != f
        missed[f] = z[f] - fit_law(wave[others], z[others], weight[others], nominal).z(wave[f : f + 1])[0]
    return missed
