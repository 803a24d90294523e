"""The fine structure of a star's spectrum told by its halo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.sphere_ifs.test_stacked import centre, dit
from tests.unit.recipes.science.test_strehl import PARAMS, star_beside_mask, star_with_spots
from tracecube.core.star import StarPsf
from tracecube.instruments.sphere_ifs import flux_by_halo
from tracecube.recipes.science import star_by_halo as recipe
from tracecube.recipes.science.star_by_halo import StarByHalo, halo_spectrum, star_by_halo
from tracecube.recipes.science.strehl import spot_colour

WAVE = np.linspace(9565.0, 16650.0, 39)
BEND = np.log(WAVE / 12500.0)
AIR = 1.0 - 0.85 * np.exp(-0.5 * ((WAVE - 13900.0) / 300.0) ** 2) - 0.2 * np.exp(-0.5 * ((WAVE - 11400) / 250.0) ** 2)
STAR = 1e5 * np.exp(-1.8 * BEND) * AIR
HALO = STAR * 3e-6 * np.exp(-2.2 * BEND + 0.3 * BEND**2)
QUIET = np.full(WAVE.size, 1e-3)


def together(star: np.ndarray, noise: float, halo: np.ndarray = HALO) -> StarByHalo:
    found = star_by_halo(WAVE, star, np.full(WAVE.size, noise), halo, QUIET)
    assert found is not None
    return found


def test_noise_of_single_channels_goes_and_errors_are_honest() -> None:
    rng, noise, off, pulls = np.random.default_rng(1), 0.03, [], []
    for _ in range(200):
        seen = STAR * (1.0 + noise * rng.normal(size=WAVE.size))
        found = together(seen, noise, HALO * (1.0 + 0.01 * rng.normal(size=WAVE.size)))  # as unlike as is allowed for
        off.append(seen * found.factor / STAR - 1.0)
        pulls.append(off[-1] / np.sqrt(found.error**2 + (found.tilt**2).sum(axis=0)))
    assert np.std(off) < 0.55 * noise
    assert abs(np.mean(off)) < 0.002
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)


def test_a_dark_band_that_wings_fill_is_as_deep_as_the_halo_has_it() -> None:
    rng = np.random.default_rng(2)
    filled = STAR * (1.0 + 0.25 * np.exp(-0.5 * ((WAVE - 14000.0) / 200.0) ** 2))
    found = together(filled * (1.0 + 0.03 * rng.normal(size=WAVE.size)), 0.03)
    dip = np.abs(WAVE - 14000.0) < 250.0
    assert np.abs(filled[dip] / STAR[dip] - 1.0).max() > 0.2
    assert np.abs(found.factor * filled / STAR - 1.0)[dip].max() < 0.08
    assert found.chi2 > 2.0


def test_what_is_smooth_is_the_stars_own() -> None:
    bent = STAR * (1.0 + 0.1 * BEND - 0.3 * BEND**2)
    assert together(bent, 0.02).factor == pytest.approx(1.0, abs=2e-3)


def test_channels_that_the_star_lacks_stay_and_too_few_tell_nothing() -> None:
    gap = np.where(np.arange(39) == 20, np.nan, STAR)
    found = together(gap, 0.02)
    assert found.factor[20] == 1.0
    assert (found.tilt[:, 20] == 0.0).all()
    noise = np.full(WAVE.size, 0.02)
    assert star_by_halo(WAVE, np.where(np.arange(39) < 27, np.nan, STAR), noise, HALO, QUIET) is None
    assert star_by_halo(WAVE, STAR, noise, 0.0 * HALO, QUIET) is None


def test_a_companion_in_the_halo_does_not_count_and_a_handful_of_lenslets_is_no_halo(monkeypatch) -> None:
    frame, star = dit(0), centre(0)
    flux = np.tile(frame.wave / 1e4, (len(frame.flux), 1))
    flux[::20] *= 50.0 * (frame.wave / frame.wave[0])
    flags = np.zeros(flux.shape, np.int32)
    flags[1::3, 0] = 1
    flux[1::3] = 9.0
    one = replace(frame, flux=flux, flags=flags, variance=np.full(flux.shape, 0.01))
    monkeypatch.setattr(recipe, "_FEW", 5)
    found = halo_spectrum([one, one], [star, star], inner=0.0, outer=9.0)
    assert found is not None
    assert found[0] == pytest.approx(frame.wave / 1e4, rel=1e-6)
    monkeypatch.setattr(recipe, "_FEW", 10**6)
    assert halo_spectrum([one], [star], inner=0.0, outer=9.0) is None


def test_errors_that_channels_share_are_further_rows(monkeypatch) -> None:
    rng = np.random.default_rng(4)
    psf, spots = star_beside_mask(rng), star_with_spots(rng, 0.02)
    law = (12500.0 / psf.wave) ** 2 - 1.0
    bare = spot_colour(psf, spots, PARAMS)
    one, two = (spot_colour(replace(psf, tilt=t), spots, PARAMS) for t in (0.02 * law, np.stack([0.02 * law] * 2)))
    assert one.error == pytest.approx(np.hypot(bare.error, 0.02))
    assert two.error == pytest.approx(np.sqrt(bare.error**2 + 2 * 0.02**2))
    noisy: StarPsf = replace(
        psf, wave=WAVE, flux=STAR * (1.0 + 0.03 * rng.normal(size=39)), variance=(0.03 * STAR) ** 2
    )
    noisy = replace(noisy, tilt=0.001 * np.ones(39))
    monkeypatch.setattr(flux_by_halo, "halo_spectrum", lambda *_, **__: (HALO, 1e-3 * HALO))
    made, [number] = flux_by_halo.with_halo(noisy, [], [])
    assert np.shape(made.tilt) == (6, 39)
    assert np.std(made.flux / STAR) < 0.5 * np.std(noisy.flux / STAR)
    assert (made.variance < 0.5 * noisy.variance).all()
    assert number.value == pytest.approx(1.0, abs=0.5)
    monkeypatch.setattr(flux_by_halo, "halo_spectrum", lambda *_, **__: None)
    assert flux_by_halo.with_halo(noisy, [], []) == (noisy, ())
