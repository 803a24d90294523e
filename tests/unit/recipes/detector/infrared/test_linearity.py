"""Linearity and gain from exposures of a steady lamp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.recipes.detector.array import clean_exposure, clean_smooth_scene
from tracecube.recipes.detector.dark import DarkParams, combine_darks
from tracecube.recipes.detector.linearity import GainParams, measure_linearity

RANGE = (3.0, 15.0)
LOSS = 0.02 / 30000.0  # share a count


@pytest.fixture(scope="module")
def darks(array):
    clean = clean_smooth_scene(array.expose("dark", dit=2.0, count=50), array.detector, scale=64.0)
    return [combine_darks([clean], DarkParams(), noise_range=RANGE).master_dark]


def exposures(array, flicker: float = 0.0, gain: float | None = None):
    rng = np.random.default_rng(9)
    made = []
    for dit in (2.0, 4.0, 8.0, 16.0, 24.0):
        for again in range(2):
            light = array.light(2000.0 * dit * (1.0 + flicker * rng.normal()))
            light = light * (1.0 - LOSS * light / array.gain)
            exposure = array.expose(f"{dit}_{again}", light, dit=dit)
            made.append(clean_exposure(exposure if gain is None else replace(exposure, gain=gain), array.detector))
    return made


def test_the_loss_comes_back_within_its_error(array, darks):
    pulls = []
    for _ in range(3):
        made = measure_linearity(exposures(array, 0.002), darks, array.detector, GainParams(), noise_range=RANGE)
        level = made.linearity.level
        truth = 2.0 / (1.0 + np.sqrt(1.0 - 4.0 * LOSS * level))  # true over counted, of counted = true (1 - LOSS true)
        pulls.append((made.linearity.factor[-1] - truth[-1]) / np.sqrt(made.linearity.variance[-1]))
        assert made.linearity.factor[-1] == pytest.approx(truth[-1], abs=5e-3)
    assert np.max(np.abs(pulls)) < 3.5


@pytest.mark.parametrize("told", [1.8, 2.2])
def test_the_gain_is_measured_whatever_the_header_says(array, darks, told):
    made = measure_linearity(exposures(array, gain=told), darks, array.detector, GainParams(), noise_range=RANGE)
    numbers = {q.name: q.value for q in made.quality}
    assert numbers["GAIN"] == pytest.approx(1.8, rel=0.03)


def test_pixels_that_do_not_share_the_law_are_flagged(array, darks):
    given = exposures(array)
    for one in given:
        one.data[100, 100] = min(one.data[100, 100], 8000.0)
    made = measure_linearity(given, darks, array.detector, GainParams(), noise_range=RANGE)
    assert made.non_linear_pixels.flags[100, 100]
    assert (made.non_linear_pixels.flags != 0).mean() < 0.01


def test_too_few_or_too_similar_levels_are_refused(array, darks):
    given = exposures(array)
    with pytest.raises(BadData, match="3 lamp exposures"):
        measure_linearity(given[:3], darks, array.detector, GainParams(), noise_range=RANGE)
    with pytest.raises(BadData, match="lamp signals"):
        measure_linearity(given[:4], darks, array.detector, GainParams(), noise_range=RANGE)


def test_every_output_has_its_gain(array, darks):
    rng, factor = np.random.default_rng(3), np.linspace(0.95, 1.05, len(array.outputs))
    given = []
    for dit in (2.0, 4.0, 8.0, 16.0, 24.0):
        for again in range(2):
            exposure = array.expose(f"{dit}_{again}", array.light(2000.0 * dit), dit=dit)
            counts = exposure.raw.data
            for (a, b), share in zip(array.outputs, factor, strict=True):  # fewer electrons a count: more noise
                more = np.maximum(counts[:, a:b], 0.0) / array.gain * (1.0 / share - 1.0 / factor.max())
                counts[:, a:b] += rng.normal(0.0, 1.0, more.shape) * np.sqrt(more)
            counts -= LOSS * counts**2  # charge has its noise before counts fall behind it
            given.append(clean_exposure(exposure, array.detector))
    made = measure_linearity(given, darks, array.detector, GainParams(), noise_range=RANGE)
    truth = array.gain / (1.0 + 1.0 / factor - 1.0 / factor.max())
    found = np.array([made.gain_map.data[100, a] for a, _ in array.outputs])
    error = np.array([np.sqrt(made.gain_map.variance[100, a]) for a, _ in array.outputs])
    assert (error < 0.015 * truth).all()
    assert np.sqrt(np.mean(((found - truth) / error) ** 2)) < 2.0
    assert np.mean(found / truth) == pytest.approx(1.0, abs=0.01)
    assert 0.2 < np.median([made.gain_map.chi2[100, a] for a, _ in array.outputs]) < 3.0
    numbers = {q.name: q.value for q in made.quality}
    assert numbers["GAIN RMS"] == pytest.approx(np.std(truth), rel=0.3)
    assert numbers["GAIN"] == pytest.approx(np.mean(truth), rel=0.01)
    single = measure_linearity(given[::2], darks, array.detector, GainParams(), noise_range=RANGE)
    assert np.isnan(single.gain_map.data).all()
    assert "gain is not measured" in single.caveats[0]
