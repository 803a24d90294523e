"""What extraction and cube building make: spectra of apertures, cubes, images, source spectra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tracecube.core.fields import FloatArray, IntArray, Meta, TextArray, card, column, image, meta

__all__ = ["Cube", "CubeOnDisk", "Image", "Response", "Spectra", "Spectrum"]


@dataclass(frozen=True)
class Spectra:
    """Spectra of all apertures of an exposure on one wavelength grid ("row-stacked spectra").

    Parameters
    ----------
    flux : array (n, n_wave), electron / Angstrom
        Detected electrons per Angstrom, divided by the relative throughput of the aperture.
    variance : array (n, n_wave)
    flags : int32 array (n, n_wave)
    covariance : array (n, n_wave)
        Covariance of each sample with the next one along the spectrum; 0 in the last column.
    wave : array (n_wave,) or (n, n_wave), Angstrom
    lsf_sigma : array (n_wave,), Angstrom
        Width of the line-spread function.
    aperture : int array (n,)
    x, y : array (n,), arcsec
        Place on the sky plane from the field centre, x to the east, y to the north.
    dq : int32 array (n,)
    beside : int32 array (n, n_wave) or None
        Row, in these arrays, of the spectrum that lies next across on the detector, on the side of rising
        coordinate; -1 where none does. None where spectra were not solved for together.
    beside_sample : int16 array (n, n_wave) or None
        Its sample that lies beside this one; -1 where none does.
    beside_correlation : array (n, n_wave, w) or None
        Correlation coefficient with its samples ``beside_sample - w // 2`` to ``beside_sample + w // 2``. Each pair
        is told once. What spectra farther apart share, of the order of its square, is left out.
    """

    flux: FloatArray = image("FLUX", unit="electron/Angstrom")
    variance: FloatArray = image("STAT")
    flags: IntArray = image("DQ")
    covariance: FloatArray = image("COVAR", text="covariance with the next sample")
    wave: FloatArray = image("WAVE", unit="Angstrom")
    lsf_sigma: FloatArray = image("LSF", unit="Angstrom")
    aperture: IntArray = column("APERTURES", "aperture")
    x: FloatArray = column("APERTURES", "x", unit="arcsec")
    y: FloatArray = column("APERTURES", "y", unit="arcsec")
    dq: IntArray = column("APERTURES", "dq")
    beside: IntArray | None = image("BESIDE", text="row of the spectrum next across", default=None)
    beside_sample: IntArray | None = image("BESIDE_SAMPLE", text="sample of it beside this one", default=None)
    beside_correlation: FloatArray | None = image("BLEND", text="correlation with samples beside", default=None)
    medium: str = card("WAVETYPE", text="AWAV air, WAVE vacuum", default="WAVE")
    meta: Meta = meta()


@dataclass(frozen=True)
class Cube:
    """A regular grid: two sky axes and wavelength.

    Parameters
    ----------
    data, variance : array (n_wave, n_y, n_x)
        NaN only where nothing was measured; the variance is then NaN too.
    flags : int32 array (n_wave, n_y, n_x)
    covariance_offset : int array (k, 3)
        Offsets (wave, y, x) between samples.
    covariance_value : array (k,)
        Mean correlation coefficient of samples that far apart.
    meta : mapping
        Holds the celestial and spectral axes (CTYPEi, CRVALi, CRPIXi, CDi_j, CUNITi, BUNIT).
    """

    data: FloatArray = image("DATA", axes=True)
    variance: FloatArray = image("STAT", axes=True)
    flags: IntArray = image("DQ", axes=True)
    covariance_offset: IntArray = column("COVAR", "offset")
    covariance_value: FloatArray = column("COVAR", "correlation")
    meta: Meta = meta()


@dataclass(frozen=True)
class CubeOnDisk:
    """A cube whose planes are read when they are wanted: many cubes together need no more memory than one.

    Parameters
    ----------
    shape : (int, int, int)
        n_wave, n_y, n_x.
    planes : callable
        ``planes(start, stop)`` -> data, variance, flags of these planes, each (stop - start, n_y, n_x).
    meta, covariance_offset, covariance_value
        As of a `Cube`.
    """

    shape: tuple[int, int, int]
    planes: Callable[[int, int], tuple[FloatArray, FloatArray, IntArray]]
    meta: Meta
    covariance_offset: IntArray = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    covariance_value: FloatArray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class Image:
    """A picture of the sky with variance and flags, arrays (y, x)."""

    data: FloatArray = image("DATA", axes=True)
    variance: FloatArray = image("STAT", axes=True)
    flags: IntArray = image("DQ", axes=True)
    meta: Meta = meta()


@dataclass(frozen=True)
class Spectrum:
    """Spectrum of one source.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom
    flux : array (n_wave,), erg / (s cm2 Angstrom) once calibrated
    variance : array (n_wave,)
    flags : int32 array (n_wave,)
    sky : array (n_wave,)
        Sky under the source, per spaxel, in the units of ``flux_uncal``.
    flux_uncal, variance_uncal : array (n_wave,), electron / (s Angstrom)
        The spectrum before flux calibration.
    covariance_uncal : array (n_wave,)
        Covariance of each sample of ``flux_uncal`` with the next one; 0 in the last.
    lsf_sigma : array (n_wave,), Angstrom
        Width of the line-spread function.
    reference : array (n_wave,), erg / (s cm2 Angstrom), or None
        Of a standard star the flux that it is known to have, at this resolution; NaN beyond its table.
    """

    wave: FloatArray = column("SPECTRUM", "WAVE", unit="Angstrom")
    flux: FloatArray = column("SPECTRUM", "FLUX", unit="erg/s/cm2/Angstrom")
    variance: FloatArray = column("SPECTRUM", "STAT")
    flags: IntArray = column("SPECTRUM", "DQ")
    sky: FloatArray = column("SPECTRUM", "SKY")
    flux_uncal: FloatArray = column("SPECTRUM", "FLUX_UNCAL", unit="electron/s/Angstrom")
    variance_uncal: FloatArray = column("SPECTRUM", "STAT_UNCAL")
    covariance_uncal: FloatArray = column("SPECTRUM", "COVAR_UNCAL")
    lsf_sigma: FloatArray = column("SPECTRUM", "LSF", unit="Angstrom")
    reference: FloatArray | None = column("SPECTRUM", "REFERENCE", unit="erg/s/cm2/Angstrom", default=None)
    medium: str = card("WAVETYPE", text="AWAV air, WAVE vacuum", default="WAVE")
    meta: Meta = meta()


@dataclass(frozen=True)
class Response:
    """Electrons per erg: what telescope, instrument and detector make of light above the atmosphere.

    One row a standard star, so that any star can be calibrated by the others alone.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom
    response, variance : array (n_wave,)
        (electron / (s Angstrom)) / (erg / (s cm2 Angstrom)), of all good standards together.
    flags : int32 array (n_wave,)
    star : str array (n_star,)
        Raw file name of each standard.
    star_response, star_variance : array (n_star, n_wave)
        The smooth response each star gives by itself.
    star_dq : int32 array (n_star, n_wave)
    grey : array (n_star,)
        Factor by which the star was brighter than the common response says.
    airmass : array (n_star,)
    telluric, telluric_error : array (n_star, n_absorber)
        Depth of each absorber (oxygen, water) seen by the star, over that of the template.
    used : int array (n_star,)
        1 where the star is part of the common response.
    """

    wave: FloatArray = column("RESPONSE", "WAVE", unit="Angstrom")
    response: FloatArray = column("RESPONSE", "RESPONSE")
    variance: FloatArray = column("RESPONSE", "STAT")
    flags: IntArray = column("RESPONSE", "DQ")
    star: TextArray = column("STARS", "raw")
    star_response: FloatArray = column("STARS", "RESPONSE")
    star_variance: FloatArray = column("STARS", "STAT")
    star_dq: IntArray = column("STARS", "DQ")
    grey: FloatArray = column("STARS", "GREY")
    airmass: FloatArray = column("STARS", "AIRMASS")
    telluric: FloatArray = column("STARS", "TELLURIC")
    telluric_error: FloatArray = column("STARS", "TELLURIC_ERR")
    used: IntArray = column("STARS", "used")
    meta: Meta = meta()
