"""Raw image of one channel to electrons: four quadrants, each freed of its bias level and oriented as on the chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from tracecube.core.detector import Section
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, IntArray, Meta, Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.headers import needed, number
from tracecube.kernels.combine import clipped_moments

__all__ = [
    "OUTPUTS",
    "SATURATED",
    "Channel",
    "Quadrant",
    "described_quadrants",
    "gain_card",
    "level_card",
    "noise_card",
    "quadrants",
    "trimmed_outputs",
]

CountArray = NDArray[np.uint16] | FloatArray
OUTPUTS = (1, 2, 3, 4)
SATURATED = 65500.0  # adu, of a converter of 16 bits
_IGNORED = 3  # columns of overscan beside the data that hold light left behind by the charge transfer
_COVERED = 32  # pixels of a prescan and of an overscan
_ORDER = 6  # most terms of the bias level along y; its shape is smooth over the whole quadrant
_BLOCK = 33  # rows whose mean overscan tells a jump of the level from noise
_SURE, _JUMP = 6.0, 1.0  # errors of such a mean, and adu, by which a level is not smooth: it is followed, and told
_DEAD = 0.2  # share of saturated pixels beyond which the read-out of a quadrant is dead


@dataclass(frozen=True)
class Quadrant:
    """One output of a channel.

    Parameters
    ----------
    output : int
        1 to 4.
    data, overscan : Section
        In the raw image.
    chip : Section
        Where ``data`` lies in the trimmed image.
    gain : float, electron / adu
    noise : float, electron
        Read noise that the header tells.
    """

    output: int
    data: Section
    overscan: Section
    chip: Section
    gain: float
    noise: float


def gain_card(output: int) -> str:
    """Header card with the gain (electron / adu) of an output."""
    return f"ESO DET OUT{output} GAIN"


def noise_card(output: int) -> str:
    """Header card of products with the measured read noise (electron) of an output."""
    return f"RDNOISE{output}"


def level_card(output: int) -> str:
    """Header card of products with the mean bias level (adu) of an output."""
    return f"BIASLEV{output}"


def quadrants(raw: RawFrame) -> tuple[Quadrant, ...]:
    """Return the four quadrants of a raw image as its header describes them.

    The prescan of each is at the outer edge, its overscan towards the middle of the image.

    Raises
    ------
    MissingInput
        A card is absent.
    BadData
        They do not tile the image.
    """
    found = described_quadrants(raw)
    high = sum({q.chip.y0: q.data.shape[0] + 2 * _card(raw, q.output, "PRSCY") for q in found}.values())
    wide = sum({q.chip.x0: q.data.shape[1] + 2 * _card(raw, q.output, "PRSCX") for q in found}.values())
    shape = raw.data.shape
    if (high, wide) != shape:
        raise BadData(
            f"{raw.name}: image of {shape} pixels (y, x), its OUT cards describe {(high, wide)}",
            hint="is it binned or windowed? Leave it out",
        )
    return found


def described_quadrants(raw: RawFrame) -> tuple[Quadrant, ...]:
    """Return the four quadrants of the raw image that a header describes, be it that of a trimmed product.

    ESO's trimmed products have lost the cards of the covered pixels: 32 on each side, as all detectors are read.

    Raises
    ------
    MissingInput
        A card is absent.
    """
    corners = {output: tuple(_card(raw, output, key) for key in ("X", "Y", "NX", "NY")) for output in OUTPUTS}
    edges = {
        output: tuple(_covered(raw, output, key) for key in ("PRSCX", "PRSCY", "OVSCX", "OVSCY")) for output in OUTPUTS
    }
    return tuple(_quadrant(raw, output, corners[output], edges[output]) for output in OUTPUTS)


def _card(raw: RawFrame, output: int, key: str) -> int:
    return int(raw.number(f"ESO DET OUT{output} {key}"))


def _covered(raw: RawFrame, output: int, key: str) -> int:
    """Return the width of the covered pixels on one side; of trimmed products it is not told."""
    trimmed = number(raw.meta, f"ESO DET OUT{output} {key}") is None and "DATA" in raw.images
    return _COVERED if trimmed else _card(raw, output, key)


def _quadrant(raw: RawFrame, output: int, corner: tuple[int, ...], edge: tuple[int, ...]) -> Quadrant:
    x, y, wide, high = corner
    pre_x, pre_y, over_x, over_y = edge
    right, upper = x > 1, y > 1
    x0 = pre_x + (wide + 2 * over_x if right else 0)
    y0 = pre_y + (high + 2 * over_y if upper else 0)
    beside = x0 - over_x if right else x0 + wide
    chip = _chip(x, y, wide, high)
    covered = Section(y0, y0 + high, beside, beside + over_x - _IGNORED)
    if not right:
        covered = Section(y0, y0 + high, beside + _IGNORED, beside + over_x)
    gain, noise = _gain(raw.meta, raw.name, output), number(raw.meta, f"ESO DET OUT{output} RON")
    return Quadrant(output, Section(y0, y0 + high, x0, x0 + wide), covered, chip, gain, noise or float("nan"))


def _gain(meta: Meta, name: str, output: int) -> float:
    gain = number(meta, gain_card(output))
    if gain is None or gain <= 0:
        raise MissingInput(f"{name}: no {gain_card(output)}", hint="write the gain (electron/adu) into the header")
    return gain


def _chip(x: int, y: int, wide: int, high: int) -> Section:
    """Where an output that is read from the corner (x, y) lies in the trimmed image."""
    x0, y0 = wide if x > 1 else 0, high if y > 1 else 0
    return Section(y0, y0 + high, x0, x0 + wide)


def trimmed_outputs(meta: Meta, name: str) -> Mapping[int, tuple[Section, float]]:
    """Return where each output lies in the trimmed image, and its gain (electron / adu), from the header of a product.

    Raises
    ------
    MissingInput
        A card is absent.
    """
    found = {}
    for output in OUTPUTS:
        corner = (int(needed(meta, name, f"ESO DET OUT{output} {key}")) for key in ("X", "Y", "NX", "NY"))
        found[output] = _chip(*corner), _gain(meta, name, output)
    return found


@dataclass(frozen=True)
class Channel:
    """A raw image of one channel whose bias levels are known; pixels are converted when they are asked for.

    Parameters
    ----------
    raw : RawFrame
    counts : array (y, x), adu
        Its pixels, as the converter had them: in two bytes.
    parts : tuple of Quadrant
    levels : tuple of array (y,), adu
        Bias level of each row of each quadrant.
    noise : tuple of float, electron
        Scatter of the overscan of each quadrant.
    jumps : tuple of float, adu
        By how much the level of each departs from a smooth curve along y.
    """

    raw: RawFrame
    counts: CountArray
    parts: tuple[Quadrant, ...]
    levels: tuple[FloatArray, ...]
    noise: tuple[float, ...]
    jumps: tuple[float, ...] = ()

    @classmethod
    def of(cls, raw: RawFrame) -> Channel:
        """Follow the overscan of each quadrant: a smooth curve along y.

        The level drifts from one exposure to the next, and sinks or rises along the columns in data and overscan alike.

        Raises
        ------
        MissingInput
            A card that describes the outputs is absent.
        BadData
            Constant, saturated in all quadrants, of another shape, or of a dead chip.
        """
        if raw.meta.get("ESO DET CHIP LIVE") is False:
            raise BadData(f"{raw.name}: its chip is not live (ESO DET CHIP LIVE)", hint="the other channels go on")
        pixels = raw.data
        parts = quadrants(raw)
        counts = _narrow(pixels)
        found = [_level(np.asarray(part.overscan.of(counts), np.float64)) for part in parts]
        made = cls(
            raw,
            counts,
            parts,
            tuple(level for level, _, _ in found),
            tuple(noise * part.gain for (_, noise, _), part in zip(found, parts, strict=True)),
            tuple(jump for _, _, jump in found),
        )
        if len(made.dead) == len(parts):
            raise BadData(f"{raw.name}: all four read-outs are dead or saturated", hint="leave the file out")
        return made

    @property
    def shape(self) -> tuple[int, int]:
        """Size (y, x) of the trimmed image."""
        return max(part.chip.y1 for part in self.parts), max(part.chip.x1 for part in self.parts)

    @cached_property
    def dead(self) -> tuple[int, ...]:
        """Outputs whose read-out is dead: constant, or stuck at the end of the converter."""
        blocks = {part.output: part.data.of(self.counts) for part in self.parts}
        return tuple(
            output
            for output, counts in blocks.items()
            if np.mean(counts[::7] >= SATURATED) > _DEAD or counts.min() == counts.max()
        )

    @property
    def meta(self) -> Meta:
        """The header; ``RDNOISEi`` (electron) and ``BIASLEVi`` (adu) besides, as measured for each output."""
        cards: dict[str, Scalar] = dict(self.raw.meta)
        for part, level, noise in zip(self.parts, self.levels, self.noise, strict=True):
            cards[noise_card(part.output)] = round(noise, 4)
            cards[level_card(part.output)] = round(float(level.mean()), 4)
        return cards

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is wrong with the exposure, in words."""
        said = []
        if self.dead:
            dead = ", ".join(map(str, self.dead))
            said.append(f"{self.raw.name}: read-out {dead} is dead or saturated: its pixels are bad")
        said += [
            f"{self.raw.name}: the bias level of read-out {part.output} is not smooth by {jump:.1f} adu: means over "
            f"{_BLOCK} rows follow it"
            for part, jump in zip(self.parts, self.jumps, strict=False)
            if jump > _JUMP and part.output not in self.dead
        ]
        return tuple(said)

    def rows(self, y0: int, y1: int) -> tuple[FloatArray, IntArray]:
        """Return electrons above the bias level, and flags, of rows ``y0`` to ``y1`` (exclusive)."""
        data = np.empty((y1 - y0, self.shape[1]), np.float32)
        flags = np.zeros(data.shape, np.int32)
        for part, level in zip(self.parts, self.levels, strict=True):
            first, last = max(y0, part.chip.y0), min(y1, part.chip.y1)
            if first >= last:
                continue
            own = slice(first - part.chip.y0, last - part.chip.y0)
            counts = part.data.of(self.counts)[own]
            at = slice(first - y0, last - y0), slice(part.chip.x0, part.chip.x1)
            data[at] = (counts - level[own, None].astype(np.float32)) * np.float32(part.gain)
            flags[at] = np.where(counts >= SATURATED, int(Flag.SATURATED), 0)
            if part.output in self.dead:
                flags[at] |= int(Flag.BAD_PIXEL)
        return data, flags

    def floor(self, y0: int, y1: int, noise: Mapping[int, float] | None = None) -> FloatArray:
        """Return the variance (electron**2) of pixels without light in rows ``y0`` to ``y1``.

        Parameters
        ----------
        y0, y1 : int
        noise : mapping of int to float, optional
            Read noise (electron) by output, better known than from one overscan.
        """
        variance = np.empty((y1 - y0, self.shape[1]), np.float32)
        for part, own in zip(self.parts, self.noise, strict=True):
            first, last = max(y0, part.chip.y0), min(y1, part.chip.y1)
            if first < last:
                value = (noise or {}).get(part.output, own)
                variance[first - y0 : last - y0, part.chip.x0 : part.chip.x1] = value**2
        return variance


