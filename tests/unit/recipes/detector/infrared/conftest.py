"""A small infrared array: outputs that wander, stripes, a flat that changes with wavelength, bad pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from tracecube.core.detector import Amplifier, Detector, Section
from tracecube.core.frame import RawFrame
from tracecube.recipes.detector.array import Exposure

SIZE, OUTPUTS, BORDER = 256, 8, 4


def _sides(x: int, width: int) -> list[Section]:
    """Reference columns of the first and the last output."""
    left = [Section(BORDER, SIZE - BORDER, 0, BORDER)] if x == 0 else []
    return left + ([Section(BORDER, SIZE - BORDER, SIZE - BORDER, SIZE)] if x + width == SIZE else [])


@dataclass
class Array:
    """The truth of the array, and exposures of it."""

    seed: int = 1
    gain: float = 1.8
    read_noise: float = 6.0
    slope_spread: float = 0.01
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = rng = np.random.default_rng(self.seed)
        shape = (SIZE, SIZE)
        width = SIZE // OUTPUTS
        amplifiers = tuple(
            Amplifier(
                str(i + 1),
                Section(0, SIZE, x, x + width),
                (Section(0, BORDER, x, x + width), Section(SIZE - BORDER, SIZE, x, x + width), *_sides(x, width)),
                6.0,
                linear=30000.0,
                saturation=40000.0,
            )
            for i, x in enumerate(range(0, SIZE, width))
        )
        lit = Section(BORDER, SIZE - BORDER, BORDER, SIZE - BORDER)
        self.detector = Detector("small", shape, amplifiers, illuminated=lit, axis=0)
        self.outputs = [(a.data.x0, a.data.x1) for a in amplifiers]
        outputs = np.repeat(1.0 + rng.normal(0, 0.004, OUTPUTS), width)
        self.amplifiers = outputs * np.where(np.arange(SIZE) % 2 == 0, 0.998, 1.002)
        self.response = 1.0 + rng.normal(0, 0.01, shape)
        self.slope = rng.normal(0, self.slope_spread, shape)  # 1 / um
        self.dead, self.hot, self.noisy = (np.zeros(shape, bool) for _ in range(3))
        for mask, share in ((self.dead, 0.004), (self.hot, 0.004), (self.noisy, 0.002)):
            mask[lit.y0 : lit.y1, lit.x0 : lit.x1] = rng.random(lit.shape) < share
        self.hot &= ~self.dead
        self.noisy &= ~self.dead & ~self.hot
        self.response[self.dead] *= rng.uniform(0.0, 0.4, int(self.dead.sum()))
        self.dark = np.where(self.hot, rng.uniform(5.0, 100.0, shape), 0.02)  # electron / s
        self.inside = ~self.detector.dark()
        self.dark[~self.inside] = 0.0

    def light(self, level: float, *, tilt: float = 0.05) -> np.ndarray:
        """Smooth light of a lamp, electron."""
        y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1.0) - 0.5
        return level * (1.0 + tilt * (x - y) + 0.1 * (x * x + y * y))

    def responses(self, wave: float = 12500.0) -> np.ndarray:
        return (self.response + self.slope * (wave - 12500.0) * 1e-4) * self.amplifiers

    def expose(
        self, name: str, light: np.ndarray | float = 0.0, *, dit: float = 1.65, count: int = 1, wave: float = 12500.0
    ) -> Exposure:
        """A frame that is the mean of so many integrations, in whole counts."""
        rng = self.rng
        signal = np.where(self.inside, light * self.responses(wave) + self.dark * dit, 0.0)
        noise = self.read_noise * np.where(self.noisy, 6.0, 1.0)
        electrons = signal + rng.normal(0, 1, signal.shape) * np.sqrt((np.maximum(signal, 0.0) + noise**2) / count)
        offsets = np.repeat(rng.normal(0, 1.5, OUTPUTS), SIZE // OUTPUTS)
        drift = np.cumsum(rng.normal(0, 0.1, SIZE))
        rows = (drift - drift.mean()) / np.sqrt(count)
        counts = np.round(electrons / self.gain + offsets[None, :] + rows[:, None])
        raw = RawFrame(name, "X", {"INSTRUME": "small"}, {"": counts.astype(np.float32)}, {})
        return Exposure(raw, dit, count, self.gain)


@pytest.fixture(scope="module")
def array() -> Array:
    return Array()
