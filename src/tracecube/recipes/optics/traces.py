"""From a lamp frame to the traces of all lenslets: centres, widths, profile and hexagonal indices.

The order of things: find the lenslets and their lattice; then, turn by turn, measure all traces of
every used column together with the present profile and ground, fit smooth centres and widths to what
was measured, and fit profile and ground again. Three turns settle it, for every step is a
Gauss-Newton step of one model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.forward import cumulative_profile
from tracecube.kernels.peaks import spikes
from tracecube.kernels.profiles import gaussian_density
from tracecube.recipes.optics.trace_fit import (
    Lamp,
    Levels,
    align_to_lamp,
    centre_residuals,
    column_response,
    expected_flux,
    fit_centres,
    fit_widths,
)
from tracecube.recipes.optics.trace_model import Light, Measured, TraceModel, measure
from tracecube.recipes.optics.trace_profile import Shape, fit_profile
from tracecube.recipes.optics.trace_search import Lenslets, TraceGuess, find_lenslets

__all__ = ["TraceParams", "Traced", "trace_apertures"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
B1 = NDArray[np.bool_]

# The lamp's spectrum is blurred by the line-spread function: its light starts about five widths
# (of the order of the trace's width) before the foot, which stands at 3 per cent of the peak.
_EDGE = 5.0
# A pixel is an outlier when it misses the model by so many standard deviations and so much of it.
_SIGMAS, _SHARE = 6.0, 0.05
# A column whose traces are off their expected light by so much is a bad one.
_RESPONSE = 0.2
# Before any model is known: so much of the median along dispersion as well.
_SPIKE_SIGMAS, _SPIKE_SHARE = 8.0, 0.15
# The lamp is bright enough to show shifts down to this share of its peak.
_LIT = 0.01
# Half of the window of the first look, px in units of the distance of traces: neighbours stay out.
_FIRST_WINDOW = 0.6
# Fluxes so many standard deviations above nothing take part in the first look.
_BRIGHT = 5.0
# Light down to this share of the lamp's peak takes part in the first look.
_FIRST_LIT = 0.1
# Columns that profile and ground are fitted to: some 15 000 samples of all phases.
_PROFILE_COLUMNS = 64
_GOLDEN = 0.5 * (5.0**0.5 - 1.0)
# A lenslet shines when its light is so many standard deviations above nothing.
_SIGNIFICANT = 5.0
# Column centres with a smaller error (px) enter the quoted scatter about the traces.
_SHARP = 0.03


class TraceParams(Params):
    """How traces are found and fitted."""

    column_step: int = Field(8, ge=1, le=32, description="every so many columns are measured")
    turns: int = Field(3, ge=1, le=10, description="rounds of centres, widths, profile and ground")
    terms: int = Field(4, ge=2, le=6, description="powers of the distance along a trace, offset included")
    width_terms: int = Field(3, ge=1, le=5, description="powers of the distance for the logarithm of the width")
    degree: int = Field(4, ge=1, le=6, description="degree of the fields over the detector that traces follow")
    reach: float = Field(12.0, ge=5.0, le=25.0, description="end of the profile's wings, in core widths")
    ground_pieces: int = Field(8, ge=1, le=24, description="spline pieces a side of the light under the traces")
    faintest: float = Field(0.005, gt=0.0, lt=1.0, description="light of the faintest lenslet, typical one = 1")
    low_throughput: float = Field(0.3, ge=0.0, lt=1.0, description="lenslets with less light are flagged")
    max_error: float = Field(0.1, gt=0.0, description="centres with a larger error (px) are flagged as extrapolated")
    margin: int = Field(6, ge=0, le=40, description="samples added at either end of a trace, px")
    max_saturated: float = Field(0.01, ge=0.0, le=1.0, description="largest share of saturated pixels")


@dataclass(frozen=True)
class Traced:
    """What a lamp frame says about where light goes.

    Parameters
    ----------
    traces : TraceSet
    reference : array (n, 2), px
        Reference point (along, across) of each trace.
    centre_error : array (n, m), px
        Standard deviation of each sample's centre.
    level : array (n,)
        Light of each lenslet; the typical one is 1.
    lamp : Lamp
        Spectrum of the lamp on the detector.
    ground : array (y, x), electron
        Smooth light under the traces.
    quality : tuple of QualityNumber
    caveats : tuple of str
    """

    traces: TraceSet
    reference: F8
    centre_error: F8
    level: F8
    lamp: Lamp
    ground: F4
    quality: tuple[QualityNumber, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class _State:
    """Where the iteration stands; ``measured`` was taken about ``before``."""

    light: Light
    model: TraceModel
    shape: Shape
    lamp: Lamp
    lit: tuple[float, float]
    level: Levels
    measured: Measured
    before: TraceModel


def trace_apertures(dome: Frame, guess: TraceGuess, *, params: TraceParams | None = None) -> Traced:
    """Trace all lenslets of an evenly lit frame.

    Parameters
    ----------
    dome : Frame
        Lamp frame, bias subtracted; scattered light may be in it.
    guess : TraceGuess
    params : TraceParams, optional

    Raises
    ------
    BadData
        The lamp is saturated, or too few traces are there.
    """
    params = params or TraceParams()
    _refuse_saturated(dome, params)
    light = _light(dome, guess)
    lenslets = find_lenslets(light.data.astype(float), (light.ivar > 0.0).astype(float), guess)
    columns = _columns(light.data.shape[1], params.column_step)
    state = _first_look(light, lenslets, columns, guess, params)
    for turn in range(params.turns):
        state = _reshape(state, columns, params)
        state = _turn(state, columns, guess, params, mask=turn > 0)
        state = _drop_dark(state, params)
    return _result(dome, state, lenslets, guess, params)


def _columns(size: int, step: int) -> I8:
    """One column of every ``step``, at golden-section offsets.

    Evenly spaced columns would see the lamp's spectrum at few phases only, for the lenslets stand on a
    lattice; their places along dispersion could then not be compared.
    """
    i = np.arange(size // step)
    columns: I8 = i * step + np.floor(step * ((i * _GOLDEN) % 1.0)).astype(np.int64)
    return columns


def _refuse_saturated(dome: Frame, params: TraceParams) -> None:
    share = float(np.mean((dome.flags & int(Flag.SATURATED)) != 0))
    if share > params.max_saturated:
        raise BadData(
            f"lamp frame: {100 * share:.1f} per cent of the pixels are saturated,"
            f" rule max_saturated allows {100 * params.max_saturated:.1f}",
            hint="leave saturated frames out, or take shorter ones",
        )


def _light(dome: Frame, guess: TraceGuess) -> Light:
    """The frame with dispersion along the second axis, its spikes out of the way."""
    good = ((dome.flags & NOT_USABLE) == 0) & np.isfinite(dome.data) & (dome.variance > 0.0)
    data = np.where(good, dome.data, 0.0).astype(np.float32)
    variance = np.where(good, dome.variance, 1.0).astype(np.float32)
    if guess.axis == 0:
        good, data, variance = (np.ascontiguousarray(image.T) for image in (good, data, variance))
    good &= ~spikes(data, variance, sigmas=_SPIKE_SIGMAS, share=_SPIKE_SHARE)
    return Light(data, np.where(good, 1.0 / variance, 0.0).astype(np.float32), np.zeros_like(data))


def _first_look(light: Light, lenslets: Lenslets, columns: I8, guess: TraceGuess, params: TraceParams) -> _State:
    """Gaussian traces from the search, straight and then bent, measured without their neighbours' wings."""
    n = len(lenslets.place)
    along, across = lenslets.place.T
    span = (-guess.reference - _EDGE, guess.length - guess.reference - _EDGE)
    width = np.full((n, 1), np.log(guess.sigma))
    straight = (np.zeros((n, 1)), np.zeros((n, 1, 1)), width)
    model = TraceModel(lenslets.node, across, along, guess.tilt, 0.5 * guess.length, span, *straight)
    distance = np.arange(lenslets.lamp.size, dtype=np.float64) + lenslets.lamp_start
    lamp = Lamp(distance, lenslets.lamp, lenslets.lamp_start)
    lit = lamp.lit(_FIRST_LIT)
    u, density = gaussian_density(params.reach)
    window = max(2, round(_FIRST_WINDOW * guess.spacing))
    for terms in (2, 3):
        before = model
        measured, _ = measure(light, model, cumulative_profile(u, density), columns, half_width=window, lit=lit)
        flux = np.where(measured.flux > _BRIGHT * measured.flux_error, measured.flux, 0.0)
        model = fit_centres(measured, model, model.along, flux, terms=terms, degree=terms)
    model = fit_widths(measured, model, flux, terms=2, degree=2)
    level = Levels(np.ones(n), np.zeros(n), model.along, np.full(n, np.inf))
    state = _State(light, model, Shape(u, density, 0.0, 1.0, light.ground), lamp, lit, level, measured, before)
    return _reshape(state, columns, params)


