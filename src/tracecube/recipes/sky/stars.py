"""Stars on a guide image: places, brightness, widths and elongation, trailed stars included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stars", "find_stars"]

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class Stars:
    """Detections, brightest first.

    Parameters
    ----------
    x, y : array (n,), px
        0-based, in the image given.
    flux : array (n,)
        Sum above the sky, in the units of the image.
    fwhm : array (n,), px
        Geometric mean of the axes; NaN where the star is too faint to tell.
    elongation : array (n,)
        Long over short axis, from the second moments.
    """

    x: F8
    y: F8
    flux: F8
    fwhm: F8
    elongation: F8

    @property
    def number(self) -> int:
        """How many."""
        return int(self.x.size)


def find_stars(image: F8, *, threshold: float, smoothing: float, saturation: float) -> Stars:
    """Find what stands out of the sky.

    The image is smoothed with a Gaussian; connected pixels above the threshold are one detection.
    No roundness is asked for, so that trailed stars are found, and known as such.

    Parameters
    ----------
    image : array (y, x)
    threshold : float
        In standard deviations of the smoothed sky.
    smoothing : float, px
        Width of the Gaussian; about that of the stars.
    saturation : float
        Peaks above it give no width.
    """
    from scipy import ndimage  # noqa: PLC0415 - slow to import

    above = image - _sky(image)
    smooth = ndimage.gaussian_filter(above, smoothing)
    # 1.4826: standard deviation of a normal distribution over its median absolute deviation
    noise = 1.4826 * float(np.median(np.abs(smooth - np.median(smooth))))
    labels, count = ndimage.label(smooth > threshold * noise, structure=np.ones((3, 3)))
    boxes = ndimage.find_objects(labels)
    pixel_noise = 1.4826 * float(np.median(np.abs(above - np.median(above))))
    rows = []
    for number, box in enumerate(boxes[:count], start=1):
        own = labels[box] == number
        # A hit of a cosmic ray or a hot pixel fills fewer pixels than the smoothing makes of a star.
        if np.count_nonzero(own) < np.pi * smoothing**2:
            continue
        rows.append(_measure(above[box], own, (box[0].start, box[1].start), pixel_noise, saturation))
    table = np.array(rows, dtype=float).reshape(-1, 5)
    table = table[np.argsort(-table[:, 2], kind="stable")]
    return Stars(*(table[:, column] for column in range(5)))


def _sky(image: F8) -> F8:
    """Median sky in tiles of 64 pixels, interpolated linearly."""
    from scipy.ndimage import map_coordinates  # noqa: PLC0415

    tile = 64
    rows, columns = (max(1, size // tile) for size in image.shape)
    parts = [np.array_split(strip, columns, axis=1) for strip in np.array_split(image, rows, axis=0)]
    coarse = np.array([[np.median(part) for part in strip] for strip in parts])
    y = (np.arange(image.shape[0]) + 0.5) * rows / image.shape[0] - 0.5
    x = (np.arange(image.shape[1]) + 0.5) * columns / image.shape[1] - 0.5
    grid = np.meshgrid(y, x, indexing="ij")
    return np.asarray(map_coordinates(coarse, grid, order=1, mode="nearest"))


def _measure(
    above: F8, own: NDArray[np.bool_], corner: tuple[int, int], noise: float, saturation: float
) -> tuple[float, float, float, float, float]:
    """Place, flux, width and elongation of one detection."""
    light = np.where(own, np.maximum(above, 0.0), 0.0)
    y, x = np.meshgrid(np.arange(above.shape[0]), np.arange(above.shape[1]), indexing="ij")
    total = float(light.sum())
    if total <= 0:
        return corner[1] + float(x[own].mean()), corner[0] + float(y[own].mean()), 0.0, np.nan, np.nan
    centre_x, centre_y = float((light * x).sum() / total), float((light * y).sum() / total)
    dx, dy = np.asarray(x - centre_x), np.asarray(y - centre_y)
    moments = [float((light * product).sum() / total) for product in (dx * dx, dx * dy, dy * dy)]
    # One twelfth: the second moment of a pixel, so that a line of pixels is long but not infinitely so.
    short, long = np.linalg.eigvalsh([[moments[0] + 1 / 12, moments[1]], [moments[1], moments[2] + 1 / 12]])
    width = _width(light, dx, dy, noise, saturation)
    return corner[1] + centre_x, corner[0] + centre_y, total, width, float(np.sqrt(long / short))


def _width(light: F8, dx: F8, dy: F8, noise: float, saturation: float) -> float:
    """Full width from the upper part of the profile: the logarithm of a Gaussian is a paraboloid."""
    peak = float(light.max())
    upper = light > 0.3 * peak
    if peak < 20.0 * noise or peak >= saturation or np.count_nonzero(upper) < 7:
        return np.nan
    x, y, value = dx[upper], dy[upper], light[upper]
    design = np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    found = np.linalg.lstsq(design * value[:, None], np.log(value) * value, rcond=None)[0]
    low, high = np.linalg.eigvalsh(-np.array([[2 * found[3], found[4]], [found[4], 2 * found[5]]]))
    # 2.3548: full width at half maximum over the width of a Gaussian
    return float(2.3548 * (low * high) ** -0.25) if low > 0 else np.nan
