"""Master bias, and the static bad pixels of the detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData, TracecubeError
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.params import Params
from tracecube.core.pixels import BadPixels
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.instruments.sedm.detectors import detector, read_noise_range
from tracecube.recipes.detector.bias import BiasParams, MasterBias, combine_biases

__all__ = ["master_bias", "static_badpix"]

_BIAS = BiasParams()


@dataclass(frozen=True, kw_only=True)
class Static(Outputs):
    """Pixels that no exposure of a readout mode may use."""

    static_badpix: BadPixels


@recipe(version="2")
def master_bias(*, raw: Sequence[RawFrame], params: BiasParams = _BIAS) -> MasterBias:
    """Combine the biases of one night and readout speed; measure the read noise.

    Frames are brought to one level, hits rejected by the read noise, and the pattern of rows and
    columns kept; the result holds electrons with the pedestal still in it.
    """
    first = min(raw, key=lambda frame: frame.name)
    return combine_biases(
        raw, detector(first.meta, first.name), params, noise_range=read_noise_range(first.meta, first.name)
    )


class BadPixParams(Params):
    """How static bad pixels are found."""

    lamps: int = Field(2, ge=2, description="lamps of different spectra in which a hot pixel must show")


_BADPIX = BadPixParams()
# Share of the pixels above which a detector of grade 1 is not itself: 20 columns of 2048, or so many hot pixels.
USUAL = 0.01


@recipe(version="2")
def static_badpix(*, raw: Sequence[RawFrame], master_bias: Frame, params: BadPixParams = _BADPIX) -> Static:
    """Map hot pixels and bad columns of a readout mode, from domes, arcs and the twilight.

    Lamps are made one frame each. A pixel that looks like a cosmic ray in two of them is hot; columns
    that answer otherwise to light show in the dome. Pixels below half an electron a second do not
    show in exposures of a minute; the search for cosmic rays finds them in the exposures they matter in.
    """
    from tracecube.recipes.detector.badpixels import static_bad_pixels  # noqa: PLC0415 - brings numba

    scenes, caveats = _lamps(raw, master_bias)
    if not scenes:
        raise BadData("static bad pixels: no lamp gave light", hint="; ".join(caveats) or "take domes and arcs")
    if len(scenes) < params.lamps:
        few = f"hot pixels not looked for: light of {len(scenes)} lamp where {params.lamps} are needed"
        caveats.append(f"{few} (try: take arcs)")
    found = static_bad_pixels(list(scenes.values()), smooth=scenes.get("DOME"), minimum=params.lamps)
    return Static(
        static_badpix=found,
        quality=tuple(
            QualityNumber(
                f"{name} PIXELS", float(np.count_nonzero(found.flags & bit)), "", high=USUAL * found.flags.size
            )
            for name, bit in (("HOT", Flag.HOT_PIXEL), ("BAD", Flag.BAD_PIXEL))
        ),
        caveats=tuple(caveats),
    )


def _lamps(raw: Sequence[RawFrame], master_bias: Frame) -> tuple[dict[str, Frame], list[str]]:
    """Combine the frames of each lamp and flag what looks like a hit; tell what could not be used."""
    from tracecube.recipes.detector.calibrate import noise_floor  # noqa: PLC0415 - brings numba
    from tracecube.recipes.detector.combine import combine_usable  # noqa: PLC0415
    from tracecube.recipes.detector.cosmics import flag_cosmics  # noqa: PLC0415

    first = min(raw, key=lambda frame: frame.name)
    chip = detector(first.meta, first.name)
    scenes: dict[str, Frame] = {}
    caveats: list[str] = []
    for tag in sorted({frame.tag for frame in raw}):
        try:
            frames = [frame for frame in raw if frame.tag == tag]
            lamp, refused = combine_usable(frames, master_bias, detector=chip)
        except TracecubeError as error:
            caveats.append(f"{tag} not used: {error}")
            continue
        caveats += refused
        several = len(frames) - len(refused) > 1  # of one alone hits are flagged already
        scenes[tag] = flag_cosmics(lamp, floor=noise_floor(lamp)) if several else lamp
    return scenes, caveats
