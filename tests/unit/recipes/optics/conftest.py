"""A small detector with the staggered spectra of a lenslet array under a lamp."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tracecube.core.frame import Frame
from tracecube.kernels.forward import Footprints, cumulative_profile, design_matrix, project
from tracecube.recipes.optics.trace_search import TraceGuess

SHAPE = (460, 760)
GUESS = TraceGuess(
    sigma=1.1, spacing=6.3, tilt=0.007, length=284.0, reference=98.0, pitch=45.5, angle=-15.8, centre=(340.0, 230.0)
)
NOISE = 4.0
FULL = 15000.0
"""Flux of a lenslet at the lamp's peak, electron."""


@dataclass(frozen=True)
class Scene:
    """A lamp frame and what made it; arrays over the lenslets."""

    frame: Frame
    index: np.ndarray
    along: np.ndarray
    across: np.ndarray
    slope: np.ndarray
    bend: np.ndarray
    width: np.ndarray
    throughput: np.ndarray
    ground: np.ndarray
    density: tuple[np.ndarray, np.ndarray]
    guess: TraceGuess = GUESS

    def good(self) -> np.ndarray:
        """Whole, bright lenslets."""
        whole = (self.along > 100) & (self.along < SHAPE[1] - 190)
        return np.flatnonzero(whole & (self.throughput > 0.3))

    def centre(self, lenslet: np.ndarray | int, along: np.ndarray) -> np.ndarray:
        d = along - self.along[lenslet]
        return self.across[lenslet] + self.slope[lenslet] * d + self.bend[lenslet] * d * d

    def nearest(self, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lenslet nearest to each reference point, and the distance with x counted a tenth."""
        offset = reference[:, None, :] - np.stack([self.along, self.across], axis=1)
        distance = np.hypot(offset[:, :, 0] / 10.0, offset[:, :, 1])
        return distance.argmin(axis=1), distance.min(axis=1)


def lamp(d: np.ndarray) -> np.ndarray:
    """Light along a trace: sharp at its low end, fading slowly to the other."""
    rise = 1.0 / (1.0 + np.exp(-(d + 82.0) / 6.0))
    fall = np.exp(-0.5 * np.clip((d + 45.0) / 58.0, 0.0, None) ** 1.9)
    return np.where((d < -99.0) | (d > 186.0), 0.0, rise * fall)


def winged() -> tuple[np.ndarray, np.ndarray]:
    u = np.arange(-14.0, 14.001, 0.02)
    core = np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)
    return u, 0.97 * core + 0.03 * np.exp(-0.5 * (u / 3.5) ** 2) / (3.5 * np.sqrt(2 * np.pi))


def lattice(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Nodes whose traces touch the detector, slightly distorted and each a little off its place."""
    theta = np.radians([-15.0, 45.4])
    basis = 45.7 * np.stack([np.cos(theta), np.sin(theta)], axis=1)
    q, r = np.meshgrid(np.arange(-30, 31), np.arange(-30, 31), indexing="ij")
    index = np.stack([q.ravel(), r.ravel()], axis=1)
    place = index @ basis
    u = place / 500.0
    place += np.stack([3.0 * u[:, 0] * u[:, 1], 2.0 * u[:, 0] ** 2 - u[:, 1] ** 3], axis=1)
    place += rng.normal((352.0, 221.0), 0.15, place.shape)
    touches = (place[:, 0] > -60) & (place[:, 0] < SHAPE[1] + 60) & (np.abs(place[:, 1] - 230) < 205)
    return index[touches], place[touches]


def make(seed: int = 3, light: float = 1.0) -> Scene:
    """Draw the traces, dim and kill some lenslets, then add ghosts, hot pixels, bad columns and noise."""
    rng = np.random.default_rng(seed)
    index, place = lattice(rng)
    u = (place - [380.0, 230.0]) / 400.0
    throughput = rng.normal(1.0, 0.05, len(place))
    throughput[rng.choice(len(place), 12, replace=False)] = np.repeat([0.0, 0.03, 0.15], 4)
    bend = 4e-6 * (1 + 0.4 * u[:, 0])
    width = 1.13 + 0.03 * u[:, 0] * u[:, 1]
    scene = Scene(
        Frame(np.zeros(SHAPE), np.ones(SHAPE), np.zeros(SHAPE, np.int32)),
        index, place[:, 0], place[:, 1], 0.0076 + 0.0012 * u[:, 1] + 5e-4 * u[:, 0] ** 2, bend, width, throughput,
        30.0 + 8.0 * np.sin(np.mgrid[: SHAPE[0], : SHAPE[1]][0] / 150.0), winged(),
    )  # fmt: skip
    row, along = np.nonzero(lamp(np.arange(SHAPE[1]) - scene.along[:, None]) > 0.0)
    flux = light * FULL * throughput[row] * lamp(along - scene.along[row])
    zero = np.zeros(row.size)
    foot = Footprints(along.astype(float), scene.centre(row, along), zero, width[row], zero)
    image = project(design_matrix(foot, cumulative_profile(*scene.density), SHAPE, half_width=16), flux)
    image = image.astype(float) + light * scene.ground
    spoil(image, rng, light)
    variance = np.maximum(image, 0.0) + NOISE**2
    flags = np.zeros(SHAPE, np.int32)
    flags[:, -3:] = 1
    noisy = image + rng.normal(size=SHAPE) * np.sqrt(variance)
    noisy[:, 300] *= 0.4  # a bad column nobody knows of
    noisy[:, 520:527] = rng.normal(0, NOISE, (SHAPE[0], 7))  # a dead block
    return replace(scene, frame=Frame(noisy.astype(np.float32), variance.astype(np.float32), flags))


def spoil(image: np.ndarray, rng: np.random.Generator, light: float) -> None:
    """Add ghosts (short streaks) and hot pixels."""
    for c, s in ((95, 210), (283, 430), (350, 600)):
        for x in range(s, s + 30):
            image[c - 3 : c + 4, x] += 400.0 * light * np.exp(-0.5 * (np.arange(-3, 4) / 1.3) ** 2)
    y, x = rng.integers(0, SHAPE[0], 60), rng.integers(0, SHAPE[1], 60)
    image[y, x] += rng.uniform(500, 30000, 60)


@pytest.fixture(scope="session")
def scene() -> Scene:
    return make()


@pytest.fixture(scope="session")
def dim_scene() -> Scene:
    """A tenth of the light: signal-to-noise some 20 at the peak."""
    return make(seed=4, light=0.1)
