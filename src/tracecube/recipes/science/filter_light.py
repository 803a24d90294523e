"""What a filter lets through of a star, as channels see it.

Light goes through the filter and is blurred by the line-spread function K afterwards. Channels see K [t s], t the
filter and s the star, and what is wanted is their ratio to K [s], not K [t]: where star and filter are both steep, at
the ends of the band and of the air's bands, the two differ by several per cent. s is what the frame itself asks for:
the light that, filtered and blurred, gives what is seen (multiplicative iterations as Gold's, 1964; few, so that noise
does not grow).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["passed_light"]

F8 = NDArray[np.float64]

_PARTS = 5  # of a channel, within which star and filter are followed
_BEYOND = 4.0  # widths of a line beyond the ends from where light comes in
_ROUNDS = 4
_MOST = 2.0  # by which a round changes the light at most


def passed_light(wave: F8, spread: F8, curve: tuple[F8, F8], seen: F8) -> F8:
    """Transmission (n_wave,) of a filter for the light that channels see through it.

    Parameters
    ----------
    wave, spread : array (n_wave,), Angstrom
        Channels, evenly spaced, and the width of the line-spread function.
    curve : (array (m,), array (m,))
        Wavelength (Angstrom) and transmission of the filter.
    seen : array (n_wave,)
        Light of the star through the filter; channels without any take their neighbours'.

    Raises
    ------
    ValueError
        No channel has light.
    """
    fine, blur = _blur(wave, spread)
    filtered = np.interp(fine, *curve)
    lit = np.isfinite(seen) & (seen > 0.0)
    light = np.interp(wave, wave[lit], seen[lit])
    star = np.exp(_extended(fine, wave, np.log(light / np.interp(wave, *curve))))
    for _ in range(_ROUNDS):
        change = np.clip(light / (blur @ (filtered * star)), 1.0 / _MOST, _MOST)
        star *= np.interp(fine, wave, change)
    return np.asarray((blur @ (filtered * star)) / (blur @ star))


def _blur(wave: F8, spread: F8) -> tuple[F8, F8]:
    """Wavelengths (k,) of light, and matrix (n_wave, k) from there to channels: their mean over the channel's width."""
    step = float(wave[1] - wave[0])
    part = step / _PARTS
    more = int(np.ceil(_BEYOND * float(spread.max()) / part))
    fine = wave[0] - 0.5 * step + (np.arange(-more, wave.size * _PARTS + more) + 0.5) * part
    width = np.maximum(np.interp(fine, wave, spread), 0.3 * part)
    place = np.cumsum(part / width)  # in widths of the line: it is symmetric on the detector, not in wavelength
    inside = slice(more, fine.size - more)
    line = np.exp(-0.5 * (place[inside, None] - place) ** 2) / width[inside, None]
    return fine, line.reshape(wave.size, _PARTS, fine.size).mean(axis=1)


def _extended(fine: F8, wave: F8, values: F8) -> F8:
    """Values at fine wavelengths, beyond the ends with the slope there."""
    inside = np.interp(fine, wave, values)
    ends = (values[1] - values[0]) / (wave[1] - wave[0]), (values[-1] - values[-2]) / (wave[-1] - wave[-2])
    return np.asarray(inside + ends[0] * np.minimum(fine - wave[0], 0.0) + ends[1] * np.maximum(fine - wave[-1], 0.0))
