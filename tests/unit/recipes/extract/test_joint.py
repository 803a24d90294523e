"""Joint extraction on simulated frames: pulls, cross-talk, scattered light, bad pixels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.small_field import SHAPE, frame, small_field
from tracecube.core.flags import Flag
from tracecube.kernels.forward import project
from tracecube.kernels.scatter import column_levels
from tracecube.kernels.solve import factorise, normal_equations
from tracecube.recipes.extract.joint import ExtractionParams, extract, trace_matrix

FIELD = small_field()
MATRIX = trace_matrix(FIELD.traces, SHAPE, half_width=12)
PLAIN = ExtractionParams(scatter_pieces=0)


def truth(level: float) -> np.ndarray:
    wave = np.linspace(0, 6, FIELD.traces.centre.shape[1])
    return level * FIELD.throughput[:, None] * (1.2 + np.sin(wave))


@pytest.mark.parametrize("level", [5.0, 3000.0])
def test_pulls_have_unit_width(level: float) -> None:
    rng, flux = np.random.default_rng(2), truth(level)
    found = extract(frame(FIELD.image(flux), rng), MATRIX, PLAIN, floor=16.0)
    pull = (found.flux - flux) / np.sqrt(found.variance)
    assert np.nanstd(pull) == pytest.approx(1.0, abs=0.05)
    assert abs(np.nanmean(pull)) < 0.05
    assert found.chi2 == pytest.approx(1.0, abs=0.05)


def test_scattered_light_is_told_from_the_wings_of_bright_spectra() -> None:
    rng, flux = np.random.default_rng(3), truth(20.0)
    flux[30] = 30000.0
    y, x = np.indices(SHAPE)
    scattered = 30.0 + 20.0 * np.sin(x / 300.0) * np.cos(y / 250.0)
    found = extract(frame(FIELD.image(flux) + scattered, rng), MATRIX, ExtractionParams(scatter_pieces=4), floor=16.0)
    assert np.abs(found.scattered - scattered)[40:-40, 40:-40].mean() < 1.0
    faint = np.arange(flux.shape[0]) != 30
    pull = ((found.flux - flux) / np.sqrt(found.variance))[faint]
    assert abs(np.nanmean(pull)) < 0.1


def test_levels_of_outputs_are_told_from_spectra() -> None:
    rng, flux = np.random.default_rng(13), truth(40.0)
    params = ExtractionParams(scatter_pieces=2, strips=14, strip_pieces=1, strip_reference=16)  # 1 electron each
    level = 8.0 + rng.normal(0.0, 1.0, 14)
    seen = frame(FIELD.image(flux) + np.repeat(level, SHAPE[0] // 14)[:, None], rng)
    found = extract(seen, MATRIX, params, floor=16.0)
    steps = found.scattered.reshape(14, -1, SHAPE[1]).mean(axis=(1, 2))
    assert steps - steps.mean() == pytest.approx(level - level.mean(), abs=0.45)
    # What all samples of a spectrum have in common is what so many of them leave by chance, 0.06, and little more.
    lost = [extract(seen, MATRIX, p, floor=16.0) for p in (params, params.model_copy(update={"strips": 0}))]
    common = [np.nanstd(np.nanmean((one.flux - flux) / np.sqrt(one.variance), axis=1)) for one in lost]
    assert common[0] < 0.12
    assert common[1] > 2.5 * common[0]


def test_stripes_are_told_from_spectra() -> None:
    rng, flux = np.random.default_rng(14), truth(40.0)
    level = rng.normal(0.0, 1.0, SHAPE[1])
    seen = frame(FIELD.image(flux) + 8.0 + level, rng)
    plain = ExtractionParams(scatter_pieces=2)
    left = []
    for params in (plain.model_copy(update={"stripes": True}), plain):
        found = extract(seen, MATRIX, params, floor=16.0)
        pull = (found.flux - flux) / np.sqrt(found.variance)
        grid = np.full((flux.shape[0], SHAPE[1]), np.nan)
        rows, samples = np.nonzero(np.isfinite(pull))
        grid[rows, FIELD.traces.start[rows] + samples] = pull[rows, samples]
        crowded = np.isfinite(grid).sum(axis=0) > 20
        left.append((np.std(np.nanmean(grid[:, crowded], axis=0)), np.nanstd(pull)))
    assert left[0][0] < 0.6 * left[1][0]  # what all spectra of a column share; chance leaves 0.17
    assert left[0][1] == pytest.approx(1.0, abs=0.05)


def test_covariance_beneath_a_stripe_is_that_of_a_dense_solution() -> None:
    rng = np.random.default_rng(16)
    seen = frame(FIELD.image(truth(40.0)) + rng.normal(0.0, 1.0, SHAPE[1]), rng)
    params = ExtractionParams(scatter_pieces=0, stripes=True, passes=1)
    found = extract(seen, MATRIX, params, floor=16.0)
    ivar = (1.0 / seen.variance).astype(np.float32)
    factor = factorise(normal_equations(MATRIX.a, seen.data, ivar, band=MATRIX.band))
    levels = column_levels(seen.data, ivar, MATRIX.a, factor)
    column = SHAPE[1] // 2
    own = np.flatnonzero(MATRIX.a.origin[:, 1] == column)
    design = [project(MATRIX.a, np.eye(1, MATRIX.row.size, k)[0])[:, column] for k in own]
    design = np.stack([*design, np.ones(SHAPE[0])], axis=1).astype(float)
    normal = (design * ivar[:, column, None]).T @ design
    bare = 1.0 / np.linalg.inv(normal)[-1, -1]  # what tells the level, its prior aside
    normal[-1, -1] += 1.0 / levels.variance[column] - bare
    dense = np.linalg.inv(normal)[:-1, :-1]
    variance, blend = MATRIX.gather(found.variance)[own], MATRIX.gather(found.blend)[own[:-1]]
    assert variance == pytest.approx(dense.diagonal(), rel=1e-3)
    assert blend == pytest.approx(dense.diagonal(1), abs=1e-3 * variance.mean())


def test_without_stripes_nothing_is_taken() -> None:
    rng, flux = np.random.default_rng(15), truth(40.0)
    seen = frame(FIELD.image(flux), rng)
    params = ExtractionParams(scatter_pieces=0)
    found, plain = (extract(seen, MATRIX, params.model_copy(update={"stripes": s}), floor=16.0) for s in (True, False))
    assert np.nanstd((found.flux - plain.flux) / np.sqrt(plain.variance)) < 0.1


def test_a_bright_spectrum_leaves_its_neighbours_alone() -> None:
    flux = truth(0.0)
    flux[30] = 1e5
    found = extract(frame(FIELD.image(flux), np.random.default_rng(4)), MATRIX, PLAIN, floor=16.0)
    share = np.nanmean(found.flux, axis=1) / 1e5
    share[30] = 0.0
    assert np.abs(share).max() < 0.002


def test_flagged_and_wild_pixels_do_no_harm() -> None:
    rng, flux = np.random.default_rng(5), truth(500.0)
    seen = frame(FIELD.image(flux), rng)
    hit = rng.random(SHAPE) < 0.01
    seen.data[hit] += 5000.0
    seen.flags[hit] |= Flag.COSMIC_RAY
    wild = rng.random(SHAPE) < 0.0005
    seen.data[wild] += 4000.0
    found = extract(seen, MATRIX, PLAIN, floor=16.0)
    assert found.outlier[wild & ~hit].mean() > 0.95
    pull = (found.flux - flux) / np.sqrt(found.variance)
    assert 1.4826 * np.nanmedian(np.abs(pull)) == pytest.approx(1.0, abs=0.06)


def test_how_far_the_last_solution_still_moved_what_lies_beneath_is_told() -> None:
    rng, flux = np.random.default_rng(15), truth(40.0)
    level = 8.0 + rng.normal(0.0, 1.0, 14)
    seen = frame(FIELD.image(flux) + np.repeat(level, SHAPE[0] // 14)[:, None], rng)
    params = ExtractionParams(scatter_pieces=2, strips=14, strip_pieces=1, strip_reference=16)
    first, second, fourth = (
        extract(seen, MATRIX, params.model_copy(update={"passes": n}), floor=16.0) for n in (1, 2, 4)
    )
    assert first.step == pytest.approx(np.sqrt(np.mean(first.scattered**2)) / 4.0, rel=1e-4)  # all of it at once
    moved = np.sqrt(np.mean((second.scattered - first.scattered) ** 2)) / 4.0
    assert second.step == pytest.approx(moved, rel=1e-3)
    assert fourth.step < 0.5 * second.step < 0.2 * first.step
    assert extract(seen, MATRIX, params.model_copy(update={"strips": 0}), floor=16.0).step == 0.0
