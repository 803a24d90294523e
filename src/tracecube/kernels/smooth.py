"""A smooth surface through weighted pixels: what lamps and thermal light draw on a detector.

Local straight planes under a Gaussian weight (Cleveland 1979, J. Am. Stat. Assoc. 74, 829; Fan & Gijbels
1996): unlike a plain smoothing they follow gradients up to the border and across holes of zero weight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["smooth_surface"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

_STEPS = 4.0  # blocks a smoothing length: the surface is then sampled far finer than it bends


def smooth_surface(image: NDArray[np.floating], weight: NDArray[np.floating], scale: float) -> F4:
    """Return a surface of local planes through the pixels of an image.

    Parameters
    ----------
    image : array (y, x)
        Values of zero weight do not matter; they may be NaN.
    weight : array (y, x)
        0 for pixels that are not to count (bad, vignetted, unlit).
    scale : float, px
        Standard deviation of the Gaussian weight.

    Returns
    -------
    array (y, x)
        NaN further than four scales from every pixel that counts.
    """
    block = max(1, int(scale / _STEPS))
    counted = weight > 0
    w = _sums(np.where(counted, weight, 0.0), block)
    z = _sums(np.where(counted, weight * np.where(counted, image, 0.0), 0.0), block)
    surface = _planes(w, z, scale / block)
    return _spread(surface, block, (image.shape[0], image.shape[1]))


def _sums(image: NDArray[np.floating], block: int) -> F8:
    """Sums over blocks of pixels, the last ones filled up with nothing."""
    rows, columns = (-(-size // block) for size in image.shape)
    padded = np.zeros((rows * block, columns * block), np.float64)
    padded[: image.shape[0], : image.shape[1]] = image
    return np.asarray(padded.reshape(rows, block, columns, block).sum(axis=(1, 3)))


def _planes(w: F8, z: F8, scale: float) -> F8:
    """Solve for the local plane at each block: value, slopes; return its value there."""

    def blur(values: F8) -> F8:
        return np.asarray(ndimage.gaussian_filter(values, scale, mode="constant", truncate=4.0))

    y, x = np.mgrid[: w.shape[0], : w.shape[1]].astype(float)
    y, x = y - y.mean(), x - x.mean()
    s, sx, sy = blur(w), blur(w * x), blur(w * y)
    sxx, syy, sxy = blur(w * x * x), blur(w * y * y), blur(w * x * y)
    sz, sxz, syz = blur(z), blur(z * x), blur(z * y)
    with np.errstate(invalid="ignore", divide="ignore"):
        mx, my, mz = sx / s, sy / s, sz / s
        # a ridge of a thousandth of the weight's own extent keeps planes through a single block level
        ridge = 1e-3 * scale**2
        cxx, cyy, cxy = sxx / s - mx * mx + ridge, syy / s - my * my + ridge, sxy / s - mx * my
        cxz, cyz = sxz / s - mx * mz, syz / s - my * mz
        determinant = cxx * cyy - cxy**2
        ax, ay = (cxz * cyy - cyz * cxy) / determinant, (cyz * cxx - cxz * cxy) / determinant
        value = mz + ax * (x - mx) + ay * (y - my)
    return np.where(s > 1e-9 * max(float(w.max()), 1e-300), value, np.nan)


def _spread(surface: F8, block: int, shape: tuple[int, int]) -> F4:
    """Bring block values back to pixels by straight lines between block centres, on beyond the outer ones."""
    if block == 1:
        return np.asarray(surface, np.float32)
    for axis, size in enumerate(shape):
        at = (np.arange(size) - 0.5 * (block - 1)) / block
        low = np.clip(np.floor(at).astype(int), 0, max(surface.shape[axis] - 2, 0))
        high = np.minimum(low + 1, surface.shape[axis] - 1)
        part = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
        surface = (1.0 - part) * surface.take(low, axis=axis) + part * surface.take(high, axis=axis)
    return np.asarray(surface, np.float32)
