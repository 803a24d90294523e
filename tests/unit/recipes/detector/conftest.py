"""A small detector with spectra on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from tracecube.core.detector import Amplifier, Detector, Section
from tracecube.core.fields import Scalar
from tracecube.core.frame import RawFrame
from tracecube.simulate.detector import Camera, Hits, expose

GAIN, NOISE, SIZE = 2.0, 4.0, 256


@pytest.fixture(scope="session")
def detector() -> Detector:
    amplifier = Amplifier(
        "1", Section(0, SIZE, 0, SIZE), (Section(0, SIZE, SIZE - 16, SIZE),), NOISE, linear=50000.0, saturation=65535.0
    )
    return Detector("small", (SIZE, SIZE), (amplifier,), illuminated=Section(0, SIZE, 0, SIZE - 16))


@pytest.fixture(scope="session")
def light() -> np.ndarray:
    """Electrons of stripes 6.3 px apart, of different brightness, with two lines each as the night sky has."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    image = np.zeros((SIZE, SIZE))
    for centre in np.arange(4.0, SIZE, 6.3):
        across = np.exp(-0.5 * ((y - centre - 0.007 * x) / 1.1) ** 2)
        along = 300.0 * rng.uniform(0.3, 1.0) * np.ones(SIZE)
        for _ in range(2):
            along += 200.0 * np.exp(-0.5 * ((np.arange(SIZE) - rng.uniform(0, SIZE)) / 1.1) ** 2)
        image += across * along
    return image.astype(np.float32)


@pytest.fixture(scope="session")
def camera(detector: Detector) -> Camera:
    rng = np.random.default_rng(1)
    pattern = 600.0 + rng.normal(0, 1, (SIZE, 1)) + rng.normal(0, 0.5, (1, SIZE))
    flat = np.ones((SIZE, SIZE), np.float32)
    return Camera(detector, GAIN, NOISE, pattern.astype(np.float32), flat, np.zeros_like(flat), 13.5)


Shoot = Callable[..., RawFrame]


@pytest.fixture(scope="session")
def shoot(camera: Camera) -> Shoot:
    """Expose: ``shoot(name, light, seed=..., hits=..., GAIN=...)``."""

    def shot(
        name: str, light: np.ndarray | None = None, *, seed: int = 0, hits: Hits | None = None, **cards: Scalar
    ) -> RawFrame:
        image = expose(camera, light, 0.0, np.random.default_rng(seed), hits=hits)
        meta: Mapping[str, Scalar] = {"GAIN": GAIN, "EXPTIME": 0.0 if light is None else 10.0, **cards}
        return RawFrame(name, "RAW", meta, {"": image}, {})

    return shot
