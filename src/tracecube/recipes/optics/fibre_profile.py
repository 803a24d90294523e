"""The profile of fibres across dispersion: effective (pixel included), oversampled, different in every fibre.

One mean profile of an amplifier, and what each fibre departs from it in scale; in blur, lean and sharpness too where
the lamp's chi-square asks for it (`kernels.slit_profile.departures`). How much fibres may differ is not set: amounts
and their changes along the spectra are drawn towards what the amplifier's fibres have in common as far as the lamp's
photons say (`shrink_to_field`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import erf

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from pydantic import Field
from scipy.interpolate import BSpline, CubicSpline

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.params import Params
from tracecube.kernels.forward import DesignMatrix
from tracecube.kernels.profiles import profile_knots
from tracecube.kernels.shapes import BASIS_STEP, mixed_matrix
from tracecube.kernels.slit_columns import mean_equations
from tracecube.kernels.slit_profile import Curves, departures, with_square

__all__ = ["FibreProfile", "FibreProfileParams", "fibre_matrix", "fit_mean", "gaussian_profile", "side_by_side"]

_ORDER = 3
_ROUGH = 0.02  # fourth difference of the splines' coefficients that is believed without data; the peak is about 0.2
_HOLD = 1e2  # weight by which the integral is held at 1; the fluxes leave it free


class FibreProfileParams(Params):
    """How finely the profile is measured."""

    reach: float = Field(8.5, gt=3, le=30, description="px from the centre at which the profile ends")
    departures: int = Field(3, ge=1, le=4, description="most ways in which fibres depart: scale, blur, lean, fourth")
    enough: float = Field(1.05, ge=1, description="reduced chi-square beyond which one more way is allowed")
    along: int = Field(2, ge=0, le=6, description="degree of the departures along the spectrum")
    every: int = Field(8, ge=1, le=32, description="take every so many columns for the mean")


@dataclass(frozen=True)
class FibreProfile:
    """Profiles of an amplifier's fibres.

    Parameters
    ----------
    curves : Curves
        The mean, and the ways in which fibres depart from it.
    amount : array (n, q, terms)
        Departures of each fibre: Chebyshev series along its spectrum.
    """

    curves: Curves
    amount: FloatArray

    def amounts(self, columns: int) -> NDArray[np.float64]:
        """Departures (n, columns, q), and their weight of second order."""
        basis = chebyshev.chebvander(np.linspace(-1.0, 1.0, columns), self.amount.shape[2] - 1)
        return with_square(np.asarray(np.einsum("nqt,xt->nxq", self.amount, basis, optimize=True), np.float64))

    def mix(self, columns: int) -> NDArray[np.float32]:
        """Weights (n_curve, n, columns) of the curves."""
        amounts = np.moveaxis(self.amounts(columns), 2, 0)
        return np.concatenate([np.ones((1, *amounts.shape[1:])), amounts]).astype(np.float32)

    def freer(self) -> FibreProfile:
        """Return the same with one more way to depart, as yet unused."""
        amount = np.pad(self.amount, ((0, 0), (0, 1), (0, 0)))
        return replace(self, curves=departures(self.curves.u, self.curves.shape[:, 0], amount.shape[1]), amount=amount)

    def centred(self) -> FibreProfile:
        """Return the same with departures that are 0 in the mean of the fibres, and the mean's centroid at 0."""
        typical = self.amount[:, :, 0].mean(axis=0)
        u, mean = self.curves.u, self.curves.shape @ np.concatenate([[1.0], with_square(typical)])
        mean /= mean.sum() * BASIS_STEP
        mean = CubicSpline(u, mean)(u + (mean * u).sum() * BASIS_STEP)
        mean /= mean.sum() * BASIS_STEP
        amount = self.amount.copy()
        amount[:, :, 0] -= typical
        return replace(self, curves=departures(u, mean, amount.shape[1]), amount=amount)


def gaussian_profile(params: FibreProfileParams, sigma: float, fibres: int) -> FibreProfile:
    """A Gaussian integrated over pixels, the same in all fibres."""
    half = round(params.reach / BASIS_STEP)
    u = np.arange(-half, half + 1) * BASIS_STEP
    edge = [np.array([erf(v) for v in (u + side) / (sigma * 2**0.5)]) for side in (0.5, -0.5)]
    curves = departures(np.asarray(u, np.float64), np.asarray(0.5 * (edge[0] - edge[1])), 1)
    return FibreProfile(curves, np.zeros((fibres, 1, params.along + 1)))


