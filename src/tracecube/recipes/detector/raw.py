"""Raw frames at the door: what is refused, and with which words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracecube.core.detector import Detector
from tracecube.core.errors import BadData, TracecubeError
from tracecube.core.frame import RawFrame

__all__ = ["check_raw", "gain_of", "usable_frames"]

_FULL = 0.01  # a frame with more than this share of its pixels at the end of the converter shows no scene


def gain_of(frames: Sequence[RawFrame]) -> float:
    """Return the gain (electron / adu) that all frames state.

    Raises
    ------
    MissingInput
        A frame without GAIN.
    BadData
        A gain that is not positive, or frames that disagree.
    """
    gains = {frame.name: frame.number("GAIN") for frame in frames}
    first = next(iter(gains.values()))
    for name, gain in gains.items():
        if not gain > 0.0:
            raise BadData(f"{name}: GAIN is {gain}, electrons per adu are positive", hint="repair the card GAIN")
        if gain != first:
            raise BadData(
                f"{name}: GAIN is {gain} where {next(iter(gains))} has {first}",
                hint="repair the card GAIN, or keep frames of different gain in different folders",
            )
    return first


def check_raw(frame: RawFrame, detector: Detector) -> None:
    """Refuse a frame that cannot be a picture of this detector.

    Raises
    ------
    BadData
        Another shape, constant, or full of saturated pixels.
    """
    image = np.asarray(frame.data)
    if image.shape != detector.raw_shape:
        raise BadData(
            f"{frame.name}: image of {image.shape} pixels (y, x), the {detector.name} reads {detector.raw_shape}",
            hint="is it binned, windowed, or of another camera? Leave it out",
        )
    part = detector.frame.of(image)
    if part.min() == part.max():
        raise BadData(f"{frame.name}: every pixel reads {part.min()}", hint="the readout failed; take the frame again")
    saturation = min(amplifier.saturation for amplifier in detector.amplifiers)
    full = float(np.mean(part >= saturation))
    if full > _FULL:
        raise BadData(
            f"{frame.name}: {100 * full:.1f} per cent of the pixels are saturated (>= {saturation:.0f} adu)",
            hint="expose for less time, or look for light in the dome; leave the frame out",
        )


def usable_frames(
    frames: Sequence[RawFrame], detector: Detector, *, least: int = 1
) -> tuple[list[RawFrame], tuple[str, ...]]:
    """Part the frames that show something, in electrons, from those that do not.

    Returns
    -------
    frames : list of RawFrame
        In order of name.
    caveats : tuple of str
        One for each frame that was left out: `check_raw` refuses it, or it states no gain.

    Raises
    ------
    TracecubeError
        Fewer than ``least`` are left; the first refusal.
    """
    kept: list[RawFrame] = []
    refused: list[TracecubeError] = []
    for frame in sorted(frames, key=lambda frame: frame.name):
        try:
            check_raw(frame, detector)
            gain_of([frame])
        except TracecubeError as error:
            refused.append(error)
        else:
            kept.append(frame)
    if refused and len(kept) < least:
        raise refused[0]
    return kept, tuple(f"left out: {error}" for error in refused)
