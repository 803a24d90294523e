"""The star beside its mask: flux, profile, filter, saturation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.star_field import lattice, source, spectra_of
from tracecube.core.errors import BadData, NoConvergence
from tracecube.core.flags import Flag
from tracecube.recipes.science.spot_fit import Setting, fit_tracks
from tracecube.recipes.science.spot_windows import SpotPattern, lenslet_nodes, windows
from tracecube.recipes.science.star_centre import good_samples, track_of
from tracecube.recipes.science.star_psf import StarPsfParams, filter_transmission, measure_psf

WAVE = np.linspace(9600.0, 16400.0, 9)
SPREAD = np.linspace(136.0, 205.0, 9)
PLACE = (-0.21, 0.13)
ONE = np.ones(WAVE.size)


def star(seed: int, flux: float = 300.0):
    x, y = lattice(0.5)
    light = source(x, y, WAVE, SPREAD, lambda w: PLACE, flux)
    variance = 0.09**2 + light / 180.0
    noise = np.random.default_rng(seed).normal(size=light.shape) * np.sqrt(variance)
    return spectra_of(x, y, WAVE, SPREAD, light + noise, variance)


def test_flux_and_its_error() -> None:
    params = StarPsfParams(obstruction=0.2)
    found = [measure_psf(star(s), params, transmission=ONE, time_ratio=1.0, dit=16.0).psf for s in range(12)]
    pulls = np.array([(p.flux - np.mean([q.flux for q in found], axis=0)) / np.sqrt(p.variance) for p in found])
    assert np.sqrt(np.mean(pulls**2) * 12 / 11) == pytest.approx(1.0, abs=0.2)
    assert np.mean([p.flux for p in found]) == pytest.approx(300.0, rel=0.01)


def test_flux_is_scaled_by_filter_and_time() -> None:
    curve = 0.01 * ONE
    plain = measure_psf(star(1), StarPsfParams(), transmission=ONE, time_ratio=1.0, dit=1.65).psf
    scaled = measure_psf(star(1), StarPsfParams(), transmission=curve, time_ratio=10.0, dit=16.5).psf
    assert scaled.flux == pytest.approx(1000.0 * plain.flux)
    assert scaled.variance == pytest.approx(1e6 * plain.variance)
    assert scaled.dit == 16.5


def test_profile_is_that_of_the_star() -> None:
    psf = measure_psf(star(2, 3e4), StarPsfParams(), transmission=ONE, time_ratio=1.0, dit=1.0).psf
    model = np.interp(np.hypot(psf.x, psf.y) / (WAVE[4] * 1e-10 / 8.0 * 206264.8), psf.radius, psf.profile[4])
    area = np.sqrt(0.75) * 12.92e-3**2 / (WAVE[4] * 1e-10 / 8.0 * 206264.8) ** 2
    assert np.nansum(model * area * psf.share[4]) == pytest.approx(np.nansum(psf.share[4] ** 2), rel=0.03)


def test_saturated_core_is_said_or_refused() -> None:
    given = star(3)
    core = np.hypot(given.x - PLACE[0], given.y - PLACE[1]) < 0.015
    flags = given.flags.copy()
    flags[np.ix_(core, np.arange(3))] = int(Flag.SATURATED)
    found = measure_psf(replace(given, flags=flags), StarPsfParams(), transmission=ONE, time_ratio=1.0, dit=1.0)
    assert any("saturated in 3 of 9" in text for text in found.caveats)
    assert (found.psf.flags[:3] & Flag.SATURATED).all()
    assert not found.psf.flags[3:].any()
    flags[core] = int(Flag.SATURATED)
    with pytest.raises(BadData, match="saturated"):
        measure_psf(replace(given, flags=flags), StarPsfParams(), transmission=ONE, time_ratio=1.0, dit=1.0)


def test_a_star_of_which_only_the_wings_are_left_is_refused_by_name() -> None:
    given = star(3)
    wide = np.hypot(given.x - PLACE[0], given.y - PLACE[1]) < 0.06
    flags = given.flags.copy()
    flags[wide] = int(Flag.SATURATED)
    with pytest.raises(BadData, match=r"raw\.fits: the star is saturated in 9 of 9 channels") as error:
        measure_psf(
            replace(given, flags=flags), StarPsfParams(), transmission=ONE, time_ratio=1.0, dit=1.0, name="raw.fits"
        )
    assert "shorter DIT" in error.value.hint


def test_a_saturated_sample_of_a_cosmic_ray_moves_nothing() -> None:
    given = star(3)
    flags = given.flags.copy()
    flags[5, 2] = int(Flag.SATURATED)
    found = measure_psf(replace(given, flags=flags), StarPsfParams(), transmission=ONE, time_ratio=1.0, dit=1.0)
    assert found.caveats == ()
    assert found.fit.values[:2] == pytest.approx(PLACE, abs=1e-3)


def test_a_fit_that_does_not_settle_names_the_frame() -> None:
    given = star(3)
    track = track_of(given, 12500.0)
    pattern = SpotPattern(0.0, np.zeros(1), np.zeros(1, np.int64), 8.0, 0.14)
    nodes, area = lenslet_nodes(given)
    values = np.zeros(pattern.size)
    values[:2] = PLACE
    cut = windows(given, values, track, pattern, reach=1.5, good=good_samples(given))
    setting = Setting(track, pattern, nodes, area, np.zeros(pattern.size), np.full(pattern.size, 0.1), clip=6.0)
    with pytest.raises(NoConvergence, match=r"raw\.fits: the place of the star beside its mask still moves after 1 "):
        fit_tracks(cut, values + 0.004, setting, rounds=1, name="raw.fits")


def test_an_empty_field_has_no_star() -> None:
    with pytest.raises(BadData, match="no star"):
        measure_psf(star(4, 0.0), StarPsfParams(), transmission=ONE, time_ratio=1.0, dit=1.0)


def test_filter_curve_is_blurred_as_the_channels_are() -> None:
    track = track_of(star(5), 12500.0)
    wave = np.linspace(9000.0, 18000.0, 4000)
    bump = ((wave - 13000.0) / 1000.0) ** 2
    blurred = filter_transmission(track, wave, bump)
    expected = ((track.wave - 13000.0) / 1000.0) ** 2 + (track.spread / 1000.0) ** 2
    assert blurred == pytest.approx(expected, abs=2e-3)
    with pytest.raises(BadData, match="cover"):
        filter_transmission(track, wave[wave > 11000.0], bump[wave > 11000.0])