def fibre_matrix(
    centre: FloatArray, profile: tuple[FloatArray, FloatArray, FloatArray], shape: tuple[int, int], *, slope: bool
) -> DesignMatrix:
    """Footprints of fibres on an image, unknowns column by column and within a column from the bottom up.

    Parameters
    ----------
    centre : array (n, m), px
        Rising along the first axis; ``m`` is the number of columns.
    profile : (u (k,), value (k, n_shape), mix (n_shape, n, m))
    shape : (int, int)
    slope : bool
        Give the derivative with the centre instead.
    """
    u, value, mix = profile
    n, m = centre.shape
    return mixed_matrix(
        np.repeat(np.arange(m, dtype=np.float64), n),
        np.ascontiguousarray(centre.T, np.float64).ravel(),
        np.ascontiguousarray(np.moveaxis(mix, 2, 1), np.float32).reshape(mix.shape[0], n * m),
        np.asarray(u, np.float64),
        np.asarray(value, np.float64),
        shape=shape,
        half_width=int(np.ceil(u[-1])),
        shift_across=slope,
    )


def side_by_side(parts: list[DesignMatrix], counts: list[int], shape: tuple[int, int]) -> DesignMatrix:
    """Interleave the columns of amplifiers that lie one above the other."""
    if len(parts) == 1:
        return parts[0]
    width = max(part.weight.shape[1] for part in parts)
    columns = shape[1]
    weight, origin = [], []
    for part, n in zip(parts, counts, strict=True):
        wide = np.pad(part.weight, ((0, 0), (0, width - part.weight.shape[1]), (0, 0)))
        weight.append(wide.reshape(columns, n, width, 1))
        origin.append(part.origin.reshape(columns, n, 2))
    total = sum(counts)
    return DesignMatrix(
        np.concatenate(origin, axis=1).reshape(columns * total, 2),
        np.concatenate(weight, axis=1).reshape(columns * total, width, 1),
        shape,
    )


@dataclass(frozen=True)
class _Splines:
    """The basis: values (n, k) at ``u`` (k,), and the integral (n,) of each."""

    u: NDArray[np.float64]
    values: NDArray[np.float64]
    area: NDArray[np.float64]

    @classmethod
    def reaching(cls, reach: float) -> _Splines:
        knots = profile_knots(reach)
        half = round(reach / BASIS_STEP)
        u = np.arange(-half, half + 1) * BASIS_STEP
        each = [
            BSpline.basis_element(knots[i : i + _ORDER + 2], extrapolate=False) for i in range(knots.size - _ORDER - 1)
        ]
        values = np.array([np.nan_to_num(one(u)) for one in each])
        return cls(np.asarray(u, np.float64), values, values.sum(axis=1) * BASIS_STEP)

    def coefficients(self, curve: FloatArray) -> NDArray[np.float64]:
        """Coefficients of the nearest curve of integral 1."""
        found = np.linalg.lstsq(self.values.T, np.asarray(curve, np.float64), rcond=None)[0]
        return np.asarray(found / (found @ self.area))


def fit_mean(
    data: FloatArray,
    ivar: FloatArray,
    columns: IntArray,
    centre: FloatArray,
    old: FibreProfile,
    live: NDArray[np.bool_],
) -> FibreProfile:
    """Measure the mean profile of an amplifier's fibres about given centres.

    Parameters
    ----------
    data, ivar : array (rows, m)
    columns : int array (c,)
    centre : array (n, m), px
        Of the live fibres.
    old : FibreProfile
        Of all fibres; its departures stay.
    live : bool array
    """
    u = old.curves.u
    splines = _Splines.reaching(float(u[-1]))
    start = splines.coefficients(old.curves.shape[:, 0])
    curves = departures(u, start @ splines.values, old.amount.shape[1])
    fibres = np.asarray(centre, np.float64), old.amounts(data.shape[1])[live]
    sums = mean_equations(data, ivar, columns.astype(np.int64), fibres, curves, splines.values)
    rough = np.diff(np.eye(start.size), 4, axis=0) / _ROUGH
    own = rough.T @ rough + _HOLD**2 * np.outer(splines.area, splines.area)
    pull = _HOLD**2 * splines.area - own @ start
    found = start + np.linalg.solve(sums.matrix + own, sums.rhs + pull)
    mean = found @ splines.values
    return replace(old, curves=departures(u, mean, old.amount.shape[1])).centred()
