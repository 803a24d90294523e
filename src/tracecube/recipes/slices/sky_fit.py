"""The sky that all slices of an exposure see, and what each makes of it: brightness, shift, width of lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.slices import SliceSegments
from tracecube.kernels import sky_spline

__all__ = ["REFERENCE", "SPAN", "SkyFit", "SkyParams", "Slices", "fit_sky", "gather", "node_derivatives", "shape_nodes"]

REFERENCE, SPAN = 7000.0, 2300.0
"""Angstrom: z = (wavelength - REFERENCE) / SPAN."""

_TERMS = 8  # brightness, shift, stretch, two of width, two of skewness, flatness
_CONTINUUM = 14  # nodes of the free continuum of a piece: 350 Angstrom, no line is as wide
_OWN_LINES = (
    0.1  # rms of an object's spectrum about a smooth curve, over its level: stars and galaxies have 0.05 to 0.2
)
_CORRELATED = 30.0  # samples over which such lines go together
_NODES = (-1.05, 0.0, 1.05)  # z between which shapes of lines change by straight lines
_BORDERS = (4650.0, 9350.0)


class SkyParams(Params):
    """Numbers of the sky's model."""

    fraction: float = Field(
        default=0.4, gt=0, le=1, alias="skymodel_fraction", description="Share of pieces, the faintest, that see sky"
    )
    ignore: float = Field(
        default=0.05, ge=0, lt=1, alias="skymodel_ignore", description="Share of the faintest pieces that are left out"
    )
    knots: float = Field(default=0.6, gt=0.1, description="Distance of the spline's knots, Angstrom")
    rounds: int = Field(default=6, ge=1, description="Rounds between the spectrum and the slices")
    clip: float = Field(default=5.0, gt=0, description="Errors beyond which a sample is left out")


@dataclass(frozen=True)
class Slices:
    """Pieces of all slices of an exposure.

    Parameters
    ----------
    flux, weight, wave : array (n, m)
        Weight is the inverse variance, 0 for what was not measured.
    slice : int array (n,)
        Row of the slice that a piece belongs to, in ``detector`` and ``aperture``.
    white : array (n,)
    spread : array (n,), Angstrom**2
        By which a piece's lines are wider than those of its pixels.
    detector : str array (s,)
    aperture : int array (s,)
    """

    flux: FloatArray
    weight: FloatArray
    wave: FloatArray
    slice: IntArray
    white: FloatArray
    spread: FloatArray
    detector: np.ndarray
    aperture: IntArray


@dataclass(frozen=True)
class SkyFit:
    """The sky's spectrum and the parameters of slices.

    ``value`` and ``error`` (s, 8): gain, shift, stretch, two of width, two of skewness, flatness. ``first`` and
    ``step`` place the spline's knots; ``blank`` tells the pieces that see sky alone; ``chi2`` is the typical reduced
    chi-square of a piece.
    """

    coefficient: FloatArray
    first: float
    step: float
    value: FloatArray
    error: FloatArray
    blank: BoolArray
    chi2: float
    dq: IntArray


def gather(segments: Sequence[SliceSegments]) -> Slices:
    """Put the pieces of all detectors together."""
    names = [str(one.meta.get("DETECTOR") or "") for one in segments]
    flux = np.concatenate([one.flux for one in segments]).astype(np.float64)
    variance = np.concatenate([one.variance for one in segments]).astype(np.float64)
    wave = np.concatenate([one.wave for one in segments])
    known = np.isfinite(flux) & (variance > 0) & (wave > _BORDERS[0]) & (wave < _BORDERS[1])
    detector: list[str] = []
    aperture: list[int] = []
    owner = []
    for name, one in zip(names, segments, strict=True):
        numbers = np.unique(one.aperture)
        owner.append(np.searchsorted(numbers, one.aperture) + len(aperture))
        aperture += list(numbers)
        detector += [name] * len(numbers)
    return Slices(
        flux=np.where(known, flux, 0.0),
        weight=np.where(known, 1.0 / np.where(known, variance, 1.0), 0.0),
        wave=np.where(known, wave, 0.0),
        slice=np.concatenate(owner).astype(np.int32),
        white=np.concatenate([one.white for one in segments]),
        spread=np.concatenate([one.spread for one in segments]),
        detector=np.array(detector),
        aperture=np.array(aperture, np.int32),
    )


