"""What light relative to the lamp is worth above the atmosphere."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, meta

__all__ = ["SliceResponse", "Telluric"]


@dataclass(frozen=True)
class SliceResponse:
    """Response to light above the atmosphere.

    Parameters
    ----------
    wave : array (k,), Angstrom, air
    ratio, ratio_error : array (k,)
        Light relative to the lamp in one second, of a source of 1 erg/s/cm2/Angstrom above the atmosphere.
    response, error : array (k,), mag
        2.5 log10 of (electron/s/Angstrom) / (erg/s/cm2/Angstrom), as the observatory has it: the lamp's spectrum is
        multiplied back.
    lamp : array (k,), electron/Angstrom
        Spectrum of the lamp in the flat.
    measured : array (k,)
        ``ratio`` before it was made smooth.
    used : int array (k,)
        Whether a sample takes part in the smooth curve: lines of star and atmosphere do not.
    fwhm : float, arcsec
        Of the star at 7000 Angstrom.
    """

    wave: FloatArray = column("RESPONSE", "lambda", unit="Angstrom")
    response: FloatArray = column("RESPONSE", "response", unit="mag")
    error: FloatArray = column("RESPONSE", "resperr", unit="mag")
    ratio: FloatArray = column("RESPONSE", "ratio")
    ratio_error: FloatArray = column("RESPONSE", "ratio_error")
    lamp: FloatArray = column("RESPONSE", "lamp", unit="electron/Angstrom")
    measured: FloatArray = column("RESPONSE", "measured")
    used: IntArray = column("RESPONSE", "used")
    fwhm: float = card("STARFWHM", unit="arcsec", text="width of the standard star at 7000 Angstrom")
    meta: Meta = meta()


@dataclass(frozen=True)
class Telluric:
    """Transmission of the atmosphere's bands.

    Parameters
    ----------
    wave : array (k,), Angstrom, air
    transmission, error : array (k,)
        At airmass 1; 1 outside the bands.
    airmass : float
        At which it was measured.
    """

    wave: FloatArray = column("TELLURIC", "lambda", unit="Angstrom")
    transmission: FloatArray = column("TELLURIC", "ftelluric")
    error: FloatArray = column("TELLURIC", "ftellerr")
    airmass: float = card("TELLAIRM", text="airmass at which it was measured")
    meta: Meta = meta()
