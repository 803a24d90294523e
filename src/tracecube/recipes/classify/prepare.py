"""A spectrum made ready: bad samples out, errors believed only as far as the spectrum's own scatter allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.spectra import Spectrum
from tracecube.kernels.log_spectrum import STEP, Flattened, flatten, to_grid
from tracecube.recipes.classify.library import FWHM

__all__ = ["Prepared", "prepare"]

_FEWEST = 40  # good samples
_SHORTEST = 0.3  # of log wavelength: templates need as much overlap
_COLLAPSED = 0.1  # of the median error around: smaller ones are a fit's that ran into a bound
_AROUND = 15  # samples
_MIDDLE = (4000.0, 8000.0)  # Angstrom: where signal to noise is told
_DIFFERENCE = np.array([-1.0, 4.0, -6.0, 4.0, -1.0]) / np.sqrt(70.0)  # fourth differences see noise, not features


@dataclass(frozen=True)
class Prepared:
    """A spectrum over its continuum.

    Parameters
    ----------
    flat : Flattened
    snr : float
        Median over the samples between 4000 and 8000 Angstrom, or over all where there are none.
    noise_ratio : float
        Scatter of neighbouring samples over what the errors say; errors are scaled with it where it is above 1.
    collapsed : int
        Samples whose error was far below those around and was raised.
    """

    flat: Flattened
    snr: float
    noise_ratio: float
    collapsed: int


def in_air(wave: FloatArray) -> FloatArray:
    """Return wavelengths in air of wavelengths in vacuum, Angstrom (Morton 2000, ApJS 130, 403, eq. 8).

    Examples
    --------
    >>> round(float(in_air(np.array([5008.24]))[0]), 2)
    5006.84
    """
    s = (1e4 / wave) ** 2
    return wave / (1.0 + 8.34254e-5 + 2.406147e-2 / (130.0 - s) + 1.5998e-4 / (38.9 - s))


def prepare(spectrum: Spectrum, low: float, high: float, resolution: float, library_resolution: float) -> Prepared:
    """Make a spectrum ready.

    Parameters
    ----------
    spectrum : Spectrum
    low, high : float, Angstrom
    resolution, library_resolution : float
        Of the spectrum and the templates; a sharper spectrum is smoothed.

    Raises
    ------
    BadData
        Too few good samples, or too short a range of them.
    """
    wave = in_air(spectrum.wave) if spectrum.medium == "WAVE" else spectrum.wave
    good = (spectrum.flags & NOT_USABLE == 0) & np.isfinite(spectrum.flux) & np.isfinite(spectrum.variance)
    good &= (spectrum.variance > 0.0) & (wave >= low * (1.0 - STEP)) & (wave <= high * (1.0 + STEP))
    wave, flux, variance = wave[good], spectrum.flux[good], spectrum.variance[good]
    if wave.size < _FEWEST or np.log(wave[-1] / wave[0]) < _SHORTEST:
        raise BadData(
            f"spectrum: {wave.size} good samples between {low:.0f} and {high:.0f} Angstrom are too few to classify",
            hint="give a wider range, or a spectrum with fewer flags",
        )
    scale = float(np.median(np.abs(flux)))
    if scale == 0.0:
        raise BadData("spectrum: half of its samples or more are 0", hint="leave out samples that were not measured")
    flux, variance = flux / scale, variance / scale**2
    floor = (_COLLAPSED**2) * median_filter(variance, _AROUND, mode="nearest")
    collapsed = variance < floor
    variance = np.maximum(variance, floor)
    ratio = _noise_ratio(flux, variance)
    variance = variance * max(ratio, 1.0) ** 2
    wider = max(0.0, library_resolution**-2.0 - resolution**-2.0) ** 0.5 / FWHM
    middle = (wave > _MIDDLE[0]) & (wave < _MIDDLE[1])
    snr = (flux / np.sqrt(variance))[middle if middle.any() else slice(None)]
    flat = flatten(*to_grid(wave, flux, variance, smooth=wider), low, high)
    return Prepared(flat, float(np.median(snr)), ratio, int(collapsed.sum()))


def _noise_ratio(flux: FloatArray, variance: FloatArray) -> float:
    """Return the scatter of fourth differences over what the errors say."""
    seen = np.convolve(flux, _DIFFERENCE, "valid")
    said = np.sqrt(np.convolve(variance, _DIFFERENCE**2, "valid"))
    return float(1.4826 * np.median(np.abs(seen / said)))