def fit_sky(slices: Slices, params: SkyParams) -> SkyFit:
    """Fit spectrum and slices in turn.

    The spectrum is that of the faintest pieces. A slice's brightness, shift, and width are those of the lines in it
    against a free smooth continuum of each of its pieces: no object has lines of the sky, so none is mistaken for
    a bright slice.

    Raises
    ------
    NoConvergence
        No piece sees sky.
    """
    blank = _faintest(slices.white, params)
    if not blank.any():
        raise NoConvergence("no piece of a slice holds light", hint="is it an exposure of the sky?")
    count = len(slices.aperture)
    value, error = np.zeros((count, _TERMS)), np.full((count, _TERMS), np.inf)
    value[:, 0] = 1.0
    first = _BORDERS[0] - 8.0 * params.knots
    size = int((_BORDERS[1] - _BORDERS[0]) / params.knots) + 20
    weight = slices.weight.copy()
    excess = _objects(slices, blank)
    grid = (first, params.knots)
    coefficient: FloatArray = np.zeros(size)
    chi2 = 1.0
    for turn in range(params.rounds):
        coefficient = _spectrum(slices, weight, blank, value, coefficient, grid)
        chi2 = _clip(slices, weight, value, coefficient, grid, params.clip)
        tight = _tightness(slices, blank, value)
        for row in range(count):
            pieces = np.flatnonzero((slices.slice == row) & (weight.sum(axis=1) > 0))
            found = _slice(slices, weight / excess[:, None], pieces, value[row], (coefficient, grid), tight)
            if found is not None:
                value[row], error[row] = found
        _centre(value, error)
        if turn == 0:
            weight = slices.weight.copy()
    for _ in range(2):
        coefficient = _spectrum(slices, weight, blank, value, coefficient, grid)
    dq = np.where(np.isfinite(error[:, 0]), 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    return SkyFit(coefficient, first, params.knots, value, error * max(chi2, 1.0) ** 0.5, blank, chi2, dq)


def _faintest(white: FloatArray, params: SkyParams) -> BoolArray:
    """Return the pieces that see sky alone: the faintest, some of the very faintest left out."""
    known = np.isfinite(white)
    if not known.any():
        return known
    low, high = np.quantile(white[known], [params.ignore, min(params.ignore + params.fraction, 1.0)])
    return np.asarray(known & (white >= low) & (white <= high))


def _objects(slices: Slices, blank: BoolArray) -> FloatArray:
    """Return by what factor a piece's variance grows for the lines that an object in it may have of its own."""
    level = float(np.median(slices.white[blank]))
    above = np.maximum(np.nan_to_num(slices.white, nan=np.inf) - level, 0.0)
    count = np.maximum((slices.weight > 0).sum(axis=1), 1)
    typical = count / np.maximum(slices.weight.sum(axis=1), 1e-300)  # variance of a sample
    return np.asarray(1.0 + (_OWN_LINES * np.where(np.isfinite(above), above, 0.0)) ** 2 * _CORRELATED / typical)


def _tightness(slices: Slices, blank: BoolArray, value: FloatArray) -> FloatArray:
    """Return how firmly the continuum of each piece is held to that of the sky: the inverse variance of its nodes.

    As far as blank pieces agree with each other once their slices' brightness is known; others are free. In a field
    that is filled they do not agree, and lines alone tell the brightness.
    """
    level = slices.white / value[slices.slice, 0]
    middle = float(np.median(level[blank]))
    spread = 1.4826 * float(np.median(np.abs(level[blank] - middle)))
    return np.where(blank, 1.0 / max(spread, 1e-4 * abs(middle), 1e-300) ** 2, 0.0)


def _shifted(wave: FloatArray, value: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return wavelengths of samples with the slice's shift, and z."""
    z = (wave - REFERENCE) / SPAN
    return wave + value[1] + value[2] * z, z


def _spectrum(
    slices: Slices,
    weight: FloatArray,
    blank: BoolArray,
    value: FloatArray,
    before: FloatArray,
    grid: tuple[float, float],
) -> FloatArray:
    """Return the coefficients of the spectrum that the blank pieces share.

    What each slice's own shape of lines makes of the spectrum of the round before is taken off its samples.
    """
    matrix, rhs = np.zeros((sky_spline.BAND, before.size)), np.zeros(before.size)
    for piece in np.flatnonzero(blank):
        known = weight[piece] > 0
        own = value[slices.slice[piece]]
        wave, z = _shifted(slices.wave[piece, known], own)
        nodes = shape_nodes(before, grid[1], own, float(slices.spread[piece]))
        added = node_derivatives(wave, z, nodes, grid)[0] - sky_spline.derivatives(wave, before, *grid)[0]
        data = slices.flux[piece, known] - own[0] * added
        sky_spline.accumulate(wave, data, weight[piece, known], own[0], *grid, matrix, rhs)
    return sky_spline.solve(matrix, rhs)


def shape_nodes(coefficient: FloatArray, step: float, own: FloatArray, spread: float = 0.0) -> FloatArray:
    """Return the spectrum's coefficients as a slice's shape of lines makes them, at three nodes in z (3, n)."""
    given = np.asarray(coefficient, np.float64)
    return np.stack(
        [
            sky_spline.reshaped(
                given, step, float(own[3] + own[4] * z + spread), float(own[5] + own[6] * z), float(own[7])
            )
            for z in _NODES
        ]
    )


def node_derivatives(wave: FloatArray, z: FloatArray, nodes: FloatArray, grid: tuple[float, float]) -> FloatArray:
    """Return what a slice sees and its derivatives (5, k), between the nodes by straight lines."""
    made = np.zeros((5, wave.size))
    middle = z < 0.0
    for low, high, own in ((0, 1, middle), (1, 2, ~middle)):
        share = (z[own] - _NODES[low]) / (_NODES[high] - _NODES[low])
        for node, part in ((low, 1.0 - share), (high, share)):
            made[:, own] += part * sky_spline.derivatives(wave[own], nodes[node], *grid)
    return made


def _model(
    wave: FloatArray, z: FloatArray, own: FloatArray, nodes: FloatArray, grid: tuple[float, float]
) -> FloatArray:
    """Return derivatives of what a slice sees with its parameters (8, k); the first is that at brightness 1."""
    s = node_derivatives(wave, z, nodes, grid)
    width, skew = 0.5 * s[2], -s[3] / 6.0
    change = np.stack([s[1], s[1] * z, width, width * z, skew, skew * z, s[4] / 24.0])
    return np.concatenate([s[:1], own[0] * change])


def _clip(  # noqa: PLR0913 - the parts of the fit
    slices: Slices,
    weight: FloatArray,
    value: FloatArray,
    coefficient: FloatArray,
    grid: tuple[float, float],
    clip: float,
) -> float:
    """Take the weight from samples far off the model and a piece's continuum; return the typical chi-square."""
    typical = []
    for piece in range(len(slices.flux)):
        known = slices.weight[piece] > 0
        if known.sum() < 10 * _CONTINUUM:
            weight[piece] = 0.0
            continue
        own = value[slices.slice[piece]]
        wave, z = _shifted(slices.wave[piece, known], own)
        nodes = shape_nodes(coefficient, grid[1], own, float(slices.spread[piece]))
        left = slices.flux[piece, known] - own[0] * node_derivatives(wave, z, nodes, grid)[0]
        basis = _hats(z)
        w = weight[piece, known]
        if not (w > 0).any():
            w = slices.weight[piece, known]
        smooth = np.linalg.lstsq(basis * np.sqrt(w)[:, None], left * np.sqrt(w), rcond=None)[0]
        pull = (left - basis @ smooth) * np.sqrt(slices.weight[piece, known])
        spread = max(1.4826 * float(np.median(np.abs(pull))), 1.0)
        typical.append(spread**2)
        weight[piece, known] = np.where(np.abs(pull) < clip * spread, slices.weight[piece, known], 0.0)
    return float(np.median(typical)) if typical else 1.0


def _hats(z: FloatArray) -> FloatArray:
    """Return a straight-line interpolation between even nodes in z (k, nodes)."""
    low, high = ((border - REFERENCE) / SPAN for border in _BORDERS)
    at = np.clip((z - low) / (high - low), 0.0, 1.0 - 1e-9) * (_CONTINUUM - 1)
    j = at.astype(int)
    basis = np.zeros((z.size, _CONTINUUM))
    rows = np.arange(z.size)
    basis[rows, j], basis[rows, j + 1] = 1.0 - (at - j), at - j
    return basis


def _slice(  # noqa: PLR0913 - one slice and what it sees
    slices: Slices,
    weight: FloatArray,
    pieces: IntArray,
    own: FloatArray,
    spectrum: tuple[FloatArray, tuple[float, float]],
    tight: FloatArray,
) -> tuple[FloatArray, FloatArray] | None:
    """Return the parameters of one slice a step better, and their errors; its pieces' continua are eliminated."""
    matrix, rhs = np.zeros((_TERMS, _TERMS)), np.zeros(_TERMS)
    coefficient, grid = spectrum
    for piece in pieces:
        known = weight[piece] > 0
        if known.sum() < 10 * _CONTINUUM:
            continue
        wave, z = _shifted(slices.wave[piece, known], own)
        nodes = shape_nodes(coefficient, grid[1], own, float(slices.spread[piece]))
        terms = _model(wave, z, own, nodes, grid)
        root = np.sqrt(weight[piece, known])
        left = (slices.flux[piece, known] - own[0] * terms[0]) * root
        basis, design = _hats(z) * root[:, None], terms.T * root[:, None]
        inner = basis.T @ basis
        inner += (1e-9 * np.trace(inner) / len(inner) + tight[piece]) * np.eye(len(inner))
        cross = basis.T @ design
        gain = np.linalg.solve(inner, np.column_stack([cross, basis.T @ left]))
        matrix += design.T @ design - cross.T @ gain[:, :_TERMS]
        rhs += design.T @ left - cross.T @ gain[:, _TERMS]
    if not matrix[0, 0] > 0:
        return None
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    prior = np.diag(1.0 / (_PRIOR / scale) ** 2)  # in scaled units: a slice without bright lines stays at the mean
    inverse = np.linalg.inv(matrix * scale[:, None] * scale[None, :] + prior)
    pull = rhs * scale - prior @ ((own - _MEAN) / scale)
    change = (inverse @ pull) * scale
    limit = np.array([0.3, 0.6, 0.3, 0.4, 0.4, 1.0, 1.0, 1.0])
    return own + np.clip(change, -limit, limit), np.sqrt(np.diag(inverse)) * scale


_MEAN = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
_PRIOR = np.array([0.2, 1.0, 0.3, 0.5, 0.5, 1.0, 1.0, 1.0])
"""Widths of what parameters may be: brightness; Angstrom, to its second, third and fourth power."""


def _centre(value: FloatArray, error: FloatArray) -> None:
    """Make the mean slice the one the spectrum belongs to: mean brightness 1, means of all else 0 (in place)."""
    known = np.isfinite(error[:, 0])
    value[known, 0] /= np.mean(value[known, 0])
    value[known, 1:] -= np.median(value[known, 1:], axis=0)
