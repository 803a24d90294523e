"""Several exposures of one lamp made one frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from tracecube.core.detector import Detector
from tracecube.core.errors import BadData
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.params import Params
from tracecube.kernels import combine
from tracecube.recipes.detector.calibrate import calibrate_frame, noise_floor
from tracecube.recipes.detector.cosmics import CosmicParams, flag_cosmics
from tracecube.recipes.detector.raw import usable_frames

__all__ = ["CombineParams", "combine_frames", "combine_lamps", "combine_usable", "lit_frames"]

_LEAST = 0.2  # of the usual light of a lamp: lamps drift by per cents, a fifth is another state
_OFF = 0.05  # of the brightest exposure: no light, but for what noise and hits feign
_EVERY = 4  # rows: as many tell how bright a lamp was
_BRIGHT = 99.5  # per cent of the pixels are fainter than lines of an arc, and than few hits
_HINT = "was the lamp warming up, or off? Leave the frame out"


class CombineParams(Params):
    """Numbers of combining lamp exposures."""

    clip: float = Field(
        default=5.0, gt=0, description="Expected noises off the typical exposure beyond which a sample is hit"
    )
    tolerance: float = Field(
        default=0.03, ge=0, description="Share of the signal by which exposures may differ besides (shifts, flicker)"
    )
    bright: float = Field(
        default=15.0, gt=0, description="Signal-to-noise of the pixels that tell how bright exposures are"
    )


def combine_frames(
    frames: Sequence[Frame], *, names: Sequence[str] = (), params: CombineParams | None = None, axis: int = 1
) -> Frame:
    """Return the mean of exposures of one scene, hits rejected, lamp drift allowed for.

    Three or more are compared with their median, two with the lower one; of a single one the cosmic
    rays are looked for by their shape.

    Parameters
    ----------
    frames : sequence of Frame
        Calibrated exposures.
    names : sequence of str
        For messages.
    params : CombineParams
    axis : int
        Image axis of dispersion.

    Returns
    -------
    Frame
        Electrons of a mean exposure; a pixel is flagged where no exposure was good, with the flags that
        all of them share. Card NCOMBINE holds the number of exposures, NOISEFLR the floor of the mean.

    Raises
    ------
    BadData
        An exposure without light.
    """
    params = params or CombineParams()
    names = names or [f"exposure {i + 1}" for i in range(len(frames))]
    if len(frames) == 1:
        return flag_cosmics(frames[0], floor=noise_floor(frames[0]), axis=axis, params=CosmicParams())
    data = np.stack([frame.data for frame in frames])
    variance = np.stack([frame.variance for frame in frames])
    good = np.stack([frame.flags & NOT_USABLE == 0 for frame in frames])
    scale = _scales(data, variance, good, names, params.bright)
    data, variance = data / scale[:, None, None], variance / scale[:, None, None] ** 2
    mean, noise, outlier = combine.combine_stack(data, variance, good, clip=params.clip, tolerance=params.tolerance)
    lost = ~np.isfinite(mean)
    flags = np.bitwise_and.reduce([frame.flags for frame in frames]) | _hit_in_all(good, outlier)
    fallback = np.where(lost, frames[0].data / scale[0], mean)
    noise = np.where(lost, variance.max(axis=0), noise)
    floor = 1.0 / sum(s**2 / noise_floor(frame) for s, frame in zip(scale, frames, strict=True))
    flags = np.where(lost & (flags & NOT_USABLE == 0), flags | int(Flag.NOT_MEASURED), flags)
    meta = {**frames[0].meta, "NCOMBINE": len(frames), "NOISEFLR": round(float(floor), 4)}
    return Frame(fallback.astype(np.float32), noise.astype(np.float32), flags.astype(np.int32), meta)


def combine_lamps(
    raw: Sequence[RawFrame], bias: Frame, *, detector: Detector, params: CombineParams | None = None
) -> Frame:
    """Calibrate and combine the exposures of one lamp, in order of name.

    Raises
    ------
    BadData
        A frame that `calibrate_frame` refuses, or one without light.
    """
    ordered = sorted(raw, key=lambda frame: frame.name)
    frames = [calibrate_frame(frame, bias, detector=detector) for frame in ordered]
    return combine_frames(frames, names=[frame.name for frame in ordered], params=params, axis=detector.axis)


def combine_usable(
    raw: Sequence[RawFrame], bias: Frame, *, detector: Detector, params: CombineParams | None = None
) -> tuple[Frame, tuple[str, ...]]:
    """Calibrate and combine those exposures of one lamp that show it; a caveat names each of the others.

    Raises
    ------
    TracecubeError
        None shows it: the first refusal; or one of another gain than the bias.
    """
    shown, refused = usable_frames(raw, detector)
    frames = [calibrate_frame(frame, bias, detector=detector) for frame in shown]
    kept, unlit = lit_frames(frames, [frame.name for frame in shown], params=params)
    names = [shown[i].name for i in kept]
    lamp = combine_frames([frames[i] for i in kept], names=names, params=params, axis=detector.axis)
    return lamp, (*refused, *unlit)


def _scales(
    data: np.ndarray, variance: np.ndarray, good: np.ndarray, names: Sequence[str], bright: float
) -> np.ndarray:
    """Return brightness of each exposure relative to the mean exposure (n,)."""
    reference = combine.typical(data, good)
    lit = good.all(axis=0) & (reference > bright * np.sqrt(variance.max(axis=0)))
    if not lit.any():
        raise BadData(
            f"{names[0]} and {len(names) - 1} more: no pixel holds light of the lamp",
            hint="was the lamp on? Look at the lamp cards of the header and take the frames again",
        )
    scale = np.array([combine.relative_scale(image, reference, lit) for image in data])
    if scale.min() < _LEAST * np.median(scale):
        raise _too_faint(names[int(scale.argmin())], float(scale.min() / np.median(scale)))
    return np.asarray(scale / scale.mean(), np.float32)


def _too_faint(name: str, share: float) -> BadData:
    return BadData(f"{name}: {max(share, 0.0):.2f} of the light of the other exposures of this lamp", hint=_HINT)


def lit_frames(
    frames: Sequence[Frame], names: Sequence[str], *, params: CombineParams | None = None
) -> tuple[list[int], tuple[str, ...]]:
    """Tell exposures of a lamp that was on from those in which it was not.

    Parameters
    ----------
    frames : sequence of Frame
        Calibrated; NaN where a part was not read.
    names : sequence of str
    params : CombineParams

    Returns
    -------
    kept : list of int
        Places of the exposures that hold the usual light; all of them where none holds any.
    caveats : tuple of str
        One for each exposure that is left out.
    """
    params = params or CombineParams()
    data = np.stack([frame.data[::_EVERY] for frame in frames])
    good = np.stack([(frame.flags[::_EVERY] & NOT_USABLE == 0) for frame in frames]) & np.isfinite(data)
    bright = [
        float(np.percentile(image[use], _BRIGHT)) if use.any() else 0.0 for image, use in zip(data, good, strict=True)
    ]
    first = int(np.argmax(bright))
    lit = good[first] & (data[first] > params.bright * np.sqrt(frames[first].variance[::_EVERY]))
    both = [lit & use for use in good]
    if not all(use.any() for use in both):  # halves that were not read leave nothing to compare
        return list(range(len(frames))), ()
    scale = np.array([combine.relative_scale(image, data[first], use) for image, use in zip(data, both, strict=True)])
    usual = float(np.median(scale[scale > _OFF]))
    kept = [i for i, light in enumerate(scale) if light >= _LEAST * usual]
    lost = [i for i in range(len(frames)) if i not in kept]
    return kept, tuple(f"left out: {_too_faint(names[i], float(scale[i]) / usual)}" for i in lost)


def _hit_in_all(good: np.ndarray, outlier: np.ndarray) -> np.ndarray:
    """Cosmic-ray bit where every good sample was rejected."""
    return np.where(good.any(axis=0) & ~(good & ~outlier).any(axis=0), int(Flag.COSMIC_RAY), 0)