def _turn(state: _State, columns: I8, guess: TraceGuess, params: TraceParams, *, mask: bool) -> _State:
    """Measure, and fit reference points, centres and widths anew."""
    model, light = state.model, state.light
    half_width = int(np.ceil(params.reach * float(np.exp(model.width[:, 0]).max())))
    profile = cumulative_profile(state.shape.u, state.shape.density)
    measured, fitted = measure(light, model, profile, columns, half_width=half_width, lit=state.lit)
    if mask:
        light = _mask_outliers(light, fitted, columns)
    lamp, level = align_to_lamp(measured, model, state.lamp, state.level.along_error, reference=guess.reference)
    light = _mask_columns(light, column_response(measured, lamp, level, columns), columns)
    flux = expected_flux(measured, lamp, level)
    new = fit_centres(measured, model, level.along, flux, terms=params.terms, degree=params.degree)
    new = fit_widths(measured, new, flux, terms=params.width_terms, degree=params.degree)
    return replace(
        state, light=light, model=new, lamp=lamp, lit=lamp.lit(_LIT), level=level, measured=measured, before=model
    )


def _mask_outliers(light: Light, fitted: F4, columns: I8) -> Light:
    """Give pixels that the model misses by far no weight from now on."""
    ivar = light.ivar.copy()
    here = ivar[:, columns]
    miss = np.abs(light.data[:, columns] - light.ground[:, columns] - fitted)
    known = here > 0.0
    limit = _SIGMAS / np.sqrt(np.where(known, here, 1.0)) + _SHARE * np.abs(fitted)
    ivar[:, columns] = np.where(known & (miss > limit), 0.0, here)
    return light._replace(ivar=ivar)


