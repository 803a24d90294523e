"""What is known of an observed target: place, quality code, classification."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, image, meta

__all__ = ["ACCEPTABLE", "PointSourceFit", "Target", "acceptable"]

ACCEPTABLE = 2
"""The worst quality code of a spectrum that is classified and sent out; what is above is a major problem."""


def acceptable(quality: int) -> bool:
    """Whether a spectrum of this quality code may be classified and sent out.

    Examples
    --------
    >>> [code for code in range(6) if acceptable(code)]
    [0, 1, 2]
    """
    return 0 <= quality <= ACCEPTABLE


@dataclass(frozen=True)
class Target:
    """Verdict on one exposure of one target; read by the list of targets.

    Parameters
    ----------
    object : str
    quality : int
        The observatory's quality code.
    reason : str
        The code in words.
    x, y, x_error, y_error : float, arcsec
        Place in the field (x east, y north) at the reference wavelength; NaN when not known.
    source_position : str
        How the place was found: "astrom", "auto", "brightest", "manual".
    type, z, z_error, probability
        Classification, None until there is one.
    """

    object: str = card("TARGET")
    quality: int = card("QUALITY", text="quality code")
    reason: str = card("REASON", text="quality code in words")
    x: float = card("XPOS", unit="arcsec", text="east of field centre")
    y: float = card("YPOS", unit="arcsec", text="north of field centre")
    x_error: float = card("XPOSERR", unit="arcsec")
    y_error: float = card("YPOSERR", unit="arcsec")
    source_position: str = card("SRCPOS", text="astrom, auto, brightest or manual")
    type: str | None = card("CLSTYPE", default=None)
    z: float | None = card("CLSZ", default=None)
    z_error: float | None = card("CLSZERR", default=None)
    probability: float | None = card("CLSPROB", default=None)
    meta: Meta = meta()


@dataclass(frozen=True)
class PointSourceFit:
    """Data, model and residual of a chromatic point-source fit, in broad wavelength slices.

    Parameters
    ----------
    aperture : int array (n,)
    x, y : array (n,), arcsec
    used : int array (n,)
        1 where the aperture belonged to the extraction region.
    wave : array (n_slice,), Angstrom
    data, model, variance : array (n_slice, n)
    centre_x, centre_y, fwhm : array (n_slice,), arcsec
    """

    aperture: IntArray = column("REGION", "aperture")
    x: FloatArray = column("REGION", "x", unit="arcsec")
    y: FloatArray = column("REGION", "y", unit="arcsec")
    used: IntArray = column("REGION", "used")
    wave: FloatArray = column("SLICES", "wave", unit="Angstrom")
    centre_x: FloatArray = column("SLICES", "centre_x", unit="arcsec")
    centre_y: FloatArray = column("SLICES", "centre_y", unit="arcsec")
    fwhm: FloatArray = column("SLICES", "fwhm", unit="arcsec")
    data: FloatArray = image("DATA")
    model: FloatArray = image("MODEL")
    variance: FloatArray = image("STAT")
    meta: Meta = meta()
