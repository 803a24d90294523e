"""Pixels hit by a cosmic ray in an image that is full of sharp, but not single-pixel, structure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["single_pixel_hits"]

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]

_AROUND = [(j, i) for j in (-1, 0, 1) for i in (-1, 0, 1) if (j, i) != (0, 0)]


def single_pixel_hits(image: Image, variance: Image, good: Mask, *, clip: float, contrast: float) -> Mask:
    """Find pixels that outshine every second neighbour more than any optical image could.

    The light of an optic spreads: a Gaussian of FWHM w px centred on a pixel leaves exp(-4 ln 2 / w^2) of
    its peak to each of four neighbours, 0.56 at 2.2 px. A pixel more than ``contrast`` times its second
    brightest neighbour, beyond ``clip`` noises, is no light; hits of a pixel or two are found, larger ones left.

    Parameters
    ----------
    image, variance : array (y, x)
    good : bool array (y, x)
        Others are neither tested nor compared with.
    clip : float
    contrast : float

    Returns
    -------
    bool array (y, x)
    """
    noise = np.sqrt(variance)
    core = np.zeros(image.shape, bool)
    core[1:-1, 1:-1] = good[1:-1, 1:-1] & (image[1:-1, 1:-1] > clip * noise[1:-1, 1:-1])
    # the second brightest of eight is no less than the fourth brightest of four: a quick test that few pass
    y, x = np.nonzero(core)
    cross = np.stack([image[y + j, x + i] for j, i in ((-1, 0), (1, 0), (0, -1), (0, 1))])
    few = image[y, x] > contrast * cross.min(axis=0)
    y, x = y[few], x[few]
    around = np.stack([np.where(good[y + j, x + i], image[y + j, x + i], -np.inf) for j, i in _AROUND])
    second = np.sort(around, axis=0)[-2]
    known = np.isfinite(second)
    limit = contrast * np.maximum(second, 0.0) + clip * noise[y, x]
    hit = np.zeros(image.shape, bool)
    hit[y, x] = known & (image[y, x] > limit)
    return hit
