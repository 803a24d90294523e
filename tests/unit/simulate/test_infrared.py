"""The simulated infrared array: its noise, its flaws and its loss are what was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.detector import Amplifier, Detector, Section
from tracecube.simulate.infrared import integrate, make_array

_ROWS, _BORDER = 256, 4


@pytest.fixture
def detector() -> Detector:
    """Four outputs of 64 columns with a border of reference pixels."""
    outputs = tuple(
        Amplifier(str(x), Section(0, _ROWS, x, x + 64), (Section(0, _BORDER, x, x + 64),), 6.0, 30000.0, 40000.0)
        for x in range(0, _ROWS, 64)
    )
    lit = Section(_BORDER, _ROWS - _BORDER, _BORDER, _ROWS - _BORDER)
    return Detector("array", (_ROWS, _ROWS), outputs, lit, axis=0)


def test_a_mean_of_integrations_has_the_noise_of_their_number(detector: Detector) -> None:
    rng = np.random.default_rng(1)
    array = make_array(detector, rng, gain=1.8, read_noise=6.0, loss=0.02)
    light = np.full((_ROWS, _ROWS), 400.0, np.float32)
    good = (array.bad == 0) & ~detector.dark()
    for count in (1, 25):
        pair = [integrate(array, light, 2.0, count, rng).astype(float) for _ in range(2)]
        half = (pair[0] - pair[1]) / 2**0.5
        half -= np.median(half, axis=0) + np.median(half, axis=1)[:, None]
        expected = np.sqrt((400.0 + 36.0) / count) / 1.8
        assert half[good].std() == pytest.approx(np.hypot(expected, 12**-0.5), rel=0.05)


def test_flaws_and_loss(detector: Detector) -> None:
    rng = np.random.default_rng(2)
    array = make_array(detector, rng, gain=1.8, read_noise=6.0, loss=0.02)
    share = [float(((array.bad & bit) != 0).mean()) for bit in (1, 2, 4)]
    assert all(1e-3 < one < 8e-3 for one in share)
    bright = np.full((_ROWS, _ROWS), 30000.0 * 1.8, np.float32)
    counts = integrate(array, bright, 1.0, 100, rng)
    ideal = 30000.0 * array.response
    good = (array.bad == 0) & ~detector.dark()
    assert np.median((counts / np.maximum(ideal, 1.0))[good]) == pytest.approx(0.98, abs=1e-3)
    assert np.abs(counts[detector.dark()]).max() < 30


def test_a_closed_shutter_leaves_dark_current(detector: Detector) -> None:
    array = make_array(detector, np.random.default_rng(3), gain=2.0, read_noise=6.0, loss=0.0)
    hot = (array.bad & 2) != 0
    frame = integrate(array, None, 50.0, 100, np.random.default_rng(4))
    assert np.median(frame[hot & ~detector.dark()]) > 100
    assert abs(np.median(frame[~hot])) <= 1
