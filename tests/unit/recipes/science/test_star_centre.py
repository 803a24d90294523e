"""The star stands where its spots are symmetric about; errors cover the truth; what is no star is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.star_field import Star, source
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.recipes.science.halo_shift import HaloParams, halo_move
from tracecube.recipes.science.spot_photometry import spot_amplitudes
from tracecube.recipes.science.star_centre import StarCentreParams, centre_of_spots, good_samples

PARAMS = StarCentreParams()


def errors_of(star: Star, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors (arcsec) and their estimates over noise realisations."""
    off, sigma = [], []
    for _ in range(count):
        found = centre_of_spots(star.frame(), PARAMS).centre
        off.append([found.centre_x - star.place[0], found.centre_y - star.place[1]])
        sigma.append([found.centre_x_error, found.centre_y_error])
    return np.array(off), np.array(sigma)


def test_place_is_unbiased_and_its_error_covers_it() -> None:
    off, sigma = errors_of(Star(3), 8)
    assert np.abs(off.mean(axis=0)).max() < 0.15e-3  # 0.02 pixel of the cube
    assert np.sqrt(np.mean(off**2)) < 0.37e-3  # 0.05 pixel
    assert 0.6 < np.sqrt(np.mean((off / sigma) ** 2)) < 1.4  # 16 pulls: 1 +- 0.18


def test_unequal_diagonals_do_not_move_the_star() -> None:
    star = Star(4, diagonals=((-0.003, 0.002), (0.004, -0.003)), speckle=0.0)
    found = centre_of_spots(star.frame(), PARAMS).centre
    assert np.hypot(found.centre_x - star.place[0], found.centre_y - star.place[1]) < 0.15e-3


def test_refraction_moves_the_star_with_wavelength() -> None:
    star = Star(5, bend=(2.5e-3, -1.5e-3))
    found = centre_of_spots(star.frame(), PARAMS).centre
    x, y = star.centre(found.wave)
    assert np.abs(found.x - x).max() < 0.5e-3
    assert np.abs(found.y - y).max() < 0.5e-3


def test_bad_samples_weigh_nothing() -> None:
    star = Star(6)
    given = star.frame()
    rng = np.random.default_rng(1)
    hit = rng.random(given.flux.shape) < 0.03
    bad = replace(
        given,
        flux=np.where(hit, 1e5, given.flux),
        flags=np.where(hit, int(Flag.BAD_PIXEL), given.flags).astype(np.int32),
    )
    found = centre_of_spots(bad, PARAMS).centre
    assert np.hypot(found.centre_x - star.place[0], found.centre_y - star.place[1]) < 0.3e-3


def test_a_companion_on_the_track_of_a_spot_hardly_moves_the_star() -> None:
    star = Star(7)
    given = star.frame()
    middle = star.spot_track(np.radians(57.3), 1.0)(12500.0)
    stranger = source(star.x, star.y, star.wave, star.spread, lambda _: (middle[0] + 0.02, middle[1] - 0.01), 150.0)
    found = centre_of_spots(replace(given, flux=given.flux + stranger), PARAMS).centre
    assert np.hypot(found.centre_x - star.place[0], found.centre_y - star.place[1]) < 0.4e-3


def test_a_frame_without_spots_is_refused() -> None:
    with pytest.raises(BadData, match="no four satellite spots"):
        centre_of_spots(Star(8).frame(spots=False), PARAMS, name="frame")


def test_halo_tells_the_move_of_the_star() -> None:
    star = Star(9, speckle=0.8, halo=3.0)
    state = star.rng.bit_generator.state
    reference = star.frame(spots=False)
    here = star.place
    star.place = (here[0] + 1.2e-3, here[1] - 0.8e-3)
    star.rng.bit_generator.state = state  # the same speckles again, moved with the star
    frame = star.frame(spots=False, brightness=0.95)
    good = good_samples(frame), good_samples(reference)
    noisy = replace(frame, flux=frame.flux + np.random.default_rng(2).normal(0.0, 0.1, frame.flux.shape))
    move = halo_move(noisy, reference, here, HaloParams(), good=good)
    assert np.hypot(move.x - 1.2e-3, move.y + 0.8e-3) < 0.15e-3
    assert np.nanmedian(move.gain) == pytest.approx(0.95, abs=0.02)


def test_halo_of_other_lenslets_is_refused() -> None:
    frame = Star(10).frame(spots=False)
    other = replace(frame, aperture=frame.aperture + 1)
    good = good_samples(frame), good_samples(other)
    with pytest.raises(BadData, match="different lenslets"):
        halo_move(frame, other, (0.0, 0.0), HaloParams(), good=good)


def test_brightness_of_frames_by_their_spots() -> None:
    star = Star(11)
    truth = np.array([1.0, 0.95, 1.05, 1.02])
    centres = [centre_of_spots(star.frame(brightness=b), PARAMS).centre for b in truth]
    found = spot_amplitudes(centres)
    off = found.amplitude / (truth / truth.mean()) - 1.0
    assert np.sqrt(np.mean(off**2)) < 0.005
    with pytest.raises(MissingInput, match="no brightness"):
        spot_amplitudes(centres[:1])


def test_each_spot_is_where_it_is_by_its_error() -> None:
    star = Star(12, speckle=0.0)
    found = centre_of_spots(star.frame(), PARAMS).centre
    assert found.spot_x is not None
    assert found.spot_dx is not None
    assert found.spot_dy is not None
    x, _ = star.spot_track(np.radians(57.3), 1.0)(found.wave)
    assert np.abs(found.spot_x[:, 0] - x).max() < 1e-3
    pulls = np.stack([found.spot_dx / found.spot_dx_error, found.spot_dy / found.spot_dy_error])
    assert 0.7 < np.sqrt(np.mean(pulls**2)) < 1.4


def test_spots_too_far_out_are_seen_there_whether_left_out_or_not() -> None:
    moved = Star(12, speckle=0.0, diagonals=((0.006, 0.0), (0.0, 0.0)))
    held = PARAMS.model_copy(update={"scale_error": 1e-6})
    found = centre_of_spots(moved.frame(), held).centre
    assert found.spot_x is not None
    assert found.spot_dx is not None
    assert found.spot_dy is not None
    off = np.stack([found.spot_dx, found.spot_dy])
    out = np.array([np.cos(np.radians(57.3)), np.sin(np.radians(57.3))])
    apart = out @ (off[:, :, 0] - off[:, :, 2]) / 2.0  # of the two spots of the diagonal, whatever the star does
    radius = np.hypot(found.spot_x[:, 0] - found.x, found.spot_y[:, 0] - found.y)
    assert apart.mean() == pytest.approx(0.006 * radius.mean(), rel=0.1)


@pytest.mark.parametrize(("speckle", "halo"), [(0.0, 0.35), (0.1, 0.35), (0.5, 1.0)], ids=["photons", "weak", "strong"])
def test_pulls_of_the_star_have_unit_width(speckle: float, halo: float) -> None:
    off, sigma = [], []
    for seed in range(40, 44):
        star = Star(seed, channels=4, speckle=speckle, halo=halo)
        more, claimed = errors_of(star, 10)
        off.append(more)
        sigma.append(claimed)
    pulls = np.concatenate(off) / np.concatenate(sigma)
    # Eighty pulls tell the width to 0.08; twice that, and the 0.05 that errors are allowed to be off.
    width = float(np.sqrt(np.mean(pulls**2)))
    assert width == pytest.approx(1.0, abs=0.05 + 2.0 / np.sqrt(2.0 * pulls.size))
