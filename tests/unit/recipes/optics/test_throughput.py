"""Relative throughput from a dome, with and without a twilight sky."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.small_field import SHAPE, frame, small_field
from tracecube.core.errors import BadData
from tracecube.core.optics import Throughput
from tracecube.recipes.extract.grid import GridParams, on_grid
from tracecube.recipes.extract.joint import ExtractionParams, extract, trace_matrix
from tracecube.recipes.optics.throughput import ThroughputParams, illumination, relative_throughput

FIELD = small_field()
MATRIX = trace_matrix(FIELD.traces, SHAPE, half_width=12)
PLAIN = ExtractionParams(scatter_pieces=0)


def lamp(level: float, tilt: float = 0.0):
    wave = FIELD.wave()
    per_pixel = level * np.abs(np.gradient(wave, axis=1)) / 30.0
    field = 1.0 + tilt * FIELD.layout.x / np.abs(FIELD.layout.x).max()
    expected = FIELD.image(per_pixel * (FIELD.throughput * field)[:, None])
    return extract(frame(expected, np.random.default_rng(1)), MATRIX, PLAIN, floor=16.0)


def test_throughput_is_recovered() -> None:
    flat, _ = relative_throughput(lamp(5000.0), FIELD.solution(), ThroughputParams())
    ratio = flat.mean / FIELD.throughput
    assert np.std(ratio / np.median(ratio)) < 0.003


def test_the_twilight_takes_the_illumination_of_the_dome_off() -> None:
    dome, sky = lamp(5000.0, tilt=0.05), lamp(2000.0)
    flat, _ = relative_throughput(dome, FIELD.solution(), ThroughputParams())
    tilted = flat.mean / FIELD.throughput
    better, numbers = illumination(sky, FIELD.solution(), flat, FIELD.layout, ThroughputParams(), shift=0.0)
    level = better.mean / FIELD.throughput
    assert np.std(level / level.mean()) < 0.1 * np.std(tilted / tilted.mean())
    assert numbers[0].name == "ILLUMINATION RANGE"
    assert numbers[0].value == pytest.approx(0.1, abs=0.03)


def wrong_in_the_blue(level: float, slope: float, seed: int):
    """A lamp that is faint and steep in the blue, with wavelengths that are off by an Angstrom or so each."""
    wave = FIELD.wave()
    lamp_light = np.exp(np.clip((wave - 6500.0) / slope, -5.0, 0.0))
    off = 1.0 + np.random.default_rng(seed).normal(0.0, 1.0, wave.shape[0])[:, None] / slope * (wave < 6500.0)
    per_pixel = level * np.abs(np.gradient(wave, axis=1)) / 30.0
    expected = FIELD.image(per_pixel * lamp_light * off * FIELD.throughput[:, None])
    return extract(frame(expected, np.random.default_rng(seed)), MATRIX, PLAIN, floor=16.0)


def test_where_the_lamp_is_faint_an_evenly_lit_sky_corrects_each_aperture() -> None:
    params, solution = ThroughputParams(), FIELD.solution()
    dome, sky = wrong_in_the_blue(20000.0, 60.0, 3), lamp(20000.0)
    flat, _ = relative_throughput(dome, solution, params)
    plain, _ = illumination(sky, solution, flat, FIELD.layout, params, shift=0.0)
    better, numbers = illumination(sky, solution, flat, FIELD.layout, params, shift=0.0, dome=dome)
    blue, red = (slice(*np.searchsorted(flat.wave, edges)) for edges in ((4500.0, 5500.0), (8000.0, 9000.0)))

    def scatter(found: Throughput, part: slice) -> float:
        level = found.value[:, part].mean(axis=1) / FIELD.throughput
        return float(np.std(level / np.median(level)))

    assert numbers[-1].name == "SKY FLAT RMS"
    assert scatter(better, blue) < 0.7 * scatter(plain, blue)
    assert scatter(better, red) < 1.05 * scatter(plain, red) + 1e-4


def test_a_lamp_brighter_than_the_sky_is_left_alone() -> None:
    dome, sky, params = lamp(50000.0), lamp(300.0), ThroughputParams()
    flat, _ = relative_throughput(dome, FIELD.solution(), params)
    plain, _ = illumination(sky, FIELD.solution(), flat, FIELD.layout, params, shift=0.0)
    same, _ = illumination(sky, FIELD.solution(), flat, FIELD.layout, params, shift=0.0, dome=dome)
    np.testing.assert_allclose(same.value, plain.value, rtol=1e-6)
    assert np.all(same.error >= plain.error)


def test_a_dark_dome_is_refused() -> None:
    with pytest.raises(BadData, match="no light"):
        relative_throughput(lamp(0.0), FIELD.solution(), ThroughputParams())


def test_a_flat_spectrum_stays_flat_on_the_grid_and_pulls_have_unit_width() -> None:
    sky = lamp(300.0)
    spectra = on_grid(sky, FIELD.traces, FIELD.solution(), FIELD.flat(), FIELD.layout, GridParams(), shift=0.0, meta={})
    inner = (spectra.wave > 4000) & (spectra.wave < 9000)
    pull = (spectra.flux[:, inner] - 10.0) / np.sqrt(spectra.variance[:, inner])
    assert np.nanstd(pull) == pytest.approx(1.0, abs=0.05)
    assert abs(np.nanmean(pull)) < 0.05
