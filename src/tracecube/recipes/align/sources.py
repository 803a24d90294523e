"""Point sources in a white image, after Stetson (1987, PASP 99, 191): a convolution, its maxima, their shape."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum_filter
from scipy.optimize import least_squares

from tracecube.core.fields import BoolArray, IntArray
from tracecube.core.params import Params
from tracecube.recipes.align.white import background

__all__ = ["Detected", "SourceParams", "detect"]

F8 = NDArray[np.float64]

_LEAST = 4.0  # sigma below which a maximum is noise: one false source in some 30 fields of 90000 px
_HALF = 5  # px about a source that its fit takes
_FWHM = 2.3548  # of a Gaussian of sigma 1


class SourceParams(Params):
    """Numbers of the search for point sources."""

    fwhm: float = Field(default=5.0, gt=1, description="Full width of the convolution, px")
    threshold: float = Field(default=15.0, gt=0, description="First threshold, sigma of the convolved image")
    step: float = Field(default=0.5, gt=0, description="By which the threshold falls or rises until it suits")
    iterations: int = Field(default=100000, ge=1, description="How often the threshold may change")
    srcmin: int = Field(default=5, ge=0, description="Sources that should be found: the threshold falls until they are")
    srcmax: int = Field(default=80, ge=1, description="Sources that may be found: the threshold rises until they are")
    sharpmin: float = Field(default=0.2, description="Least sharpness: peak over its surroundings, over the filter's")
    sharpmax: float = Field(default=1.0, description="Largest sharpness")
    roundmin: float = Field(default=-1.0, description="Least roundness: difference of the widths along x and y")
    roundmax: float = Field(default=1.0, description="Largest roundness")
    bpixdistance: float = Field(default=5.0, ge=0, description="Least distance from bad pixels and edges, px")


class Detected(NamedTuple):
    """Sources of an image, the brightest first.

    Parameters
    ----------
    value, error : array (n, 4)
        Place (y, x; px from 0), flux, width (Gaussian sigma, px).
    sharpness, roundness : array (n,)
    threshold : float
        Sigma; at which they were found.
    edge : int
        Maxima that were left out for a bad pixel or an edge nearby.
    shape : int
        Maxima that were left out for their shape.
    crowd : int
        Maxima beyond the allowed number.
    """

    value: F8
    error: F8
    sharpness: F8
    roundness: F8
    threshold: float
    edge: int
    shape: int
    crowd: int


def detect(image: F8, variance: F8, known: BoolArray, params: SourceParams) -> Detected:
    """Find point sources.

    Parameters
    ----------
    image, variance : array (y, x)
    known : bool array (y, x)
    params : SourceParams
    """
    sigma = params.fwhm / _FWHM
    flat = np.where(known, image - background(image, known), 0.0)
    cover = np.maximum(gaussian_filter(known.astype(float), sigma, mode="constant"), 0.1)
    smooth = gaussian_filter(flat, sigma, mode="constant") / cover
    noise = _noise(smooth, variance, known, sigma)
    snr = np.where(known, smooth / noise, 0.0)
    # of the light, not of its signal to noise: noise grows with a star's light
    peak = (smooth == maximum_filter(smooth, size=5, mode="constant")) & (snr > _LEAST)
    far = distance_transform_edt(np.pad(known, 1))[1:-1, 1:-1] >= max(params.bpixdistance, 1.0)
    y, x = np.nonzero(peak & far)
    sharp, round_ = _shape(flat, smooth, y, x, sigma)
    like = (
        (sharp > params.sharpmin) & (sharp < params.sharpmax) & (round_ > params.roundmin) & (round_ < params.roundmax)
    )
    order = np.argsort(-snr[y, x][like], kind="stable")
    height = snr[y, x][like][order]
    count, threshold = _threshold(height, params)
    kept = np.flatnonzero(like)[order][:count]
    value, error = _fits(flat, variance, known, y[kept], x[kept], sigma)
    strong = int(np.sum(snr[peak & ~far] > threshold))
    unlike = int(np.sum(snr[y, x][~like] > threshold))
    crowd = max(int(np.sum(height > params.threshold)) - count, 0)
    return Detected(value, error, sharp[kept], round_[kept], threshold, strong, unlike, crowd)


def _noise(smooth: F8, variance: F8, known: BoolArray, sigma: float) -> F8:
    """Return the noise of the smoothed image: what its variance says, or its own scatter where that is larger."""
    expected = np.sqrt(np.where(known, variance, 1.0) / (4.0 * np.pi * sigma**2))
    pull = (smooth / np.maximum(expected, 1e-300))[known]
    low, high = np.percentile(pull, [2.28, 15.87]) if pull.size else (0.0, 1.0)  # a sigma of what no source reaches
    scatter = float(high - low)
    return np.asarray(np.maximum(expected, 1e-300) * max(scatter, 1.0))


def _threshold(height: F8, params: SourceParams) -> tuple[int, float]:
    """Return how many sources are taken, and the threshold: changed in steps until the number suits."""
    threshold = params.threshold
    for _ in range(params.iterations):
        count = int(np.sum(height > threshold))
        if count > params.srcmax:
            threshold += params.step
        elif count < params.srcmin and threshold - params.step > _LEAST:
            threshold -= params.step
            if np.sum(height > threshold) > params.srcmax:  # a step too coarse to lie between both
                return params.srcmax, threshold
        else:
            break
    return min(int(np.sum(height > threshold)), params.srcmax), threshold


def _shape(flat: F8, smooth: F8, y: IntArray, x: IntArray, sigma: float) -> tuple[F8, F8]:
    """Return sharpness and roundness of maxima."""
    padded = np.pad(flat, _HALF)
    near = np.arange(-_HALF, _HALF + 1)
    window = padded[y[:, None, None] + _HALF + near[:, None], x[:, None, None] + _HALF + near[None, :]]
    inner = np.hypot(near[:, None], near[None, :]) <= 1.5 * sigma
    inner[_HALF, _HALF] = False
    middle = window[:, _HALF, _HALF]
    around = window[:, inner].mean(axis=1) if y.size else middle
    peak = smooth[y, x] * 2.0  # a Gaussian of the filter's width is twice as high before the convolution
    gauss = np.exp(-0.5 * (near / sigma) ** 2)
    gauss -= gauss.mean()
    along_x = (window.sum(axis=1) * gauss).sum(axis=1)
    along_y = (window.sum(axis=2) * gauss).sum(axis=1)
    total = along_x + along_y
    with np.errstate(divide="ignore", invalid="ignore"):
        sharp = np.where(peak > 0, (middle - around) / peak, 0.0)
        round_ = np.where(total > 0, 2.0 * (along_x - along_y) / total, 9.0)
    return np.asarray(sharp), np.asarray(round_)


def _fits(flat: F8, variance: F8, known: BoolArray, y: IntArray, x: IntArray, sigma: float) -> tuple[F8, F8]:
    """Return place, flux and width of Gaussians fitted to sources, and their errors."""
    value, error = np.zeros((y.size, 4)), np.full((y.size, 4), np.inf)
    for i, (row, column) in enumerate(zip(y, x, strict=True)):
        r = slice(max(row - _HALF, 0), row + _HALF + 1)
        c = slice(max(column - _HALF, 0), column + _HALF + 1)
        inside = known[r, c]
        yy, xx = (
            part[inside] for part in np.mgrid[r.start : r.start + inside.shape[0], c.start : c.start + inside.shape[1]]
        )
        data, noise = flat[r, c][inside], np.sqrt(variance[r, c][inside])
        first = np.array([row, column, max(flat[row, column], 1e-30) * 2 * np.pi * sigma**2, sigma, 0.0])
        value[i] = first[:4]
        if data.size < 12:  # noqa: PLR2004 - twice the unknowns and more
            continue
        value[i], error[i] = _fit(data, noise, yy, xx, first)
    return value, error


def _fit(data: F8, noise: F8, y: F8, x: F8, first: F8) -> tuple[F8, F8]:
    scale = np.array([1.0, 1.0, abs(first[2]), 1.0, abs(first[2]) / first[3] ** 2])

    def off(p: F8) -> F8:
        g = np.exp(-0.5 * ((y - p[0]) ** 2 + (x - p[1]) ** 2) / p[3] ** 2) / (2 * np.pi * p[3] ** 2)
        return np.asarray((data - p[2] * g - p[4]) / noise)

    found = least_squares(off, first, x_scale=scale, max_nfev=40)
    inverse = np.linalg.pinv((found.jac * scale).T @ (found.jac * scale))
    chi2 = max(2.0 * found.cost / max(data.size - 5, 1), 1.0)
    error = np.sqrt(np.maximum(np.diag(inverse), 0.0) * chi2) * scale
    found.x[3] = abs(found.x[3])
    return found.x[:4], error[:4]
