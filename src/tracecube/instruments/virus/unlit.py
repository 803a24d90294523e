"""Amplifiers whose fibres hold no light: a bundle not plugged in, a shutter that stayed shut, a lamp that was off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.instruments.virus.on_traces import on_traces

__all__ = ["contrast", "unlit"]

_LEAST = 0.1  # electron a pixel: read noise leaves 0.012 (112 fibres, 1032 columns), the dark sky of 360 s gives 30
_SPACING = (5.0, 14.0)  # px between neighbours: 8.8, and none is missing between them


def unlit(frame: Frame, traces: Mapping[str, TraceSet]) -> dict[str, str]:
    """Return the amplifiers of a CCD in which no light falls on the traces -> a sentence.

    Parameters
    ----------
    frame : Frame
        The CCD, calibrated.
    traces : mapping of str to TraceSet
        By amplifier: of the calibrations.
    """
    found = {}
    for one in on_traces(frame, traces):
        light = contrast(one.image, one.centre)
        if light < _LEAST:
            found[one.amp] = (
                f"amplifier {one.amp}: no light on its fibres ({light:+.2f} electron a pixel above the gaps between"
                " them): left out (try: was the bundle plugged in, the shutter open, the lamp on?)"
            )
    return found


def contrast(image: FloatArray, centre: FloatArray) -> float:
    """Return how much brighter fibres are than the gaps between them, electron a pixel; infinite where none is known.

    A mean along each fibre, in which lines count, and the median of all fibres, in which hits do not.

    Parameters
    ----------
    image : array (y, x), electron
        NaN where nothing is known.
    centre : array (n, x), px
        NaN for fibres that are dead.
    """
    apart = np.diff(centre, axis=0)
    beside = (apart > _SPACING[0]) & (apart < _SPACING[1])
    gap = np.where(beside, 0.5 * (centre[1:] + centre[:-1]), np.nan)
    difference = _at(image, np.where(beside, centre[:-1], np.nan)) - _at(image, gap)
    known = np.isfinite(difference)
    count = known.sum(axis=1)
    seen = count > 0.5 * image.shape[1]
    if not seen.any():
        return float("inf")
    return float(np.median(np.where(known, difference, 0.0).sum(axis=1)[seen] / count[seen]))


def _at(image: FloatArray, place: FloatArray) -> FloatArray:
    """Return the pixels (n, x) that lie at these places, NaN beyond the image."""
    inside = np.isfinite(place) & (place > -0.5) & (place < image.shape[0] - 0.5)
    row = np.where(inside, np.rint(np.where(inside, place, 0.0)), 0.0).astype(np.int64)
    return np.where(inside, image[row, np.arange(image.shape[1])], np.nan)
