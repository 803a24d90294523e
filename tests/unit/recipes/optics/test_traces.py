"""Traces of a simulated lamp frame against what was put in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.recipes.optics.trace_fit import Lamp, Levels, column_response
from tracecube.recipes.optics.trace_model import Measured
from tracecube.recipes.optics.traces import Traced, TraceParams, trace_apertures

Scene = Any


@pytest.fixture(scope="module")
def traced(scene: Scene) -> Traced:
    return trace_apertures(scene.frame, scene.guess)


@pytest.fixture(scope="module")
def dim(dim_scene: Scene) -> Traced:
    return trace_apertures(dim_scene.frame, dim_scene.guess)


def true_centres(scene: Scene, traced: Traced) -> tuple[np.ndarray, np.ndarray]:
    """Injected centre of every sample, and its distance from the reference point."""
    lenslet, _ = scene.nearest(traced.reference)
    along = traced.traces.start[:, None] + np.arange(traced.traces.centre.shape[1])
    return scene.centre(lenslet[:, None], along), along - scene.along[lenslet][:, None]


@pytest.mark.parametrize("which", ["scene", "dim_scene"])
def test_all_lenslets_are_found_once_and_no_ghost(which: str, request: pytest.FixtureRequest) -> None:
    scene = request.getfixturevalue(which)
    traced = request.getfixturevalue("traced" if which == "scene" else "dim")
    lenslet, distance = scene.nearest(traced.reference)
    assert distance.max() < 1.5
    assert len(np.unique(lenslet)) == len(lenslet)
    assert not np.any(scene.throughput[lenslet] == 0.0)
    assert set(scene.good()) <= set(lenslet)


def test_indices_are_right(scene: Scene, traced: Traced) -> None:
    lenslet, _ = scene.nearest(traced.reference)
    found = np.stack([traced.traces.q, traced.traces.r], axis=1)
    assert len(np.unique(found - scene.index[lenslet], axis=0)) == 1
    middle = np.linalg.norm(traced.reference - scene.guess.centre, axis=1).argmin()
    assert np.abs(found[middle]).max() <= 1


@pytest.mark.parametrize(("which", "limit"), [("scene", 0.008), ("dim_scene", 0.03)])
def test_centres_and_their_errors(which: str, limit: float, request: pytest.FixtureRequest) -> None:
    scene = request.getfixturevalue(which)
    traced = request.getfixturevalue("traced" if which == "scene" else "dim")
    expected, d = true_centres(scene, traced)
    lenslet, _ = scene.nearest(traced.reference)
    bright = np.isin(lenslet, scene.good())[:, None] & (d > -95) & (d < 130)
    miss = np.where(bright, traced.traces.centre - expected, np.nan)
    assert np.sqrt(np.nanmean(miss**2)) < limit
    assert abs(np.nanmedian(miss)) < 0.2 * limit
    pull = miss / traced.centre_error
    assert 0.8 < np.nanstd(pull) < 1.25


def test_faint_lenslets_follow_their_neighbours(scene: Scene, traced: Traced) -> None:
    expected, d = true_centres(scene, traced)
    lenslet, _ = scene.nearest(traced.reference)
    faint = np.isin(scene.throughput[lenslet], [0.03, 0.15])
    assert faint.sum() >= 5
    miss = np.where(faint[:, None] & (d > -95) & (d < 130), traced.traces.centre - expected, np.nan)
    assert np.nanmax(np.abs(miss)) < 0.15
    assert np.all(traced.traces.dq[faint] == Flag.LOW_THROUGHPUT)
    whole = np.isin(lenslet, scene.good())
    assert not traced.traces.dq[whole].any()


def test_level_is_the_throughput(scene: Scene, traced: Traced) -> None:
    lenslet, _ = scene.nearest(traced.reference)
    whole = np.isin(lenslet, scene.good())
    ratio = traced.level[whole] / scene.throughput[lenslet[whole]]
    assert np.std(ratio / np.median(ratio)) < 0.02


def test_width_and_profile(scene: Scene, traced: Traced) -> None:
    lenslet, _ = scene.nearest(traced.reference)
    whole = np.isin(lenslet, scene.good())
    middle = traced.traces.sigma[whole, 60]
    assert np.std(middle / scene.width[lenslet[whole]]) < 0.01
    u, density = traced.traces.profile_u, traced.traces.profile
    assert np.isclose(density.sum() * (u[1] - u[0]), 1.0)
    assert np.all(density >= 0.0)
    # The core of the injected profile is a Gaussian of unit width, but for its wings.
    stretch = np.median(middle / scene.width[lenslet[whole]])
    true = np.interp(u * stretch, *scene.density) * stretch
    assert np.max(np.abs(density - true)[np.abs(u) < 3]) < 0.005
    wing = (np.abs(u) > 4) & (np.abs(u) < 7)
    assert np.allclose(density[wing], true[wing], atol=2.5e-4)


def test_ground_is_told_from_wings(scene: Scene, traced: Traced) -> None:
    inner = (slice(60, 400), slice(60, 700))
    assert np.max(np.abs(traced.ground[inner] - scene.ground[inner])) < 6.0


def test_samples_end_where_the_detector_ends(scene: Scene, traced: Traced) -> None:
    traces = traced.traces
    along = traces.start[:, None] + np.arange(traces.centre.shape[1])
    measured = np.isfinite(traces.centre)
    assert np.all(traces.start >= 0)
    assert np.all(along[measured] < scene.frame.data.shape[1])
    assert np.array_equal(measured, np.isfinite(traces.sigma))
    first, last = traced.reference[:, 0] - 98.0, traced.reference[:, 0] + 186.0
    whole = (first > 8) & (last < scene.frame.data.shape[1] - 8)
    assert np.all(traces.start[whole] <= first[whole])
    assert np.all(measured[whole].all(axis=1))
    assert not np.any((traces.sample_dq != 0) & ~(traced.centre_error > 0.1))


def test_quality_numbers_are_unremarkable(scene: Scene, traced: Traced) -> None:
    quality = {number.name: number for number in traced.quality}
    assert all(number.good for number in quality.values())
    assert quality["TRACES FOUND"].value == len(traced.traces.aperture)
    assert 0.85 < quality["TRACE PULL"].value < 1.15
    assert traced.caveats == ()


def test_dispersion_along_y_is_the_same_turned(scene: Scene, traced: Traced) -> None:
    frame = Frame(scene.frame.data.T, scene.frame.variance.T, scene.frame.flags.T)
    turned = trace_apertures(frame, replace(scene.guess, axis=0))
    assert turned.traces.axis == 0
    assert np.array_equal(turned.traces.centre, traced.traces.centre, equal_nan=True)
    assert np.array_equal(turned.ground.T, traced.ground)


def test_saturated_lamp_is_refused(scene: Scene) -> None:
    flags = scene.frame.flags.copy()
    flags[scene.frame.data > 2000.0] |= int(Flag.SATURATED)
    with pytest.raises(BadData, match="saturated, rule max_saturated"):
        trace_apertures(replace(scene.frame, flags=flags), scene.guess)


def test_dark_frame_is_refused(scene: Scene) -> None:
    noise = np.random.default_rng(1).normal(0, 4.0, scene.frame.data.shape)
    frame = replace(scene.frame, data=noise, variance=np.full(noise.shape, 16.0))
    with pytest.raises(BadData, match="spectra of one lamp"):
        trace_apertures(frame, scene.guess)


def test_parameters_are_described() -> None:
    assert all(field.description for field in TraceParams.model_fields.values())


def test_bad_columns_are_told_by_their_response() -> None:
    lamp = Lamp(np.arange(-100.0, 181.0), np.ones(281), -100.0)
    columns = np.array([10, 20, 30, 40])
    row, along = np.repeat(np.arange(8), 4), np.tile(columns, 8)
    flux = np.where(along == 30, 40.0, 100.0)
    flux[row == 0] = 500.0  # one odd trace is no bad column
    one = np.ones(flux.size)
    measured = Measured(row, along, flux, one, one, one, one, one)
    level = Levels(np.full(8, 100.0), np.ones(8), np.zeros(8), np.ones(8))
    response = column_response(measured, lamp, level, columns)
    assert np.allclose(response, [1.0, 1.0, 0.4, 1.0])