def _narrow(pixels: FloatArray) -> CountArray:
    """Return counts in two bytes each, where they are whole and fit: a night's exposures lie in memory together."""
    if not (pixels.min() >= 0 and pixels.max() <= np.iinfo(np.uint16).max):
        return pixels
    narrow = pixels.astype(np.uint16)
    return narrow if np.array_equal(narrow, pixels) else pixels


def _level(covered: FloatArray) -> tuple[FloatArray, float, float]:
    """Return the bias level of each row (adu), the noise of a pixel, and by how much the level is not smooth (adu).

    Terms are added as long as the scatter of the rows' means goes down by more than chance: chi-square falls by more
    than 9 with one parameter (three standard deviations).
    """
    middle, noise, _ = clipped_moments(covered.ravel())
    kept = np.abs(covered - middle) < 6.0 * noise + 10.0
    count = kept.sum(axis=1)
    rows = np.where(kept, covered, 0.0).sum(axis=1) / np.maximum(count, 1)
    weight = count / noise**2 if noise > 0 else count.astype(float)
    u = np.linspace(-1.0, 1.0, len(rows))
    best = np.full(len(rows), np.average(rows, weights=weight))
    before = float(np.sum(weight * (rows - best) ** 2))
    for order in range(1, _ORDER + 1):
        fit = legendre.legval(u, legendre.legfit(u, rows, order, w=np.sqrt(weight)))
        after = float(np.sum(weight * (rows - fit) ** 2))
        if before - after < 9.0 and order > 2:  # noqa: PLR2004 - a slope and a bend are always allowed for
            break
        best, before = fit, after
    best, jump = _followed(rows, best, count, noise)
    left = (covered - best[:, None])[kept]
    return np.asarray(best), float(clipped_moments(left)[1]), jump


def _followed(rows: FloatArray, smooth: FloatArray, count: FloatArray, noise: float) -> tuple[FloatArray, float]:
    """Return the level (adu) along means over some rows where it surely departs from a smooth curve, and by how much.

    Parameters
    ----------
    rows, smooth : array (y,), adu
        Means of the overscan, and the curve through them.
    count : array (y,)
        Pixels in each mean.
    noise : float, adu
        Of a pixel.
    """
    sums = [_BLOCK * uniform_filter1d(one, _BLOCK, mode="constant") for one in ((rows - smooth) * count, 1.0 * count)]
    held = np.maximum(sums[1], 1.0)
    left, error = sums[0] / held, noise / np.sqrt(held)
    if not (noise > 0 and np.max(np.abs(left) / error) > _SURE):
        return smooth, 0.0
    return np.asarray(smooth + left), float(np.abs(left).max())
