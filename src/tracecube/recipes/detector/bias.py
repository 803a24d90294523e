"""Master bias: the electronics' own picture, and the read noise with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.detector import Amplifier, Detector
from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs
from tracecube.kernels import combine, pattern
from tracecube.recipes.detector.raw import gain_of, usable_frames

__all__ = ["BiasParams", "MasterBias", "bias_level_card", "combine_biases", "read_noise_card"]


class BiasParams(Params):
    """Numbers of the master bias."""

    clip: float = Field(
        default=5.0, gt=0, description="Read noises from the typical frame beyond which a pixel was hit by a cosmic ray"
    )
    hot: float = Field(
        default=20.0, gt=0, description="Read noises above its neighbours beyond which a pixel is hot without exposure"
    )
    noisy: float = Field(
        default=1.5, gt=1, description="A frame with more than this many times the typical read noise is left out"
    )


@dataclass(frozen=True, kw_only=True)
class MasterBias(Outputs):
    """A master bias (electron, pedestal included)."""

    master_bias: Frame


def read_noise_card(index: int) -> str:
    """Header card with the read noise (electron) of amplifier ``index``, from 1."""
    return f"RDNOISE{index}"


def bias_level_card(index: int) -> str:
    """Header card with the mean of the level section (electron) of amplifier ``index``, from 1."""
    return f"BIASLEV{index}"


def combine_biases(
    raw: Sequence[RawFrame], detector: Detector, params: BiasParams, *, noise_range: tuple[float, float]
) -> MasterBias:
    """Make a master bias of two or more frames of one readout mode.

    Frames are brought to a common level, since the level drifts by fractions of a count from frame to
    frame; hits are rejected by the read noise, which the differences between frames give. What rows
    and columns explain is kept, single pixels' means only as far as frames agree on them, so that the
    master adds no noise of its own (see `tracecube.kernels.pattern`).

    Parameters
    ----------
    raw : sequence of RawFrame
    detector : Detector
    params : BiasParams
    noise_range : (float, float)
        Unremarkable range of the read noise, electron.

    Raises
    ------
    MissingInput
        Fewer than two frames are left, for want of GAIN in a header.
    BadData
        Fewer than two are left; the others have another shape, are constant, saturated, or of another gain.
    """
    frames = sorted(raw, key=lambda frame: frame.name)
    if len(frames) < 2:
        raise BadData(
            f"{frames[0].name if frames else 'no file'}: one bias cannot tell hits from noise",
            hint="take at least three biases of this readout speed",
        )
    frames, refused = _of_one_gain(frames, detector)
    gain = gain_of(frames)
    frames, caveats = _quiet(frames, detector, params.noisy)
    images = np.stack([np.asarray(frame.data, np.float32) for frame in frames])
    parts = [_Part.of(images, amplifier) for amplifier in detector.amplifiers]
    data = np.empty(detector.shape, np.float32)
    variance, flags = np.empty_like(data), np.zeros(detector.shape, np.int32)
    rejected, shares = 0, []
    for amplifier, part in zip(detector.amplifiers, parts, strict=True):
        at = detector.trimmed(amplifier)
        mean, outlier = part.combined(params.clip)
        known = pattern.fixed_pattern(part.stack, mean, part.noise)
        at.of(data)[:], at.of(variance)[:] = known.image * gain, known.variance * gain**2
        at.of(flags)[_hot(mean, params.hot * part.noise)] = Flag.HOT_PIXEL
        rejected += int(outlier.sum())
        shares.append(known.share)
    numbers = (
        *_numbers(parts, gain, noise_range),
        QualityNumber("N FRAMES", float(len(frames)), low=3.0),
        QualityNumber("PIXEL PATTERN", max(shares)),
        QualityNumber("REJECTED", rejected / images.size, high=1e-3),
    )
    master = Frame(data, variance, flags, {**frames[0].meta, **_cards(parts, gain)})
    return MasterBias(master_bias=master, quality=numbers, caveats=(*refused, *caveats))


def _of_one_gain(frames: Sequence[RawFrame], detector: Detector) -> tuple[list[RawFrame], tuple[str, ...]]:
    """Part the frames that can be biases of the gain that most state from the others; a caveat names each of these.

    Raises
    ------
    TracecubeError
        Fewer than two are left: the first refusal.
    """
    kept, caveats = usable_frames(frames, detector, least=2)
    gains = [frame.number("GAIN") for frame in kept]
    usual = max(gains, key=gains.count)
    same = [frame for frame in kept if frame.number("GAIN") == usual]
    if len(same) < 2:
        gain_of(kept)
    others = (frame for frame in kept if frame.number("GAIN") != usual)
    named = (f"{one.name}: GAIN is {one.number('GAIN')} where {same[0].name} has {usual}" for one in others)
    return same, (*caveats, *(f"left out: {text} (try: repair the card GAIN)" for text in named))


@dataclass(frozen=True)
class _Part:
    """One amplifier of all frames: pixels (n, y, x) on a common level, adu."""

    stack: FloatArray
    mean_level: float
    drift: float
    level_section: float
    noise: float

    @classmethod
    def of(cls, images: FloatArray, amplifier: Amplifier) -> _Part:
        """Cut an amplifier out of the frames, find their levels and its read noise."""
        stack = np.stack([amplifier.data.of(image) for image in images])
        levels = np.array([combine.clipped_moments(plane)[0] for plane in stack])
        differences = [combine.clipped_moments(a - b)[1] for a, b in zip(stack[1:], stack[:-1], strict=True)]
        covered = [section.of(image).ravel() for image in images for section in amplifier.level]
        return cls(
            stack=stack - (levels - levels.mean())[:, None, None].astype(np.float32),
            mean_level=float(levels.mean()),
            drift=float(levels.std()),
            level_section=combine.clipped_moments(np.concatenate(covered))[0] if covered else float(levels.mean()),
            noise=float(np.sqrt(np.mean(np.square(differences)) / 2.0)) or combine.ROUNDING,
        )

    def combined(self, clip: float) -> tuple[FloatArray, BoolArray]:
        """Return the mean (adu) and the rejected samples."""
        noise = np.broadcast_to(np.float32(self.noise**2), self.stack.shape)
        mean, _, outlier = combine.combine_stack(self.stack, noise, np.ones(self.stack.shape, bool), clip=clip)
        return mean, outlier


def _quiet(frames: Sequence[RawFrame], detector: Detector, noisy: float) -> tuple[list[RawFrame], tuple[str, ...]]:
    """Leave out frames that are much noisier than the others."""
    roughness = np.array([_row_noise(frame, detector) for frame in frames])
    kept = roughness <= noisy * np.median(roughness)
    if kept.sum() < 2:
        kept[:] = True
    left_out = [frame.name for frame, keep in zip(frames, kept, strict=True) if not keep]
    caveats = tuple(f"{name} left out of the master bias: much noisier than the other frames" for name in left_out)
    return [frame for frame, keep in zip(frames, kept, strict=True) if keep], caveats


def _row_noise(frame: RawFrame, detector: Detector) -> float:
    """Noise of a frame by itself: differences of neighbours along a row, adu."""
    image = detector.frame.of(np.asarray(frame.data, np.float32))
    sigma: float = combine.clipped_moments(image[::4, 1:] - image[::4, :-1])[1]
    return sigma / math.sqrt(2.0)


def _hot(mean: FloatArray, excess: float) -> BoolArray:
    """Pixels that stand out of the median of their row's neighbours by more than ``excess``."""
    around = np.median([np.roll(mean, shift, axis=1) for shift in (-2, -1, 1, 2)], axis=0)
    return np.asarray(mean - around > excess)


def _numbers(parts: Sequence[_Part], gain: float, noise_range: tuple[float, float]) -> tuple[QualityNumber, ...]:
    """Quality numbers of the worst amplifier."""
    low, high = noise_range
    return (
        QualityNumber("READ NOISE", max(part.noise for part in parts) * gain, "electron", low, high),
        QualityNumber("GAIN", gain, "electron/adu"),
        QualityNumber("BIAS LEVEL", float(np.mean([part.mean_level for part in parts])), "adu"),
        QualityNumber("BIAS DRIFT", max(part.drift for part in parts), "adu", high=5.0),
    )


def _cards(parts: Sequence[_Part], gain: float) -> dict[str, Scalar]:
    """Header cards that calibration of other frames reads."""
    cards: dict[str, Scalar] = {}
    for index, part in enumerate(parts, start=1):
        cards[read_noise_card(index)] = round(part.noise * gain, 4)
        cards[bias_level_card(index)] = round(part.level_section * gain, 4)
    return cards
