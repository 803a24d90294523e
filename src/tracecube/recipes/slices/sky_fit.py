"""The sky that all slices of an exposure see, and what each makes of it: brightness, shift, width of lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.kernels import sky_spline
from tracecube.kernels.slice_sky import TERMS, add_piece, clip_piece, smooth_nodes
from tracecube.recipes.slices.alike import drawn_to_alike, drawn_together, mean_places, told_by_lines
from tracecube.recipes.slices.continuity import columns, continuum_excess, even_slices
from tracecube.recipes.slices.object_bands import bands_at
from tracecube.recipes.slices.own_lines import clearest_line, next_faintest, pieces_with_lines
from tracecube.recipes.slices.sky_pieces import (
    BORDERS,
    Slices,
    Windows,
    brightest,
    faintest,
    noise_of_objects,
    one_weight,
    outside,
    tightness,
)
from tracecube.recipes.slices.slice_step import centre, stepped

__all__ = [
    "MOST_LIT",
    "REACH",
    "REFERENCE",
    "SETTLED",
    "SPAN",
    "SkyFit",
    "SkyParams",
    "Windows",
    "fit_sky",
    "shape_intervals",
]

REFERENCE, SPAN = 7000.0, 2300.0
"""Angstrom: z = (wavelength - REFERENCE) / SPAN."""

REACH = 1.05
"""z of the outer two of the three nodes between which shapes of lines change by straight lines."""

SETTLED = 0.1
"""Errors: rms over all slices of the change that ends the fit."""

MOST_LIT = 0.5
"""Of the pieces taken for sky may have lines of their own and be left out: of more, they are the sky."""

_SPAN_Z = ((BORDERS[0] - REFERENCE) / SPAN, (BORDERS[1] - REFERENCE) / SPAN)
_EVERY = np.arange(*BORDERS, 0.3)  # Angstrom, where bands are told
_CONTINUUM = 14  # nodes of the free continuum of a piece: 350 Angstrom, no line is as wide
_ALIKE = 0.95  # correlation of light of objects in a piece with that 350 Angstrom further: it is smooth
_LEAST = 10  # samples of a piece a node, or it tells nothing


class SkyParams(Params):
    """Numbers of the sky's model."""

    fraction: float = Field(
        default=0.4, gt=0, le=1, alias="skymodel_fraction", description="Share of pieces, the faintest, that see sky"
    )
    ignore: float = Field(
        default=0.05, ge=0, lt=1, alias="skymodel_ignore", description="Share of the faintest pieces that are left out"
    )
    knots: float = Field(default=0.6, gt=0.1, description="Distance of the spline's knots, Angstrom")
    rounds: int = Field(default=12, ge=1, description="Most rounds between the spectrum and the slices")
    clip: float = Field(default=5.0, gt=0, description="Errors beyond which a sample is left out")
    even: bool = Field(default=True, description="The continuum tells of slices beside each other, too")
    faint: bool = Field(default=False, description="Lines drown in noise: shapes go slowly, each sample has its weight")
    alike: bool = Field(default=True, description="Slices that scatter no more than their errors say are alike")


@dataclass(frozen=True)
class SkyFit:
    """The sky's spectrum and the parameters of slices.

    ``value`` and ``error`` (s, 8): gain, shift, stretch, two of width, two of skewness, flatness. ``first`` and
    ``step`` place the spline's knots; ``blank`` tells the pieces that see sky alone; ``chi2`` is the typical reduced
    chi-square of a piece; ``moved`` is the rms over slices of the last round's change, in errors, of the parameter that
    changed most: above `SETTLED`, more rounds would bring others. ``told`` (s,) is the share of the variance of gains
    by lines that the continuum takes away, ``scale`` by what their errors were widened for it. ``lit`` is the share of
    the pieces taken for sky that have lines of their own: beyond `MOST_LIT` they count all the same. ``shared`` is the
    spectrum with all of them, as coefficients; ``objects`` what bright pieces see above it: light of objects.
    """

    coefficient: FloatArray
    first: float
    step: float
    value: FloatArray
    error: FloatArray
    blank: BoolArray
    chi2: float
    moved: float
    dq: IntArray
    told: FloatArray
    scale: float
    lit: float
    shared: FloatArray
    objects: FloatArray


