"""A small detector with slices whose edges, wavelengths and lines are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr

from tracecube.core.frame import Frame
from tracecube.core.slices import SliceExposure, SliceGeometry, SliceTraces, SliceWavelengths
from tracecube.recipes.optics.slice_map import columns_of

ROWS, PITCH, WIDTH, EDGE = 4112, 82.0, 76.2, 0.8
NOISE = 3.0  # electron

Profile = Callable[[np.ndarray], np.ndarray]
"""What a pixel sees of a line of strength 1 at an offset (Angstrom)."""


def law(u: np.ndarray) -> np.ndarray:
    """The nominal wavelength at u."""
    return np.asarray(6990.0 + 2560.0 * u)


def gaussian(offset: np.ndarray, sigma: float = 1.1) -> np.ndarray:
    return np.exp(-0.5 * (offset / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi))


@dataclass(frozen=True)
class SliceDetector:
    """Slices beside each other, dispersion along y, bent and tilted each in its own way."""

    count: int = 6
    rows: int = ROWS

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, int(PITCH * self.count) + 40

    @cached_property
    def u(self) -> np.ndarray:
        return np.linspace(-1.0, 1.0, self.rows)

    @cached_property
    def traces(self) -> SliceTraces:
        number = np.arange(self.count)[:, None]
        centre = 60.3 + PITCH * number + (1.5 + 0.2 * number) * self.u + 0.8 * self.u**2 - 0.3 * self.u**3
        half = 0.5 * (WIDTH + 0.2 * self.u) + 0.0 * number
        return SliceTraces(
            aperture=np.arange(1, self.count + 1, dtype=np.int32),
            start=np.zeros(self.count, np.int32),
            dq=np.zeros(self.count, np.int32),
            edge=np.full(self.count, EDGE),
            centre=centre,
            left=centre - half,
            right=centre + half,
            error=np.full(centre.shape, 1e-3),
            sample_dq=np.zeros(centre.shape, np.int32),
            axis=0,
            meta={"DETECTOR": "CHAN03"},
        )

    @cached_property
    def solution(self) -> SliceWavelengths:
        coefficient = np.zeros((self.count, 3, 7))
        for row in range(self.count):
            coefficient[row, 0, :5] = 6990.0 + 110.0 * (row % 3 - 1), 2560.0 + 4.0 * row, 20.0, -6.0, 1.0
            coefficient[row, 1, :2] = 1.5 - 0.4 * row, 0.3
            coefficient[row, 2, 0] = 0.4
        none = np.zeros(0)
        middle = 0.5 * (self.rows - 1)
        return SliceWavelengths(
            aperture=self.traces.aperture, dq=np.zeros(self.count, np.int32), coefficient=coefficient,
            covariance=np.zeros((self.count, 7, 7)), rms=np.zeros(self.count), line_aperture=none.astype(int),
            line_wave=none, line_lamp=none.astype(int), line_pixel=none, line_residual=none, line_error=none,
            line_used=none.astype(int), list_wave=none, list_offset=none, list_error=none, middle=middle, half=middle,
            reach=0.5 * WIDTH, meta={"DETECTOR": "CHAN03"},
        )  # fmt: skip

    @cached_property
    def geometry(self) -> SliceGeometry:
        """Slices above each other on the sky, 0.2 arcsec apart."""
        number = np.arange(self.count)
        return SliceGeometry(
            aperture=self.traces.aperture,
            x=5.0 + 0.1 * number,
            y=0.2 * (number - 0.5 * (self.count - 1)),
            angle=np.full(self.count, 0.4),
            width=np.full(self.count, 15.2),
            dq=np.zeros(self.count, np.int32),
            meta={},
        )

    def light(self, *, shift: float = 0.0, level: np.ndarray | None = None, slope: float = 0.05) -> np.ndarray:
        """Evenly lit slices (y, x) of brightness about 1."""
        made = np.zeros(self.shape)
        x = np.arange(self.shape[1])[None, :]
        for row in range(self.count):
            left, right = self.traces.left[row][:, None] + shift, self.traces.right[row][:, None] + shift
            t = (2 * x - left - right) / (right - left)
            inside = ndtr((x - left) / EDGE) - ndtr((x - right) / EDGE)
            made += (1.0 if level is None else level[row]) * (1.0 + slope * t) * inside
        return made

    def each(self, value: Callable[[int, np.ndarray, np.ndarray], np.ndarray], *, beyond: float = 3.0) -> np.ndarray:
        """Sum of ``value(row, wave, across)`` over slices, each where it and its edges are."""
        made = np.zeros(self.shape)
        y = np.arange(self.rows, dtype=float)[:, None]
        for row in range(self.count):
            x0, x1 = columns_of(self.traces, row, self.shape[1], beyond=beyond)
            across = np.arange(x0, x1)[None, :] - self.traces.centre[row][:, None]
            near = np.abs(across) < 0.5 * WIDTH + beyond
            made[:, x0:x1] += np.where(near, value(row, self.solution.wave(row, y, across), across), 0.0)
        return made

    def lines(self, wave: np.ndarray, strength: np.ndarray, profile: Profile = gaussian) -> np.ndarray:
        """Emission lines (y, x) in evenly lit slices, electron."""

        def seen(_row: int, at: np.ndarray, _across: np.ndarray) -> np.ndarray:
            total = np.zeros(at.shape)
            for line, one in zip(wave, strength, strict=True):
                near = np.flatnonzero((at.min(axis=1) < line + 10.0) & (at.max(axis=1) > line - 10.0))
                if near.size:
                    total[near] += one * profile(at[near] - line)
            return total

        return self.each(seen) * np.minimum(self.light(slope=0.0), 1.0)

    def exposure(self, data: np.ndarray, variance: np.ndarray, *, shift: float = 0.0) -> SliceExposure:
        """An exposure over its flat."""
        return SliceExposure(
            data=data.astype(np.float32),
            variance=variance.astype(np.float32),
            flags=np.zeros(self.shape, np.int32),
            aperture=self.traces.aperture,
            shift=np.full(self.count, shift),
            gain=np.ones(self.count),
            gain_error=np.zeros(self.count),
            dq=np.zeros(self.count, np.int32),
            meta={"DETECTOR": "CHAN03"},
        )


def expose(clean: np.ndarray, rng: np.random.Generator, *, noise: float = NOISE) -> Frame:
    """A frame with photon and read noise; the variance is that of the expected signal."""
    variance = np.maximum(clean, 0.0) + noise**2
    data = clean + rng.normal(0.0, np.sqrt(variance))
    return Frame(
        data.astype(np.float32), variance.astype(np.float32), np.zeros(clean.shape, np.int32), {"DETECTOR": "CHAN03"}
    )
