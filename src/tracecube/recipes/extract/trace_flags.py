"""Flags of detector pixels carried to the spectra that they belong to: a saturated star must be known as one."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.optics import TraceSet

__all__ = ["flags_in_bins", "flags_on_traces"]


def flags_on_traces(flags: IntArray, traces: TraceSet, bits: int, *, reach: int = 1) -> IntArray:
    """Flags of the pixels under each trace sample.

    Parameters
    ----------
    flags : int array (y, x)
        Of the detector's pixels.
    traces : TraceSet
    bits : int
        Those that are carried over.
    reach : int, px
        Pixels on either side of the trace's centre that count: its core.

    Returns
    -------
    int32 array (n, m)
        In the shape of the trace set; 0 where a trace is off the detector.
    """
    image = np.asarray(flags if traces.axis == 1 else flags.T)
    along = np.broadcast_to(traces.start[:, None] + np.arange(traces.centre.shape[1]), traces.centre.shape)
    known = np.isfinite(traces.centre) & (along >= 0) & (along < image.shape[1])
    across = np.rint(np.where(known, traces.centre, 0.0)).astype(int)
    column = np.where(known, along, 0)
    found = np.zeros(traces.centre.shape, np.int32)
    for step in range(-reach, reach + 1):
        row = across + step
        inside = known & (row >= 0) & (row < image.shape[0])
        found |= np.where(inside, image[np.clip(row, 0, image.shape[0] - 1), column] & bits, 0).astype(np.int32)
    return found


def flags_in_bins(samples: IntArray, edges: FloatArray) -> IntArray:
    """Flags of all samples that a bin covers, in part or whole.

    Parameters
    ----------
    samples : int array (n, m)
    edges : array (n, k + 1)
        Edges of the bins in samples of each spectrum (sample j spans j - 0.5 ... j + 0.5).

    Returns
    -------
    int32 array (n, k)

    Examples
    --------
    >>> flags_in_bins(np.array([[0, 4, 0, 0]]), np.array([[-0.5, 0.8, 2.2, 3.5]])).tolist()
    [[4, 4, 0]]
    """
    count = samples.shape[1]
    low, high = np.minimum(edges[:, :-1], edges[:, 1:]), np.maximum(edges[:, :-1], edges[:, 1:])
    first = np.clip(np.floor(low + 0.5), 0, count).astype(int)
    last = np.clip(np.ceil(high + 0.5), 0, count).astype(int)
    found = np.zeros(first.shape, np.int32)
    for bit in (1 << place for place in range(31)):
        if not np.any(samples & bit):
            continue
        total = np.cumsum(np.pad((samples & bit) != 0, ((0, 0), (1, 0))), axis=1)
        some = np.take_along_axis(total, last, axis=1) > np.take_along_axis(total, np.minimum(first, last), axis=1)
        found |= np.where(some, bit, 0).astype(np.int32)
    return found
