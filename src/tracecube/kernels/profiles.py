"""Shape of a trace across dispersion, and the smooth ground it stands on.

A profile is a density over ``u``, the distance from the centre in units of the core width. It is
measured as a sum of cubic B-splines (de Boor 1978) whose *integrals over pixels* are fitted to the
pixels, so that the undersampled core is not smeared by the pixel. What separates the wings of the
profile from scattered light is their reach: the wings end at a given ``u``, the ground is a spline
with knots much farther apart, and both are fitted in one system in which traces of all brightnesses,
gaps and the dark borders of the field take part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.optimize import lsq_linear, nnls

from tracecube.kernels.forward import PROFILE_STEP, Profile

__all__ = [
    "gaussian_density",
    "profile_basis",
    "profile_coefficients",
    "profile_knots",
    "profile_shapes",
    "solve_profile",
    "to_core_gauge",
]

F8 = NDArray[np.float64]

_ORDER = 3
# Distance of the profile's knots in the core: a Gaussian of unit width is then met to 1e-4 of its
# peak by cubic splines (error ~ h^4 f'''' / 384).
_CORE_STEP = 0.5
_CORE_REACH = 4.0
# Beyond the core the knots move apart by this factor each.
_WING_STRETCH = 1.2
# The share of its own information that holds an unknown at its old value where nothing else does,
# ground where no pixel counts, for example; ten times the rounding of the footprints.
_RIDGE = 1e-8
# Weight by which the profile keeps its integral: far above the ridge, and far below the data, for
# the splines meet the old profile to some 1e-4 only and it must not matter in which measure.
_HOLD = 1e-5


def gaussian_density(reach: float, *, step: float = 0.05) -> tuple[F8, F8]:
    """Return ``u`` and the density of a Gaussian of unit width, out to ``reach``."""
    n = int(np.ceil(reach / step))
    u = np.linspace(-n * step, n * step, 2 * n + 1)
    return u, np.exp(-0.5 * u**2) / np.sqrt(2.0 * np.pi)


def profile_knots(reach: float) -> F8:
    """Return the knots of the profile's splines from ``-reach`` to ``reach``, dense in the core."""
    half = list(np.arange(0.0, _CORE_REACH + 0.5 * _CORE_STEP, _CORE_STEP))
    step = _CORE_STEP
    while half[-1] + 1.5 * step * _WING_STRETCH < reach:
        step *= _WING_STRETCH
        half.append(half[-1] + step)
    half.append(reach)
    return np.concatenate([-np.array(half[:0:-1]), half])


def _splines(knots: F8) -> list[BSpline]:
    """Cubic B-splines on the knots that vanish, with their slope, at both ends."""
    return [BSpline.basis_element(knots[i : i + _ORDER + 2], extrapolate=False) for i in range(knots.size - _ORDER - 1)]


def profile_basis(knots: F8) -> list[Profile]:
    """Return the cumulative integral of every B-spline on ``knots``, as profiles for the design matrix."""
    fine = np.arange(knots[0], knots[-1] + PROFILE_STEP, PROFILE_STEP)
    basis = []
    for spline in _splines(knots):
        whole = spline.antiderivative()
        low, high = spline.t[_ORDER], spline.t[-_ORDER - 1]
        clipped = np.clip(fine, low, high)
        basis.append(Profile(float(fine[0]), PROFILE_STEP, np.asarray(whole(clipped) - whole(low))))
    return basis


def profile_coefficients(knots: F8, profile: Profile) -> F8:
    """Return the spline coefficients (k,) nearest to a given profile, none negative."""
    fine = np.linspace(knots[0], knots[-1], 20 * knots.size)
    nodes = profile.low + profile.step * np.arange(profile.cumulative.size)
    density = np.interp(fine, nodes, np.gradient(profile.cumulative, profile.step), left=0.0, right=0.0)
    values = np.stack([np.nan_to_num(s(fine)) for s in _splines(knots)], axis=1)
    return np.asarray(nnls(values, density)[0])


