"""How evenly light falls along slices that should be lit alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.fields import FloatArray, IntArray, Meta, TextArray, card, column, image, meta

__all__ = ["SkyContinuum", "SkySpectrum", "SliceFactors", "SliceIllumination", "SliceSky"]


@dataclass(frozen=True)
class SliceIllumination:
    """Light of the sky over that of the lamp along every slice of a detector, from the twilight.

    Parameters
    ----------
    ratio : array (n, k)
        At ``across`` from the centre of the slice; the same scale for all detectors.
    error : array (n, k)
    across : array (1, k), px
    aperture : int array (n,)
    level : array (n,)
        Mean along the slice, a smooth function of place in the field.
    measured : array (n,)
        The mean as it was measured: brightness of single slices changes with temperature.
    dq : int32 array (n,)
    """

    ratio: FloatArray = image("RATIO")
    error: FloatArray = image("RATIO_ERROR")
    across: FloatArray = column("AXIS", "across", unit="pix")
    aperture: IntArray = column("SLICES", "aperture")
    level: FloatArray = column("SLICES", "level")
    measured: FloatArray = column("SLICES", "measured")
    dq: IntArray = column("SLICES", "dq")
    meta: Meta = meta()


@dataclass(frozen=True)
class SliceSky:
    """The sky of an exposure as one spectrum, and how each slice sees it.

    Parameters
    ----------
    coefficient : array (k,)
        Of the quintic B-splines of `tracecube.kernels.sky_spline`; light relative to the lamp, as slices of mean
        brightness see it.
    detector : str array (n,)
    aperture : int array (n,)
    gain, gain_error : array (n,)
        Brightness of the slice over the mean of all.
    shift, shift_error : array (n,), Angstrom
        What is added to the wavelengths of the day at 7000 Angstrom. Wavelengths are those of the Gaussian of least
        squares through a line, which lies by skew / (4 width**2) below a line's first moment.
    stretch : array (n,), Angstrom
        What is added besides, times (wavelength - 7000) / 2300.
    excess : array (n, 2), Angstrom**2
        Variance of lines above the mean, and its change with (wavelength - 7000) / 2300.
    skew : array (n, 2), Angstrom**3
        Third cumulant of lines above the mean, and its change.
    flat : array (n,), Angstrom**4
        Fourth cumulant of lines above the mean.
    dq : int32 array (n,)
    line_wave, line_offset, line_error : array (m,), Angstrom
        Lines of the list that the zero of the wavelengths rests on, and where the spectrum has them.
    own_shift, own_stretch : float, Angstrom
        Of the spectrum itself: shift and stretch of a slice less these, and less those from the skewness, lead to
        the spline's own scale.
    width : float, Angstrom
        Sigma of a typical line.
    first, step : float, Angstrom
    """

    coefficient: FloatArray = column("KNOTS", "coefficient")
    detector: TextArray = column("SLICES", "detector")
    aperture: IntArray = column("SLICES", "aperture")
    gain: FloatArray = column("SLICES", "gain")
    gain_error: FloatArray = column("SLICES", "gain_error")
    shift: FloatArray = column("SLICES", "shift", unit="Angstrom")
    shift_error: FloatArray = column("SLICES", "shift_error", unit="Angstrom")
    stretch: FloatArray = column("SLICES", "stretch", unit="Angstrom")
    excess: FloatArray = column("SLICES", "excess", unit="Angstrom**2")
    skew: FloatArray = column("SLICES", "skew", unit="Angstrom**3")
    flat: FloatArray = column("SLICES", "flat", unit="Angstrom**4")
    dq: IntArray = column("SLICES", "dq")
    line_wave: FloatArray = column("LINES", "wave", unit="Angstrom")
    line_offset: FloatArray = column("LINES", "offset", unit="Angstrom")
    line_error: FloatArray = column("LINES", "error", unit="Angstrom")
    own_shift: float = card("SKYSHIFT", unit="Angstrom", text="shift of the spectrum's own scale")
    own_stretch: float = card("SKYSTRET", unit="Angstrom", text="stretch of the spectrum's own scale")
    width: float = card("SKYWIDTH", unit="Angstrom", text="sigma of a typical line")
    first: float = card("SKYFIRST", unit="Angstrom", text="first knot of the sky")
    step: float = card("SKYSTEP", unit="Angstrom", text="distance of its knots")
    meta: Meta = meta()

    def of(self, detector: str) -> SliceSky:
        """Return the slices of one detector alone."""
        own = np.asarray(self.detector) == detector
        names = (
            "detector",
            "aperture",
            "gain",
            "gain_error",
            "shift",
            "shift_error",
            "stretch",
            "excess",
            "skew",
            "flat",
            "dq",
        )
        return replace(self, **{name: np.asarray(getattr(self, name))[own] for name in names})


@dataclass(frozen=True)
class SkySpectrum:
    """Spectrum of the sky, as the mean slice sees it.

    Parameters
    ----------
    wave : array (k,), Angstrom, air
        Even; of the Gaussian of least squares through lines.
    light : array (k,)
        Light relative to the lamp.
    """

    wave: FloatArray = column("SPECTRUM", "lambda", unit="Angstrom")
    light: FloatArray = column("SPECTRUM", "data")
    meta: Meta = meta()


@dataclass(frozen=True)
class SkyContinuum:
    """Continuum of the sky: the lower envelope of its spectrum.

    Parameters
    ----------
    wave : array (k,), Angstrom, air
    light : array (k,)
        Light relative to the lamp.
    """

    wave: FloatArray = column("CONTINUUM", "lambda", unit="Angstrom")
    light: FloatArray = column("CONTINUUM", "flux")
    meta: Meta = meta()


@dataclass(frozen=True)
class SliceFactors:
    """What the light of each slice is multiplied with, by ranges of wavelength; the observatory's AUTOCAL_FACTORS.

    Parameters
    ----------
    ifu, slice_, quad : int array (n,)
        Channel (1 to 24), number of the slice on its CCD, and of the range of wavelengths, from 1.
    points : int array (n,)
        Samples that it rests on.
    factor, error : array (n,)
    low, high : array (n,), Angstrom
        Of the range.
    trust : array (n,)
        How far the factor is measured: 0 where it is 1 for want of sky, near 1 where the sky decides alone.
    """

    ifu: IntArray = column("AUTOCAL_FACTORS", "ifu")
    slice_: IntArray = column("AUTOCAL_FACTORS", "sli")
    quad: IntArray = column("AUTOCAL_FACTORS", "quad")
    points: IntArray = column("AUTOCAL_FACTORS", "npts")
    factor: FloatArray = column("AUTOCAL_FACTORS", "corr")
    error: FloatArray = column("AUTOCAL_FACTORS", "corr_err")
    low: FloatArray = column("AUTOCAL_FACTORS", "lmin", unit="Angstrom")
    high: FloatArray = column("AUTOCAL_FACTORS", "lmax", unit="Angstrom")
    trust: FloatArray = column("AUTOCAL_FACTORS", "trust")
    meta: Meta = meta()

    def lists(self, ifu: int, aperture: int) -> bool:
        """Whether a slice has a factor."""
        return bool(((self.ifu == ifu) & (self.slice_ == aperture) & np.isfinite(self.factor)).any())

    def at(self, ifu: int, aperture: int, wave: FloatArray) -> FloatArray:
        """Return the factor of a slice at wavelengths (Angstrom): straight lines between the middles of ranges.

        A slice that is not listed has 1.
        """
        own = np.flatnonzero((self.ifu == ifu) & (self.slice_ == aperture) & np.isfinite(self.factor))
        if not own.size:
            return np.ones_like(wave)
        middle = 0.5 * (np.asarray(self.low, np.float64) + np.asarray(self.high, np.float64))[own]
        order = np.argsort(middle)
        return np.interp(wave, middle[order], np.asarray(self.factor, np.float64)[own][order])
