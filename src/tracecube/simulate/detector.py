"""A detector run forwards: from the light that falls to the counts that are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.core.detector import Detector
from tracecube.core.fields import FloatArray, IntArray

__all__ = ["Camera", "Hits", "cosmic_rays", "draw_hits", "expose", "make_camera", "poisson"]

_FULL_SCALE = 65535  # adu, a 16-bit converter

# Tracks of muons in silicon: about two a cm2 and minute at mountain altitude (Groom 2002, Exp. Astron. 14, 45), 80
# electron-hole pairs a micrometre (minimum ionisation); a thinned CCD is about 16 micrometres deep.
_HITS_PER_CM2_S = 2.0 / 60.0
_ELECTRONS_PER_UM = 80.0
_DEPTH_UM = 16.0
_DIFFUSION_PX = 0.35  # charge spreads by several micrometres on its way to the gates


@dataclass(frozen=True)
class Hits:
    """Pixels hit by cosmic rays: arrays (n,), one row a pixel.

    Parameters
    ----------
    x, y : int array
    electrons : array
    """

    x: IntArray
    y: IntArray
    electrons: FloatArray


@dataclass(frozen=True)
class Camera:
    """A detector with its flaws, the same all night.

    Parameters
    ----------
    detector : Detector
    gain : float, electron / adu
    read_noise : float, electron
    pattern : array (y, x), adu
        Bias of the whole raw image.
    response : array (y, x)
        Relative response of the physical pixels.
    dark : array (y, x), electron / s
        Dark current of the physical pixels, hot pixels and columns among them.
    pixel_um : float
        Size of a pixel.
    """

    detector: Detector
    gain: float
    read_noise: float
    pattern: FloatArray
    response: FloatArray
    dark: FloatArray
    pixel_um: float


def make_camera(
    detector: Detector, rng: np.random.Generator, *, gain: float, read_noise: float, pixel_um: float = 13.5
) -> Camera:
    """Draw the flaws of a detector: bias pattern, response, bad and hot columns, hot pixels.

    Parameters
    ----------
    detector : Detector
    rng : numpy Generator
    gain : float, electron / adu
    read_noise : float, electron
    pixel_um : float
    """
    rows, columns = detector.raw_shape
    ramp = 3.0 * np.exp(-np.arange(columns) / 15.0)  # electronics settle at the start of each row
    waves = np.sin(np.arange(rows) / rng.uniform(150, 400) + rng.uniform(0, 6)) + 0.3 * rng.standard_normal(rows)
    pattern = 600.0 + rng.uniform(0, 50) + waves[:, None] + ramp
    response = (1.0 + 0.004 * rng.standard_normal(detector.shape)).astype(np.float32)
    dark = np.full(detector.shape, 0.003, np.float32)  # electron/s: a thinned CCD at -50 C
    for column in rng.integers(8, detector.shape[1] - 8, 4):
        response[rng.integers(0, detector.shape[0] // 2) :, column] *= rng.uniform(0.3, 0.9)
    dark[:, rng.integers(8, detector.shape[1] - 8)] += rng.uniform(0.05, 0.3)
    spots = rng.integers(0, dark.size, 200)
    dark.flat[spots] += rng.exponential(0.7, spots.size).astype(np.float32)
    return Camera(detector, gain, read_noise, pattern.astype(np.float32), response, dark, pixel_um)


def expose(
    camera: Camera,
    light: FloatArray | None,
    exptime: float,
    rng: np.random.Generator,
    *,
    hits: Hits | None = None,
) -> NDArray[np.uint16]:
    """Expose and read the detector.

    Parameters
    ----------
    camera : Camera
    light : array (y, x) or None
        Expected electrons of each physical pixel; None with the shutter closed.
    exptime : float, second
    rng : numpy Generator
    hits : Hits

    Returns
    -------
    uint16 array (y, x)
        The raw image, covered columns and overscan included.
    """
    detector = camera.detector
    expected = camera.dark * exptime
    if light is not None:
        expected += np.where(detector.dark(), 0.0, camera.response * light)
    charge = poisson(expected, rng)
    if hits is not None:
        np.add.at(charge, (hits.y, hits.x), hits.electrons.astype(np.float32))
    counts = camera.pattern + rng.normal(0.0, 0.3)  # the level drifts by some tenths of a count between frames
    counts = counts + rng.standard_normal(counts.shape, np.float32) * np.float32(camera.read_noise / camera.gain)
    frame = detector.frame
    frame.of(counts)[:] += charge / camera.gain
    return np.clip(np.round(counts), 0, _FULL_SCALE).astype(np.uint16)


def poisson(expected: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw counts (y, x); where many are expected the normal distribution serves, and is faster."""
    many = expected > 50.0
    drawn = rng.poisson(np.where(many, 0.0, np.maximum(expected, 0.0))).astype(np.float32)
    noise = rng.standard_normal(expected.shape, np.float32)
    return np.where(many, expected + noise * np.sqrt(np.maximum(expected, 0.0)), drawn).astype(np.float32)


def cosmic_rays(camera: Camera, exptime: float, rng: np.random.Generator) -> Hits:
    """Draw the cosmic rays of an exposure: straight tracks, blurred by diffusion.

    Parameters
    ----------
    camera : Camera
    exptime : float, second
    rng : numpy Generator
    """
    return draw_hits(camera.detector.shape, camera.pixel_um, exptime, rng)


def draw_hits(shape: tuple[int, int], pixel_um: float, exptime: float, rng: np.random.Generator) -> Hits:
    """Draw cosmic rays on pixels (y, x) of a size: straight tracks, blurred by diffusion.

    Parameters
    ----------
    shape : (int, int)
    pixel_um : float
        Side of a pixel.
    exptime : float, second
    rng : numpy Generator
    """
    area = shape[0] * shape[1] * (pixel_um * 1e-4) ** 2
    y, x, charge = [], [], []
    for _ in range(rng.poisson(_HITS_PER_CM2_S * area * exptime)):
        # flux goes with cos^2 of the zenith angle; the detector's own tilt is unknown, so is its sky: isotropic
        slant = np.tan(np.arccos(rng.uniform(0.02, 1.0)))
        length = min(slant * _DEPTH_UM / pixel_um, 60.0)
        angle, steps = rng.uniform(0.0, 2.0 * np.pi), max(int(8 * length), 8)
        along = np.linspace(0.0, length, steps)
        path = np.hypot(length * pixel_um, _DEPTH_UM) / steps
        deposit = _ELECTRONS_PER_UM * path * rng.lognormal(-0.1, 0.45, steps)
        x.append(rng.uniform(0, shape[1]) + along * np.cos(angle) + _DIFFUSION_PX * rng.standard_normal(steps))
        y.append(rng.uniform(0, shape[0]) + along * np.sin(angle) + _DIFFUSION_PX * rng.standard_normal(steps))
        charge.append(deposit)
    return _pixels(np.concatenate([[], *x]), np.concatenate([[], *y]), np.concatenate([[], *charge]), shape)


def _pixels(x: FloatArray, y: FloatArray, charge: FloatArray, shape: tuple[int, int]) -> Hits:
    """Gather deposits into pixels; what falls off the detector is lost."""
    image = np.zeros(shape, np.float32)
    column, row = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
    on = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
    np.add.at(image, (row[on], column[on]), charge[on].astype(np.float32))
    hit_y, hit_x = np.nonzero(image > 0.0)
    return Hits(hit_x.astype(np.int32), hit_y.astype(np.int32), image[hit_y, hit_x])
