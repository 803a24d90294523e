"""Finder chart of an exposure, cut out of its guide frames."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import Meta
from tracecube.core.finder import Finder
from tracecube.core.frame import RawFrame
from tracecube.instruments.sedm.guider import FIELD_CENTRE, PIXEL_SCALE, Pointing
from tracecube.instruments.sedm.headers import text

__all__ = ["finder_of"]

REACH = 300  # px: 118 arcsec, what is shown around the target if the camera has it
MARGIN = 40  # px: about the target, whether there are pixels or not: guide frames are windows beside the pick-off
FIELD_SIZE = 28.0  # arcsec (HyperGal, Lezmy et al. 2022)


def finder_of(guider: Sequence[RawFrame], pointing: Pointing | None, meta: Meta) -> Finder | None:
    """Return the piece of sky around the target, None without guide frames.

    Parameters
    ----------
    guider : sequence of RawFrame
    pointing : Pointing or None
        Where the target is in them; without it the middle of the field is taken, and no target marked.
    meta : mapping
        Of the spectrograph's exposure.
    """
    frames = sorted(guider, key=lambda frame: frame.name)
    if not frames:
        return None
    place = (math.nan, math.nan) if pointing is None else (pointing.pixel_x, pointing.pixel_y)
    middle = place if math.isfinite(place[0]) else FIELD_CENTRE
    images = [_with_corner(frame) for frame in frames]
    low, high = _box(images, middle)
    data = np.full((len(images), high[1] - low[1], high[0] - low[0]), np.nan)
    for layer, (image, corner) in zip(data, images, strict=True):
        _paste(layer, image, (corner[0] - low[0], corner[1] - low[1]))
    seen = np.isfinite(data)
    count = seen.sum(axis=0)
    mean = np.where(count > 0, np.where(seen, data, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    return Finder(
        data=mean.astype(np.float32),
        x=place[0] - low[0],
        y=place[1] - low[1],
        field_x=FIELD_CENTRE[0] - low[0],
        field_y=FIELD_CENTRE[1] - low[1],
        field_size=FIELD_SIZE,
        scale=PIXEL_SCALE,
        rotation=math.nan if pointing is None else pointing.rotation,
        frames=", ".join(frame.name for frame in frames),
        meta=meta,
    )


def _with_corner(frame: RawFrame) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return the image less its median, and where its first pixel lies in the full frame."""
    image = np.asarray(frame.data, dtype=float)
    found = re.fullmatch(r"\[(\d+):(\d+),(\d+):(\d+)\]", text(frame.meta, "DETSEC"))
    return image - np.median(image), (int(found[1]) - 1, int(found[3]) - 1) if found else (0, 0)


def _box(
    images: Sequence[tuple[NDArray[np.float64], tuple[int, int]]], middle: tuple[float, float]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and the last but one pixel (x, y), in the full frame, of what is shown."""
    low, high = [], []
    for axis in (0, 1):
        place = round(middle[axis])
        first = min(corner[axis] for _, corner in images)
        last = max(corner[axis] + image.shape[1 - axis] for image, corner in images)
        low.append(min(max(first, place - REACH), place - MARGIN))
        high.append(max(min(last, place + REACH), place + MARGIN + 1))
    return (low[0], low[1]), (high[0], high[1])


def _paste(layer: NDArray[np.float64], image: NDArray[np.float64], at: tuple[int, int]) -> None:
    """Put an image (y, x) with its first pixel at a place (x, y) into a layer, as far as it falls on it."""
    first = [min(max(0, at[1 - i]), layer.shape[i]) for i in (0, 1)]
    last = [max(first[i], min(layer.shape[i], at[1 - i] + image.shape[i])) for i in (0, 1)]
    if first[0] < last[0] and first[1] < last[1]:
        part = tuple(slice(first[i] - at[1 - i], last[i] - at[1 - i]) for i in (0, 1))
        layer[first[0] : last[0], first[1] : last[1]] = image[part]
