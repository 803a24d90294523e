"""Traces of fibres: centres, profiles and scattered light of a CCD, from one evenly lit frame.

Every column is solved for the flux and the shift of all its fibres at once; shifts become smooth functions of the
column, drawn towards what the amplifier's fibres have in common as far as the data say; profile, scattered light and
centres are measured in turns until they agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import median_filter, uniform_filter1d

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.polynomials import Shrunk, shrink_to_field
from tracecube.kernels.slit_columns import ColumnFits, fit_columns
from tracecube.recipes.optics.fibre_lamp import Lamp, judge, opened, reduced_chi2
from tracecube.recipes.optics.fibre_profile import FibreProfile, FibreProfileParams, fit_mean, gaussian_profile
from tracecube.recipes.optics.fibre_scatter import Halo, HaloParams, dark_pixels, fit_halo, mirrored
from tracecube.recipes.optics.fibre_search import SlitParams, find_fibres, from_neighbours, slit_places

__all__ = ["FibreOptics", "FibreTraceParams", "trace_fibres"]

_EVERY = 4  # columns: profile and scattered light are found on every fourth
_COARSE = 4  # of these again: enough to start with
_FEW, _MANY = 4, 60  # rounds in which the size of departures is found, on the way and at the end
_FAR = 0.3  # px beyond its error: a column that says so is left out
_LEAP = 2.0  # px: the search is good to tenths of a pixel, neighbours lie 8.8 apart


class FibreTraceParams(Params):
    """How fibres are traced."""

    slit: SlitParams = SlitParams()
    profile: FibreProfileParams = FibreProfileParams()
    halo: HaloParams = HaloParams()
    amplifiers: int = Field(2, ge=1, description="amplifiers of a CCD, one above the other")
    degree: int = Field(7, ge=2, le=15, description="highest Chebyshev degree of a centre along its spectrum")
    common_degree: int = Field(4, ge=0, le=8, description="degree along the slit of what the fibres have in common")
    first_sigma: float = Field(2.2, gt=0.5, description="px: width of the profile that is started from")
    rounds: int = Field(3, ge=2, le=10, description="turns of profile, centres and scattered light")
    clip: float = Field(5.0, gt=3, description="sigma off the model beyond which a pixel is left out")
    floor: float = Field(0.04, ge=0, description="share of the light by which the model may be off before it counts")


@dataclass(frozen=True)
class FibreOptics:
    """What an evenly lit frame tells of a CCD.

    Parameters
    ----------
    traces : tuple of TraceSet or None
        One an amplifier from the bottom up, rows counted from the amplifier's own first; None where it is dead.
        Missing fibres have NOT_ILLUMINATED in ``dq``.
    centre_error : tuple of array (n, m) or None, px
    halo : Halo
    quality : tuple of QualityNumber
    caveats : tuple of str
    """

    traces: tuple[TraceSet | None, ...]
    centre_error: tuple[FloatArray | None, ...]
    halo: Halo
    quality: tuple[QualityNumber, ...]
    caveats: tuple[str, ...]


@dataclass
class _Amplifier:
    """One amplifier's fibres while they are measured, rows counted from its own first."""

    part: slice
    live: BoolArray
    coefficients: FloatArray
    covariance: FloatArray
    profile: FibreProfile

    def centre(self, columns: int) -> NDArray[np.float64]:
        return np.asarray(self.coefficients @ _basis(columns, self.coefficients.shape[1]).T, np.float64)


def _basis(columns: int, terms: int) -> NDArray[np.float64]:
    return np.asarray(chebyshev.chebvander(np.linspace(-1.0, 1.0, columns), terms - 1), np.float64)


