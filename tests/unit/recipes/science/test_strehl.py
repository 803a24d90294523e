"""Change of the Strehl ratio between the frame beside the mask and the DITs, told by spots and halo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.star_field import ANGLES, ORDERS, Star, unit
from tracecube.core.star import StarCentre, StarPsf
from tracecube.recipes.science.strehl import (
    MIDDLE,
    StrehlParams,
    core_light,
    halo_ratio,
    halo_share,
    spot_colour,
    usual_change,
)

WAVE = np.linspace(9600.0, 16600.0, 39)
PARAMS = StrehlParams(inner=0.35, outer=0.6)


def star_beside_mask(rng: np.random.Generator, error: float = 0.012) -> StarPsf:
    light = 500.0 * (WAVE / 9600.0) ** -1.8
    none = np.zeros((WAVE.size, 1))
    return StarPsf(
        wave=WAVE, flux=light * (1.0 + error * rng.normal(size=WAVE.size)), variance=(error * light) ** 2,
        flags=np.zeros(WAVE.size, np.int32), radius=np.zeros(1), profile=none, profile_variance=none, x=np.zeros(1),
        y=np.zeros(1), share=none, share_variance=none, dit=16.0, width=1.0,
    )  # fmt: skip


def star_with_spots(rng: np.random.Generator, change: float, error: float = 0.02) -> StarCentre:
    """Spots of the same star: shares that fall with wavelength squared, another Strehl ratio."""
    colour = (WAVE / MIDDLE) ** -2 * np.exp(change * (MIDDLE / WAVE) ** 2)
    light = 1e-3 * np.array([1.0, 0.7, 1.0, 0.72]) * (500.0 * (WAVE / 9600.0) ** -1.8 * colour)[:, None]
    none = np.zeros(WAVE.size)
    return StarCentre(
        file=np.full(WAVE.size, "a"), plane=none.astype(int), wave=WAVE, x=none, y=none, x_error=none, y_error=none,
        dq=none.astype(np.int32), spot_flux=light * (1.0 + error * rng.normal(size=light.shape)),
        spot_variance=(error * light) ** 2, reference_wave=12500.0, centre_x=0.0, centre_y=0.0, centre_x_error=2e-4,
        centre_y_error=2e-4, refraction_x=0.0, refraction_y=0.0, method="spots",
    )  # fmt: skip


def test_colour_of_spots_tells_the_change_and_its_error() -> None:
    rng = np.random.default_rng(3)
    found = np.array([spot_colour(star_beside_mask(rng), star_with_spots(rng, 0.05), PARAMS) for _ in range(200)])
    assert found[:, 0].mean() == pytest.approx(0.05, abs=0.002)
    pulls = (found[:, 0] - 0.05) / found[:, 1]
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)
    assert np.median(found[:, 1]) < 0.02  # a change of three per cent is seen


def test_a_band_of_the_air_that_is_filled_in_the_star_does_not_count() -> None:
    rng = np.random.default_rng(4)
    psf, centre = star_beside_mask(rng), star_with_spots(rng, -0.03)
    deep = (WAVE > 13600.0) & (WAVE < 14300.0)
    filled = replace(psf, flux=np.where(deep, 1.25 * psf.flux, psf.flux))
    assert spot_colour(filled, centre, PARAMS)[0] == pytest.approx(spot_colour(psf, centre, PARAMS)[0], abs=0.012)


def test_a_spot_that_was_left_out_is_no_colour() -> None:
    rng = np.random.default_rng(5)
    psf, centre = star_beside_mask(rng, 1e-3), star_with_spots(rng, 0.05, 1e-3)
    flux = centre.spot_flux.copy()
    flux[:25, 1] = np.nan
    assert spot_colour(psf, replace(centre, spot_flux=flux), PARAMS)[0] == pytest.approx(0.05, abs=0.003)
    assert np.isnan(spot_colour(psf, replace(centre, spot_flux=np.full(flux.shape, np.nan)), PARAMS)[0])


def placed(centre: StarCentre, wave: np.ndarray) -> StarCentre:
    """The same with the places of the spots of `Star`."""
    radius = ORDERS * unit(wave)[:, None]
    return replace(centre, wave=wave, spot_x=radius * np.cos(ANGLES), spot_y=radius * np.sin(ANGLES))


@pytest.fixture(scope="module")
def halos():
    star = Star(5, channels=9, speckle=0.0, spot=15.0)
    return star.frame(), [star.frame(spots=False, brightness=b) for b in (0.9, 1.0, 1.12)]


def test_halo_over_that_of_the_frame_with_spots(halos) -> None:
    reference, frames = halos
    centre = placed(star_with_spots(np.random.default_rng(0), 0.0), reference.wave)
    found = [halo_ratio(one, reference, centre, PARAMS) for one in frames]
    assert found == pytest.approx([0.9, 1.0, 1.12], rel=0.01)


def both(wave: np.ndarray) -> tuple[StarPsf, StarCentre]:
    """Star and spots on the channels of the frames, the spots of a Strehl ratio five per cent better."""
    rng = np.random.default_rng(6)
    psf, centre = star_beside_mask(rng, 2e-3), star_with_spots(rng, 0.05, 2e-3)
    at = np.linspace(0, WAVE.size - 1, wave.size).round().astype(int)
    psf = replace(psf, wave=WAVE[at], flux=psf.flux[at], variance=psf.variance[at], flags=psf.flags[at])
    centre = replace(centre, spot_flux=centre.spot_flux[at], spot_variance=centre.spot_variance[at])
    return psf, placed(centre, WAVE[at])


def test_light_of_the_core_follows_both(halos) -> None:
    reference, frames = halos
    psf, centre = both(reference.wave)
    made = core_light(psf, [(centre, reference)], frames, PARAMS)
    middle = int(np.argmin(np.abs(psf.wave - MIDDLE)))
    loss = 1.0 - np.exp(-((2.0 * np.pi * 850.0 / psf.wave[middle]) ** 2))
    expected = np.exp(0.05) * (1.0 - np.array([0.9, 1.0, 1.12]) * loss) / (1.0 - loss)
    assert made.light[:, middle] == pytest.approx(expected, rel=0.01)
    assert PARAMS.transmission < made.error < 0.035
    alone = core_light(psf, [], frames, PARAMS)
    assert (alone.light == 1.0).all()
    assert alone.error == pytest.approx(np.hypot(0.03, PARAMS.transmission))
    assert np.isnan(alone.halo).all()


def test_a_halo_that_tells_nothing_is_none_and_the_spots_count_all_the_same(halos) -> None:
    reference, frames = halos
    psf, centre = both(reference.wave)
    of_spots = np.exp(0.05 * (MIDDLE / psf.wave) ** 2)
    bare = core_light(psf, [(centre, None)], frames, PARAMS)
    assert bare.light == pytest.approx(np.tile(of_spots, (3, 1)), rel=0.01)
    assert np.isnan(bare.halo).all()
    assert bare.error > np.hypot(0.03, PARAMS.transmission)
    dark, glare = (replace(frames[0], flux=share * frames[0].flux) for share in (-1.0, 8.0))
    made = core_light(psf, [(centre, reference)], [*frames, dark, glare], PARAMS)
    assert np.isfinite(made.halo).tolist() == [True, True, True, False, False]
    assert made.light[3:] == pytest.approx(np.tile(of_spots, (2, 1)), rel=0.01)
    full = core_light(psf, [(centre, reference)], frames, PARAMS)
    assert full.error < made.error < bare.error


def test_the_usual_change_is_what_halos_of_the_sequence_scatter() -> None:
    rng, strehl = np.random.default_rng(7), 0.83
    core = np.exp(-((2.0 * np.pi * PARAMS.wavefront / MIDDLE) ** 2))
    halo = (1.0 - strehl * np.exp(0.02 * rng.normal(size=400))) / (1.0 - core)
    assert usual_change(halo, PARAMS) == pytest.approx(0.02 * np.sqrt(2.0), rel=0.1)
    assert usual_change(np.array([1.0, np.nan]), PARAMS) == pytest.approx(0.03)  # nothing tells
    assert usual_change(np.ones(3), PARAMS) > 0.02  # three that are alike are so by chance


def test_a_filter_that_wavelength_errors_tilt_makes_the_colour_worth_less() -> None:
    rng = np.random.default_rng(11)
    psf, centre = star_beside_mask(rng), star_with_spots(rng, 0.02)
    change, error, own = spot_colour(psf, centre, PARAMS)
    tilt = 0.03 * ((MIDDLE / WAVE) ** 2 - 1.0) + 0.01  # like the law but for its level
    tilted = spot_colour(replace(psf, tilt=tilt), centre, PARAMS)
    assert tilted[0] == change
    assert tilted[1] == pytest.approx(np.hypot(error, 0.03))
    assert tilted[2] == own < error  # wavelengths are common to all frames with spots


def test_what_is_open_of_the_strehl_ratio_has_a_colour_and_the_air_has_none(halos) -> None:
    reference, frames = halos
    psf, centre = both(reference.wave)
    made = core_light(psf, [(centre, reference)], frames, PARAMS)
    air = PARAMS.transmission * np.sqrt(1.0 + 1.0 / len(frames))
    assert made.error == pytest.approx(np.hypot(made.colour, air))
    assert made.colour > 0.0
    tilt = made.tilt(np.array([MIDDLE / np.sqrt(2.0), MIDDLE, MIDDLE * 2.0]))
    assert tilt == pytest.approx([made.colour, 0.0, -0.75 * made.colour])
    alone = core_light(psf, [], frames, PARAMS)
    assert alone.error == pytest.approx(np.hypot(alone.colour, PARAMS.transmission))


def test_the_strehl_ratios_error_of_a_mean_is_one_quantity_not_two(halos) -> None:
    reference, frames = halos
    psf, centre = both(reference.wave)
    made = replace(core_light(psf, [(centre, reference)], frames, PARAMS), colour=0.03, error=0.035)
    wave = np.linspace(9600.0, 13300.0, 39)
    drawn = np.random.default_rng(5).normal(size=(40000, 2)) * [made.colour, np.sqrt(made.error**2 - made.colour**2)]
    light = drawn[:, :1] * (MIDDLE / wave) ** 2 + drawn[:, 1:]
    stated = np.hypot(made.mean_error(wave), np.mean(made.tilt(wave)))
    assert stated == pytest.approx(light.mean(axis=1).std(), rel=0.02)
    assert stated > 1.05 * np.hypot(made.error, np.mean(made.tilt(wave)))


def test_share_of_the_stars_light_that_is_around_the_mask(halos) -> None:
    reference, _ = halos
    psf, centre = both(reference.wave)
    inside = np.hypot(reference.x - centre.centre_x, reference.y - centre.centre_y) < PARAMS.outer
    bright = replace(psf, flux=np.full(psf.wave.size, 4.0 * inside.sum()))
    even = replace(reference, flux=np.full(reference.flux.shape, 0.8), flags=np.zeros_like(reference.flags))
    assert halo_share(bright, even, centre, PARAMS) == pytest.approx(0.2)
    blind = replace(even, flags=np.where(np.arange(len(even.flux))[:, None] % 3 == 0, 1, 0).astype(np.int32))
    assert halo_share(bright, blind, centre, PARAMS) == pytest.approx(0.2)
    assert np.isnan(halo_share(bright, replace(even, flux=np.full_like(even.flux, np.nan)), centre, PARAMS))


def test_every_frame_with_spots_tells_and_the_error_of_the_mean_is_theirs() -> None:
    """The star's own noise is common to all; the mean of n is better by the spots' part alone."""
    rng = np.random.default_rng(8)
    params, quiet = StrehlParams(change=10.0), np.zeros(2)  # whatever spots say counts
    pulls = []
    for _ in range(200):
        psf = star_beside_mask(rng, 0.004)
        made = core_light(psf, [(star_with_spots(rng, 0.05, 0.03), None) for _ in range(4)], [None, None], params)
        one = core_light(psf, [(star_with_spots(rng, 0.05, 0.03), None)], [None, None], params)
        pulls.append((made.change - 0.05) / made.change_error)
        quiet += [made.change_error, one.change_error]
    assert made.frames == 4
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)
    assert quiet[0] < 0.65 * quiet[1]


def test_frames_with_spots_that_differ_more_than_their_noise_make_a_larger_error() -> None:
    rng = np.random.default_rng(9)
    psf = star_beside_mask(rng, 2e-3)
    changes = (0.0, 0.06, 0.12)
    made = core_light(psf, [(star_with_spots(rng, c, 5e-3), None) for c in changes], [None], PARAMS)
    assert made.change == pytest.approx(0.06, abs=0.01)
    assert made.chi2 > 10.0
    assert made.change_error == pytest.approx(0.06 / np.sqrt(3.0), rel=0.2)  # scatter over the root of their number
    alike = core_light(psf, [(star_with_spots(rng, 0.06, 5e-3), None) for _ in changes], [None], PARAMS)
    assert alike.change_error < 0.5 * made.change_error
    assert np.isnan(core_light(psf, [(star_with_spots(rng, 0.0), None)], [None], PARAMS).chi2)


def test_halos_bring_frames_of_unlike_strehl_ratios_to_the_same_dits(halos) -> None:
    """A Strehl ratio that falls between two frames with spots: halos tell, and both say the same of the DITs."""
    reference, frames = halos
    psf, centre = both(reference.wave)
    loss = 1.0 - np.exp(-((2.0 * np.pi * PARAMS.wavefront / MIDDLE) ** 2))
    late = replace(reference, flux=1.1 * reference.flux, variance=1.21 * reference.variance)
    fell = np.log((1.0 - 1.1 * loss) / (1.0 - loss))
    faded = centre.spot_flux * np.exp(fell * (MIDDLE / psf.wave) ** 2)[:, None]
    two = [(centre, reference), (replace(centre, spot_flux=faded, spot_variance=1.21 * centre.spot_variance), late)]
    params = PARAMS.model_copy(update={"change": 10.0})  # whatever spots say counts
    alone, made = (core_light(psf, some, frames, params) for some in (two[:1], two))
    assert made.light == pytest.approx(alone.light, rel=0.01)
    assert made.halo == pytest.approx(alone.halo / np.sqrt(1.1), rel=0.02)
    assert made.chi2 < 4.0
    apart = core_light(psf, [(c, None) for c, _ in two], frames, PARAMS)
    assert apart.chi2 > 4.0 * made.chi2
