"""Interference on a detector: sine waves of the electronics that run through an image, found in its spectrum.

Light of a spectrograph is smooth along dispersion (the line-spread function is wider than a pixel), so it has no
power near the highest frequencies there; a sine wave in that part of the spectrum stands alone above white noise
and is taken off without touching what light can do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

__all__ = ["interference"]

F4 = NDArray[np.float32]
LIGHTLESS = 0.35
"""Cycles a pixel along dispersion above which an image holds no light: a line of 1.2 px width has 3 % left there."""

_CHANCE = 20.0  # power over the mean: of a million frequencies white noise brings one in 500 images there
_BESIDE = 2  # frequencies on either side of a wave that belong to it: its phase drifts over the image


def interference(image: F4, cap: float) -> F4:
    """Return the sine waves (y, x) that run through an image whose light lies along x.

    Parameters
    ----------
    image : array (y, x)
        Less its large-scale structure.
    cap : float
        Values beyond are cut to it: hits have power at every frequency.
    """
    spectrum = rfft2(np.clip(image, -cap, cap).astype(np.float32), workers=1)
    ny, nx = spectrum.shape
    power = np.abs(spectrum) ** 2
    first = int(np.ceil(LIGHTLESS * image.shape[1]))
    part = power[:, first:]
    white = float(np.median(part)) / np.log(2.0)
    wave = np.zeros((ny, nx), bool)
    for y, x in np.argwhere(part > _CHANCE * white):
        rows = np.arange(y - _BESIDE, y + _BESIDE + 1) % ny
        wave[rows, max(first + x - _BESIDE, 0) : first + x + _BESIDE + 1] = True
    wave[:, :first] = False
    if not wave.any():
        return np.zeros_like(image, np.float32)
    return np.asarray(irfft2(np.where(wave, spectrum, 0.0), s=image.shape, workers=1), np.float32)
