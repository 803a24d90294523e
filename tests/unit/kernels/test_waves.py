"""Plane waves of a read-out: found in the overscan, their frequency told by the dark rows; light is not touched."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.waves import Panel, Wave, plane_waves, wave_image

ROWS, COLUMNS, OVERSCAN = 400, 430, 30
NOISE = 2.6


def panels(image: np.ndarray, dark_rows: np.ndarray) -> tuple[Panel, Panel]:
    """Return overscan and dark rows of an image."""
    first = COLUMNS - OVERSCAN
    covered, dark = image[:, first:], image[dark_rows, :first]
    return (
        Panel(covered, np.ones(covered.shape, bool), np.arange(ROWS), np.arange(first, COLUMNS)),
        Panel(dark, np.ones(dark.shape, bool), dark_rows, np.arange(first)),
    )


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, NOISE, (ROWS, COLUMNS)).astype(np.float32)


@pytest.mark.parametrize(("fy", "fx"), [(0.0, 0.1321), (0.2713, 0.4766), (-0.2558, 0.2403), (0.4002, 0.05)])
def test_a_wave_of_any_frequency_is_told_by_few_dark_rows(fy: float, fx: float) -> None:
    wave = wave_image([Wave(fy, fx, 1.2 * np.exp(0.7j))], (ROWS, COLUMNS))
    found = plane_waves(*panels(noise(1) + wave, np.arange(5, 400, 40)), (ROWS, COLUMNS))
    assert len(found) == 1
    left = wave_image(found, (ROWS, COLUMNS)) - wave
    # two quadratures and two frequencies, from 16000 pixels
    assert np.sqrt(np.mean(left**2)) < 3.0 * NOISE * (4.0 / 16000.0) ** 0.5


def test_amplitude_is_unbiased() -> None:
    amplitudes = []
    for seed in range(12):
        image = noise(seed) + wave_image([Wave(0.1, 0.3, 0.5 + 0.0j)], (ROWS, COLUMNS))
        amplitudes.append(abs(plane_waves(*panels(image, np.arange(0, 400, 20)), (ROWS, COLUMNS))[0].amplitude))
    error = NOISE * (2.0 / 20000.0) ** 0.5
    assert np.mean(amplitudes) == pytest.approx(0.5, abs=3.0 * error / 12**0.5 + error**2)
    assert np.std(amplitudes) < 1.6 * error


def test_two_waves_of_near_frequencies_are_taken_apart() -> None:
    true = [Wave(0.4002, 0.1996, 1.0 + 0.0j), Wave(-0.1996, 0.4002, 0.6j)]
    found = plane_waves(*panels(noise(3) + wave_image(true, (ROWS, COLUMNS)), np.arange(0, 400, 10)), (ROWS, COLUMNS))
    assert sorted(round(abs(one.amplitude), 1) for one in found) == [0.6, 1.0]


def test_noise_has_no_waves() -> None:
    assert (
        sum(len(plane_waves(*panels(noise(seed), np.arange(0, 400, 10)), (ROWS, COLUMNS))) for seed in range(20)) == 0
    )


def test_a_wave_is_left_alone_where_its_frequency_is_unknown() -> None:
    """The overscan alone does not tell how a weak wave goes on over the image."""
    image = noise(4) + wave_image([Wave(0.1, 0.3, 0.4 + 0.0j)], (ROWS, COLUMNS))
    assert not plane_waves(*panels(image, np.arange(0)), (ROWS, COLUMNS))
