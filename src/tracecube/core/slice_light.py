"""How evenly light falls along slices that should be lit alike."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, column, image, meta

__all__ = ["SliceIllumination"]


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
