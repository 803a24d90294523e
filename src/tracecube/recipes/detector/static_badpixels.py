"""The bad-pixel map: hot, dead, odd and noisy pixels, from darks and flats together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.errors import MissingInput
from tracecube.core.fields import BoolArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.pixels import BadPixels, DetectorFlat, Master
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs
from tracecube.recipes.detector.dark import dit_of

__all__ = ["StaticBadPixels", "StaticParams", "find_bad_pixels"]

_KEPT = int(Flag.BAD_PIXEL | Flag.HOT_PIXEL)


class StaticParams(Params):
    """Numbers of the bad-pixel map."""

    unsteady: float = Field(
        default=6.0, gt=0, description="Noises by which darks of two integration times disagree on an unsteady pixel"
    )


@dataclass(frozen=True, kw_only=True)
class StaticBadPixels(Outputs):
    """A bad-pixel map."""

    static_badpix: BadPixels


def find_bad_pixels(
    darks: Sequence[Master], flat: DetectorFlat | None, params: StaticParams | None = None
) -> StaticBadPixels:
    """Gather what darks and flats say of each pixel.

    Parameters
    ----------
    darks : sequence of Master
        Master darks, best of several integration times: the longest finds the most hot pixels.
    flat : DetectorFlat, optional
        Tells dead and odd pixels by their response, noisy ones by their scatter about the fit.
    params : StaticParams

    Raises
    ------
    MissingInput
        No dark.
    """
    params = params or StaticParams()
    if not darks:
        raise MissingInput("no master dark for the bad-pixel map", hint="take darks (shutter closed)")
    flags = np.zeros_like(darks[0].flags)
    for dark in darks:
        flags |= dark.flags & _KEPT
    unsteady = _unsteady(darks, params.unsteady) & (flags == 0)
    flags |= np.where(unsteady, int(Flag.BAD_PIXEL), 0)
    caveats: tuple[str, ...] = ()
    if len({dit_of(dark) for dark in darks}) < 2:
        caveats = (f"darks of one DIT ({dit_of(darks[0]):g} s) only: unsteady pixels are not told from hot ones",)
    if flat is None:
        caveats = (*caveats, "no detector flat: dead and noisy pixels are not in the bad-pixel map")
    else:
        flags |= flat.flags & _KEPT
    flags |= darks[0].flags & int(Flag.NOT_ILLUMINATED)
    numbers = (
        QualityNumber("NUM HOTPIXELS", float((flags & int(Flag.HOT_PIXEL) != 0).sum())),
        QualityNumber("NUM BADPIXELS", float((flags & _KEPT != 0).sum()), high=0.05 * flags.size),
        QualityNumber("NUM UNSTEADY", float(unsteady.sum())),
    )
    made = BadPixels(flags.astype(np.int32), darks[0].meta)
    return StaticBadPixels(static_badpix=made, quality=numbers, caveats=caveats)


def _unsteady(darks: Sequence[Master], clip: float) -> BoolArray:
    """Pixels whose dark signal does not grow with time as it should, of good darks two by two."""
    found = np.zeros(darks[0].data.shape, bool)
    for i, a in enumerate(darks):
        for b in darks[:i]:
            short, long = sorted((a, b), key=dit_of)
            factor = np.float32(dit_of(short) / dit_of(long))
            difference = short.data - long.data * factor
            found |= np.abs(difference) > clip * np.sqrt(short.variance + long.variance * factor**2)
    return found
