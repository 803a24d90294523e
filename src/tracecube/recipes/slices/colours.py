"""Light of an even sky by wavelength: along slices, over the field, and how an exposure is brought to the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import chi2, f, norm

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.slice_colour import FieldColours, SliceColours
from tracecube.core.slices import SliceGeometry, SliceTraces, SliceWavelengths
from tracecube.recipes.optics.slice_map import columns_of
from tracecube.recipes.slices.segments import place_of

__all__ = ["colours_along", "fit_colours", "without_colours"]

_REACH = 46  # px from the centre of a slice, as in `evenness`
_FINE = 2.5  # Angstrom: of the spectrum against which pixels are held, two pixels
_INSIDE = 3.0  # px from the edges of slices that do not tell of colours: exposure and flat lie aside there
_ORDER = 3  # Legendre polynomials in wavelength: what changes by less than a percent has no more
_UNIT = 30.0  # arcsec
_TERMS = ((1, 0), (2, 0), (0, 1), (0, 2), (1, 1))  # of second degree over the field, as in the observatory's recipe
_CHANNELS = 8  # that are needed to tell a change from channel to channel from one of the field
_ENOUGH = 3.0  # standard deviations


def colours_along(
    frame: Frame,
    traces: SliceTraces,
    solution: SliceWavelengths,
    *,
    shift: float,
    band: tuple[float, float],
    step: float,
) -> SliceColours:
    """Return light along each slice in ranges of wavelength.

    Parameters
    ----------
    frame : Frame
        The sky over the flat.
    traces : SliceTraces
    solution : SliceWavelengths
    shift : float, px
        By which the slices of the frame lie further to the right.
    band : (float, float), Angstrom
        Middle of the first and of the last range.
    step : float, Angstrom
        Width of a range.

    Raises
    ------
    BadData
        No slice sees the sky.
    """
    middle = np.arange(band[0], band[1] + 0.5 * step, step)
    edges = np.append(middle - 0.5 * step, middle[-1] + 0.5 * step)
    across = np.arange(-_REACH, _REACH + 1, dtype=np.float64)
    count = len(traces.aperture)
    rows = np.flatnonzero((traces.dq | solution.dq) == 0)
    pixels = {int(row): _pixels(frame, traces, solution, int(row), shift) for row in rows}
    fine, light = _mean_spectrum([one for one in pixels.values() if one.wave.size], edges)
    found, error = np.ones((count, middle.size, across.size)), np.full((count, middle.size, across.size), np.inf)
    dq = (traces.dq | solution.dq).astype(np.int32)
    cell = middle.size * across.size
    for row, one in pixels.items():
        which = np.searchsorted(edges, one.wave) - 1
        step_of = np.rint(one.place - across[0]).astype(int)
        good = (which >= 0) & (which < middle.size) & (step_of >= 0) & (step_of < across.size)
        expected = np.interp(one.wave, fine, light)
        good &= expected > 0
        at = which[good] * across.size + step_of[good]
        total, hoped, noise = (
            np.bincount(at, column[good], cell).reshape(middle.size, across.size)
            for column in (one.data, expected, one.variance)
        )
        known = hoped > 0
        if np.count_nonzero(known) < 0.3 * cell:
            dq[row] |= int(Flag.NOT_MEASURED)
            continue
        grey = total.sum(axis=0) / np.where(hoped.sum(axis=0) > 0, hoped.sum(axis=0), np.nan)
        scale = np.where(known, hoped, np.nan) * grey
        ratio = total / scale
        found[row] = np.where(np.isfinite(ratio), ratio, 1.0)
        error[row] = np.where(np.isfinite(ratio), np.sqrt(noise) / scale, np.inf)
    spectrum = np.array([_mean_between(fine, light, *pair) for pair in pairwise(edges)])
    own = np.isfinite(error)
    strength = np.where(own, 1.0 / np.where(own, error, 1.0) ** 2, 0.0).sum(axis=(0, 2))
    spread = np.where(strength > 0, spectrum / np.sqrt(np.maximum(strength, 1e-30)), np.inf)
    return SliceColours(
        found, error, across[None], traces.aperture, dq, middle, spectrum, spread, frame.meta,
    )  # fmt: skip


@dataclass(frozen=True)
class _Pixels:
    """Good pixels (n,) of a slice: place from its centre (px), wavelength (Angstrom), light and variance."""

    place: FloatArray
    wave: FloatArray
    data: FloatArray
    variance: FloatArray


def _pixels(frame: Frame, traces: SliceTraces, solution: SliceWavelengths, row: int, shift: float) -> _Pixels:
    x0, x1 = columns_of(traces, row, frame.data.shape[1], beyond=abs(shift) + 1.0)
    x, y = np.arange(x0, x1)[None, :], np.arange(frame.data.shape[0], dtype=np.float64)[:, None]
    place = x - (traces.centre[row] + shift)[:, None]
    good: BoolArray = frame.flags[:, x0:x1] & (NOT_USABLE | int(Flag.NOT_ILLUMINATED)) == 0
    good &= (x >= (traces.left[row] + shift)[:, None]) & (x <= (traces.right[row] + shift)[:, None])
    wave = solution.wave(row, y, place)
    return _Pixels(
        place[good].astype(np.float64), wave[good], frame.data[:, x0:x1][good].astype(np.float64),
        frame.variance[:, x0:x1][good].astype(np.float64),
    )  # fmt: skip


def _mean_spectrum(slices: Sequence[_Pixels], edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return wavelengths (k,) and the mean light of all slices there: each slice counts over its own mean.

    Raises
    ------
    BadData
        There is no light.
    """
    fine = np.arange(edges[0], edges[-1] + _FINE, _FINE)
    total, count = np.zeros(fine.size + 1), np.zeros(fine.size + 1)
    levels = []
    for one in slices:
        level = float(np.median(one.data))
        if level > 0:
            levels.append(level)
            at = np.searchsorted(fine, one.wave)
            total += np.bincount(at, one.data / level, fine.size + 1)
            count += np.bincount(at, minlength=fine.size + 1)
    known = count[1:-1] > 0
    if not levels or np.count_nonzero(known) < 0.5 * known.size:
        raise BadData("no slice of a channel was lit by the twilight", hint="look at the sky flats")
    wave = 0.5 * (fine[1:] + fine[:-1])[known]
    return wave, total[1:-1][known] / count[1:-1][known] * float(np.median(levels))