def solve_profile(matrix: F8, rhs: F8, old: F8, area: F8) -> tuple[F8, F8]:
    """Solve joint normal equations of a change of the profile and of other unknowns.

    The even part of the profile has to fall away from its centre (a B-spline with monotonic
    coefficients is monotonic; de Boor 1978): light that does not is another trace's, or ground. The
    odd part, by which the profile leans, is free.

    Parameters
    ----------
    matrix : array (k, k)
        Unknowns: changes of the profile's coefficients, then others, which are free.
    rhs : array (k,)
    old : array (k_profile,)
        Coefficients of the profile that the changes are to be added to, odd in number.
    area : array (k_profile,)
        Integral of each of the profile's splines. The profile keeps its whole integral: the fluxes
        take up any other.

    Returns
    -------
    profile : array (k_profile,)
        New coefficients, old + change.
    others : array (k - k_profile,)
    """
    n = old.size
    steps = profile_shapes(n)
    known = np.concatenate([old, np.zeros(len(rhs) - n)])
    scale = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    free = matrix[n:, n:] / np.outer(scale[n:], scale[n:]) + _RIDGE * np.eye(len(rhs) - n)
    gain = np.linalg.solve(free, matrix[n:, :n] / scale[n:, None]) / scale[n:, None]
    right = rhs + matrix @ known
    reduced = right[:n] - gain.T @ right[n:]
    inner = matrix[:n, :n] - matrix[:n, n:] @ gain
    hold = _HOLD * np.trace(inner) / float(area @ area)
    reduced += hold * area * float(area @ old)
    left = steps.T @ (inner + hold * np.outer(area, area)) @ steps
    unit = np.sqrt(np.maximum(np.diag(left), np.finfo(float).tiny))
    power, axes = np.linalg.eigh(left / np.outer(unit, unit))
    power = np.maximum(power, 0.0) + _RIDGE
    before = np.linalg.lstsq(steps, old, rcond=None)[0] * unit
    target = axes.T @ ((steps.T @ reduced) / unit + _RIDGE * before) / np.sqrt(power)
    low = np.where(np.arange(unit.size) < n // 2 + 1, 0.0, -np.inf)
    root = np.sqrt(power)[:, None] * axes.T
    profile = steps @ (np.asarray(lsq_linear(root, target, bounds=(low, np.inf), method="bvls", tol=1e-12).x) / unit)
    others = np.linalg.solve(free, (rhs[n:] - matrix[n:, :n] @ (profile - old)) / scale[n:]) / scale[n:]
    return profile, others


def profile_shapes(n: int) -> F8:
    """Shapes (n, n_even + n_odd) that make a profile: even steps from the outside in, then odd pairs."""
    i, half = np.arange(n), n // 2
    even = [((i >= k) & (i <= n - 1 - k)) * 1.0 for k in range(half + 1)]
    odd = [(i == half + k) * 1.0 - (i == half - k) * 1.0 for k in range(1, half + 1)]
    return np.stack(even + odd, axis=1)


def to_core_gauge(knots: F8, coefficients: F8, *, step: float = 0.05) -> tuple[F8, F8, float, float]:
    """Return the density on an even grid, moved and stretched so that its core is centred and of unit width.

    Centre and width of the core are those of the least-squares Gaussian within two widths.

    Returns
    -------
    u, density : array (k,)
        The integral of the density is 1.
    shift, stretch : float
        Centre and width of the core in the old ``u``: old u = shift + stretch * new u.
    """

    def density(u: F8) -> F8:
        values = [np.nan_to_num(s(u)) for s in _splines(knots)]
        return np.asarray(coefficients @ np.array(values))

    shift, stretch = 0.0, 1.0
    t = np.arange(-2.0, 2.0 + 0.5 * step, step)
    core = np.exp(-0.5 * t**2)
    modes = np.stack([core, t * core, (t**2 - 1.0) * core], axis=1)
    for _ in range(20):
        height, slope, bend = np.linalg.lstsq(modes, density(shift + stretch * t), rcond=None)[0]
        shift += stretch * slope / height
        stretch *= 1.0 + bend / height
    n = int(np.floor((knots[-1] - abs(shift)) / stretch / step))
    u = np.linspace(-n * step, n * step, 2 * n + 1)
    values = np.maximum(density(shift + stretch * u), 0.0)
    return u, values / (values.sum() * step), float(shift), float(stretch)
