"""From counts to electrons: bias and its drift, gain, flags, and a variance that no noisy pixel made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracecube.core.detector import Amplifier, Detector
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, IntArray, Scalar
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.pixels import BadPixels
from tracecube.kernels import combine, running
from tracecube.recipes.detector.badpixels import BadPixelParams, bad_pixels_of, flag_column_offsets
from tracecube.recipes.detector.bias import bias_level_card, read_noise_card
from tracecube.recipes.detector.raw import check_raw, gain_of

__all__ = ["calibrate_frame", "noise_floor", "with_variance"]

_FLOOR_CARD = "NOISEFLR"
_COLUMNS = BadPixelParams()
_LOST = 10.0  # noises below the bias: light does not take charge away, there was no read-out
_ENOUGH_COVERED = 2000  # covered pixels that give a frame's own noise floor to 1.6 per cent (1 / sqrt(2 n))


def calibrate_frame(
    raw: RawFrame,
    bias: Frame,
    *,
    detector: Detector,
    bad: Sequence[Frame | BadPixels] = (),
    columns: BadPixelParams | None = _COLUMNS,
) -> Frame:
    """Calibrate one exposure to electrons.

    The bias is subtracted, and with it the drift of its level since: covered pixels and overscan
    follow the electronics and, where they are physical pixels, the dark current.

    Parameters
    ----------
    raw : RawFrame
    bias : Frame
        Master bias of the same readout mode.
    detector : Detector
    bad : sequence of Frame or BadPixels
        Calibration frames whose lasting flags (bad, hot) hold here too.
    columns : BadPixelParams or None
        Look for columns with an offset in this very frame, with these numbers: a hot column shows in a
        long exposure alone. None does not look.

    Returns
    -------
    Frame
        Data in electron; variance = noise floor + expected signal, the latter from the pixel's
        neighbours along dispersion; card NOISEFLR holds the floor (electron**2): read noise and dark
        current of this exposure, and what the master bias adds. A pixel far below its bias was not read: it is
        flagged as not measured.

    Raises
    ------
    MissingInput
        No GAIN, or a bias without its read noise.
    BadData
        Wrong shape, constant, saturated, or a gain other than the bias has.
    """
    check_raw(raw, detector)
    gain = _common_gain(raw, bias)
    counts = np.nan_to_num(np.asarray(raw.data, np.float32), nan=0.0)  # no camera counts so little: not measured, below
    data, floors = np.empty(detector.shape, np.float32), []
    for index, amplifier in enumerate(detector.amplifiers, start=1):
        at = detector.trimmed(amplifier)
        level, noise = _level(counts, amplifier, gain)
        drift = 0.0 if level is None else level - _card(bias, bias_level_card(index))
        at.of(data)[:] = amplifier.data.of(counts) * gain - at.of(bias.data) - drift
        floors.append((noise or _card(bias, read_noise_card(index)) ** 2) + float(np.median(at.of(bias.variance))))
    flags = _flags(counts, detector) | bad_pixels_of([bias, *bad])
    flags |= np.where(data < -_LOST * max(floors) ** 0.5, int(Flag.NOT_MEASURED), 0).astype(np.int32)
    meta: dict[str, Scalar] = {**raw.meta, _FLOOR_CARD: round(max(floors), 4)}
    frame = Frame(data, np.full_like(data, max(floors)), flags, meta)
    if columns is not None:
        frame = flag_column_offsets(frame, params=columns)
    return with_variance(frame, axis=detector.axis)


def _common_gain(raw: RawFrame, bias: Frame) -> float:
    """Return the gain (electron / adu) of a frame, which its master bias has too."""
    gain = gain_of([raw])
    if float(bias.meta.get("GAIN") or gain) != gain:
        raise BadData(
            f"{raw.name}: GAIN is {gain}, its master bias has {bias.meta['GAIN']}",
            hint="take biases in this readout mode, or repair the card GAIN",
        )
    return gain


def _flags(counts: FloatArray, detector: Detector) -> IntArray:
    """Return what the counts (adu, raw image) say of each pixel: not illuminated, not linear, saturated."""
    flags = np.where(detector.dark(), int(Flag.NOT_ILLUMINATED), 0).astype(np.int32)
    for amplifier in detector.amplifiers:
        part, read = detector.trimmed(amplifier).of(flags), amplifier.data.of(counts)
        part |= np.where(read >= amplifier.linear, int(Flag.NON_LINEAR), 0).astype(np.int32)
        part |= np.where(read >= amplifier.saturation, int(Flag.SATURATED), 0).astype(np.int32)
    return flags


def _card(bias: Frame, key: str) -> float:
    """Return a card that the master bias carries.

    Raises
    ------
    MissingInput
        It does not.
    """
    value = bias.meta.get(key)
    if not isinstance(value, int | float):
        raise MissingInput(f"master bias: header card {key} is {value!r}", hint="make the master bias again")
    return float(value)


def _level(counts: FloatArray, amplifier: Amplifier, gain: float) -> tuple[float | None, float | None]:
    """Return level (electron) and noise floor (electron**2) of the covered pixels, None where there are none.

    The noise of covered pixels holds read noise and dark current of this exposure; centred differences
    between columns leave the pattern of the bias out. Of too few pixels the biases' read noise is better.
    """
    covered = [section.of(counts) for section in amplifier.level]
    if not covered:
        return None, None
    level = combine.clipped_moments(np.concatenate([part.ravel() for part in covered]))[0] * gain
    steps = np.concatenate([_centred(part[:, 1:] - part[:, :-1]).ravel() for part in covered])
    if steps.size < _ENOUGH_COVERED:
        return level, None
    return level, 0.5 * (combine.clipped_moments(steps)[1] * gain) ** 2


def _centred(steps: FloatArray) -> FloatArray:
    """Take the pattern out of differences between columns (y, x)."""
    return np.asarray(steps - np.median(steps, axis=0))


def noise_floor(frame: Frame) -> float:
    """Return the variance (electron**2) of a pixel without light in a calibrated exposure.

    Raises
    ------
    MissingInput
        The frame does not state it.
    """
    value = frame.meta.get(_FLOOR_CARD)
    if not isinstance(value, int | float):
        raise MissingInput(f"frame: header card {_FLOOR_CARD} is {value!r}", hint="calibrate the raw frame again")
    return float(value)


def with_variance(frame: Frame, *, axis: int = 1) -> Frame:
    """Return a frame whose variance is its noise floor and the signal that its good neighbours expect.

    Parameters
    ----------
    frame : Frame
    axis : int
        Image axis of dispersion.
    """
    floor = noise_floor(frame)
    good = frame.flags & NOT_USABLE == 0
    if axis == 1:
        signal = running.expected_signal(frame.data, good, floor**0.5)
    else:
        signal = running.expected_signal(np.ascontiguousarray(frame.data.T), np.ascontiguousarray(good.T), floor**0.5).T
    return replace(frame, variance=np.asarray(floor + signal, np.float32))