def _mean_between(wave: FloatArray, light: FloatArray, low: float, high: float) -> float:
    inside = (wave >= low) & (wave < high)
    return float(np.mean(light[inside])) if inside.any() else float("nan")


@dataclass(frozen=True)
class _Samples:
    """Means over slices: place (n,) in units of half the field, light (n, w), weight (n, w), channel (n,)."""

    x: FloatArray
    y: FloatArray
    light: FloatArray
    weight: FloatArray
    channel: FloatArray


def fit_colours(found: Sequence[SliceColours], geometry: Sequence[SliceGeometry], *, parts: int = 4) -> FieldColours:
    """Return how light over the field changes with wavelength: as far as it is significant.

    Errors are those that slices tell by their scatter, with eight and more channels that channels tell; with fewer
    nothing is told of changes from south to north, and each channel is held against itself.

    Parameters
    ----------
    found : sequence of SliceColours
        One a channel.
    geometry : sequence of SliceGeometry
        Of the same channels.
    parts : int
        Of a slice whose mean light counts.
    """
    wave = np.asarray(found[0].wave, np.float64)
    blue, red = float(wave[0]), float(wave[-1])
    whole = len(found) >= _CHANNELS
    samples = _gathered(found, geometry, parts, whole=whole)
    legendre = np.polynomial.legendre.legvander(2.0 * (wave - blue) / (red - blue) - 1.0, _ORDER - 1)
    terms = [term for term in _TERMS if whole or term[1] == 0]
    cluster = samples.channel if whole else np.arange(samples.x.size, dtype=np.float64) // parts
    design = {term: _columns(samples, term, legendre, whole=whole) for term in terms}
    value = _demeaned(samples.light[:, :, None] - 1.0, samples, whole=whole)[:, :, 0]
    kept = list(terms)
    sure, spread = {}, {}
    while True:
        fit, errors, sigma = _fitted({term: design[term] for term in kept}, value, samples.weight, cluster)
        for term in kept:
            sure[term], spread[term] = sigma[term], errors[term]
        weakest = min(kept, key=lambda term: sigma[term])
        if sigma[weakest] >= _ENOUGH:
            break
        kept.remove(weakest)
        if not kept:
            break
    none = np.zeros(_ORDER)
    return FieldColours(
        west=np.array([term[0] for term in terms], np.int32),
        north=np.array([term[1] for term in terms], np.int32),
        coefficient=np.array([fit[term] if term in kept else none for term in terms]),
        error=np.array([spread[term] for term in terms]),
        significance=np.array([sure[term] for term in terms]),
        used=np.array([term in kept for term in terms], np.int32),
        blue=blue,
        red=red,
        unit=_UNIT,
        meta=found[0].meta,
    )