def trace_fibres(frame: Frame, params: FibreTraceParams) -> FibreOptics:
    """Measure centres, profiles and scattered light of a CCD on an evenly lit frame.

    Parameters
    ----------
    frame : Frame
        Dispersion along x, amplifiers one above the other; variance that of the read noise, NCOMBINE of ``meta`` the
        number of exposures it is the mean of. An amplifier without a good pixel is dead.
    params : FibreTraceParams

    Raises
    ------
    BadData
        No amplifier is left.
    """
    lamp, dead = opened(frame, params.amplifiers)
    width = lamp.data.shape[1]
    amplifiers = [None if off else _start(lamp, k, params) for k, off in enumerate(dead)]
    alive = [one for one in amplifiers if one is not None]
    lit = np.concatenate([one.centre(width)[one.live] + one.part.start for one in alive])
    dark = dark_pixels(lit, lamp.data.shape, params.halo.away)
    some = np.arange(_EVERY // 2, width, _EVERY)
    _, lamp.ground = _scattered(lamp, np.maximum(lamp.data, 0.0), dark, dead, params)
    for one in alive:
        _find_shape(one, lamp, some, params)
    turns, spare = params.rounds, 2 * (params.profile.departures - 1)
    while turns > 0:
        for one in alive:
            _fit_shape(one, lamp, params)
            _recentre(one, lamp, some, params, rounds=_FEW)
        light, freedom = _light(alive, lamp, some)
        judge(lamp, light, freedom, some, (params.clip, params.floor))
        whole = np.repeat(light, _EVERY, axis=1)[:, :width]
        halo, lamp.ground = _scattered(lamp, whole, dark, dead, params, some)
        turns -= 1
        if turns == 0 and spare > 0 and _free(alive, lamp, light, freedom, some, params):
            turns, spare = 2, spare - 2
    every = np.arange(width)
    light, freedom = _light(alive, lamp, every)
    judge(lamp, light, freedom, every, (params.clip, params.floor))
    for one in alive:
        _recentre(one, lamp, every, params, rounds=_MANY)
    light, freedom = _light(alive, lamp, every)
    return _result(frame, amplifiers, halo, dead, _quality_of(lamp, light, freedom, alive))


def _start(lamp: Lamp, k: int, params: FibreTraceParams) -> _Amplifier:
    """Find the fibres, and start from a Gaussian."""
    half = len(lamp.data) // params.amplifiers
    part = slice(k * half, (k + 1) * half)
    found = find_fibres(np.where(lamp.bad[part], np.nan, lamp.data[part]), params.slit)
    columns, terms = lamp.data.shape[1], params.degree + 1
    coefficients = np.linalg.lstsq(_basis(columns, terms), found.centre.T, rcond=None)[0].T
    covariance = np.zeros((len(found.live), terms, terms))
    profile = gaussian_profile(params.profile, params.first_sigma, len(found.live))
    return _Amplifier(part, found.live, coefficients, covariance, profile)


def _cut(one: _Amplifier, lamp: Lamp) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Data without scattered light, and inverse variance, of an amplifier."""
    return lamp.data[one.part] - lamp.ground[one.part], lamp.ivar[one.part]


def _find_shape(one: _Amplifier, lamp: Lamp, columns: IntArray, params: FibreTraceParams) -> None:
    """Come from a Gaussian to the profile that the fibres have in common, on a fourth of the columns."""
    few = columns[_COARSE // 2 :: _COARSE]
    for _ in range(2):
        _recentre(one, lamp, few, params, rounds=1, departures=False)
        _fit_shape(one, lamp, params, every=_COARSE * params.profile.every)
    _recentre(one, lamp, columns, params, rounds=_FEW)


def _fit_shape(one: _Amplifier, lamp: Lamp, params: FibreTraceParams, every: int | None = None) -> None:
    """Measure the mean profile about the centres, in one of so many columns."""
    data, ivar = _cut(one, lamp)
    width, every = data.shape[1], every or params.profile.every
    one.profile = fit_mean(
        data, ivar, np.arange(every // 2, width, every), one.centre(width)[one.live], one.profile, one.live
    )


def _fits(one: _Amplifier, lamp: Lamp, columns: IntArray, *, light_only: bool = False) -> ColumnFits:
    data, ivar = _cut(one, lamp)
    width = data.shape[1]
    amounts = one.profile.amounts(width)[one.live]
    centre, at = one.centre(width)[one.live], columns.astype(np.int64)
    return fit_columns(data, ivar, at, centre, amounts, one.profile.curves, light_only=light_only)


def _light(alive: list[_Amplifier], lamp: Lamp, columns: IntArray) -> tuple[FloatArray, FloatArray]:
    """Light of the fibres in some columns, and what the fit of their fluxes leaves of the pixels' variance."""
    light = np.zeros((len(lamp.data), columns.size), np.float32)
    freedom = np.zeros_like(light)
    for one in alive:
        found = _fits(one, lamp, columns, light_only=True)
        light[one.part], freedom[one.part] = found.model, found.freedom
    return light, freedom


def _recentre(  # noqa: PLR0913 - how far a step goes
    one: _Amplifier,
    lamp: Lamp,
    columns: IntArray,
    params: FibreTraceParams,
    *,
    rounds: int,
    departures: bool = True,
) -> None:
    """Turn what columns tell into smooth centres and departures."""
    found = _fits(one, lamp, columns)
    q = found.score.shape[2] if departures else 1
    width, terms = lamp.data.shape[1], params.degree + 1
    bases = [_basis(width, terms)[columns]] + (q - 1) * [_basis(width, params.profile.along + 1)[columns]]
    matrix, rhs = _sums(found, bases, params)
    amount = one.profile.amount.reshape(len(one.live), -1)
    start = np.concatenate([one.coefficients, amount], axis=1) if departures else one.coefficients
    rhs += np.einsum("njk,nk->nj", matrix, start[one.live])
    place = slit_places(params.slit)
    design = chebyshev.chebvander(2.0 * place / place[-1] - 1.0, params.common_degree)
    free = np.arange(matrix.shape[1]) == 0
    shrunk = shrink_to_field(matrix, rhs, design[one.live], free=free, rounds=rounds, relevance=rounds == _MANY)
    _take(one, shrunk, design, (place, _basis(width, terms)))


def _take(one: _Amplifier, shrunk: Shrunk, design: FloatArray, about: tuple[FloatArray, FloatArray]) -> None:
    """Put coefficients in their places; missing fibres look like their neighbours.

    A fibre that would leap is one whose ends told nothing in this turn, as they lay too far off: it stays where it was.
    """
    terms = one.coefficients.shape[1]
    place, basis = about
    now = one.coefficients[one.live]
    leaps = np.abs(basis @ (shrunk.coefficients[:, :terms] - now).T).max(axis=0) > _LEAP
    one.coefficients[one.live] = np.where(leaps[:, None], now, shrunk.coefficients[:, :terms])
    one.covariance[one.live] = shrunk.covariance[:, :terms, :terms]
    one.coefficients = from_neighbours(one.coefficients, one.live, place)
    if shrunk.coefficients.shape[1] > terms:
        amount = one.profile.amount.reshape(len(one.live), -1)
        amount = np.where(one.live[:, None], amount, (design @ shrunk.field)[:, terms:])
        amount[one.live] = shrunk.coefficients[:, terms:]
        one.profile = replace(one.profile, amount=amount.reshape(one.profile.amount.shape))


def _sums(
    found: ColumnFits, bases: list[NDArray[np.float64]], params: FibreTraceParams
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normal equations (n, k, k), (n, k) of the series of shift and departures of every fibre."""
    calm = uniform_filter1d(median_filter(found.flux, (1, 9), mode="nearest"), 9, axis=1, mode="nearest")
    flux = np.maximum(calm, 0.0)
    steep = found.information[:, :, 0, 0]
    far = np.abs(found.score[:, :, 0]) > params.clip * np.sqrt(np.maximum(steep, 0.0)) + _FAR * flux * steep
    flux[far] = 0.0
    sizes = np.cumsum([0, *(basis.shape[1] for basis in bases)])
    n, k = len(flux), int(sizes[-1])
    matrix, rhs = np.zeros((n, k, k)), np.zeros((n, k))
    for a, left in enumerate(bases):
        rows = slice(sizes[a], sizes[a + 1])
        rhs[:, rows] = (flux * found.score[:, :, a]) @ left
        for b, right in enumerate(bases[: a + 1]):
            cols = slice(sizes[b], sizes[b + 1])
            pairs = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
            block = ((flux**2 * found.information[:, :, a, b]) @ pairs).reshape(n, left.shape[1], -1)
            matrix[:, rows, cols] = block
            matrix[:, cols, rows] = block.transpose(0, 2, 1)
    return matrix, rhs


def _scattered(  # noqa: PLR0913 - where, and of what
    lamp: Lamp,
    light: FloatArray,
    dark: BoolArray,
    dead: BoolArray,
    params: FibreTraceParams,
    columns: IntArray | None = None,
) -> tuple[Halo, FloatArray]:
    """Fit the kernel's light and the levels where no fibre shines, in the columns whose light is exact."""
    rest = lamp.data - (light if columns is not None else 0.0)
    use = dark.copy()
    if columns is not None:
        use[:] = False
        use[:, columns] = dark[:, columns]
    return fit_halo(rest, np.where(use, lamp.ivar, 0.0), mirrored(light, dead), params.halo, dead=dead)


def _free(
    alive: list[_Amplifier],
    lamp: Lamp,
    light: FloatArray,
    freedom: FloatArray,
    columns: IntArray,
    params: FibreTraceParams,
) -> bool:
    """Allow one more way to depart to the fibres of amplifiers that the model does not meet; whether there are any."""
    poor = [one for one in alive if reduced_chi2(lamp, light, freedom, (one.part, columns)) > params.profile.enough]
    for one in poor:
        one.profile = one.profile.freer()
    return bool(poor)


def _quality_of(
    lamp: Lamp, light: FloatArray, freedom: FloatArray, alive: list[_Amplifier]
) -> tuple[QualityNumber, ...]:
    """How well the model meets the lamp, and what it took."""
    return (
        QualityNumber(
            "TRACE CHI2", reduced_chi2(lamp, light, freedom, (slice(None), slice(None))), "", low=0.8, high=1.3
        ),
        QualityNumber("PROFILE DEPARTURES", float(max(one.profile.amount.shape[1] for one in alive))),
        QualityNumber("PIXEL RESPONSE SCATTER", lamp.response, "", high=0.03),
    )


def _result(
    frame: Frame,
    amplifiers: list[_Amplifier | None],
    halo: Halo,
    dead: BoolArray,
    numbers: tuple[QualityNumber, ...],
) -> FibreOptics:
    """Put what was measured into products."""
    columns = frame.data.shape[1]
    traces: list[TraceSet | None] = []
    errors: list[FloatArray | None] = []
    missing = 0
    for one in amplifiers:
        if one is None:
            traces.append(None)
            errors.append(None)
            continue
        basis = _basis(columns, one.coefficients.shape[1])
        error = np.sqrt(np.einsum("xj,njk,xk->nx", basis, one.covariance, basis, optimize=True))
        error[~one.live] = np.nan
        traces.append(_trace_set(one, columns, frame))
        errors.append(error)
        missing += int((~one.live).sum())
    known = [np.nanmedian(error) for error in errors if error is not None]
    quality = (
        QualityNumber("TRACE ERROR", float(max(known)), "px", high=0.005),
        *numbers,
        QualityNumber("FIBRES MISSING", float(missing), "", high=5.0),
        QualityNumber("SCATTER AMPLITUDE", halo.amplitude, "", low=0.0, high=0.2),
        QualityNumber("SCATTER AMPLITUDE ERROR", halo.error),
        QualityNumber("SCATTER CHI2", halo.chi2, "", high=2.0),
    )
    caveats = (
        ("scattered light of a dead amplifier is taken as the mirror image of its neighbour's light",)
        if dead.any()
        else ()
    )
    return FibreOptics(tuple(traces), tuple(errors), halo, quality, caveats)


def _trace_set(one: _Amplifier, columns: int, frame: Frame) -> TraceSet:
    """Product of one amplifier."""
    centre = one.centre(columns)
    n = len(one.live)
    dq: IntArray = np.where(one.live, 0, int(Flag.NOT_ILLUMINATED)).astype(np.int32)
    profile = one.profile
    return TraceSet(
        aperture=np.arange(n, dtype=np.int32),
        start=np.zeros(n, np.int32),
        q=np.arange(n, dtype=np.int32),
        r=np.zeros(n, np.int32),
        dq=dq,
        centre=centre,
        sigma=np.ones_like(centre),
        sample_dq=np.repeat(dq[:, None], columns, axis=1),
        profile_u=profile.curves.u,
        profile=profile.curves.shape,
        mix=profile.mix(columns),
        axis=1,
        meta=dict(frame.meta),
    )
