"""Sources of a field: where they are and how bright, and how the field lies on the sky."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, TextArray, card, column, image, meta

__all__ = ["BundleStars", "FieldSolution", "FluxScale", "Sources"]


@dataclass(frozen=True)
class Sources:
    """Point sources of a field.

    Parameters
    ----------
    object : str array (n,)
        Name, of the catalogue or by place.
    ra, dec : float64 array (n,), degree
        Catalogue and measurement together, weighted.
    ra_err, dec_err : array (n,), arcsec
        On the sky (of right ascension times the cosine of declination).
    ra_seen, dec_seen : float64 array (n,), degree
        By the fibres alone; NaN where they do not tell.
    seen_err : array (n,), arcsec
        Error a coordinate of the latter.
    mag, mag_err : array (n,)
        Synthetic AB magnitude in the g band.
    mag_cat : array (n,)
        That of the catalogue.
    flux, flux_err : array (n,), erg/s/cm2/Angstrom
        Mean flux density over the g band.
    snr : array (n,)
        Of the light in the fibres.
    chi2 : array (n,)
        Reduced, of the fibres about the source.
    dq : int32 array (n,)
    ra_cat, dec_cat : float64 array (n,), degree
        By the catalogue alone.
    """

    object: TextArray = column("SOURCES", "object")
    ra: FloatArray = column("SOURCES", "ra", unit="deg")
    dec: FloatArray = column("SOURCES", "dec", unit="deg")
    ra_err: FloatArray = column("SOURCES", "ra_err", unit="arcsec")
    dec_err: FloatArray = column("SOURCES", "dec_err", unit="arcsec")
    ra_seen: FloatArray = column("SOURCES", "ra_seen", unit="deg")
    dec_seen: FloatArray = column("SOURCES", "dec_seen", unit="deg")
    seen_err: FloatArray = column("SOURCES", "seen_err", unit="arcsec")
    mag: FloatArray = column("SOURCES", "mag", unit="mag")
    mag_err: FloatArray = column("SOURCES", "mag_err", unit="mag")
    mag_cat: FloatArray = column("SOURCES", "mag_cat", unit="mag")
    flux: FloatArray = column("SOURCES", "flux", unit="erg/s/cm2/Angstrom")
    flux_err: FloatArray = column("SOURCES", "flux_err", unit="erg/s/cm2/Angstrom")
    snr: FloatArray = column("SOURCES", "snr")
    chi2: FloatArray = column("SOURCES", "chi2")
    dq: IntArray = column("SOURCES", "dq")
    ra_cat: FloatArray | None = column("SOURCES", "ra_cat", unit="deg", default=None)
    dec_cat: FloatArray | None = column("SOURCES", "dec_cat", unit="deg", default=None)
    meta: Meta = meta()


@dataclass(frozen=True)
class FieldSolution:
    """How the fibres of an observation lie on the sky, and how they see a star; from the field's own stars.

    A nominal tangent-plane place (e, n; arcsec from ``ra0``, ``dec0``) of exposure k lies at
    (e cos r - n sin r + east_k, e sin r + n cos r + north_k).

    Parameters
    ----------
    exposure : int array (k,)
    east, north, east_error, north_error : array (k,), arcsec
    fwhm, fwhm_error : array (k,), arcsec
        Seeing at ``reference``.
    norm, norm_error : array (k,)
        Transparency times illumination of the exposure; their mean is 1.
    wave, refraction_east, refraction_north : array (m,), Angstrom and arcsec
        Place of a star at a wavelength less that at ``reference``.
    ra0, dec0 : float, degree
    rotation, rotation_error : float, degree
    scale, scale_error : float
        Of the pairs, a check that is not applied.
    reference : float, Angstrom
        Wavelength at which places hold.
    beta : float
        Exponent of the Moffat profile.
    width_slope : float
        The width goes with wavelength to this power.
    refraction, refraction_error : float
        Size of the differential refraction over that of the air as measured.
    refraction_across, refraction_across_error : float
        Its part at right angles to the zenith, of the same unit.
    model_error : float
        Error of the star's image, relative, that makes the residuals of bright stars as they are.
    catalogue_error : float, arcsec
        Scatter of the catalogue's places, a coordinate, that the fit found.
    stars : int
    chi2 : float
        Typical reduced chi-square of a star that was fitted.
    covariance : array (p, p) or None
        Of east (k, arcsec), north (k, arcsec), rotation (radian), logarithms of fwhm (k) and norm (k), refraction along
        and across, width_slope and beta; None where no star told.
    """

    exposure: IntArray = column("EXPOSURES", "exposure")
    east: FloatArray = column("EXPOSURES", "east", unit="arcsec")
    north: FloatArray = column("EXPOSURES", "north", unit="arcsec")
    east_error: FloatArray = column("EXPOSURES", "east_error", unit="arcsec")
    north_error: FloatArray = column("EXPOSURES", "north_error", unit="arcsec")
    fwhm: FloatArray = column("EXPOSURES", "fwhm", unit="arcsec")
    fwhm_error: FloatArray = column("EXPOSURES", "fwhm_error", unit="arcsec")
    norm: FloatArray = column("EXPOSURES", "norm")
    norm_error: FloatArray = column("EXPOSURES", "norm_error")
    wave: FloatArray = column("REFRACTION", "wave", unit="Angstrom")
    refraction_east: FloatArray = column("REFRACTION", "east", unit="arcsec")
    refraction_north: FloatArray = column("REFRACTION", "north", unit="arcsec")
    ra0: float = card("FLDRA", unit="deg")
    dec0: float = card("FLDDEC", unit="deg")
    rotation: float = card("FLDROT", unit="deg", text="turn from the nominal plane")
    rotation_error: float = card("FLDROTER", unit="deg")
    scale: float = card("FLDSCALE", text="scale by the pairs, not applied")
    scale_error: float = card("FLDSCAER")
    reference: float = card("FLDWAVE", unit="Angstrom", text="places hold here")
    beta: float = card("PSFBETA", text="Moffat exponent")
    width_slope: float = card("PSFSLOPE", text="width goes as wave**PSFSLOPE")
    refraction: float = card("DARAMP", text="refraction over that of the air")
    refraction_error: float = card("DARAMPER")
    refraction_across: float = card("DARACR", text="across the zenith direction")
    refraction_across_error: float = card("DARACRER")
    model_error: float = card("PSFERR", text="relative error of the star image")
    catalogue_error: float = card("CATERR", unit="arcsec", text="scatter of the catalogue")
    stars: int = card("FLDSTARS")
    chi2: float = card("FLDCHI2", text="typical chi-square of a star", default=1.0)
    covariance: FloatArray | None = image("COVARIANCE", default=None)
    meta: Meta = meta()


@dataclass(frozen=True)
class BundleStars:
    """Stars of a bundle as measured, their spectra by the nominal throughput: the zero point is still to come.

    Parameters
    ----------
    object, ra, dec, ra_err, dec_err, ra_seen, dec_seen, seen_err, mag, mag_err, mag_cat, snr, chi2 : array (n,)
        As in `Sources`, with ``ra_cat`` and ``dec_cat``; magnitudes by the nominal throughput.
    mean : array (n,), erg/s/cm2/Angstrom
        Flux density over the catalogue's band.
    weight : array (n,)
        1 for a star whose fibres look like a star's, towards 0 for one whose do not.
    fit_chi2 : array (n,)
        Reduced chi-square of the extraction.
    flux, variance, covariance, sky : array (n, w)
        ``covariance`` with the next sample; ``sky`` is that of a fibre under the star.
    flags : int32 array (n, w)
    lsf_sigma : array (n, w), Angstrom
    wave : array (w,), Angstrom
    """

    object: TextArray = column("STARS", "object")
    ra: FloatArray = column("STARS", "ra", unit="deg")
    dec: FloatArray = column("STARS", "dec", unit="deg")
    ra_err: FloatArray = column("STARS", "ra_err", unit="arcsec")
    dec_err: FloatArray = column("STARS", "dec_err", unit="arcsec")
    ra_seen: FloatArray = column("STARS", "ra_seen", unit="deg")
    dec_seen: FloatArray = column("STARS", "dec_seen", unit="deg")
    seen_err: FloatArray = column("STARS", "seen_err", unit="arcsec")
    mag: FloatArray = column("STARS", "mag", unit="mag")
    mag_err: FloatArray = column("STARS", "mag_err", unit="mag")
    mag_cat: FloatArray = column("STARS", "mag_cat", unit="mag")
    mean: FloatArray = column("STARS", "mean", unit="erg/s/cm2/Angstrom")
    ra_cat: FloatArray = column("STARS", "ra_cat", unit="deg")
    dec_cat: FloatArray = column("STARS", "dec_cat", unit="deg")
    snr: FloatArray = column("STARS", "snr")
    chi2: FloatArray = column("STARS", "chi2")
    weight: FloatArray = column("STARS", "weight")
    fit_chi2: FloatArray = column("STARS", "fit_chi2")
    flux: FloatArray = image("FLUX", unit="erg/s/cm2/Angstrom")
    variance: FloatArray = image("STAT")
    covariance: FloatArray = image("COVAR")
    sky: FloatArray = image("SKY", unit="erg/s/cm2/Angstrom")
    flags: IntArray = image("DQ")
    lsf_sigma: FloatArray = image("LSF", unit="Angstrom")
    wave: FloatArray = image("WAVE", unit="Angstrom")
    meta: Meta = meta()


@dataclass(frozen=True)
class FluxScale:
    """Factor from nominal to true flux, by stars of known magnitude.

    Parameters
    ----------
    factor, error : float
    scatter : float, mag
        Of a star.
    stars : int
        0 where too few told: the factor is then 1, and its error not known.
    """

    factor: float = card("FLXSCALE", text="true flux over nominal")
    error: float = card("FLXERR")
    scatter: float = card("FLXSCAT", unit="mag", text="of a star")
    stars: int = card("FLXSTARS")
    meta: Meta = meta()
