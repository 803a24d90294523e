"""Offsets of exposures of fields with few sources, many, and none but a nebula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.align.drawn_field import exposure, nebula
from tracecube.recipes.align.align import AlignParams, align
from tracecube.recipes.align.network import Link, solve_network
from tracecube.recipes.align.pairs import _extended
from tracecube.recipes.align.sources import SourceParams, detect
from tracecube.recipes.align.white import mapped, sky_of, white

OFFSETS = ((0.0, 0.0), (1.23, -2.31), (-0.4, 3.7))
DITHERS = ((0.0, 0.0), (2.5, 4.0), (-3.0, -2.2))
FLUXES, LEVELS = (1.0, 0.9, 1.07), (0.0, 0.3, -0.2)
FIELDS = {
    "one star": {"stars": [(180.0, 26.0, 3000.0)]},
    "three stars": {"stars": [(180.0, 26.0, 3000.0), (60.0, 22.0, 2000.0), (250.0, 30.0, 1000.0)]},
    "nebula": {"stars": [], "extended": nebula},
}


def images(seed: int, stars, extended=None):
    settings = zip(OFFSETS, DITHERS, FLUXES, LEVELS, strict=True)
    return [
        white(exposure(10 * seed + i, offset=o, dither=d, flux=f, background=b, stars=stars, extended=extended))
        for i, (o, d, f, b) in enumerate(settings)
    ]


def crowd(number: int):
    rng = np.random.default_rng(5)
    return [(rng.uniform(5, 305), rng.uniform(5, 45), 10 ** rng.uniform(1.8, 4)) for _ in range(number)]


@pytest.mark.parametrize("name", FIELDS)
def test_offsets_flux_scales_and_backgrounds(name):
    off, error = [], []
    for seed in range(2):
        found = align(images(seed, **FIELDS[name]), AlignParams())
        assert np.isfinite(found.shift).all()
        off.append(
            np.concatenate(
                [(found.shift - OFFSETS)[1:].ravel(), (found.flux - FLUXES)[1:], (found.background - LEVELS)[1:]]
            )
        )
        place = np.sqrt(np.diagonal(found.shift_covariance, axis1=1, axis2=2))[1:].ravel()
        error.append(np.concatenate([place, found.flux_error[1:], found.background_error[1:]]))
    off, error = np.array(off), np.array(error)
    assert error[:, :4].max() < 0.08
    assert np.abs(off / error).max() < 4.5
    assert np.sqrt(np.mean((off / error)[:, :4] ** 2)) < 1.5


def test_a_crowd_is_aligned_and_its_sources_are_told_apart():
    found = align(images(1, stars=crowd(180)), AlignParams(srcmax=30, threshold=8.0))
    assert np.abs(found.shift - OFFSETS).max() < 0.02
    assert found.flux == pytest.approx(FLUXES, rel=0.02)
    assert all(len(one.value) <= 30 for one in found.sources)


def test_a_blank_field_says_why_not():
    found = align(images(2, stars=[]), AlignParams())
    assert np.isnan(found.shift[1:]).all()
    assert all(pair.fit is None and "nothing in both" in pair.reason for _, _, pair in found.pairs)


def test_given_sources_alone_tell():
    pictures = images(3, stars=[(180.0, 26.0, 3000.0), (60.0, 22.0, 2000.0)])
    places = [np.array([[26.0 - d[0] + o[0], 180.0 - d[1] + o[1]]]) for o, d in zip(OFFSETS, DITHERS, strict=True)]
    found = align(pictures, AlignParams(), listed=places)
    assert np.abs(found.shift - OFFSETS).max() < 0.2
    assert max(pair.fit.pixels for _, _, pair in found.pairs) < 6000


def test_sources_are_found_where_they_are_and_hits_and_edges_are_not():
    image = white(exposure(7, [(180.0, 26.0, 3000.0), (60.0, 22.0, 800.0), (6.0, 25.0, 3000.0)]))
    data = image.data.copy()
    data[30, 120] += 200.0  # a hit: one pixel
    found = detect(data, image.variance, image.known, SourceParams())
    assert len(found.value) == 2
    assert found.edge == 1
    assert found.shape >= 1
    assert np.abs(found.value[:, :2] - [(26, 180), (22, 60)]).max() < 0.2
    assert np.abs(found.value[0, :2] - (26, 180)).max() < 5 * found.error[0, :2].max()


def test_a_bright_star_with_its_own_noise_is_one_source():
    image = white(exposure(9, [(180.0, 26.0, 60000.0)]))
    variance = np.where(image.known, 1.0 + np.maximum(image.data, 0.0), 0.0)
    found = detect(image.data, variance, image.known, SourceParams())
    assert len(found.value) == 1
    assert np.abs(found.value[0, :2] - (26, 180)).max() < 0.1


def test_the_threshold_falls_and_rises_until_the_number_suits():
    image = white(exposure(8, crowd(40)))
    few = detect(image.data, image.variance, image.known, SourceParams(srcmin=1, srcmax=3))
    many = detect(image.data, image.variance, image.known, SourceParams(srcmin=15, srcmax=80))
    assert len(few.value) <= 3 < len(many.value)
    assert few.threshold > 15.0 > many.threshold
    assert few.crowd > 0


def test_pixels_and_sky_go_there_and_back():
    image = white(exposure(1, [], dither=(2.0, 3.0)))
    y, x = np.array([3.0, 40.0]), np.array([7.0, 300.0])
    assert np.allclose(mapped(image, *sky_of(image, y, x)), (y, x), atol=1e-6)


def chain(rng, count: int, links, noise: float, wrong: int | None = None):
    """Pairs of exposures whose own noise is shared by all their pairs."""
    true = rng.normal(0, 3, (count, 2))
    true -= true[0]
    own = rng.normal(0, noise, (count, 2))
    made = []
    for k, (i, j) in enumerate(links):
        value = true[j] + own[j] - true[i] - own[i] + (5.0 if k == wrong else 0.0)
        made.append(Link(i, j, value, noise**2 * np.eye(2), noise**2 * np.eye(2), np.ones(4), np.ones(4)))
    return true, made


def test_errors_of_a_network_are_those_of_its_exposures_not_of_its_pairs():
    rng = np.random.default_rng(4)
    links = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    pulls = []
    for _ in range(200):
        true, made = chain(rng, 5, links, 0.1)
        found = solve_network(made, 5, 0, size=2)
        pulls.append(((found.value - true) / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2) + 1e-30))[1:])
    assert np.std(pulls) == pytest.approx(1.0, abs=0.05)


def test_a_wrong_pair_is_left_out_and_what_hangs_on_nothing_is_not_measured():
    true, made = chain(np.random.default_rng(5), 5, [(0, 1), (1, 2), (0, 2), (0, 3), (1, 3), (2, 3)], 0.01, wrong=2)
    found = solve_network(made, 5, 0, size=2)
    assert not found.used[2]
    assert found.used.sum() == 5
    assert np.abs(found.value[:4] - true[:4]).max() < 0.1
    assert np.isnan(found.value[4]).all()


def test_pairs_that_nothing_checks_have_no_chi_square():
    true, made = chain(np.random.default_rng(6), 3, [(0, 1), (1, 2)], 0.01)
    found = solve_network(made, 3, 0, size=2)
    assert np.isnan(found.chi2)
    assert np.allclose(np.diagonal(found.covariance, axis1=1, axis2=2)[1], 2.2e-4)
    assert np.abs(found.value - true).max() < 0.1
    nothing = solve_network([], 3, 0, size=2)
    assert np.isnan(nothing.chi2)
    assert nothing.value.shape == (3, 2)


def strips(seed: int, level: float, shape: tuple[int, int], *, upright: bool = False) -> np.ndarray:
    """What slices leave that are not equally bright: strips of 77 spaxels, one wide, the same in every exposure."""
    rows, columns = shape[::-1] if upright else shape
    made = np.random.default_rng(seed).normal(0.0, level, (rows, -(-columns // 77)))
    image = np.repeat(made, 77, axis=1)[:, :columns]
    return image.T if upright else image


def with_strips(stars, level: float, *, upright: bool = False, extended=None):
    shape = (200, 310)
    pictures = []
    for i in range(2):
        one = exposure(
            50 + i, stars, offset=OFFSETS[i], dither=DITHERS[i], flux=FLUXES[i], shape=shape, extended=extended
        )
        data = one.data + strips(9, level, shape, upright=upright).astype(np.float32)
        pictures.append(white(replace(one, data=data)))
    return pictures


@pytest.mark.parametrize("upright", [False, True])
def test_strips_of_slices_tell_nothing_of_the_place(upright):
    pictures = with_strips([], 1.0, upright=upright)
    assert [one.pattern for one in pictures] == pytest.approx([1.0, 1.0], abs=0.15)
    found = align(pictures, AlignParams())
    assert np.isnan(found.shift[1]).all()
    assert "nothing in both" in found.pairs[0][2].reason


def test_one_star_is_aligned_among_strips_of_slices():
    found = align(with_strips([(180.0, 100.0, 3000.0)], 1.0), AlignParams())
    error = np.sqrt(np.diag(found.shift_covariance[1]))
    assert np.abs(found.shift[1] - OFFSETS[1]).max() < 0.1
    assert np.abs((found.shift[1] - OFFSETS[1]) / error).max() < 4.0


@pytest.mark.parametrize("stars", [[], [(180.0, 100.0, 60000.0)], crowd(180)])
def test_stars_gas_and_noise_are_no_strips(stars):
    assert with_strips(stars, 0.0, extended=nebula)[0].pattern == 0.0


def test_structure_of_flats_tells_nothing_beside_a_star():
    """Waves of some thousandths of the sky, fixed to the detector: six times the noise where it is smoothed."""
    wave = 0.6 * np.sin(np.arange(310) / 12.0)[None, :] * np.cos(np.arange(200) / 30.0)[:, None]
    pictures = []
    for i in range(2):
        one = exposure(60 + i, [(180.0, 100.0, 3000.0)], offset=OFFSETS[i], dither=DITHERS[i], shape=(200, 310))
        pictures.append(white(replace(one, data=one.data + wave.astype(np.float32))))
    used = _extended(pictures[0])
    assert 0 < used.sum() < 0.05 * used.size
    found = align(pictures, AlignParams())
    assert np.abs(found.shift[1] - OFFSETS[1]).max() < 0.06


@pytest.mark.parametrize(("row", "far"), [(9.0, 0.03), (37.0, 0.05)])
def test_a_star_that_the_edge_cuts_is_continued(row, far):
    """The seeing changes, and in one exposure the star's middle is three spaxels from the edge."""
    settings = [{"fwhm": 4.15}, {"fwhm": 4.65, "offset": (1.44, -2.2), "dither": (2.5, -4.0)}]
    pictures = [white(exposure(70 + i, [(180.0, row + 3.0, 33000.0)], **own)) for i, own in enumerate(settings)]
    found = align(pictures, AlignParams())
    error = np.sqrt(np.diag(found.shift_covariance[1]))
    assert np.abs(found.shift[1] - (1.44, -2.2)).max() < far
    assert np.abs((found.shift[1] - (1.44, -2.2)) / error).max() < 4.5
    assert found.flux[1] == pytest.approx(1.0, abs=0.03)


def test_a_saturated_star_tells_by_its_wings():
    pictures = []
    for i in range(2):
        one = exposure(80 + i, [(180.0, 100.0, 60000.0)], offset=OFFSETS[i], dither=DITHERS[i], shape=(200, 310))
        hole = one.data > 0.4 * np.nanmax(one.data)
        pictures.append(white(replace(one, flags=np.where(hole, 2, one.flags).astype(np.int32))))
    found = align(pictures, AlignParams())
    assert np.abs(found.shift[1] - OFFSETS[1]).max() < 0.05
    assert abs(found.flux[1] - 1.0) < 4.0 * found.flux_error[1]


def test_a_crowd_in_very_unlike_seeing_says_why_not():
    stars = [(x, 4.0 * y, flux) for x, y, flux in crowd(180)]
    pictures = []
    for i, fwhm in enumerate((3.0, 7.0)):
        one = exposure(50 + i, stars, offset=OFFSETS[i], dither=DITHERS[i], flux=FLUXES[i], fwhm=fwhm, shape=(200, 310))
        pictures.append(white(one))
    found = align(pictures, AlignParams())
    assert np.isnan(found.shift[1]).all()
    assert "seeing" in found.pairs[0][2].reason
