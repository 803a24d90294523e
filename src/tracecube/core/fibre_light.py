"""What fibres of a whole field have in common, small enough to hold a whole field: throughput, sky, light in bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from tracecube.core.fields import FloatArray, IntArray, Meta, TextArray, card, column, meta

__all__ = ["FibreBands", "FibreThroughput", "SkyModel"]


@dataclass(frozen=True)
class FibreThroughput:
    """Relative throughput of fibres; its median over all fibres is 1 at every wavelength.

    Of a fibre it is a series of Chebyshev polynomials along its pixels (from -1 at the first to 1 at the last) over
    the level that is typical of all fibres.

    Parameters
    ----------
    unit, amp : str array (n,)
        Identity of the spectrograph unit, and the amplifier that read the fibre.
    fibre, ifuslot : int array (n,)
    x, y : array (n,), arcsec
        Place in the bundle.
    shift : array (n,), Angstrom
        By which the wavelengths of the lamp or twilight differed from those of the calibration.
    coefficients : array (n, d)
    covariance : array (n, d * d)
        Of a fibre's coefficients.
    dq : int32 array (n,)
        Fibres without light are flagged, and have no throughput.
    wave, level : array (k,), Angstrom and a number
    """

    unit: TextArray = column("FIBRES", "unit")
    amp: TextArray = column("FIBRES", "amp")
    fibre: IntArray = column("FIBRES", "fibre")
    ifuslot: IntArray = column("FIBRES", "ifuslot")
    x: FloatArray = column("FIBRES", "x", unit="arcsec")
    y: FloatArray = column("FIBRES", "y", unit="arcsec")
    shift: FloatArray = column("FIBRES", "shift", unit="Angstrom")
    coefficients: FloatArray = column("FIBRES", "coefficients", text="Chebyshev series along the pixels")
    covariance: FloatArray = column("FIBRES", "covariance", text="of the series")
    dq: IntArray = column("FIBRES", "dq")
    wave: FloatArray = column("LEVEL", "wave", unit="Angstrom")
    level: FloatArray = column("LEVEL", "level")
    meta: Meta = meta()


@dataclass(frozen=True)
class SkyModel:
    """The sky of an exposure as one spectrum, and how each fibre sees it.

    Parameters
    ----------
    coefficients : array (k,), electron/Angstrom
        Of the cubic B-splines whose knots are ``first + i * step``.
    covariance : array (k, 4), (electron/Angstrom)**2
        Of a coefficient with itself and its next three: the sky's error is the same for all fibres.
    first, step : float, Angstrom
    wave, sigma : array (r,), Angstrom
        Width of the line-spread function that the spectrum has.
    unit, amp : str array (n,)
    fibre, exp : int array (n,)
    light, light_error : array (n,)
        Illumination of the fibre over the typical one, and its error.
    colour : array (n, d)
        By what that changes along the spectrum: Legendre series between the ends of ``wave``, the first term is 1.
    shift : array (n,), Angstrom
        What is added to the wavelengths of the calibration.
    blank : int array (n,)
        1 for a fibre that sees nothing but sky.
    ground, ground_error : array (n,), electron a sample
        Level beneath a fibre that is not light, the same along its spectrum, and the error of ground and illumination.
    told : int array (n,)
        1 for a fibre that the ground was found from: its own noise is in it.
    """

    coefficients: FloatArray = column("KNOTS", "coefficient", unit="electron/Angstrom")
    covariance: FloatArray = column("KNOTS", "covariance", text="with itself and the next three")
    wave: FloatArray = column("RESOLUTION", "wave", unit="Angstrom")
    sigma: FloatArray = column("RESOLUTION", "sigma", unit="Angstrom")
    unit: TextArray = column("FIBRES", "unit")
    amp: TextArray = column("FIBRES", "amp")
    fibre: IntArray = column("FIBRES", "fibre")
    exp: IntArray = column("FIBRES", "exp")
    light: FloatArray = column("FIBRES", "light")
    light_error: FloatArray = column("FIBRES", "light_error")
    colour: FloatArray = column("FIBRES", "colour", text="Legendre series, of the illumination along the spectrum")
    shift: FloatArray = column("FIBRES", "shift", unit="Angstrom")
    blank: IntArray = column("FIBRES", "blank")
    ground: FloatArray = column("FIBRES", "ground", unit="electron")
    ground_error: FloatArray = column("FIBRES", "ground_error", unit="electron")
    told: IntArray = column("FIBRES", "told", text="1 where the ground was found from")
    first: float = card("SKYFIRST", unit="Angstrom", text="first knot of the sky")
    step: float = card("SKYSTEP", unit="Angstrom", text="distance of its knots")
    meta: Meta = meta()


@dataclass(frozen=True)
class FibreBands:
    """Light of fibres in a few wide bands: all that the solution of a field needs of their spectra.

    Parameters
    ----------
    exposure, group : int array (n,)
        Exposure from 1, and slot of the bundle.
    x, y : array (n,), arcsec
        Place in the bundle.
    flux, variance : array (n, b)
        Mean flux in bands; variance infinite where too little was measured.
    white, white_variance : array (n,)
        Mean flux in the band that sources are found in.
    edges : array (b + 1,), Angstrom
        Borders of the bands.
    """

    exposure: IntArray = column("BANDS", "exposure")
    group: IntArray = column("BANDS", "ifuslot")
    x: FloatArray = column("BANDS", "x", unit="arcsec")
    y: FloatArray = column("BANDS", "y", unit="arcsec")
    flux: FloatArray = column("BANDS", "flux", unit="erg/s/cm2/Angstrom")
    variance: FloatArray = column("BANDS", "variance")
    white: FloatArray = column("BANDS", "white", unit="erg/s/cm2/Angstrom")
    white_variance: FloatArray = column("BANDS", "white_variance")
    edges: FloatArray = column("EDGES", "edge", unit="Angstrom")
    meta: Meta = meta()

    @classmethod
    def join(cls, parts: Sequence[FibreBands]) -> FibreBands:
        """Bands of several sets of fibres, one after the other."""
        names = [item.name for item in fields(cls) if item.name not in {"edges", "meta"}]
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(**joined, edges=parts[0].edges, meta=parts[0].meta)
