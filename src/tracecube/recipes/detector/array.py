"""Exposures of an infrared array: output levels and row stripes taken out, electrons, measured noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from pydantic import Field

from tracecube.core.detector import Detector
from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, IntArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.params import Params
from tracecube.core.pixels import Linearity
from tracecube.core.quality import QualityNumber
from tracecube.kernels.combine import clipped_moments
from tracecube.kernels.smooth import smooth_surface
from tracecube.kernels.stripes import Stripes, find_rows, find_stripes
from tracecube.recipes.detector.raw import check_raw

__all__ = [
    "ArrayParams",
    "CleanExposure",
    "Exposure",
    "blind_pixels",
    "check_same",
    "clean_exposure",
    "clean_smooth_scene",
    "noise_numbers",
]


class ArrayParams(Params):
    """Numbers of the correction of output levels and row stripes."""

    rows: bool = Field(default=True, description="Take out the slow signal of rows, not only the levels of outputs")
    unlit_scale: float = Field(
        default=5.0, gt=0, description="Noises off the expected scene beyond which an unlit pixel does not count"
    )


@dataclass(frozen=True)
class Exposure:
    """A raw frame with what its header says of the readout.

    Parameters
    ----------
    raw : RawFrame
        One plane.
    dit : float, second
        One integration.
    count : int
        Integrations whose mean the frame is.
    gain : float, electron / adu
    step : float, adu
        Smallest difference between counts; means of several integrations are rounded to it too.
    """

    raw: RawFrame
    dit: float
    count: int
    gain: float
    step: float = 1.0

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.raw.name

    @property
    def meta(self) -> Meta:
        """Header cards."""
        return self.raw.meta


@dataclass(frozen=True)
class CleanExposure:
    """An exposure in electrons, stripes removed; nothing subtracted or divided yet.

    Parameters
    ----------
    data : array (y, x), electron
    floor : float, electron**2
        Variance of a pixel without light, of this frame: measured on its blind pixels.
    flags : int32 array (y, x)
        Saturated, non-linear, and not illuminated pixels.
    linear_variance : array (y, x) or None, electron**2
        What the uncertain linearity adds.
    stripes : Stripes
        What was taken out, adu.
    """

    exposure: Exposure
    data: FloatArray
    floor: float
    flags: IntArray
    linear_variance: FloatArray | None
    stripes: Stripes

    @property
    def dit(self) -> float:
        """Length of an integration, second."""
        return self.exposure.dit

    @property
    def count(self) -> int:
        """Integrations averaged."""
        return self.exposure.count

    @property
    def read_noise(self) -> float:
        """Read noise of a single integration, electron; rounding of the counts taken out."""
        rounding = (self.exposure.step * self.exposure.gain) ** 2 / 12.0
        return float(np.sqrt(max(self.floor - rounding, 0.0) * self.count))

    def noise(self, signal: FloatArray | float) -> FloatArray:
        """Return the variance (electron**2) of pixels expected to hold ``signal`` (electron)."""
        return np.asarray(self.floor + np.maximum(signal, 0.0) / self.count, np.float32)


def blind_pixels(detector: Detector) -> BoolArray:
    """Pixels (y, x) without a photodiode: the level sections of the amplifiers."""
    blind = np.zeros(detector.raw_shape, bool)
    for amplifier in detector.amplifiers:
        for section in amplifier.level:
            section.of(blind)[:] = True
    return blind


def clean_exposure(
    exposure: Exposure,
    detector: Detector,
    *,
    linearity: Linearity | None = None,
    unlit: BoolArray | None = None,
    scene: FloatArray | float = 0.0,
    params: ArrayParams | None = None,
) -> CleanExposure:
    """Take output levels and row stripes out of a frame and bring it to electrons.

    Parameters
    ----------
    exposure : Exposure
    detector : Detector
        Its amplifiers are strips of columns; their level sections are the reference pixels.
    linearity : Linearity, optional
    unlit : bool array (y, x), optional
        Pixels besides the reference pixels that hold nothing but ``scene``: those outside the field and
        between spectra.
    scene : array (y, x) or float, electron
        What the unlit pixels hold: dark current, background.
    params : ArrayParams

    Raises
    ------
    BadData
        Another shape, constant, full of saturated pixels, or reference pixels without noise.
    """
    params = params or ArrayParams()
    check_raw(exposure.raw, detector)
    counts, unread = _read(exposure.raw)
    blind = blind_pixels(detector)
    try:
        stripes = find_stripes(counts, _outputs(detector), blind, step=exposure.step)
    except ValueError as error:
        raise BadData(
            f"{exposure.name}: the reference pixels show no noise (median {np.median(counts[blind]):g} adu)",
            hint="were counts below 0 cut off, or is it no raw frame? Fetch it again, or leave it out",
        ) from error
    if unlit is not None:
        expected = np.broadcast_to(np.asarray(scene, np.float32) / np.float32(exposure.gain), counts.shape)
        off = counts - _pattern(stripes, detector, rows=True) - expected
        quiet = unlit & (np.abs(off) < params.unlit_scale * _unlit_noise(stripes.noise, expected, exposure))
        less = np.where(blind, counts, counts - expected).astype(np.float32)
        stripes = _with_noise(find_stripes(less, _outputs(detector), blind | quiet), stripes)
    return _electrons(exposure, detector, (counts, unread), stripes, linearity, rows=params.rows)


def clean_smooth_scene(
    exposure: Exposure, detector: Detector, *, scale: float, linearity: Linearity | None = None
) -> CleanExposure:
    """Clean an exposure of a smooth scene (dark, background, lamp), in which all pixels tell of stripes.

    A first pass by the reference pixels alone gives the scene as a smooth surface, which keeps its level; a
    second takes what is left in rows from all pixels. Outputs stay with the reference pixels: in all others a
    difference of gain would pass for one of level.

    Parameters
    ----------
    exposure : Exposure
    detector : Detector
    scale : float, px
        Structure of the scene is not smaller than this.
    linearity : Linearity, optional

    Raises
    ------
    BadData
        As `clean_exposure`.
    """
    first = clean_exposure(exposure, detector)
    lit = ~detector.dark()
    level = float(np.median(first.data[lit]))
    quiet = lit & (np.abs(first.data - level) < 5.0 * float(first.noise(level)) ** 0.5 + 0.5 * abs(level))
    scene = np.nan_to_num(smooth_surface(first.data, quiet.astype(np.float32), scale))
    left = first.data - scene
    quiet &= np.abs(left) < 5.0 * np.sqrt(first.noise(scene))
    rows, error, width = find_rows(left / np.float32(exposure.gain), quiet)
    found = replace(first.stripes, rows=first.stripes.rows + rows, row_error=error, width=max(width, 1e-3))
    read = _read(exposure.raw)
    return _electrons(exposure, detector, read, _with_noise(found, first.stripes), linearity, rows=True)


def _electrons(
    exposure: Exposure,
    detector: Detector,
    read: tuple[FloatArray, BoolArray],
    stripes: Stripes,
    linearity: Linearity | None,
    *,
    rows: bool,
) -> CleanExposure:
    """Take stripes out, correct for linearity, bring to electrons, flag."""
    counts, unread = read
    signal = counts - _pattern(stripes, detector, rows=rows)
    flags = _limits(counts, detector)
    if unread.any():
        flags = np.where(unread, int(Flag.NOT_MEASURED), flags).astype(np.int32)
    variance = None
    if linearity is not None:
        factor = _interpolated(signal, linearity.level, linearity.factor)
        wrong = _interpolated(signal, linearity.level, linearity.variance)
        variance = wrong * (signal * np.float32(exposure.gain)) ** 2
        signal *= factor
    gain = np.float32(exposure.gain)
    return CleanExposure(exposure, signal * gain, float((stripes.noise * gain) ** 2), flags, variance, stripes)


def _interpolated(signal: FloatArray, level: FloatArray, values: FloatArray) -> FloatArray:
    """Interpolate a table at each pixel; nearly all lie in its first step, which is one multiplication."""
    low, high = float(level[0]), float(level[1])
    slope = (float(values[1]) - float(values[0])) / (high - low)
    found = np.float32(values[0]) + np.float32(slope) * (np.clip(signal, low, high) - np.float32(low))
    bright = signal > high
    found[bright] = np.interp(signal[bright], level, values)
    return np.asarray(found, np.float32)


def _outputs(detector: Detector) -> list[tuple[int, int]]:
    """Columns of each output."""
    return [(amplifier.data.x0, amplifier.data.x1) for amplifier in detector.amplifiers]


def _read(raw: RawFrame) -> tuple[FloatArray, BoolArray]:
    """Return counts (y, x), and which of them are no numbers; those read 0."""
    counts = np.asarray(raw.data, np.float32)
    unread = ~np.isfinite(counts)
    return (np.where(unread, np.float32(0.0), counts) if unread.any() else counts), unread


def _unlit_noise(noise: float, expected: FloatArray, exposure: Exposure) -> FloatArray:
    """Standard deviation (adu) of an unlit pixel that holds ``expected`` (adu)."""
    return np.asarray(np.sqrt(noise**2 + np.maximum(expected, 0.0) / np.float32(exposure.gain * exposure.count)))


def _with_noise(found: Stripes, blind: Stripes) -> Stripes:
    """Keep the noise of the reference pixels, for unlit ones hold photon noise besides.

    Where no rows could be seen in them, theirs is part of that noise; it is taken out of it.
    """
    left = float(np.var(found.rows - blind.rows)) if blind.width == 0.0 else 0.0
    noise = max(blind.noise**2 - left, 0.5 * blind.noise**2) ** 0.5  # never more than half of it
    return replace(found, noise=noise, count=blind.count)


def _pattern(stripes: Stripes, detector: Detector, *, rows: bool) -> FloatArray:
    """Return what the electronics added (y, x), adu."""
    columns = np.concatenate([np.full(b - a, v) for (a, b), v in zip(_outputs(detector), stripes.offsets, strict=True)])
    along = stripes.rows if rows else np.full_like(stripes.rows, stripes.rows.mean())
    return np.asarray(along[:, None] + columns[None, :], np.float32)


def _limits(counts: FloatArray, detector: Detector) -> IntArray:
    """Flag what is not linear, saturated, or never sees light; most frames share one array of the last."""
    linear = min(amplifier.linear for amplifier in detector.amplifiers)
    flags = _unlit_flags(detector)
    if float(counts.max()) >= linear:
        saturation = min(amplifier.saturation for amplifier in detector.amplifiers)
        flags = flags.copy()
        flags[counts >= linear] |= int(Flag.NON_LINEAR)
        flags[counts >= saturation] |= int(Flag.SATURATED)
    return flags


@cache
def _unlit_flags(detector: Detector) -> IntArray:
    """Flags (y, x), read-only, of the pixels that never see light."""
    flags = np.where(detector.dark(), int(Flag.NOT_ILLUMINATED), 0).astype(np.int32)
    flags.flags.writeable = False
    return flags


def check_same(exposures: Sequence[CleanExposure]) -> None:
    """Refuse exposures of different integration times where one is wanted.

    Raises
    ------
    BadData
    """
    first = exposures[0]
    for other in exposures:
        if other.dit != first.dit:
            raise BadData(
                f"{other.exposure.name}: integrations of {other.dit} s, {first.exposure.name} has {first.dit} s",
                hint="combine frames of one integration time only",
            )


def noise_numbers(exposures: Sequence[CleanExposure], expected: tuple[float, float]) -> tuple[QualityNumber, ...]:
    """Quality numbers of the readout: noise, its spread over frames, stripes.

    Parameters
    ----------
    exposures : sequence of CleanExposure
    expected : (float, float)
        Unremarkable range of the read noise, electron.
    """
    noises = np.array([e.read_noise for e in exposures])
    gain = exposures[0].exposure.gain
    low, high = expected
    stripe = max(clipped_moments(e.stripes.rows)[1] for e in exposures) * gain
    return (
        QualityNumber("READ NOISE", float(noises.mean()), "electron", low, high),
        QualityNumber("RON", float(noises.mean()), "electron", low, high),
        QualityNumber("RON RMS", float(noises.std()), "electron"),
        QualityNumber("MEAN RON", float(noises.mean() / gain), "adu"),
        QualityNumber("GAIN", gain, "electron/adu"),
        QualityNumber("STRIPES RMS", float(stripe), "electron"),
    )
