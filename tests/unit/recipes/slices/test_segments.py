"""Spectra of pieces of slices, and where they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.slice_detector import SliceDetector
from tracecube.core.flags import Flag
from tracecube.recipes.slices.segments import cut_segments, place_of

FIELD = SliceDetector(count=3)
PIECES = 8


def spectrum(wave):
    return 0.05 * (1.0 + (wave - 7000.0) / 1e5)


@pytest.fixture(scope="module")
def exposure():
    rng = np.random.default_rng(1)
    clean = FIELD.each(lambda _row, wave, _across: spectrum(wave))
    variance = np.full(FIELD.shape, 0.01**2)
    return FIELD.exposure(clean + rng.normal(0, 0.01, FIELD.shape), variance)


def cut(exposure, solution=FIELD.solution):
    return cut_segments(exposure, FIELD.traces, solution, FIELD.geometry, pieces=PIECES)


def test_spectra_have_pulls_of_one_at_their_wavelengths(exposure):
    found = cut(exposure)
    assert found.flux.shape == (3 * PIECES, FIELD.rows)
    assert (found.flags == 0).all()
    pulls = (found.flux - spectrum(found.wave)) / np.sqrt(found.variance)
    assert abs(pulls.std() - 1.0) < 0.01
    assert abs(pulls.mean()) < 0.01
    assert np.array_equal(found.aperture, np.repeat([1, 2, 3], PIECES))
    assert np.array_equal(found.piece, np.tile(np.arange(PIECES), 3))


def test_white_light_and_its_error(exposure):
    found = cut(exposure)
    expected = [np.median(spectrum(wave[(wave > 5600) & (wave < 7500)])) for wave in found.wave]
    pulls = (found.white - expected) / found.white_error
    assert 0.7 < pulls.std() < 1.3
    assert np.all(found.white_error < 2e-4)


def test_hits_and_bad_pixels_do_not_count(exposure):
    x = int(FIELD.traces.centre[1, 2000])
    data, flags = exposure.data.copy(), exposure.flags.copy()
    data[2000, x] = 50.0
    data[2100, x - 20 : x + 20] = 50.0
    flags[2100, x - 20 : x + 20] = int(Flag.COSMIC_RAY)
    found, clean = cut(replace(exposure, data=data, flags=flags)), cut(exposure)
    assert np.nanmax(np.abs(found.flux - clean.flux)) < 0.02
    assert (found.flags[PIECES + 3 : PIECES + 5, 2100] == int(Flag.NOT_MEASURED)).all()
    assert np.isnan(found.flux[PIECES + 3, 2100])


def test_a_slice_without_solution_has_no_spectra(exposure):
    found = cut(exposure, solution=replace(FIELD.solution, dq=np.array([0, 4, 0], np.int32)))
    lost = found.aperture == 2
    assert np.isnan(found.flux[lost]).all()
    assert np.isnan(found.white[lost]).all()
    assert np.isfinite(found.flux[~lost]).all()


def test_places_along_a_slice_run_against_the_sky(exposure):
    geometry = replace(FIELD.geometry, angle=np.full(3, 30.0))
    x, y = place_of(geometry, 1, np.array([-38.1, 0.0, 38.1]), np.full(3, 76.2))
    assert np.allclose(x - geometry.x[1], 7.6 * np.cos(np.radians(30)) * np.array([1, 0, -1]))
    assert np.allclose(y - geometry.y[1], 7.6 * np.sin(np.radians(30)) * np.array([1, 0, -1]))
    found = cut(exposure)
    own = found.aperture == 2
    assert np.all(np.diff(found.x[own]) < 0)
    step = 15.2 / 76.2 * (76.2 - 4.0) / PIECES
    assert np.allclose(np.diff(found.x[own]), -step, atol=0.02)
    assert np.mean(found.x[own]) == pytest.approx(FIELD.geometry.x[1], abs=0.02)


def test_a_displaced_exposure_is_cut_where_it_lies(exposure):
    moved = replace(exposure, data=np.roll(exposure.data, 1, axis=1), shift=np.full(3, 1.0))
    assert np.allclose(cut(moved).flux, cut(exposure).flux, equal_nan=True)
    assert np.allclose(cut(moved).wave, cut(exposure).wave)


def _with_a_star(place=0.0, peak=0.06):
    """An exposure with a star in the middle slice, and more noise in every tenth row, as lines of the sky bring."""
    rng = np.random.default_rng(2)
    loud = np.arange(FIELD.rows) % 10 == 0
    width = np.where(loud, 0.03, 0.01)[:, None] * np.ones(FIELD.shape)
    star = FIELD.each(lambda row, _wave, across: peak * (row == 1) * np.exp(-0.5 * ((across - place) / 1.7) ** 2))
    return FIELD.exposure(0.05 + star + rng.normal(0, 1.0, FIELD.shape) * width, width**2), star, loud


def test_as_much_of_a_star_counts_in_rows_of_more_noise():
    exposure, _, loud = _with_a_star()
    found = cut(exposure)
    for piece in (PIECES + 3, PIECES + 4):
        light, error = (
            np.array([part(found, piece, rows) for rows in (loud, ~loud)])
            for part in (lambda f, p, r: f.flux[p, r].mean(), lambda f, p, r: np.sqrt(f.variance[p, r].sum()) / r.sum())
        )
        assert abs(light[0] - light[1]) < 3.0 * np.hypot(*error)
        assert light[1] > 0.05 + 0.2 * 0.06  # a star's pixels are not hits


def test_a_hit_on_a_star_takes_none_of_its_light():
    exposure, star, _ = _with_a_star(place=3.0)
    data, clean = exposure.data.copy(), cut(exposure)
    y = 2005
    data[y, int(np.argmax(star[y]))] += 1.0
    found = cut(replace(exposure, data=data))
    change = found.flux[PIECES : 2 * PIECES, y] - clean.flux[PIECES : 2 * PIECES, y]
    assert np.nanmax(np.abs(change)) < 3.0 * 0.01 / np.sqrt(8)


def _sky_with(added):
    """Sky and noise of 0.01 with something on single columns (y, x)."""
    noise = np.random.default_rng(4).normal(0.0, 0.01, FIELD.shape)
    return FIELD.exposure(0.05 + added + noise, np.full(FIELD.shape, 0.01**2))


@pytest.mark.parametrize("size", [0.2, 0.05, -0.2])
def test_a_column_that_no_star_explains_does_not_count(size):
    x, added = int(FIELD.traces.centre[1, 2000]) + 4, np.zeros(FIELD.shape)
    added[:, x] = size
    found, clean = cut(_sky_with(added)), cut(_sky_with(0.0 * added))
    change = (found.flux - clean.flux)[PIECES : 2 * PIECES]
    inside = np.abs(np.arange(FIELD.rows) - 2000) < 500
    assert np.abs(np.nanmean(change[:, inside], axis=1)).max() < 3e-4  # a tenth of the size where it counts
    assert np.isfinite(found.flux).all()


def test_a_hit_along_dispersion_does_not_count_nor_does_it_lend_its_light_to_other_rows():
    x, added = int(FIELD.traces.centre[1, 2000]) + 4, np.zeros(FIELD.shape)
    first = 2000 // 32 * 32
    added[first + 3 : first + 28, x] = 2.0
    found, clean = cut(_sky_with(added)), cut(_sky_with(0.0 * added))
    assert np.abs(found.flux - clean.flux).max() < 3.0 * 0.01 / np.sqrt(8)


def _narrow_star(middle, peak, fwhm=2.0):
    """A star on fixed columns of the middle slice (y, x), as narrow as there are."""
    x = np.arange(FIELD.shape[1])
    return peak * np.exp(-4.0 * np.log(2.0) * ((x - middle) / fwhm) ** 2) * np.ones((FIELD.rows, 1))


@pytest.mark.parametrize("off", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("peak", [0.1, 5.0])
@pytest.mark.parametrize("bad", [None, -1, 1])
def test_all_light_of_the_narrowest_star_counts(off, peak, bad):
    middle = int(FIELD.traces.centre[1, 2000]) + 4
    star = _narrow_star(middle + off, peak)
    with_it, without = (_sky_with(one) for one in (star, 0.0 * star))
    if bad:
        for one in (with_it, without):
            one.flags[:, middle + bad] = int(Flag.BAD_PIXEL)
    light = (cut(with_it).flux - cut(without).flux)[PIECES : 2 * PIECES]
    across = np.arange(FIELD.shape[1]) - FIELD.traces.centre[1][:, None]
    half = 0.5 * (FIELD.traces.right[1] - FIELD.traces.left[1])[:, None]
    part = np.floor((across / (half - 2.0) + 1.0) * 0.5 * PIECES)
    good = with_it.flags[:1] == 0
    for piece in (3, 4, 5):
        own = (part == piece) & good
        expected = (star * own).sum(axis=1) / own.sum(axis=1)
        rows = np.abs(np.arange(FIELD.rows) - 2000) < 100
        assert np.abs(light[piece] - expected)[rows].mean() < 0.004 + 0.01 * expected[rows].max()


def test_a_piece_that_lost_much_of_the_band_is_not_compared_with_others(exposure):
    """Where half of a read-out is dead the rest of the band is of another colour: such pieces pass for objects."""
    flags = exposure.flags.copy()
    x0, x1 = (int(edge[1, 2000]) for edge in (FIELD.traces.left, FIELD.traces.right))
    flags[: FIELD.rows // 2, x0 - 2 : x1 + 3] |= int(Flag.BAD_PIXEL)
    found = cut(replace(exposure, flags=flags))
    lost = found.aperture == 2
    assert np.isnan(found.white[lost]).all()
    assert np.isfinite(found.flux[lost]).any()
    assert np.array_equal(found.white[~lost], cut(exposure).white[~lost])
    flags[:, x0 - 2 : x1 + 3] |= int(Flag.BAD_PIXEL)
    gone = cut(replace(exposure, flags=flags))
    assert np.isnan(gone.x[lost]).all()


def test_pixels_without_light_of_the_lamp_do_not_count(exposure):
    """In the gap about the laser the flat is 0 or less: there is no light over it, and its place holds zeros."""
    data, variance = exposure.data.copy(), exposure.variance.copy()
    data[1500:1900], variance[1500:1900] = 0.0, np.inf
    found = cut(replace(exposure, data=data, variance=variance))
    assert np.isnan(found.flux[:, 1500:1900]).all()
    assert (found.flags[:, 1500:1900] == int(Flag.NOT_MEASURED)).all()
    clean = cut(exposure)
    assert np.abs(found.white / clean.white - 1.0).max() < 0.01