def _mask_columns(light: Light, response: F8, columns: I8) -> Light:
    """Give columns no weight that respond unlike their neighbours: their ground is not the others' either."""
    ivar = light.ivar.copy()
    ivar[:, columns[np.abs(response - 1.0) > _RESPONSE]] = 0.0
    return light._replace(ivar=ivar)


def _reshape(state: _State, columns: I8, params: TraceParams) -> _State:
    """Fit profile and ground; move centres and widths to the new core."""
    some = columns[:: max(1, columns.size // _PROFILE_COLUMNS)]
    old = cumulative_profile(state.shape.u, state.shape.density)
    shape = fit_profile(state.light, state.model, old, some, reach=params.reach, pieces=params.ground_pieces)
    model = state.model
    moved, wider = model.shape.copy(), model.width.copy()
    moved[:, 0] += shape.shift * np.exp(model.width[:, 0])
    wider[:, 0] += np.log(shape.stretch)
    light = state.light._replace(ground=shape.ground)
    return replace(state, light=light, shape=shape, model=replace(model, shape=moved, width=wider))


def _drop_dark(state: _State, params: TraceParams) -> _State:
    """Leave out the nodes without light, and those whose light nowhere fixes a centre."""
    level = state.level
    shines = level.value > _SIGNIFICANT * level.error
    typical = float(np.median(level.value[shines]))
    shines &= level.value > params.faintest * typical
    shines &= _sharpest(state.model, state.lit, state.light.data.shape[1]) < params.max_error
    number = np.cumsum(shines) - 1
    kept = shines[state.measured.row]
    measured = state.measured.keep(kept)._replace(row=number[state.measured.row[kept]])
    return replace(
        state,
        model=state.model.keep(shines),
        before=state.before.keep(shines),
        level=Levels(*(values[shines] for values in level)),
        measured=measured,
    )


def _sharpest(model: TraceModel, lit: tuple[float, float], n_along: int) -> F8:
    """Smallest error (n,) of each trace's centre where the lamp lights it on the detector; inf if nowhere."""
    row = np.arange(model.along.size)[:, None]
    along = model.along[:, None] + np.linspace(*lit, 32)
    seen = (along >= 0.0) & (along <= n_along - 1.0)
    nearest: F8 = np.where(seen, model.error(row, along), np.inf).min(axis=1)
    return nearest


class _Samples(NamedTuple):
    """The traces at every pixel along dispersion, arrays (n, m); ``start`` (n,). NaN outside the detector."""

    start: I8
    centre: F8
    sigma: F8
    error: F8


def _sample(model: TraceModel, shape: tuple[int, int], guess: TraceGuess, params: TraceParams) -> _Samples:
    """Evaluate the traces from end to end, margins included, as far as the detector reaches."""
    size = int(np.ceil(guess.length)) + 2 * params.margin + 1
    first = np.floor(model.along - guess.reference).astype(np.int64) - params.margin
    start = np.maximum(first, 0)
    row = np.broadcast_to(np.arange(start.size)[:, None], (start.size, size))
    along = start[:, None] + np.arange(size)
    centre = model.centre(row, along)
    outside = (along >= np.minimum(first + size, shape[1])[:, None]) | (centre < -0.5) | (centre > shape[0] - 0.5)
    arrays = (centre, model.sigma(row, along), model.error(row, along))
    return _Samples(start, *(np.where(outside, np.nan, values) for values in arrays))


def _result(dome: Frame, state: _State, lenslets: Lenslets, guess: TraceGuess, params: TraceParams) -> Traced:
    """Write the model down as samples, apertures numbered across the detector."""
    order = np.lexsort((state.model.along, state.model.across)).astype(np.int64)
    model = state.model.keep(order)
    samples = _sample(model, state.light.data.shape, guess, params)
    level = (state.level.value / np.median(state.level.value))[order]
    traces = TraceSet(
        aperture=np.arange(order.size),
        start=samples.start,
        q=model.index[:, 0],
        r=model.index[:, 1],
        dq=np.where(level < params.low_throughput, int(Flag.LOW_THROUGHPUT), 0).astype(np.int32),
        centre=samples.centre,
        sigma=samples.sigma,
        sample_dq=np.where(samples.error > params.max_error, int(Flag.EXTRAPOLATED), 0).astype(np.int32),
        profile_u=state.shape.u,
        profile=state.shape.density,
        axis=guess.axis,
        meta=dome.meta,
    )
    ground = state.shape.ground
    quality, caveats = _quality(state, lenslets, level, samples.error, params)
    return Traced(
        traces=traces,
        reference=np.stack([model.along, model.centre(np.arange(order.size), model.along)], axis=1),
        centre_error=samples.error,
        level=level,
        lamp=state.lamp,
        ground=ground if guess.axis == 1 else ground.T,
        quality=quality,
        caveats=caveats,
    )


def _quality(
    state: _State, lenslets: Lenslets, level: F8, error: F8, params: TraceParams
) -> tuple[tuple[QualityNumber, ...], tuple[str, ...]]:
    """Measure the work done."""
    flux = expected_flux(state.measured, state.lamp, state.level)
    residual, sigma = centre_residuals(state.measured, state.model, state.before, flux)
    known = np.isfinite(residual)
    sharp = known & (sigma < max(_SHARP, float(np.quantile(sigma[known], 0.25))))
    rms = float(1.4826 * np.median(np.abs(residual[sharp])))
    pull = residual[known] / sigma[known]
    spread = float(1.4826 * np.median(np.abs(pull)))
    u, density = state.shape.u, state.shape.density
    wings = float(density[np.abs(u) > 3.0].sum() * (u[1] - u[0]))
    width = float(np.median(state.model.sigma(state.measured.row, state.measured.along)))
    numbers = (
        QualityNumber("TRACES FOUND", float(level.size)),
        QualityNumber("TRACES FAINT", float((level < params.low_throughput).sum())),
        QualityNumber("TRACES SPURIOUS", float(lenslets.spurious)),
        QualityNumber("TRACE RMS", rms, "pix", high=0.05),
        QualityNumber("TRACE PULL", spread, high=1.3),
        QualityNumber("TRACE ERROR", float(np.nanmedian(error)), "pix", high=0.03),
        QualityNumber("TRACE WIDTH", width, "pix"),
        QualityNumber("PROFILE WINGS", wings),
        QualityNumber("TRACE GROUND", float(np.median(state.light.ground)), "electron"),
        QualityNumber("LAMP LEVEL", float(np.median(state.level.value)), "electron"),
    )
    caveats = []
    if spread > 1.3:
        caveats.append(f"centres scatter {spread:.2f} times more about their traces than their errors say")
    return numbers, tuple(caveats)
