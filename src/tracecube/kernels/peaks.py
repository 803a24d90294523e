"""Find the traces of an illuminated frame: matched filters across and along dispersion.

Two linear filters, each the weighted least-squares fit of a shape at every place (a matched filter
is that fit; Turin 1960, IRE Trans. Inf. Theory 6, 311), and the maxima of their response. Pixels of
zero weight count for nothing. Images are (across, along), dispersion along the second axis.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, maximum_filter, median_filter

__all__ = ["Match", "bin_along", "filter_across", "isolated_maxima", "match_along", "spikes", "vertex"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class Match(NamedTuple):
    """Fit of one shape, running along dispersion, at every place; images (across, along).

    ``amplitude`` is the factor of the shape, ``power`` the weighted sum of squares of the shape on
    good pixels (the inverse variance of the amplitude for unit noise), ``likeness`` the correlation
    coefficient between shape and data: 1 for the shape itself, small for a short streak.
    """

    amplitude: F8
    power: F8
    likeness: F8


def bin_along(data: F8, weight: F8, *, size: int) -> tuple[F8, F8]:
    """Average ``size`` neighbouring pixels along dispersion.

    Parameters
    ----------
    data, weight : array (across, along)

    Returns
    -------
    data : array (across, along // size)
        Weighted mean; 0 where no pixel has weight.
    weight : array (across, along // size)
        Mean weight.
    """
    n_c, n_s = data.shape
    n_s -= n_s % size
    w = weight[:, :n_s].reshape(n_c, -1, size).sum(axis=2)
    wd = (weight * np.where(weight > 0.0, data, 0.0))[:, :n_s].reshape(n_c, -1, size).sum(axis=2)
    return np.divide(wd, w, out=np.zeros_like(wd), where=w > 0.0), w / size


def filter_across(data: F8, weight: F8, *, sigma: float, half_width: int) -> tuple[F8, F8]:
    """Fit a Gaussian of unit flux on a constant, across dispersion, centred on every pixel.

    Parameters
    ----------
    data, weight : array (across, along)
    sigma : float, px
    half_width : int
        Pixels on either side that take part.

    Returns
    -------
    flux : array (across, along)
        Flux of the Gaussian; 0 where the good pixels do not determine it.
    power : array (across, along)
        Inverse variance of the flux for data whose inverse variance is ``weight``.
    """
    u = np.arange(-half_width, half_width + 1.0)
    shape = np.exp(-0.5 * (u / sigma) ** 2) / (np.sqrt(2.0 * np.pi) * sigma)
    weighted = weight * np.where(weight > 0.0, data, 0.0)
    flat = np.ones_like(shape)

    def total(image: F8, kernel: F8) -> F8:
        return np.asarray(correlate1d(image, kernel, axis=0, mode="constant"))

    w, wg, wgg = total(weight, flat), total(weight, shape), total(weight, shape**2)
    wd, wdg = total(weighted, flat), total(weighted, shape)
    mean = np.divide(wg, w, out=np.zeros_like(w), where=w > 0.0)
    power = wgg - wg * mean
    # Half of the full power: with less, too few pixels are left to tell a trace from its ground.
    full = shape @ shape - shape.sum() ** 2 / shape.size
    known = power > 0.5 * full * float(weight.max(initial=0.0))
    flux = np.divide(wdg - wd * mean, power, out=np.zeros_like(w), where=known)
    return flux, np.where(known, power, 0.0)


def match_along(flux: F8, power: F8, shape: F8, *, before: int, tilt: float) -> Match:
    """Fit a shape along slightly tilted lines, its reference sample on every place in turn.

    Parameters
    ----------
    flux, power : array (across, along)
        Values and their inverse variances.
    shape : array (k,)
        The shape, sample ``before`` being its reference.
    before : int
        Number of samples of the shape on the low side of its reference.
    tilt : float
        Pixels across per sample along.
    """
    n_c, n_s = flux.shape
    steps = np.arange(shape.size) - before
    rows = np.rint(tilt * steps).astype(int)
    pad_c, pad_s = int(np.abs(rows).max(initial=0)), max(before, shape.size - 1 - before, 1)
    w = np.pad(power, ((pad_c, pad_c), (pad_s, pad_s)))
    wf = w * np.pad(flux, ((pad_c, pad_c), (pad_s, pad_s)))
    wff = wf * np.pad(flux, ((pad_c, pad_c), (pad_s, pad_s)))
    ss, sf, ff = np.zeros_like(flux), np.zeros_like(flux), np.zeros_like(flux)
    for value, step, row in zip(shape, steps, rows, strict=True):
        here = (slice(pad_c + row, pad_c + row + n_c), slice(pad_s + step, pad_s + step + n_s))
        ss += value * value * w[here]
        sf += value * wf[here]
        ff += wff[here]
    amplitude = np.divide(sf, ss, out=np.zeros_like(sf), where=ss > 0.0)
    norm = np.sqrt(ss * ff)
    return Match(amplitude, ss, np.divide(sf, norm, out=np.zeros_like(sf), where=norm > 0.0))


def isolated_maxima(score: F8, *, half_size: tuple[int, int], floor: float) -> I8:
    """Return the places (n, 2) whose score is above ``floor`` and the largest within ``half_size``.

    Of equal scores the first one counts, so that no plateau is found twice.
    """
    size = (2 * half_size[0] + 1, 2 * half_size[1] + 1)
    top = (score > floor) & (score >= maximum_filter(score, size=size, mode="constant"))
    places = np.argwhere(top)
    keep = np.ones(len(places), dtype=bool)
    for i in range(len(places)):
        near = np.all(np.abs(places[i + 1 :] - places[i]) <= half_size, axis=1)
        keep[i + 1 :][near & keep[i]] = False
    return places[keep]


def vertex(score: F8, places: I8, *, axis: int) -> F8:
    """Return the offset (n,), within ±0.5, of each maximum's parabola from its pixel along ``axis``."""
    step = np.zeros(2, dtype=int)
    step[axis] = 1
    inside = np.all((places - step >= 0) & (places + step < score.shape), axis=1)
    at = np.where(inside[:, None], places, 1)
    low, mid, high = (score[tuple((at + k * step).T)] for k in (-1, 0, 1))
    bend = low - 2.0 * mid + high
    offset = np.divide(0.5 * (low - high), bend, out=np.zeros_like(bend), where=bend < 0.0)
    return np.where(inside, np.clip(offset, -0.5, 0.5), 0.0)


def spikes(
    data: NDArray[np.floating], variance: NDArray[np.floating], *, sigmas: float, share: float
) -> NDArray[np.bool_]:
    """Return the pixels (across, along) that stand out of their seven neighbours along dispersion.

    A lamp's spectrum is smooth along dispersion; hot pixels, cosmic rays and single bad columns are
    not. A pixel is a spike when it differs from the median of the seven pixels around it by
    ``sigmas`` standard deviations plus ``share`` of the median.
    """
    level = median_filter(data, size=(1, 7), mode="nearest")
    return np.asarray(np.abs(data - level) > sigmas * np.sqrt(variance) + share * np.abs(level))
