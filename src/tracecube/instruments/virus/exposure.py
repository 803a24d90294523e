"""One exposure of a CCD: freed of what the detector adds, its bad pixels flagged, the noise of each pixel known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from tracecube.core.errors import BadData, TracecubeError
from tracecube.core.fields import BoolArray, FloatArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.instruments.virus.ccd import HALF, HALVES, read_ccd
from tracecube.instruments.virus.headers import dark_time
from tracecube.kernels.combine import typical
from tracecube.recipes.detector.combine import combine_frames, lit_frames

__all__ = ["FOOTPRINT", "amplifiers", "by_exposure", "calibrate_ccd", "combined", "side_of"]

_NOISY = 1.05  # over the read noise of zeros; an overscan tells its own to 0.4 per cent

FOOTPRINT = 7.0
"""px: 1 / sum of a fibre's profile squared (flats of night A); over as many the error of a row's level is the same."""


def side_of(meta: Meta) -> str:
    """Return L or R: the CCD of a header."""
    return str(meta.get("CCDPOS") or "").strip()


def amplifiers(frame: Frame) -> dict[str, slice]:
    """Return the rows of each amplifier that was read, by name."""
    rows = {amp: slice(HALF * i, HALF * (i + 1)) for i, amp in enumerate(HALVES[side_of(frame.meta)])}
    return {amp: part for amp, part in rows.items() if np.isfinite(frame.data[part]).any()}


def by_exposure(raw: Sequence[RawFrame]) -> list[list[RawFrame]]:
    """Gather the amplifiers of each exposure, in order of time."""
    groups: dict[str, list[RawFrame]] = {}
    for frame in sorted(raw, key=lambda frame: frame.name):
        groups.setdefault(frame.name.partition("_")[0], []).append(frame)
    return list(groups.values())


def _card(frame: Frame, key: str) -> float | None:
    value = frame.meta.get(key)
    return float(value) if isinstance(value, int | float) else None


def calibrate_ccd(raw: Sequence[RawFrame], dark: Frame) -> tuple[Frame, tuple[str, ...]]:
    """Calibrate one exposure of a CCD to electrons.

    Parameters
    ----------
    raw : sequence of RawFrame
        One or two amplifiers of one exposure.
    dark : Frame
        Master dark: structure, bad pixels, and by amplifier cards ``RN``, ``LEVEL`` and ``DARK``.

    Returns
    -------
    Frame
        Variance that of a pixel without light, the level of its row included as it counts in a fibre; card NOISEFLR
        its typical value. Halves without a master dark
        are refused like dead ones: nothing is known of them.
    caveats : tuple of str
    """
    frame, caveats = read_ccd(raw)
    seconds = dark_time(frame.meta, raw[0].name)
    data, variance, flags = frame.data.copy(), frame.variance.copy(), frame.flags | dark.flags
    notes = list(caveats)
    for amp, part in amplifiers(frame).items():
        noise, level, rate = (_card(dark, f"{key} {amp}") for key in ("RN", "LEVEL", "DARK"))
        if noise is None or level is None:
            notes.append(f"{raw[0].name}: no master dark of amplifier {amp}: left out (try: take darks and zeros)")
            data[part], variance[part] = np.nan, np.nan
            flags[part] |= int(Flag.BAD_PIXEL)
            continue
        own = float(np.sqrt(np.nanmedian(frame.variance[part])))
        if own > _NOISY * noise:
            notes.append(
                f"{raw[0].name}: amplifier {amp} reads with {own:.2f} electron of noise, {noise:.2f} in its zeros:"
                " its own noise is used (try: look for interference)"
            )
            noise = own
        current = max(rate or 0.0, 0.0) * seconds
        data[part] -= dark.data[part] + np.float32(level + current)
        rows = FOOTPRINT * (_card(frame, f"ROWERR {amp}") or 0.0) ** 2
        variance[part] = noise**2 + current + dark.variance[part] + rows
    if not np.isfinite(data).any():
        raise BadData(f"{raw[0].name}: no amplifier of this CCD is left", hint="; ".join(notes))
    floor = float(np.nanmedian(variance))
    calibrated = Frame(data, variance, flags, {**frame.meta, "NOISEFLR": round(floor, 4)})
    return calibrated, tuple(notes)


def combined(raw: Sequence[RawFrame], dark: Frame) -> tuple[Frame, tuple[str, ...]]:
    """Calibrate all exposures of one lamp or twilight, and take their mean with hits left out.

    An exposure that shows no light is left out; of one that lacks an amplifier the other counts.
    """
    frames, notes, names = [], [], []
    for members in by_exposure(raw):
        try:
            frame, caveats = calibrate_ccd(members, dark)
        except TracecubeError as error:
            notes.append(str(error))
            continue
        frames.append(frame)
        names.append(members[0].name)
        notes += caveats
    if not frames:
        raise BadData("no exposure of this CCD can be used", hint="; ".join(notes))
    kept, unlit = lit_frames(frames, names)
    frames, names = [frames[i] for i in kept], [names[i] for i in kept]
    notes += unlit
    read = [set(amplifiers(frame)) for frame in frames]
    whole = all(one == read[0] for one in read)
    mean = _mean(frames, names) if whole else _mean_of_halves(frames, names)
    return mean, tuple(dict.fromkeys(notes))


def _mean(frames: Sequence[Frame], names: Sequence[str]) -> Frame:
    """Mean of exposures, where all of them were read."""
    if len(frames) == 1:
        return frames[0]
    live = np.logical_and.reduce([np.isfinite(frame.data) for frame in frames])
    light = _expected([f.data for f in frames], live)
    filled = [
        replace(f, data=np.where(live, f.data, 0.0), variance=np.where(live, f.variance + light, 1.0)) for f in frames
    ]
    mean = combine_frames(filled, names=names)
    variance = _variance_of_mean([f.variance for f in frames], mean.variance, light)
    return replace(
        mean,
        data=np.where(live, mean.data, np.nan).astype(np.float32),
        variance=np.where(live, variance, np.nan).astype(np.float32),
    )


def _mean_of_halves(frames: Sequence[Frame], names: Sequence[str]) -> Frame:
    """Mean of exposures of which some lack an amplifier: each amplifier's is of those that have it."""
    parts = []
    for i in range(len(HALVES[side_of(frames[0].meta)])):
        part = slice(HALF * i, HALF * (i + 1))
        halves = [replace(f, data=f.data[part], variance=f.variance[part], flags=f.flags[part]) for f in frames]
        some = [k for k, half in enumerate(halves) if np.isfinite(half.data).any()]
        parts.append(_mean([halves[k] for k in some], [names[k] for k in some]) if some else halves[0])
    data, variance, flags = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("data", "variance", "flags")
    )
    fewest = min(
        int(str(part.meta.get("NCOMBINE") or 1)) for part in parts
    )  # shot noise of the other is counted too large
    return Frame(data, variance, flags, {**parts[0].meta, "NCOMBINE": fewest})


def _expected(exposures: Sequence[FloatArray], live: BoolArray) -> FloatArray:
    """Light (electron) that a pixel of every exposure is expected to hold: without it, shot noise looks like hits."""
    middle = typical(np.where(live, np.stack(exposures), 0.0), np.broadcast_to(live, (len(exposures), *live.shape)))
    return np.asarray(np.maximum(uniform_filter1d(np.nan_to_num(middle), 3, axis=1), 0.0), np.float32)


def _variance_of_mean(floors: Sequence[FloatArray], found: FloatArray, light: FloatArray) -> FloatArray:
    """Variance of a mean besides the shot noise that all its exposures would leave.

    Where exposures were left out as hit, the mean is of fewer: its floor is higher, and so is its shot noise.

    Parameters
    ----------
    floors : sequence of array (y, x)
        Variance of the exposures without light.
    found : array (y, x)
        Variance of the mean, shot noise of its exposures included.
    light : array (y, x)
        Expected electrons of one exposure.
    """
    whole = 1.0 / np.sum([1.0 / (floor + light) for floor in floors], axis=0)
    fewer = np.maximum(found / whole, 1.0)
    n = len(floors)
    return np.asarray(fewer * np.mean(floors, axis=0) / n + (fewer - 1.0) * light / n)
