"""A catalogue of emission lines."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, meta

__all__ = ["Lines"]


@dataclass(frozen=True)
class Lines:
    """Emission lines of point sources, brightest in signal-to-noise first.

    Parameters
    ----------
    ra, dec : float64 array (n,), degree
    ra_err, dec_err : array (n,), arcsec
        On the sky, relative to the field's astrometry.
    wave, wave_err : array (n,), Angstrom
    flux, flux_err : array (n,), erg/s/cm2
        With the width of the line free.
    sn : array (n,)
        Signal-to-noise with the width of the search, less what a maximum over places and wavelengths has by chance:
        sqrt(z**2 - 3), of the height z of the maximum.
    sigma, sigma_err : array (n,), Angstrom
        Intrinsic width; 0 where the line is not wider than the line-spread function, NaN where it was not fitted: in
        spectra of known sources, whose places these lines have.
    chi2 : array (n,)
        Reduced chi-square of the line's light over fibres and exposures against the point source; NaN likewise.
    continuum : array (n,), erg/s/cm2/Angstrom
        Of a point source at the place.
    ifuslot : int array (n,)
    dq : int32 array (n,)
    medium : {"AWAV", "WAVE"}
    """

    ra: FloatArray = column("LINES", "ra", unit="deg")
    dec: FloatArray = column("LINES", "dec", unit="deg")
    wave: FloatArray = column("LINES", "wave", unit="Angstrom")
    flux: FloatArray = column("LINES", "flux", unit="erg/s/cm2")
    flux_err: FloatArray = column("LINES", "flux_err", unit="erg/s/cm2")
    sn: FloatArray = column("LINES", "sn")
    sigma: FloatArray = column("LINES", "sigma", unit="Angstrom")
    chi2: FloatArray = column("LINES", "chi2")
    ifuslot: IntArray = column("LINES", "ifuslot")
    dq: IntArray = column("LINES", "dq")
    ra_err: FloatArray = column("LINES", "ra_err", unit="arcsec")
    dec_err: FloatArray = column("LINES", "dec_err", unit="arcsec")
    wave_err: FloatArray = column("LINES", "wave_err", unit="Angstrom")
    sigma_err: FloatArray = column("LINES", "sigma_err", unit="Angstrom")
    continuum: FloatArray = column("LINES", "continuum", unit="erg/s/cm2/Angstrom")
    medium: str = card("WAVETYPE", text="AWAV air, WAVE vacuum", default="AWAV")
    meta: Meta = meta()