def _gathered(found: Sequence[SliceColours], geometry: Sequence[SliceGeometry], parts: int, *, whole: bool) -> _Samples:
    """Return means over parts of slices of all channels; those of channels carry their spectra if ``whole``."""
    columns: list[tuple[FloatArray, ...]] = []
    for number, (one, places) in enumerate(zip(found, geometry, strict=True)):
        across = np.asarray(one.across[0], np.float64)
        spectrum = np.asarray(one.spectrum, np.float64)
        for row in np.flatnonzero(np.asarray(one.dq) == 0):
            known = np.isfinite(one.error[row]).all(axis=0)
            if np.count_nonzero(known) < 4 * parts + 2 * _INSIDE:
                continue
            inside = np.flatnonzero(known)[int(_INSIDE) : -int(_INSIDE)]
            width = float(np.count_nonzero(known))
            for some in np.array_split(inside, parts):
                weight = 1.0 / np.asarray(one.error[row][:, some], np.float64) ** 2
                mean = np.average(one.light[row][:, some], axis=1, weights=weight)
                x, y = place_of(places, int(row), np.array([across[some].mean()]), np.array([width]))
                columns.append((x / _UNIT, y / _UNIT, mean * (spectrum if whole else 1.0), weight.sum(axis=1),
                                np.array([number])))  # fmt: skip
    if not columns:
        raise BadData("no slice was lit by the twilight at all wavelengths", hint="look at the sky flats")
    x, y, light, weight, channel = (np.array([one[k] for one in columns]) for k in range(5))
    if whole:  # each sample over its mean over wavelengths, and over the common spectrum
        light = light / np.average(light, axis=0, weights=weight)
        light = light / np.average(light, axis=1, weights=weight)[:, None]
    return _Samples(x[:, 0], y[:, 0], light, weight, channel[:, 0])


def _columns(samples: _Samples, term: tuple[int, int], legendre: FloatArray, *, whole: bool) -> FloatArray:
    """Return the columns (n, w, q) of one term, without what every place sees."""
    place = samples.x ** term[0] * samples.y ** term[1]
    return _demeaned(place[:, None, None] * legendre[None], samples, whole=whole)


def _demeaned(columns: FloatArray, samples: _Samples, *, whole: bool) -> FloatArray:
    """Take off the mean in each range, over all samples or those of each channel: the spectrum is not known."""
    out = np.array(columns, np.float64)
    for one in [None] if whole else np.unique(samples.channel):
        own = slice(None) if one is None else samples.channel == one
        weight = samples.weight[own][:, :, None]
        out[own] -= (weight * out[own]).sum(axis=0) / weight.sum(axis=0)
    return out


_Found = dict[tuple[int, int], FloatArray]


def _fitted(
    design: _Found, value: FloatArray, weight: FloatArray, cluster: FloatArray
) -> tuple[_Found, _Found, dict[tuple[int, int], float]]:
    """Return coefficients (q,) of terms, their errors, and significance in standard deviations.

    Least squares; the covariance is that of sums over clusters (Liang & Zeger 1986, Biometrika 73, 13), whose number is
    that of what is independent.
    """
    matrix = np.concatenate(list(design.values()), axis=2)
    root = np.linalg.pinv(np.einsum("nwi,nw,nwj->ij", matrix, weight, matrix))
    solution = root @ np.einsum("nwi,nw,nw->i", matrix, weight, value)
    left = value - matrix @ solution
    each = np.einsum("nwi,nw,nw->ni", matrix, weight, left)
    names = np.unique(cluster)
    sums = np.array([each[cluster == one].sum(axis=0) for one in names])
    share = names.size / max(names.size - solution.size, 1)
    covariance = share * root @ (sums.T @ sums) @ root
    fit, error, sure = {}, {}, {}
    for k, term in enumerate(design):
        own = slice(k * _ORDER, (k + 1) * _ORDER)
        fit[term], error[term] = solution[own], np.sqrt(np.maximum(np.diag(covariance[own, own]), 0.0))
        wald = float(solution[own] @ np.linalg.pinv(covariance[own, own]) @ solution[own])
        freedom = names.size - solution.size
        chance = f.sf(wald / _ORDER, _ORDER, freedom) if freedom > 0 else chi2.sf(wald, _ORDER)
        sure[term] = float(norm.isf(max(0.5 * chance, 1e-300)))
    return fit, error, sure


def without_colours(
    frame: Frame,
    traces: SliceTraces,
    solution: SliceWavelengths,
    geometry: SliceGeometry,
    colours: FieldColours,
    *,
    shift: float,
) -> Frame:
    """Return an exposure over its flat as an evenly lit field has it at every wavelength."""
    if not colours.any:
        return frame
    data, variance = frame.data.copy(), frame.variance.copy()
    y = np.arange(frame.data.shape[0], dtype=np.float64)[:, None]
    for row in np.flatnonzero((traces.dq | solution.dq) == 0):
        x0, x1 = columns_of(traces, int(row), frame.data.shape[1], beyond=abs(shift) + 1.0)
        x = np.arange(x0, x1)[None, :]
        left, right = (edge[row][:, None] + shift for edge in (traces.left, traces.right))
        inside = (x >= left) & (x <= right)
        across = x - (traces.centre[row] + shift)[:, None]
        width = np.broadcast_to(right - left, across.shape)
        place = place_of(geometry, int(row), across, width)
        light = np.where(inside, colours.at(*place, solution.wave(int(row), y, across)), 1.0).astype(np.float32)
        data[:, x0:x1] /= light
        variance[:, x0:x1] /= light**2
    return Frame(data, variance, frame.flags, frame.meta)
