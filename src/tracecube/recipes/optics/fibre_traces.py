"""Traces of fibres: centres, profiles and scattered light of a CCD, from one evenly lit frame.

Every column is solved for the flux and the shift of all its fibres at once; shifts become smooth functions of the
column, drawn towards what the amplifier's fibres have in common as far as the data say; profile, scattered light and
centres are measured in turns until they agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from pydantic import Field
from scipy.ndimage import median_filter, uniform_filter1d

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.forward import DesignMatrix, project
from tracecube.kernels.polynomials import shrink_to_field
from tracecube.kernels.solve import estimate, factorise, normal_equations, solve
from tracecube.recipes.optics.fibre_profile import (
    FibreProfile,
    FibreProfileParams,
    fibre_matrix,
    fit_profile,
    gaussian_profile,
    with_slopes,
)
from tracecube.recipes.optics.fibre_scatter import Halo, HaloParams, dark_pixels, fit_halo, mirrored
from tracecube.recipes.optics.fibre_search import SlitParams, find_fibres, from_neighbours, slit_places

__all__ = ["FibreOptics", "FibreTraceParams", "trace_fibres"]

_SMOOTH = 31  # columns over which an even lamp's flux is smoothed to weigh shifts


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
    sound_error: float = Field(0.05, gt=0, description="px: error of a centre beyond which a fibre is not measured")


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

    live: BoolArray
    coefficients: FloatArray
    covariance: FloatArray
    profile: FibreProfile

    def centre(self, columns: int) -> FloatArray:
        return np.asarray(self.coefficients @ _basis(columns, self.coefficients.shape[1]).T)


def _basis(columns: int, terms: int) -> FloatArray:
    return np.asarray(chebyshev.chebvander(np.linspace(-1.0, 1.0, columns), terms - 1))


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
    bad = ((frame.flags & NOT_USABLE) != 0) | ~np.isfinite(frame.data) | ~(frame.variance > 0)
    halves = params.amplifiers
    dead = np.array([bool(part.all()) for part in np.split(bad, halves)])
    if dead.all():
        raise BadData("no amplifier of the CCD has a good pixel", hint="leave the CCD out")
    data = np.where(bad, 0.0, frame.data).astype(np.float32)
    floor = np.where(bad, 1.0, frame.variance).astype(np.float32)
    shot = np.float32(1.0 / float(frame.meta.get("NCOMBINE") or 1))
    parts = np.split(np.where(bad, np.nan, data), halves)
    amplifiers = [None if off else _start(part, params) for part, off in zip(parts, dead, strict=True)]
    variance = floor + shot * np.maximum(_blurred(data), 0.0)
    ground, halo, out = np.zeros_like(data), None, bad
    for turn in range(params.rounds):
        ivar = np.where(out, 0.0, 1.0 / variance).astype(np.float32)
        rest = data - ground
        light, chi2 = np.zeros_like(data), []
        for k, amplifier in enumerate(amplifiers):
            part = slice(k * len(data) // halves, (k + 1) * len(data) // halves)
            if amplifier is not None:
                chi2.append(_improve(amplifier, rest[part], ivar[part], params, ground=turn == 0))
                light[part] = _light(amplifier, rest[part], ivar[part])
        # scattered light comes first: without it every dark pixel of a bright lamp would be off the model
        halo, ground = _scattered(data - light, np.where(out, 0.0, 1.0 / variance), light, (amplifiers, dead), params)
        model = light + ground
        variance = floor + shot * np.maximum(model, 0.0)
        out = bad | (np.abs(data - model) > params.clip * np.sqrt(variance) + params.floor * np.maximum(model, 0.0))
    assert halo is not None
    return _result(frame, amplifiers, halo, dead, chi2)


def _blurred(data: FloatArray) -> FloatArray:
    """Signal expected in a pixel of an even lamp: the mean along its row."""
    return np.asarray(uniform_filter1d(data, 9, axis=1))


def _start(part: FloatArray, params: FibreTraceParams) -> _Amplifier:
    """Find the fibres, and start from a Gaussian."""
    found = find_fibres(part, params.slit)
    columns, terms = part.shape[1], params.degree + 1
    coefficients = np.linalg.lstsq(_basis(columns, terms), found.centre.T, rcond=None)[0].T
    covariance = np.zeros((len(found.live), terms, terms))
    profile = gaussian_profile(params.profile.reach, params.first_sigma, (0.0, float(part.shape[0])))
    return _Amplifier(found.live, coefficients, covariance, profile)


def _improve(one: _Amplifier, data: FloatArray, ivar: FloatArray, params: FibreTraceParams, *, ground: bool) -> float:
    """One turn: the profile about the centres, then the centres with that profile (twice). Returns chi-square."""
    columns = data.shape[1]
    if ground:
        _recentre(one, data, ivar, params)
    one.profile, chi2 = fit_profile(
        data, ivar, one.centre(columns)[one.live], one.profile, params.profile, ground=ground
    )
    for _ in range(2):
        _recentre(one, data, ivar, params)
    return chi2


def _matrices(one: _Amplifier, shape: tuple[int, int], slope: bool) -> DesignMatrix:
    """Footprints of the live fibres."""
    centre = one.centre(shape[1])[one.live]
    shapes = (one.profile.u, one.profile.value, one.profile.mix(centre))
    return fibre_matrix(centre, shapes, shape, slope=slope)


def _light(one: _Amplifier, data: FloatArray, ivar: FloatArray) -> FloatArray:
    """Light of the fibres alone, as extracted."""
    a = _matrices(one, data.shape, False)
    equations = normal_equations(a, data, ivar, band=2)
    return project(a, solve(factorise(equations), equations.rhs))


def _recentre(one: _Amplifier, data: FloatArray, ivar: FloatArray, params: FibreTraceParams) -> None:
    """Fit flux and shift of every fibre in every column; turn shifts into smooth centres."""
    n, columns = int(one.live.sum()), data.shape[1]
    both = with_slopes(_matrices(one, data.shape, False), _matrices(one, data.shape, True))
    equations = normal_equations(both, data, ivar, band=5)
    found = estimate(factorise(equations), equations.rhs)
    flux, moment = (np.nan_to_num(found.flux[k::2]).reshape(columns, n).T for k in (0, 1))
    noise = found.covariance[0, 1::2].reshape(columns, n).T
    smooth = median_filter(flux, (1, _SMOOTH), mode="nearest")
    good = np.isfinite(noise) & (noise > 0) & (smooth > 0)
    noise = median_filter(np.where(good, noise, np.inf), (1, 3), mode="nearest")
    weight = np.where(good & np.isfinite(noise), smooth**2 / np.where(noise > 0, noise, np.inf), 0.0)
    shift = np.where(good, moment / np.where(good, smooth, 1.0), 0.0)
    weight = np.where(np.abs(shift) * np.sqrt(weight) > params.clip + 0.3 * np.sqrt(weight), 0.0, weight)
    shift = np.clip(shift, -1.0, 1.0)
    basis = _basis(columns, params.degree + 1)
    pairs = np.einsum("xj,xk->xjk", basis, basis).reshape(columns, -1)
    matrix = (weight @ pairs).reshape(n, basis.shape[1], basis.shape[1])
    place = slit_places(params.slit)
    start = one.coefficients[one.live]
    rhs = (weight * shift) @ basis + np.einsum("njk,nk->nj", matrix, start)
    design = chebyshev.chebvander(2.0 * place / place[-1] - 1.0, params.common_degree)
    free = np.arange(basis.shape[1]) == 0
    shrunk = shrink_to_field(matrix, rhs, design[one.live], free=free)
    one.coefficients[one.live], one.covariance[one.live] = shrunk.coefficients, shrunk.covariance
    one.coefficients = from_neighbours(one.coefficients, one.live, place)


def _scattered(
    rest: FloatArray,
    ivar: FloatArray,
    light: FloatArray,
    state: tuple[list[_Amplifier | None], BoolArray],
    params: FibreTraceParams,
) -> tuple[Halo, FloatArray]:
    """Fit the kernel's light and the levels where no fibre shines."""
    amplifiers, dead = state
    half = light.shape[0] // len(dead)
    lit = [one.centre(light.shape[1])[one.live] + k * half for k, one in enumerate(amplifiers) if one is not None]
    dark = dark_pixels(np.concatenate(lit), light.shape, params.halo.away)
    return fit_halo(rest, np.where(dark, ivar, 0.0), mirrored(light, dead), params.halo, dead=dead)


def _result(
    frame: Frame, amplifiers: list[_Amplifier | None], halo: Halo, dead: BoolArray, chi2: list[float]
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
        QualityNumber("TRACE CHI2", float(np.mean(chi2)), "", high=2.0),
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
        profile_u=profile.u,
        profile=profile.value,
        mix=profile.mix(centre),
        axis=1,
        meta=dict(frame.meta),
    )
