"""The lattice of lenslets from lasers, and the place of every wavelength."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.optics import WavelengthSolution
from tracecube.kernels.spots import SpotFit, SpotTemplate, core_centre, gaussian_template, render_spots
from tracecube.recipes.optics.lasers import LensletGuess, find_lattice, measure_lasers
from tracecube.recipes.optics.lenslet_traces import _determination, _spectra_numbers
from tracecube.recipes.optics.lenslets import (
    PrismLaw,
    foot_shift,
    lattice_scale,
    lenslets_of_lasers,
    place_at,
    place_error,
    rows_of,
)

LASERS, OFFSETS = (9877.2, 11237.1, 13093.7, 15451.0), (0.0, 8.29, 17.65, 28.47)
GUESS = LensletGuess(15.554, -10.886, LASERS, OFFSETS)
LAW = PrismLaw.through(LASERS, OFFSETS, (145.8, 181.6, 211.0, 219.4))
SIDE = 500


def truth(rng, shift=(3.0, -2.0), turn=0.05, scale=1.001, jitter=0.015):
    """Index (n, 2) and place (n, 4, 2) of lenslets, moved, turned, stretched, bent and each a little off."""
    q, r = (axis.ravel() for axis in np.meshgrid(np.arange(-20, 21), np.arange(-20, 21)))
    flat = np.stack([q, r], axis=1) @ GUESS.basis * scale
    angle = np.radians(turn)
    flat = flat @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    flat = flat * (1 + 2e-8 * (flat**2).sum(axis=1))[:, None] + np.array(shift) + SIDE / 2
    flat += rng.normal(0, jitter, flat.shape)
    place = np.repeat(flat[:, None], 4, axis=1)
    place[:, :, 1] += OFFSETS
    keep = ((place > 2) & (place < SIDE - 3)).all(axis=(1, 2)) & (np.hypot(*(flat - SIDE / 2).T) < 200)
    return np.stack([q, r], axis=1)[keep], place[keep]


def frame(place, rng, lit=(0, 1, 2, 3), flux=3000.0):
    image = np.zeros((SIDE, SIDE), np.float32)
    template, n = gaussian_template(0.95), len(place)
    for laser in lit:
        one = place[:, laser]
        zero = np.zeros(n)
        level = flux * rng.uniform(0.7, 1.3, n)
        render_spots(image, SpotFit(level, one[:, 0], one[:, 1], *[zero] * 5, np.ones(n, bool)), template)
    variance = 20.0 + image
    return (image + rng.normal(0, 1, image.shape) * np.sqrt(variance)).astype(np.float32), (1 / variance).astype(
        np.float32
    )


def matched(lenslets, place):
    """Rows of the truth and of the lenslets that are the same."""
    distance = np.hypot(lenslets.x[:, :1] - place[:, 0, 0], lenslets.y[:, :1] - place[:, 0, 1])
    row = distance.argmin(axis=0)
    ok = distance.min(axis=0) < 2.0
    return np.flatnonzero(ok), row[ok]


def solved(image, ivar):
    columns = measure_lasers(image, ivar, find_lattice(image, ivar, GUESS, distortion=3), sigma=0.95, zones=1)
    return lenslets_of_lasers(columns, LASERS, distortion=3, meta={})


def lost_column(place) -> int:
    """The column of a lenslet in the middle of the field."""
    return int(np.rint(place[np.argmin(np.hypot(*(place[:, 1] - SIDE / 2).T)), 1, 0]))


@pytest.fixture(scope="module")
def night():
    rng = np.random.default_rng(2)
    _, place = truth(rng)
    image, ivar = frame(place, rng)
    dead = rng.random(ivar.shape) < 0.01
    image[dead], ivar[dead] = 0.0, 0.0
    lost = lost_column(place)
    ivar[:, lost - 1 : lost + 2] = 0.0
    image[:, lost - 1 : lost + 2] = 0.0
    lenslets, numbers, caveats = solved(image, ivar)
    return place, lenslets, numbers, caveats


def test_law_goes_through_the_lasers() -> None:
    assert LAW(np.array(LASERS)) == pytest.approx(OFFSETS, abs=0.01)


def test_every_lenslet_is_found_where_it_is(night) -> None:
    place, lenslets, _, caveats = night
    own, found = matched(lenslets, place)
    assert own.size == len(place)
    assert np.unique(found).size == found.size
    miss = np.stack([lenslets.x[found] - place[own, :, 0], lenslets.y[found] - place[own, :, 1]])
    assert np.sqrt(np.mean(miss**2)) < 0.015
    assert np.abs(np.median(miss, axis=(1, 2))).max() < 0.01  # the feet of neighbours in the templates
    assert np.percentile(np.abs(miss), 99) < 0.08
    assert caveats == ()


def test_offsets_of_lenslets_are_followed_not_smoothed(night) -> None:
    _, lenslets, numbers, _ = night
    rms = next(number.value for number in numbers if number.name == "LENSLET OFFSET RMS")
    assert rms == pytest.approx(0.015, abs=0.004)
    assert np.nanstd(lenslets.y_residual) < 0.03
    assert np.isfinite(place_error(lenslets, np.array([9500.0, 12000.0, 16700.0]), LAW)).all()


def test_the_scale_is_that_of_the_lattice(night) -> None:
    _, lenslets, _, _ = night
    assert lattice_scale(lenslets, GUESS.basis) == pytest.approx(1.001, abs=1.2e-3)  # bent besides, by 2e-8 r**2
    assert lattice_scale(lenslets, GUESS.basis / 1.1) == pytest.approx(1.1 * lattice_scale(lenslets, GUESS.basis))


def test_spectra_off_the_law_and_flagged_ones_are_counted(night) -> None:
    _, lenslets, _, _ = night
    band = (9500.0, 16780.0)
    stretched = lenslets.y.copy()
    stretched[:2] += np.linspace(-4.0, 4.0, 4)
    start, wave, _ = rows_of(lenslets, LAW, band, margin=1.0)
    dq = np.where(np.arange(len(start)) < 5, 64, 0)
    none = np.zeros(0)
    solution = WavelengthSolution(lenslets.aperture, start, dq, wave, wave, wave, none, none, none, none, none, none)
    numbers = {n.name: n.value for n in _spectra_numbers(solution, replace(lenslets, y=stretched), LAW, band)}
    assert (numbers["NUM OUT OF DISP"], numbers["BAD SPECTRA"]) == (2.0, 5.0)
    length = float(np.diff(LAW(np.array(band)))[0])
    assert numbers["DISPERSION"] == pytest.approx((band[1] - band[0]) / length, rel=5e-3)
    assert 0.0 < numbers["DISPERSION SCATTER"] < 1.0


def test_a_dead_laser_is_said_and_the_law_carries_on() -> None:
    rng = np.random.default_rng(4)
    _, place = truth(rng)
    lenslets, _, caveats = solved(*frame(place, rng, lit=(0, 1, 2)))
    assert lenslets.laser.tolist() == list(LASERS[:3])
    assert any("1545.1" in text for text in caveats)
    own, found = matched(lenslets, place)
    _, y = place_at(lenslets, np.array([15451.0]), LAW)
    assert np.abs(np.median(y[found, 0] - place[own, 3, 1])) < 0.05  # 1 nm
    assert np.std(y[found, 0] - place[own, 3, 1]) < 0.15  # 3 nm


def test_the_error_without_a_laser_holds_the_term_that_the_others_cannot_tell(night) -> None:
    _, lenslets, _, _ = night
    law = replace(LAW, varies=(0.77, 1.75, 1.07))
    wave = np.array([11237.1, 15451.0, 16500.0])
    four = place_error(lenslets, wave, law)
    assert four == pytest.approx(place_error(lenslets, wave, LAW))  # the terms of `varies` are measured
    columns = ("laser", "x", "y", "x_residual", "y_residual", "x_error", "y_error", "flux")
    three = replace(lenslets, **{name: getattr(lenslets, name)[..., :3] for name in columns})
    extra = np.sqrt(place_error(three, wave, law) ** 2 - place_error(three, wave, LAW) ** 2)[0]
    node = np.abs(np.prod(np.log(15451.0 / np.array(LASERS[:3]))))
    assert extra[0] == pytest.approx(0.0, abs=1e-6)
    assert extra[1] == pytest.approx(1.07 * node, rel=1e-3)
    assert extra[2] > 1.8 * extra[1]


def test_the_error_of_a_place_is_what_lenslets_scatter_by() -> None:
    rng = np.random.default_rng(6)
    _, place = truth(rng, jitter=0.06)  # so far off that hardly any of it is taken for noise
    lenslets, _, _ = solved(*frame(place, rng))
    own, found = matched(lenslets, place)
    miss = lenslets.y[found] - place[own, :, 1]
    miss -= np.median(miss, axis=0)  # all lenslets share it
    no_feet = replace(lenslets, template=np.full_like(lenslets.template, np.nan))
    claimed = np.median(place_error(no_feet, lenslets.laser, LAW))
    assert 1.4826 * np.median(np.abs(miss)) == pytest.approx(claimed, rel=0.1)


def test_feet_of_neighbours_are_an_error_of_all_places_of_a_laser(night) -> None:
    _, lenslets, _, _ = night
    size, flat = lenslets.template.shape[-1], gaussian_template(0.95, reach=4.25, step=lenslets.step)
    assert flat.values.shape == (size, size)
    t = (np.arange(size) - size // 2) * lenslets.step
    sloped = flat.values + 2e-4 * t[:, None]
    moved = core_centre(SpotTemplate(sloped, lenslets.step))[1]
    template = np.broadcast_to(flat.values, lenslets.template.shape).copy()
    assert foot_shift(replace(lenslets, template=template)) == pytest.approx(0.0, abs=1e-6)
    template = np.broadcast_to(sloped, lenslets.template.shape).copy()
    template[:, 0, 0] = np.where(np.arange(4)[:, None, None] < 3, template[:, 0, 0], np.nan)  # a zone with no template
    shift = foot_shift(replace(lenslets, template=template))
    assert shift == pytest.approx(
        0.6 * abs(moved), rel=0.1
    )  # wings bend: so much of the slope beside is under the core
    none, feet = (
        place_error(replace(lenslets, template=one), np.array([15451.0]), LAW)[0, 0]
        for one in (np.full_like(template, np.nan), template)
    )
    assert feet**2 - none**2 == pytest.approx(shift**2, rel=0.05)


def test_a_laser_keeps_its_number_where_another_is_off() -> None:
    rng = np.random.default_rng(4)
    _, place = truth(rng)
    _, numbers, _ = solved(*frame(place, rng, lit=(0, 2, 3)))
    assert [q.name for q in numbers if "FLUX" in q.name] == ["FLUX LASER1", "FLUX LASER3", "FLUX LASER4"]


def test_rows_wavelengths_and_places_agree(night) -> None:
    _, lenslets, _, _ = night
    start, wave, x = rows_of(lenslets, LAW, (9500.0, 16780.0), margin=1.0)
    assert np.isfinite(wave).sum(axis=1).min() >= 36
    for i in (0, 40, len(start) - 1):
        on = np.isfinite(wave[i])
        back_x, back_y = place_at(lenslets, wave[i, on], LAW)
        assert back_y[i] == pytest.approx(start[i] + np.flatnonzero(on), abs=2e-3)
        assert back_x[i] == pytest.approx(x[i, on], abs=2e-3)


def test_a_frame_without_lasers_is_refused() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 4, (SIDE, SIDE)).astype(np.float32)
    with pytest.raises(BadData, match="laser"):
        find_lattice(noise, np.full(noise.shape, 1 / 16, np.float32), GUESS)


def test_a_lost_lenslet_among_others_is_kept_and_flagged(night) -> None:
    place, lenslets, _, _ = night
    own, found = matched(lenslets, place)
    on_column = np.abs(place[own, 1, 0] - lost_column(place)) < 0.6
    assert on_column.any()
    assert (lenslets.dq[found[on_column]] != 0).all()


def test_how_straight_wavelengths_are_at_the_lasers_is_a_number() -> None:
    rng = np.random.default_rng(2)
    lasers = np.tile([9877.2, 11237.1, 13093.7, 15451.0], 500)
    none, off = np.zeros(0), rng.normal(0.0, 20.0, lasers.size)
    solution = WavelengthSolution(none, none, none, none, none, none, none, lasers, none, off, none, none)
    assert _determination(solution) == pytest.approx(1.0 - 20.0**2 / np.var(lasers), abs=1e-5)
    bent = replace(solution, line_residual=2e-5 * (lasers - 12500.0) ** 2)  # up to 17 nm: no straight line follows
    assert _determination(bent) < 0.9999
