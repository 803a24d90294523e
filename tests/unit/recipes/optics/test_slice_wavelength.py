"""Arc lines of slices: told apart, measured, and made wavelengths, on a small detector."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from tests.unit.recipes.slice_detector import NOISE, SliceDetector, expose, law
from tracecube.core.errors import NoConvergence
from tracecube.core.flags import Flag
from tracecube.recipes.optics import slice_wavelength
from tracecube.recipes.optics.slice_lines import LampLines, LineSamples, first_guess, measure_lines
from tracecube.recipes.optics.slice_map import columns_of, lit_pixels, pixel_map
from tracecube.recipes.optics.slice_wavelength import WavelengthParams, solve_wavelengths

FIELD = SliceDetector(count=4)
SCALE = (FIELD.solution.middle, FIELD.solution.half, FIELD.solution.reach)
LIST_ERROR = 0.01  # Angstrom


def apart(rng, n, least=14.0):
    """Wavelengths of lines that stand alone."""
    found: list[float] = []
    while len(found) < n:
        one = rng.uniform(4700.0, 9300.0)
        if all(abs(one - other) > least for other in found):
            found.append(one)
    return np.sort(found)


@pytest.fixture(scope="module")
def arcs():
    """Two lamps: lists with errors, true wavelengths, frames."""
    rng = np.random.default_rng(1)
    wave = apart(rng, 84)
    lamp = rng.permutation(np.arange(wave.size) % 2)
    true = wave + rng.normal(0, LIST_ERROR, wave.size)
    strength = 10 ** rng.uniform(3.3, 4.6, wave.size)
    lists = [LampLines(k, wave[lamp == k], strength[lamp == k], np.ones((lamp == k).sum(), bool)) for k in (0, 1)]
    frames = {k: expose(FIELD.lines(true[lamp == k], strength[lamp == k]), rng) for k in (0, 1)}
    return lists, {k: true[lamp == k] for k in (0, 1)}, frames


def several(arcs, count):
    """The same lamps, each frame the mean of as many exposures."""
    lists, true, _ = arcs
    rng = np.random.default_rng(4)
    clean = {k: FIELD.lines(true[k], lists[k].strength) for k in (0, 1)}
    data = {k: np.mean([expose(image, rng).data for _ in range(count)], axis=0) for k, image in clean.items()}
    return lists, true, {k: replace(arcs[2][k], data=data[k]) for k in (0, 1)}


@pytest.fixture(scope="module")
def guess(arcs):
    lists, _, frames = arcs
    return first_guess(frames, FIELD.traces, lists, law, shift=330.0)


def measured(arcs, guess, lamps=(0, 1), exposures=1):
    lists, _, frames = arcs
    dark = {k: replace(frames[k], variance=np.full(FIELD.shape, NOISE**2 / exposures)) for k in lamps}
    parts = [measure_lines(dark[k], exposures, FIELD.traces, lists[k], guess, least=8.0) for k in lamps]
    return LineSamples(*(np.concatenate([getattr(one, f.name) for one in parts]) for f in fields(LineSamples)))


@pytest.fixture(scope="module")
def samples(arcs, guess):
    return measured(arcs, guess)


def solve(arcs, samples):
    lists, _, _ = arcs
    wave = np.concatenate([one.wave for one in lists])
    line = samples.line + np.array([0, lists[0].wave.size])[samples.lamp]
    return wave, line, solve_wavelengths(samples, wave, line, FIELD.count, SCALE, WavelengthParams())


def true_of(arcs, samples):
    _, true, _ = arcs
    return np.where(
        samples.lamp == 0,
        true[0][np.minimum(samples.line, true[0].size - 1)],
        true[1][np.minimum(samples.line, true[1].size - 1)],
    )


def test_the_pattern_of_lines_tells_where_each_spectrum_lies(guess):
    for row in range(FIELD.count):
        seen = np.polynomial.legendre.legval(FIELD.u, guess[row])
        off = seen - FIELD.solution.wave(row, np.arange(FIELD.rows), np.zeros(FIELD.rows))
        assert np.abs(off[100:-100]).max() < 1.2  # Angstrom: a pixel


def test_one_lamp_is_enough_to_tell(arcs):
    lists, _, frames = arcs
    alone = first_guess({1: frames[1]}, FIELD.traces, lists, law, shift=330.0)
    off = (
        np.polynomial.legendre.legval(0.0, alone.T) - FIELD.solution.wave(0, SCALE[0], 0.0) - 110.0 * (np.arange(4) % 3)
    )
    assert np.abs(off).max() < 1.2


def test_lines_of_another_lamp_are_not_recognised(arcs):
    lists, _, frames = arcs
    rng = np.random.default_rng(9)
    other = replace(lists[0], wave=apart(rng, lists[0].wave.size))
    with pytest.raises(NoConvergence, match="not recognised"):
        first_guess({0: frames[0]}, FIELD.traces, [other], law, shift=330.0)


@pytest.mark.parametrize("count", [1, 5])
def test_places_of_lines_have_pulls_of_one(arcs, guess, samples, count):
    if count > 1:
        samples = measured(several(arcs, count), guess, exposures=count)
    true = true_of(arcs, samples)
    speed = 2560.0 / SCALE[1]
    off = np.empty(true.size)
    for row in range(FIELD.count):
        own = samples.slice == row
        off[own] = (FIELD.solution.wave(row, samples.along[own], samples.across[own]) - true[own]) / speed
    assert true.size > 4 * 60 * 4
    assert abs(np.median(off)) < 0.001
    pulls = off / samples.error
    assert 0.9 < 1.4826 * np.median(np.abs(pulls)) < 1.1
    assert np.mean(np.abs(pulls) > 5) < 0.01


def made(rng, wave, true):
    """Samples of all lines in all slices without an image; wrong by their errors."""
    rows = []
    number = np.arange(wave.size)
    for row in range(FIELD.count):
        curve = FIELD.solution.wave(row, np.arange(FIELD.rows), np.zeros(FIELD.rows))
        for part, across in enumerate((-30.0, -15.0, 0.0, 15.0, 30.0)):
            place = np.interp(true, curve, np.arange(FIELD.rows))
            for _ in range(4):
                at, after = (FIELD.solution.wave(row, place + step, across) for step in (0.0, 1.0))
                place = place + (true - at) / (after - at)
            one = np.ones(wave.size)
            found = place + rng.normal(0, 0.005, wave.size)
            rows.append(np.stack([row * one, 0 * one, number, part * one, found, across * one, 0.005 * one, 0.9 * one]))
    table = np.concatenate(rows, axis=1)
    return LineSamples(*table[:4].astype(np.int32), *table[4:])


def test_wavelengths_have_pulls_of_one_with_the_errors_of_the_list():
    rng = np.random.default_rng(5)
    u = np.array([-0.7, 0.0, 0.6])
    basis = np.polynomial.legendre.legvander(u, 6)
    pulls = []
    for _ in range(60):
        wave = apart(rng, 40)
        true = wave + rng.normal(0, LIST_ERROR, wave.size)
        samples = made(rng, wave, true)
        found = solve_wavelengths(samples, wave, samples.line, FIELD.count, SCALE, WavelengthParams())
        for row in (0, 3):
            off = basis @ (found.coefficient[row, 0] - FIELD.solution.coefficient[row, 0])
            pulls.append(off / np.sqrt(np.einsum("ki,ij,kj->k", basis, found.covariance[row], basis)))
    assert abs(np.sqrt(np.mean(np.square(pulls))) - 1.0) < 0.15  # of 180 numbers, slices erring in common
    assert abs(np.mean(pulls)) < 0.2


def test_lines_with_unknown_companions_spoil_no_others():
    rng = np.random.default_rng(6)
    rms = []
    for _ in range(10):
        wave = apart(rng, 70)
        beside = rng.random(wave.size) < 0.1
        true = wave + rng.normal(0, LIST_ERROR, wave.size) + beside * rng.choice([-0.1, 0.1], wave.size)
        true[5] += 0.8  # another line altogether
        samples = made(rng, wave, true)
        found = solve_wavelengths(samples, wave, samples.line, FIELD.count, SCALE, WavelengthParams())
        u = np.linspace(-0.85, 0.85, 15)
        basis = np.polynomial.legendre.legvander(u, 6)
        rms.append(np.std(basis @ (found.coefficient[:, 0] - FIELD.solution.coefficient[:, 0]).T))
        assert found.list_error == pytest.approx(LIST_ERROR, rel=0.35)
    assert np.median(rms) < 0.005  # 0.016 if all errors were alike


def test_wavelengths_of_a_frame(arcs, samples):
    _, _, found = solve(arcs, samples)
    assert not found.dq.any()
    u = np.linspace(-0.85, 0.85, 15)
    basis = np.polynomial.legendre.legvander(u, found.covariance.shape[1] - 1)
    off = basis @ (found.coefficient[:, 0] - FIELD.solution.coefficient[:, 0]).T
    assert np.sqrt(np.mean(off**2)) < 0.006  # errors of a list of 84 lines, 0.01 Angstrom each
    across = found.coefficient[:, 1:] - FIELD.solution.coefficient[:, 1:]
    assert np.abs(across[:, 0, :2]).max() < 0.02
    assert np.abs(across[:, 1, 0]).max() < 0.02


def test_the_list_is_told_its_errors(arcs, samples):
    _lists, true, _ = arcs
    wave, line, found = solve(arcs, samples)
    known = np.bincount(line[found.used], minlength=wave.size) > 0
    off = np.concatenate([true[0], true[1]]) - wave
    pulls = ((found.offset - off) / found.offset_error)[known]
    assert 0.75 < pulls.std() < 1.25
    assert np.std((found.offset - off)[known]) < 0.6 * LIST_ERROR
    assert 0.7 * LIST_ERROR < found.list_error < 1.4 * LIST_ERROR


def test_a_wild_line_is_left_out(arcs, samples):
    spoiled = replace(
        samples,
        along=samples.along + np.where((samples.slice == 1) & (samples.line == 7) & (samples.lamp == 0), 2.0, 0.0),
    )
    _, _, found = solve(arcs, spoiled)
    _, _, clean = solve(arcs, samples)
    wild = spoiled.along != samples.along
    assert wild.any()
    assert not found.used[wild].any()
    assert np.abs(found.coefficient - clean.coefficient).max() < 0.02


def test_a_slice_without_lines_is_flagged_and_the_others_stay(arcs, samples):
    kept = samples.slice != 2
    _, _, found = solve(arcs, LineSamples(*(getattr(samples, f.name)[kept] for f in fields(LineSamples))))
    assert found.dq.tolist() == [0, 0, int(Flag.NOT_MEASURED), 0]
    assert np.isfinite(found.rms[[0, 1, 3]]).all()
    assert np.isnan(found.rms[2])


def test_no_slice_with_lines_is_an_error(arcs, samples):
    few = samples.line < 2
    with pytest.raises(NoConvergence, match="enough arc lines"):
        solve(arcs, LineSamples(*(getattr(samples, f.name)[few] for f in fields(LineSamples))))


def test_the_map_tells_slice_wavelength_and_place_of_every_pixel():
    seen = pixel_map(FIELD.traces, FIELD.solution, FIELD.shape)
    y, x = 2000, int(FIELD.traces.centre[2, 2000]) + 20
    across = x - FIELD.traces.centre[2, y]
    assert seen.aperture[y, x] == 3
    assert np.isclose(seen.along[y, x], across, atol=1e-4)
    assert np.isclose(seen.wave[y, x], FIELD.solution.wave(2, np.array(2000.0), across))
    gap = int(0.5 * (FIELD.traces.right[0, y] + FIELD.traces.left[1, y]))
    assert seen.aperture[y, gap] == -1
    assert np.isnan(seen.wave[y, gap])
    lost = pixel_map(replace(FIELD.traces, dq=np.array([0, 1, 0, 0], np.int32)), FIELD.solution, FIELD.shape)
    assert set(np.unique(lost.aperture)) == {-1, 1, 3, 4}


def test_pixels_of_neighbours_and_gaps_do_not_belong_to_a_slice():
    x0, x1 = columns_of(FIELD.traces, 1, FIELD.shape[1], beyond=8.0)
    x = np.arange(x0, x1)[None, :]
    flags = np.zeros((FIELD.rows, x1 - x0), np.int32)
    flags[100, 40], flags[100, 41] = int(Flag.COSMIC_RAY), int(Flag.NOT_ILLUMINATED)
    lit = lit_pixels(flags, FIELD.traces, 1, x - FIELD.traces.centre[1][:, None])
    inside = (x >= FIELD.traces.left[1][:, None]) & (x <= FIELD.traces.right[1][:, None])
    assert not inside.all(axis=0).all()
    assert np.array_equal(lit, inside & (flags == 0))


def test_lines_far_off_their_list_are_no_solution(arcs, samples, monkeypatch):
    joint = slice_wavelength._joint

    def displaced(*given: Any) -> Any:
        offset, spread, coefficients = joint(*given)
        return offset + 1.0, spread, coefficients

    monkeypatch.setattr(slice_wavelength, "_joint", displaced)
    with pytest.raises(NoConvergence, match="Angstrom off their list"):
        solve(arcs, samples)
