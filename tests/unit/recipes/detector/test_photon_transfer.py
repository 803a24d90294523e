"""Gain, read noise and linearity of outputs from a lamp at many exposure times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.outputs import LinearityLevel
from tracecube.recipes.detector.photon_transfer import TransferParams, box_numbers, corrected, solve_outputs

GAIN, NOISE = np.array([1.1, 1.25]), np.array([2.6, 3.4])  # electron/adu, electron
LOSS = np.array([0.012, 0.02])  # of the counts at 1e4 adu
PIXELS, BOXES = 900, 60
SECONDS = np.array([0.1, 0.25, 0.6, 1.5, 4.0, 10.0, 20.0])


def counts(light: np.ndarray, loss: float) -> np.ndarray:
    """What a detector shows of light (adu), the inverse of light = counts (1 + loss counts / 1e4)."""
    return (np.sqrt(1.0 + 4.0 * loss * light / 1e4) - 1.0) / (2.0 * loss / 1e4)


def levels(rng: np.random.Generator, flicker: float = 0.005) -> list[LinearityLevel]:
    """Numbers of boxes as `box_numbers` would tell them, pixel by pixel."""
    rate = np.random.default_rng(1).uniform(200.0, 2000.0, BOXES)
    made = []
    for k, seconds in enumerate(SECONDS):
        lamp = 1.0 + rng.normal(0, flicker)
        parts = []
        for gain, noise, loss in zip(GAIN, NOISE, LOSS, strict=True):
            light = rate * (seconds + 0.018) * lamp
            blocks = [
                counts(rng.poisson(light[:, None] * gain, (BOXES, PIXELS)) / gain, loss)
                + rng.normal(0, noise / gain, (BOXES, PIXELS))
                for _ in range(2)
            ]
            parts.append(box_numbers(blocks))
        signal, error, noise, count = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("signal", "error", "noise", "count")
        )
        output = np.repeat([1, 2], BOXES)
        made.append(LinearityLevel(output, np.arange(2 * BOXES), signal, error, noise, count, seconds, 58500.0 + k))
    return made


def test_gain_noise_and_loss_are_found_and_their_pulls_are_one():
    rng = np.random.default_rng(2)
    runs = [solve_outputs(levels(rng), TransferParams(order=1)) for _ in range(12)]
    pulls = {
        "gain": [(one.gain - GAIN) / one.gain_error for one in runs],
        "noise": [(one.noise - NOISE) / one.noise_error for one in runs],
        "loss": [(one.coefficient[:, 0] - LOSS) / np.sqrt(one.covariance[:, 0, 0]) for one in runs],
    }
    for name, values in pulls.items():
        assert 0.65 < np.sqrt(np.mean(np.square(values))) < 1.35, name  # 24 numbers: 1.00 +- 0.14
    one = runs[0]
    assert np.abs(one.gain / GAIN - 1).max() < 0.004
    assert np.abs(one.coefficient[:, 0] / LOSS - 1).max() < 0.1
    assert one.output.tolist() == [1, 2]


def test_read_noise_that_noise_does_not_tell_is_none():
    made = [
        replace(one, noise=one.noise - 2.0 * np.repeat(NOISE / GAIN, BOXES) ** 2)
        for one in levels(np.random.default_rng(4))
    ]
    found = solve_outputs(made, TransferParams(order=1))
    assert np.isnan(found.noise).all()
    assert np.isnan(found.noise_error).all()
    assert found.gain == pytest.approx(GAIN, rel=0.01)


def test_correction_gives_the_light_back():
    light = np.linspace(0.0, 4e4, 50)
    assert np.allclose(corrected(counts(light, 0.02), np.array([0.02]))[0], light)


def test_one_exposure_of_a_length_and_few_lengths_are_refused():
    with pytest.raises(BadData, match="one exposure of this length"):
        box_numbers([np.ones((3, 50))])
    with pytest.raises(BadData, match="3 exposure times"):
        solve_outputs(levels(np.random.default_rng(3))[:3], TransferParams())
