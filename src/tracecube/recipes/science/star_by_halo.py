"""The spectrum of a star beside its mask, its fine structure told by the star's own halo behind the mask.

The star beside the mask is seen once, for a second or two, through a filter that changes severalfold over the band: its
channels have per cents of noise, and light in the wings of lines fills its dark bands. The halo around the mask is
the same star's light, in all DITs and thousands of lenslets, and is extracted as companions are. Over it the star is
smooth in wavelength, for so are the Strehl ratio and the halo's shape: a polynomial of low degree, fitted to the
star. Halo times polynomial and the star's own channels are two measurements of one thing, and their weighted mean is
taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre
from tracecube.recipes.science.star_centre import good_samples

__all__ = ["StarByHalo", "halo_spectrum", "star_by_halo"]

F8 = NDArray[np.float64]

_DEGREE = 4  # in the logarithm of wavelength: Strehl ratio, corrected region and field's edge are smooth functions
_UNLIKE = 0.01  # of a channel: what star and halo do not share, background that is left for one
_LIT = 0.05  # of the largest flux, from which channels tell
_LEAST = 8  # channels more than there are coefficients
_HUBER, _ROUNDS = 1.5, 20
_FEW = 300  # lenslets that are too few for a halo
_MEDIAN = float(np.sqrt(0.5 * np.pi))  # error of a median over that of a mean
_SIGMA = 1.4826  # of a Gaussian, over the median of its absolute deviations


@dataclass(frozen=True)
class StarByHalo:
    """What the halo makes of a star's flux.

    Parameters
    ----------
    factor : array (n_wave,)
        Flux by both over the star's own.
    error : array (n_wave,)
        Relative, of each channel by itself.
    tilt : array (m, n_wave)
        Relative errors that all channels share, by the polynomial's.
    chi2 : float
        Reduced, of the star's own channels about halo times polynomial.
    """

    factor: F8
    error: F8
    tilt: F8
    chi2: float


def halo_spectrum(
    spectra: Sequence[Spectra], centres: Sequence[StarCentre], *, inner: float, outer: float
) -> tuple[F8, F8] | None:
    """Light of the star's halo behind its mask and its error, arrays (n_wave,), electron / Angstrom; None of too few.

    Median over the lenslets of each exposure, then the mean: a companion or spots do not count.

    Parameters
    ----------
    spectra : sequence of Spectra
        Of the same channels, background subtracted.
    centres : sequence of StarCentre
    inner, outer : float, arcsec
    """
    light, noise = [], []
    for one, star in zip(spectra, centres, strict=True):
        radius = np.hypot(one.x - star.centre_x, one.y - star.centre_y)
        rows = np.flatnonzero((radius > inner) & (radius < outer) & (one.dq == 0))
        whole = rows[good_samples(one)[rows].all(axis=1)]  # lenslets that come and go would bring their colour
        if whole.size < _FEW:
            return None
        seen = np.asarray(one.flux[whole], float)
        middle = np.median(seen, axis=0)
        spread = _SIGMA * np.median(np.abs(seen - middle), axis=0)
        light.append(middle)
        noise.append(np.minimum(spread, np.sqrt(np.median(one.variance[whole], axis=0))) / np.sqrt(whole.size))
    return np.mean(light, axis=0), _MEDIAN * np.sqrt(np.sum(np.square(noise), axis=0)) / len(noise)


def star_by_halo(wave: F8, star: F8, noise: F8, halo: F8, halo_noise: F8) -> StarByHalo | None:
    """Bring a star and its halo together; None where too few channels tell.

    Parameters
    ----------
    wave, star, halo : array (n_wave,)
        Angstrom; flux of the star beside its mask and of its halo behind it, in any unit each.
    noise, halo_noise : array (n_wave,)
        Relative errors.
    """
    used = np.isfinite(star) & np.isfinite(noise) & np.isfinite(halo_noise) & (halo > 0.0)
    used &= star > _LIT * float(np.max(star, where=np.isfinite(star), initial=0.0))
    if np.count_nonzero(used) < _DEGREE + 1 + _LEAST:
        return None
    bend = np.log(wave / wave[wave.size // 2])
    columns = np.stack([bend**power for power in range(_DEGREE + 1)])[:, used]
    ratio = np.log(star[used] / halo[used])
    by_halo = halo_noise[used] ** 2 + _UNLIKE**2
    weight = 1.0 / (noise[used] ** 2 + by_halo)
    share, scale = np.ones(ratio.size), 1.0
    for _ in range(_ROUNDS):
        inverse = np.linalg.inv((columns * weight * share) @ columns.T)
        off = ratio - (inverse @ (columns @ (weight * share * ratio))) @ columns
        far = np.abs(off) * np.sqrt(weight)
        scale = max(_SIGMA * float(np.median(far)), 1.0)
        share = np.minimum(1.0, _HUBER * scale / np.maximum(far, 1e-12))
    trust = by_halo / (noise[used] ** 2 + by_halo)  # of the star's own channel
    root = np.linalg.cholesky(inverse * scale**2)
    factor, error = np.ones(wave.size), np.array(noise, float)
    factor[used] = np.exp(-(1.0 - trust) * off)
    error[used] = np.sqrt(noise[used] ** 2 * trust)
    tilt = np.zeros((_DEGREE + 1, wave.size))
    tilt[:, used] = (1.0 - trust) * (root.T @ columns)
    return StarByHalo(factor, error, tilt, float(np.sum(weight * off**2)) / (ratio.size - _DEGREE - 1))
