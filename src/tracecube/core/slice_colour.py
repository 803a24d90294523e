"""How light of the sky falls on slices and field by wavelength: what changes from blue to red, the lamp's aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, image, meta

__all__ = ["FieldColours", "SliceColours"]


@dataclass(frozen=True)
class SliceColours:
    """Light of the twilight over that of the lamp along every slice of a detector, by ranges of wavelength.

    Parameters
    ----------
    light : array (n, w, k)
        Over the light of all slices of the detector in that range, and over its own mean: 1 where a place is as blue
        or red as the detector. At ``across`` from the centre of the slice.
    error : array (n, w, k)
        Infinite where nothing was measured.
    across : array (1, k), px
    aperture : int array (n,)
    dq : int32 array (n,)
    wave : array (w,), Angstrom
        Middle of each range.
    spectrum, spectrum_error : array (w,)
        Light of the twilight over that of the lamp, mean of the detector.
    """

    light: FloatArray = image("COLOUR")
    error: FloatArray = image("COLOUR_ERROR")
    across: FloatArray = column("AXIS", "across", unit="pix")
    aperture: IntArray = column("SLICES", "aperture")
    dq: IntArray = column("SLICES", "dq")
    wave: FloatArray = column("RANGES", "wave", unit="Angstrom")
    spectrum: FloatArray = column("RANGES", "spectrum")
    spectrum_error: FloatArray = column("RANGES", "spectrum_error")
    meta: Meta = meta()


@dataclass(frozen=True)
class FieldColours:
    """How unevenly the sky lights the field at each wavelength, beyond what it does on average over wavelengths.

    Light is ``1 + sum coefficient[t, q] * (x / unit)**west[t] * (y / unit)**north[t] * P_q(u)``, x and y arcsec to
    the west and north of the field's centre, P_q Legendre polynomials of u, wavelength on -1 to 1 from ``blue`` to
    ``red``.

    Parameters
    ----------
    west, north : int array (t,)
        Powers of a term.
    coefficient, error : array (t, q)
        0 with its error where a term is not significant.
    significance : array (t,)
        Of a term with all its polynomials, in standard deviations.
    used : int array (t,)
        1 where a term is significant.
    blue, red : float, Angstrom
    unit : float, arcsec
        Half of the field: that of x and y.
    """

    west: IntArray = column("TERMS", "west")
    north: IntArray = column("TERMS", "north")
    coefficient: FloatArray = column("TERMS", "coefficient")
    error: FloatArray = column("TERMS", "error")
    significance: FloatArray = column("TERMS", "significance")
    used: IntArray = column("TERMS", "used")
    blue: float = card("COLBLUE", unit="Angstrom", text="wavelength of -1")
    red: float = card("COLRED", unit="Angstrom", text="wavelength of 1")
    unit: float = card("COLUNIT", unit="arcsec", text="unit of places: half of the field")
    meta: Meta = meta()

    @property
    def any(self) -> bool:
        """Whether the light changes with wavelength at all."""
        return bool(np.any(np.asarray(self.used) != 0))

    def at(self, x: FloatArray, y: FloatArray, wave: FloatArray) -> FloatArray:
        """Return light at places (arcsec) and wavelengths (Angstrom) that broadcast against each other.

        Beyond blue and red it is that of the end.
        """
        u = np.clip(2.0 * (wave - self.blue) / (self.red - self.blue) - 1.0, -1.0, 1.0)
        light = np.ones(np.broadcast_shapes(x.shape, y.shape, wave.shape))
        for term in np.flatnonzero(np.asarray(self.used)):
            place = (x / self.unit) ** int(self.west[term]) * (y / self.unit) ** int(self.north[term])
            light = light + place * np.polynomial.legendre.legval(u, np.asarray(self.coefficient[term], np.float64))
        return light