def fit_sky(slices: Slices, params: SkyParams, *, allowed: BoolArray | None = None, without: Windows = ()) -> SkyFit:
    """Fit spectrum and slices in turn.

    The spectrum is that of the faintest pieces. A slice's brightness, shift, and width are those of the lines in it
    against a free smooth continuum of each of its pieces: no object has lines of the sky, so none is mistaken for
    a bright slice.

    Parameters
    ----------
    slices : Slices
    params : SkyParams
    allowed : bool array (n,), optional
        Pieces that see sky alone, in place of the faintest.
    without : sequence of (float, float), Angstrom
        Ranges that do not tell of slices, for light of objects has lines there.

    Raises
    ------
    NoConvergence
        No piece sees sky.
    """
    known = np.isfinite(slices.white)
    blank = known & allowed if allowed is not None else faintest(slices.white, params.ignore, params.fraction)
    if not blank.any():
        raise NoConvergence("no piece of a slice holds light", hint="is it an exposure of the sky?")
    state = _State.start(slices, blank, params)
    for turn in range(params.rounds):
        state.coefficient = _spectrum(slices, state, blank)
        before = state.value.copy()
        chi2 = _slices(slices, state, tightness(slices, blank, state.value), params.clip, without)
        centre(state.value, state.error)
        moved = float(np.max(np.std((state.value - before) / state.error, axis=0)))
        if turn == 0:
            state.kept[:] = slices.weight > 0
        elif moved < SETTLED:
            break
    error = state.error * max(1.0, chi2) ** 0.5
    dim = not (params.faint or told_by_lines(state.value, error))
    if dim:
        state.value, error = drawn_together(state.value, error, slices.detector)
    shared = state.coefficient = _spectrum(slices, state, blank)
    blank, lit = _without_lines(slices, state, blank, fixed=allowed is not None)
    state.coefficient = _spectrum(slices, state, blank)
    even = params.even and not dim
    told, scale = _evened(slices, state, error, without) if even else (np.zeros(len(error)), 1.0)
    if params.alike:
        places = mean_places(slices.x, slices.y, [one[:0] if dim else one for one in state.pieces])
        state.value[:, 0], error[:, 0] = drawn_to_alike(state.value[:, 0], error[:, 0], *places)
    for _ in range(2):
        state.coefficient = _spectrum(slices, state, blank)
    objects = _objects(slices, state, blank)
    dq = np.where(np.isfinite(error[:, 0]), 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    return SkyFit(
        coefficient=state.coefficient,
        first=state.first,
        step=params.knots,
        value=state.value,
        error=error,
        blank=blank,
        chi2=chi2,
        moved=moved,
        dq=dq,
        told=told,
        scale=scale,
        lit=lit,
        shared=shared,
        objects=objects,
    )


def _objects(slices: Slices, state: _State, blank: BoolArray) -> FloatArray:
    """Return the coefficients of what bright pieces see above blank ones, and bring the spectrum to it (in place).

    By how much pieces are brighter than each other is smooth but for the bands in that light.
    """
    bright = brightest(slices.white, blank)
    if not bright.any() or state.faint:
        return np.zeros_like(state.coefficient)
    for _ in range(2):
        found = _spectrum(slices, state, bright) - state.coefficient
        state.bands = bands_at(_EVERY, found, state.first, state.step)
        state.coefficient = _spectrum(slices, state, blank)
    return np.asarray(_spectrum(slices, state, bright) - state.coefficient)


def _without_lines(slices: Slices, state: _State, blank: BoolArray, *, fixed: bool) -> tuple[BoolArray, float]:
    """Return the blank pieces without lines of their own, all of them where most have such; and the share that has.

    As many of the next faintest take the place of those with lines, as far as there are such that are no brighter than
    blank pieces are, unless it is ``fixed`` which pieces are blank.
    """
    clearest = np.full(blank.size, np.nan)
    for row, pieces in enumerate(state.pieces):
        own = pieces[np.isfinite(slices.white[pieces])]
        if not own.size:
            continue
        spread = float(np.mean(slices.spread[pieces]))
        shapes = state.shapes(row, spread)
        for piece in own:
            light, _ = state.seen(row, shapes, slices.wave[piece], float(slices.spread[piece]) - spread)
            weight = slices.weight[piece].astype(np.float64)  # with what was clipped: the middle of a line is
            clearest[piece] = clearest_line(slices.flux[piece], weight, state.value[row, 0] * light[0])
    lit = pieces_with_lines(clearest, columns(slices.slice, slices.piece, slices.x, slices.y), slices.x)
    share = float(np.mean(lit[blank]))
    if share > MOST_LIT:
        return blank, share
    made = np.asarray(blank & ~lit)
    return made if fixed or not share else made | next_faintest(slices.white, blank, lit), share


def _evened(slices: Slices, state: _State, error: FloatArray, without: Windows) -> tuple[FloatArray, float]:
    """Bring the brightness of slices, and its error, to what lines and continuum say together (in place)."""
    excess, variance = np.full(slices.slice.size, np.nan), np.full(slices.slice.size, np.inf)
    for row, pieces in enumerate(state.pieces):
        if not (pieces.size and np.isfinite(error[row, 0])):
            continue
        spread = float(np.mean(slices.spread[pieces]))
        shapes = state.shapes(row, spread)
        for piece in pieces:
            light, _ = state.seen(row, shapes, slices.wave[piece], float(slices.spread[piece]) - spread)
            told = outside(slices.wave[piece], slices.weight[piece], without)
            weight = np.where(state.kept[piece], told, 0.0).astype(np.float64)
            excess[piece], variance[piece] = continuum_excess(
                slices.flux[piece], weight, state.value[row, 0] * light[0]
            )
    where = columns(slices.slice, slices.piece, slices.x, slices.y)
    found, scale = even_slices(excess, variance, where, error[:, 0] / state.value[:, 0])
    state.value[:, 0] *= 1.0 + found.change
    error[:, 0] = found.error * state.value[:, 0]
    centre(state.value, error)
    return found.told, scale


@dataclass
class _State:
    """What is known so far: spectrum, parameters of the slices (s, 8), and which samples count (n, m)."""

    coefficient: FloatArray
    first: float
    step: float
    value: FloatArray
    error: FloatArray
    kept: BoolArray
    share: FloatArray
    pieces: list[IntArray]
    faint: bool
    bands: FloatArray

    @classmethod
    def start(cls, slices: Slices, blank: BoolArray, params: SkyParams) -> _State:
        """Return the state before the first round: all slices alike, and no spectrum."""
        count = len(slices.aperture)
        value = np.zeros((count, TERMS))
        value[:, 0] = 1.0
        size = int((BORDERS[1] - BORDERS[0]) / params.knots) + 20
        many = (slices.weight > 0).sum(axis=1) >= _LEAST * _CONTINUUM
        order = np.argsort(slices.slice, kind="stable")
        parts = np.split(order, np.searchsorted(slices.slice[order], np.arange(1, count)))
        return cls(
            coefficient=np.zeros(size),
            first=BORDERS[0] - 8.0 * params.knots,
            step=params.knots,
            value=value,
            error=np.full((count, TERMS), np.inf),
            kept=slices.weight > 0,
            share=1.0 / noise_of_objects(slices, blank),
            pieces=[part[many[part]] for part in parts],
            faint=params.faint,
            bands=np.ones(_EVERY.size),
        )

    def shapes(self, row: int, spread: float) -> FloatArray:
        """Return the spectrum as the lines of slice ``row`` make it."""
        return shape_intervals(self.coefficient, self.step, self.value[row], spread)

    def seen(self, row: int, shapes: FloatArray, wave: FloatArray, wider: float) -> tuple[FloatArray, FloatArray]:
        """Return what slice ``row`` sees at brightness 1 with four derivatives (5, k), and z.

        Parameters
        ----------
        row : int
        shapes : array
        wave : array (k,), Angstrom
            Of the day.
        wider : float, Angstrom**2
            Variance of lines above that of ``shapes``, small.
        """
        z = (wave - REFERENCE) / SPAN
        own = wave + self.value[row, 1] + self.value[row, 2] * z
        made = sky_spline.seen(own, z, shapes, self.first, self.step, REACH, 5)
        made[0] += 0.5 * wider * made[2]
        return made, z


def _spectrum(slices: Slices, state: _State, blank: BoolArray) -> FloatArray:
    """Return the coefficients of the spectrum that the blank pieces share, as bright as they are in the mean.

    What each slice's own shape of lines makes of the spectrum of the round before is taken off its samples, and by what
    the continuum of a piece departs from that of all: slices sample the pixels' phases, and what they differ in
    would stand in the spectrum with the period of a pixel.
    """
    common = sky_spline.intervals(np.stack([state.coefficient] * 3))
    grid = state.first, state.step
    chosen: list[tuple[int, FloatArray]] = []
    apart, sure = [], []
    for row, every in enumerate(state.pieces):
        pieces = every[blank[every]]
        if not pieces.size:
            continue
        spread, own = float(np.mean(slices.spread[pieces])), state.value[row]
        shapes = state.shapes(row, spread)
        for piece in pieces:
            light, z = state.seen(row, shapes, slices.wave[piece], float(slices.spread[piece]) - spread)
            wave = slices.wave[piece] + own[1] + own[2] * z
            added = light[0] - sky_spline.seen(wave, z, common, *grid, REACH, 1)[0]
            chosen.append((piece, slices.flux[piece] - own[0] * added))
            given, kept = slices.weight[piece], state.kept[piece]
            bands = np.interp(wave, _EVERY, state.bands)
            left, told = (slices.flux[piece] - own[0] * light[0]) / bands, given * bands.astype(np.float32) ** 2
            apart.append(smooth_nodes(left, told, z, kept, _SPAN_Z, _CONTINUUM) / own[0])
            sure.append(own[0] ** 2 * one_weight(given, kept).max())
    curves = np.array(apart).reshape(-1, _CONTINUUM)
    curves = np.zeros_like(curves) if state.faint else curves - np.array(sure) @ curves / max(sum(sure), 1e-300)
    return _solved(slices, state, chosen, curves)


def _solved(slices: Slices, state: _State, chosen: list[tuple[int, FloatArray]], curves: FloatArray) -> FloatArray:
    """Return the coefficients that explain pieces, given with their samples, but for curves (n, nodes) and bands."""
    nodes = np.linspace(*_SPAN_Z, _CONTINUUM)
    matrix, rhs = np.zeros((sky_spline.BAND, state.coefficient.size)), np.zeros(state.coefficient.size)
    for (piece, data), curve in zip(chosen, curves, strict=True):
        own = state.value[slices.slice[piece]]
        z = (slices.wave[piece] - REFERENCE) / SPAN
        given, kept = slices.weight[piece], state.kept[piece]
        weight = np.where(kept, given, 0.0).astype(np.float64) if state.faint else one_weight(given, kept)
        wave = slices.wave[piece] + own[1] + own[2] * z
        left = data - own[0] * np.interp(z, nodes, curve) * np.interp(wave, _EVERY, state.bands)
        sky_spline.accumulate(wave, left, weight, own[0], state.first, state.step, matrix, rhs)
    return sky_spline.solve(matrix, rhs)


def shape_intervals(coefficient: FloatArray, step: float, own: FloatArray, spread: float = 0.0) -> FloatArray:
    """Return the spectrum as a slice's shape of lines makes it, for `tracecube.kernels.sky_spline.seen`.

    Parameters
    ----------
    coefficient : array (n,)
    step : float, Angstrom
    own : array (8,)
        Parameters of the slice.
    spread : float, Angstrom**2
        Variance of lines besides.
    """
    shape, change = np.array([own[3] + spread, own[5], own[7]]), np.array([own[4], own[6], 0.0])
    given = np.asarray(coefficient, np.float64)
    return np.asarray(sky_spline.intervals(sky_spline.reshaped(given, step, shape, change, REACH)))


def _slices(slices: Slices, state: _State, tight: FloatArray, clip: float, without: Windows) -> float:
    """Bring the parameters of every slice a step further (in place); return the typical chi-square of a piece.

    Samples far off the model and a piece's own smooth continuum are left out. NaN without a piece.
    """
    typical = []
    given = np.asarray(state.coefficient, np.float64)
    lines = given if state.faint else sky_spline.waves_of_lines(given, state.step)
    for row, pieces in enumerate(state.pieces):
        if not pieces.size:
            continue
        spread, gain = float(np.mean(slices.spread[pieces])), state.value[row, 0]
        shapes = state.shapes(row, spread)
        slopes = shape_intervals(lines, state.step, state.value[row], spread)
        matrix, rhs = np.zeros((TERMS, TERMS)), np.zeros(TERMS)
        for piece in pieces:
            light, z = state.seen(row, shapes, slices.wave[piece], float(slices.spread[piece]) - spread)
            light[2:] = state.seen(row, slopes, slices.wave[piece], 0.0)[0][2:]
            left = slices.flux[piece] - gain * light[0]
            # hits stand in the ranges left out as well, and the spectrum there is that of all samples that are kept
            typical.append(clip_piece(left, slices.weight[piece], z, state.kept[piece], _SPAN_Z, _CONTINUUM, clip))
            weight, kept = outside(slices.wave[piece], slices.weight[piece], without), state.kept[piece]
            share, hold = state.share[piece], tight[piece]
            add_piece(light, left, weight, z, kept, gain, share, hold, _ALIKE, _SPAN_Z, _CONTINUUM, matrix, rhs)
        if matrix[0, 0] > 0:
            state.value[row], state.error[row] = stepped(matrix, rhs, state.value[row])
    return float(np.median(typical)) if typical else float("nan")
