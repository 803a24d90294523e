"""Finder chart: what the guider saw around a target while the spectrograph exposed."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, Meta, card, image, meta

__all__ = ["Finder"]


@dataclass(frozen=True)
class Finder:
    """A piece of the guide frames of an exposure with the target's place in it.

    Parameters
    ----------
    data : array (y, x), adu
        Mean of the frames less their background; NaN where the camera has no pixels. North up and east left within
        ``rotation``.
    x, y : float, px
        Place of the target, 0-based; NaN where no astrometry gave it.
    field_x, field_y : float, px
        Where the middle of the spectrograph's field is.
    field_size : float, arcsec
        Its side.
    scale : float, arcsec/px
    rotation : float, degree
        From +y to north, counter-clockwise; NaN where it was not measured.
    frames : str
        Names of the frames.
    """

    data: FloatArray = image("DATA", unit="adu")
    x: float = card("FNDX", unit="pix", text="target, 0-based")
    y: float = card("FNDY", unit="pix")
    field_x: float = card("FNDFX", unit="pix", text="middle of the field, 0-based")
    field_y: float = card("FNDFY", unit="pix")
    field_size: float = card("FNDFSIZE", unit="arcsec", text="side of the field")
    scale: float = card("FNDSCALE", unit="arcsec/pix")
    rotation: float = card("FNDROT", unit="deg", text="+y to north, counter-clockwise")
    frames: str = card("FNDFRAME", default="")
    meta: Meta = meta()
