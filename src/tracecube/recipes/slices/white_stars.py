"""Stars in white light: found on a coarse image, placed by a fit to the columns themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from tracecube.core.fields import FloatArray
from tracecube.recipes.sky.stars import find_stars
from tracecube.recipes.slices.white_light import WhiteLight

__all__ = ["FoundStars", "place_stars"]

_NODES = 0.28867513  # of a spaxel's side: points of Gauss on either side of its middle
_REACH = 3.0  # widths at half height about a star that its fit sees
_MODEL = 0.02  # of the star's light: by which the common shape is wrong at a place
_BETA = 2.8  # of the Moffat function, first guess


@dataclass(frozen=True)
class FoundStars:
    """Stars, brightest first: place (arcsec) with error, light relative to the lamp; width of all, arcsec."""

    x: FloatArray
    y: FloatArray
    x_error: FloatArray
    y_error: FloatArray
    flux: FloatArray
    fwhm: float


def place_stars(white: WhiteLight, side: tuple[float, float], *, threshold: float, most: int) -> FoundStars:
    """Find stars and fit their places, with one shape for all.

    Parameters
    ----------
    white : WhiteLight
    side : (float, float), arcsec
        Of a spaxel.
    threshold : float
        Deviations of the smoothed ground beyond which something is a star.
    most : int
        Brightest detections that are fitted.
    """
    image, corner = _image(white, side)
    found = find_stars(image.astype(np.float64), threshold=threshold, smoothing=1.7, saturation=np.inf)
    x, y = (corner[0] + found.x) * side[0], (corner[1] + found.y) * side[1]
    inner = slice(0, most)
    shape = np.array([4.0 * side[0], _BETA])
    for _ in range(2):
        fits = [one for one in (_fit(white, side, a, b, shape) for a, b in zip(x[inner], y[inner], strict=True)) if one]
        if not fits:
            empty = np.zeros(0)
            return FoundStars(empty, empty, empty, empty, empty, float("nan"))
        table = np.array(fits)
        bright = table[:, 4] > 0.2 * table[:, 4].max()
        shape = np.median(table[bright][:, 5:7], axis=0)
    table = table[np.argsort(-table[:, 4], kind="stable")]
    x, y, x_error, y_error, flux = table[:, :5].T
    return FoundStars(x, y, x_error, y_error, flux, float(shape[0]))


def _image(white: WhiteLight, side: tuple[float, float]) -> tuple[FloatArray, tuple[int, int]]:
    """Return the columns on a coarse image (y, x), gaps filled with its median, and its first pixel."""
    i, j = np.rint(white.x / side[0]).astype(int), np.rint(white.y / side[1]).astype(int)
    corner = int(i.min()), int(j.min())
    shape = int(j.max()) - corner[1] + 1, int(i.max()) - corner[0] + 1
    flat = (j - corner[1]) * shape[1] + i - corner[0]
    total = np.bincount(flat, white.value, shape[0] * shape[1])
    count = np.bincount(flat, minlength=shape[0] * shape[1])
    image = np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(shape)
    return np.nan_to_num(image, nan=float(np.nanmedian(image))), corner


def _fit(
    white: WhiteLight, side: tuple[float, float], x: float, y: float, shape: FloatArray
) -> tuple[float, ...] | None:
    """Return x, y, their errors, flux, width and exponent of one star; None if it is none."""
    near = np.hypot(white.x - x, white.y - y) < _REACH * shape[0]
    if near.sum() < 30:
        return None
    place = white.x[near], white.y[near]
    value, noise = white.value[near], white.variance[near]

    def parts(p: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        star = _moffat(place, p, side)
        rough = max(float(np.sum(value * star) / np.sum(star**2)), 0.0)
        root = 1.0 / np.sqrt(noise + (_MODEL * rough * star) ** 2)
        design = np.stack([star, np.ones(star.size)], axis=1) * root[:, None]
        fit = np.linalg.lstsq(design, value * root, rcond=None)[0]
        return fit, value * root - design @ fit, root

    start = np.array([x, y, shape[0], shape[1]])
    low = [x - shape[0], y - shape[0], 0.3 * shape[0], 1.5]
    high = [x + shape[0], y + shape[0], 3.0 * shape[0], 10.0]
    fit = least_squares(
        lambda p: parts(p)[1], start, bounds=(low, high), x_scale=[0.05, 0.05, 0.1, 0.5], loss="soft_l1"
    )
    flux, left, _ = parts(fit.x)
    try:
        covariance = np.linalg.inv(fit.jac.T @ fit.jac)
    except np.linalg.LinAlgError:
        return None
    scale = max(float(np.median(left**2)) / 0.4549, 1.0)  # median of chi-square of one degree
    error = np.sqrt(np.diag(covariance)[:2] * scale)
    if flux[0] <= 0 or not np.isfinite(error).all() or error.max() > shape[0]:
        return None
    return float(fit.x[0]), float(fit.x[1]), float(error[0]), float(error[1]), float(flux[0]), *map(float, fit.x[2:])


def _moffat(place: tuple[FloatArray, FloatArray], p: FloatArray, side: tuple[float, float]) -> FloatArray:
    """Return the share of a star's light in spaxels of a size."""
    core = (0.5 * p[2]) ** 2 / (2.0 ** (1.0 / p[3]) - 1.0)
    total = np.zeros(place[0].size)
    for dx in (-_NODES, _NODES):
        for dy in (-_NODES, _NODES):
            r2 = (place[0] - p[0] + dx * side[0]) ** 2 + (place[1] - p[1] + dy * side[1]) ** 2
            total += (1.0 + r2 / core) ** -p[3]
    return np.asarray(total * (p[3] - 1.0) / (np.pi * core) * side[0] * side[1] / 4.0)
