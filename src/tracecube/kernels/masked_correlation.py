"""Correlation of two images of which parts are unknown (Padfield 2012, IEEE Trans. Image Process. 21, 2706, eq. 14)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

__all__ = ["correlation"]

F8 = NDArray[np.float64]


def correlation(one: F8, other: F8, *, reach: int, overlap: float = 0.03) -> tuple[F8, F8]:
    """Return the correlation of two images at whole-pixel displacements, and how many pixels overlap.

    Parameters
    ----------
    one, other : array (y, x)
        Of one shape, about mean 0; 0 where nothing is known.
    reach : int, px
    overlap : float
        Least overlap, of the known pixels of the smaller image; 0 below.

    Returns
    -------
    coefficient, pixels : array (2 reach + 1, 2 reach + 1)
        By displacement of ``other`` against ``one``, y then x, from -reach.
    """
    size = [next_fast_len(n + reach + 1) for n in one.shape]

    def transform(image: F8) -> NDArray[np.complex128]:
        return np.asarray(rfft2(image, size))

    def back(product: NDArray[np.complex128]) -> F8:
        full = irfft2(product, size)
        rows, columns = np.arange(-reach, reach + 1) % size[0], np.arange(-reach, reach + 1) % size[1]
        return np.asarray(full[np.ix_(rows, columns)])

    known = [(image != 0).astype(np.float64) for image in (one, other)]
    m1, m2 = np.conj(transform(known[0])), transform(known[1])
    cross = back(np.conj(transform(one)) * transform(other))
    power = back(np.conj(transform(one**2)) * m2) * back(m1 * transform(other**2))
    pixels = np.maximum(back(m1 * m2), 0.0)
    least = overlap * min(part.sum() for part in known)
    with np.errstate(invalid="ignore", divide="ignore"):
        coefficient = np.where((pixels > least) & (power > 0), cross / np.sqrt(np.maximum(power, 1e-300)), 0.0)
    return np.clip(coefficient, -1.0, 1.0), pixels
