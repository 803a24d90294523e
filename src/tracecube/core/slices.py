"""Where the light of an image slicer falls: slices, which are apertures with an extent on the sky."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, meta, samples

__all__ = ["SliceTraces"]


@dataclass(frozen=True)
class SliceTraces:
    """Edges and middle of every slice of a detector, at every pixel along dispersion.

    Parameters
    ----------
    aperture : int array (n,)
        Number of the slice on the detector, from 1.
    start : int array (n,)
        Detector pixel of sample 0 along dispersion, 0-based.
    dq : int32 array (n,)
    edge : array (n,), px
        Width (Gaussian sigma) over which the light of a slice fades at its edges, that of a pixel included.
    centre, left, right : array (n, m), px
        Position across dispersion (0-based): half of the light of the slice's interior falls on a pixel at an edge,
        the centre lies midway.
    error : array (n, m), px
        One-sigma error of the centre.
    sample_dq : int32 array (n, m)
    axis : int
        Image axis of dispersion: 1 along x, 0 along y.
    """

    aperture: IntArray = column("TRACES", "aperture")
    start: IntArray = column("TRACES", "start", unit="pix")
    dq: IntArray = column("TRACES", "dq")
    edge: FloatArray = column("TRACES", "edge", unit="pix")
    centre: FloatArray = samples("TRACE_SAMPLES", "centre", unit="pix")
    left: FloatArray = samples("TRACE_SAMPLES", "left", unit="pix")
    right: FloatArray = samples("TRACE_SAMPLES", "right", unit="pix")
    error: FloatArray = samples("TRACE_SAMPLES", "error", unit="pix")
    sample_dq: IntArray = samples("TRACE_SAMPLES", "dq")
    axis: int = card("DISPAXIS", text="numpy axis of dispersion", default=0)
    meta: Meta = meta()
