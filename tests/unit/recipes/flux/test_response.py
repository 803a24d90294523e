from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.recipes.flux.calibrate import atmosphere_and_response
from tracecube.recipes.flux.response import combine_responses
from tracecube.recipes.flux.star_response import Smoothness, StarResponse, fit_star
from tracecube.recipes.flux.telluric import fit_depth_law

SMOOTH = Smoothness(knots=100.0, line_error=0.1, floor=0.003)
TOLERANCES = {"grey_tolerance": 0.05, "colour_tolerance": 0.05}


@pytest.fixture(scope="module")
def stars(night: ModuleType) -> list[StarResponse]:
    seen = [night.observation(1.05, (1.03, 1.2), seed=1), night.observation(1.6, (1.31, 1.45), seed=2)]
    return [fit_star(star, night.EXTINCTION, night.absorbers(), SMOOTH) for star in seen]


def stacked(stars: list[StarResponse]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.array([getattr(star, name) for star in stars]) for name in ("log_response", "variance", "flags"))


def test_a_star_gives_back_the_response(night: ModuleType, stars: list[StarResponse]) -> None:
    inside = (night.WAVE > 4000) & (night.WAVE < 8850)  # redder, water takes a part of every sample
    for star in stars:
        ratio = np.exp(star.log_response) / night.response(night.WAVE)
        assert np.max(np.abs(ratio[inside] - 1)) < 0.015
        assert np.sqrt(np.mean((ratio[inside] - 1) ** 2)) < 0.005
        assert star.scatter < 0.006


def test_error_of_the_response_is_honest(night: ModuleType) -> None:
    pulls = []
    for seed in range(12):
        star = night.observation(1.2, (1.1, 1.1), seed=seed)
        louder = np.sqrt(99 * star.variance) * np.random.default_rng(1000 + seed).standard_normal(star.rate.size)
        star = replace(star, variance=100 * star.variance, rate=star.rate + louder)
        found = fit_star(star, night.EXTINCTION, night.absorbers(), replace(SMOOTH, line_error=0.0, floor=0.0))
        inside = (night.WAVE > 4200) & (night.WAVE < 8800)
        pulls.append(((found.log_response - np.log(night.response(night.WAVE))) / np.sqrt(found.variance))[inside])
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1.0, abs=0.35)


def test_telluric_depths_come_back(stars: list[StarResponse]) -> None:
    for star, truth in zip(stars, [(1.03, 1.2), (1.31, 1.45)], strict=True):
        np.testing.assert_allclose(star.depth, truth, rtol=0.08)
        assert np.all(np.abs(star.depth - truth) < 4 * star.depth_error)


def test_beyond_the_table_is_flagged(night: ModuleType, stars: list[StarResponse]) -> None:
    beyond = night.WAVE > 9200
    assert np.all(stars[0].flags[beyond] == int(Flag.EXTRAPOLATED))
    assert not stars[0].flags[~beyond].any()


def test_a_star_without_samples_is_refused(night: ModuleType) -> None:
    star = night.observation(1.2, (1.1, 1.1))
    with pytest.raises(BadData, match="good samples"):
        fit_star(replace(star, good=np.zeros_like(star.good)), night.EXTINCTION, night.absorbers(), SMOOTH)


def test_clouds_dim_but_do_not_colour(night: ModuleType) -> None:
    seen = [night.observation(1.05, (1.0, 1.0), seed=1), night.observation(1.3, (1.1, 1.1), grey=0.6, seed=2)]
    found = [fit_star(star, night.EXTINCTION, night.absorbers(), SMOOTH) for star in seen]
    together = combine_responses(night.WAVE, *stacked(found), ["clear", "cloudy"], **TOLERANCES)
    assert together.grey == pytest.approx([1.0, 0.6], rel=0.01)
    assert together.used.all()
    assert any("clouds" in caveat and "cloudy" in caveat for caveat in together.caveats)
    inside = (night.WAVE > 4000) & (night.WAVE < 9000)
    ratio = np.exp(together.log_response) / night.response(night.WAVE)
    assert np.max(np.abs(ratio[inside] - 1)) < 0.015


def test_a_wrong_star_is_left_out(night: ModuleType, stars: list[StarResponse]) -> None:
    log_response, variance, flags = stacked([*stars, stars[0]])
    log_response[1] += 0.3 * (night.WAVE - 6500) / 2500.0
    together = combine_responses(night.WAVE, log_response, variance, flags, ["a", "wrong", "c"], **TOLERANCES)
    np.testing.assert_array_equal(together.used, [True, False, True])
    assert any("wrong left out" in caveat for caveat in together.caveats)


def test_one_star_alone_is_said_so(night: ModuleType, stars: list[StarResponse]) -> None:
    together = combine_responses(night.WAVE, *stacked(stars[:1]), ["only"], **TOLERANCES)
    assert any("one standard alone" in caveat for caveat in together.caveats)
    assert np.isnan(together.scatter)
    np.testing.assert_allclose(together.log_response, stars[0].log_response)


def test_extrapolated_samples_yield_to_measured_ones(night: ModuleType, stars: list[StarResponse]) -> None:
    log_response, variance, flags = stacked(stars)
    beyond = night.WAVE > 9200
    flags[1] = 0
    log_response[0, beyond] += 0.5
    together = combine_responses(night.WAVE, log_response, variance, flags, ["a", "b"], **TOLERANCES)
    assert not together.flags[beyond].any()
    gap = together.log_response[beyond] - stars[1].log_response[beyond]
    assert np.max(np.abs(gap)) < 0.02


def test_depths_follow_the_airmass_law(night: ModuleType) -> None:
    absorbers = night.absorbers()
    airmass = np.array([1.0, 1.3, 1.8])
    depth = np.stack([1.1 * airmass**0.62, 0.7 * airmass**0.3], axis=1)
    law = fit_depth_law(airmass, depth, 0.005 * depth, absorbers)
    np.testing.assert_allclose(law.at(1.5), [1.1 * 1.5**0.62, 0.7 * 1.5**0.3], rtol=0.01)
    single = fit_depth_law(airmass[:1], depth[:1], 0.01 * depth[:1], absorbers)
    np.testing.assert_allclose(single.exponent, absorbers.exponent)
    np.testing.assert_allclose(single.at(1.0), depth[0], rtol=1e-6)


def test_calibration_takes_off_what_the_atmosphere_did(night: ModuleType) -> None:
    star = night.reference(depth=0.0)
    rate = night.counts(star, 1.4, (1.2, 1.1))
    sensitivity = atmosphere_and_response(
        night.WAVE,
        night.LSF,
        np.log(night.response(night.WAVE)),
        airmass=1.4,
        extinction=night.EXTINCTION,
        absorbers=night.absorbers(),
        depth=np.array([1.2, 1.1]),
    )
    inside = (night.WAVE > 3900) & (night.WAVE < 9100)
    truth = np.interp(night.WAVE, star.wave, star.flux)
    np.testing.assert_allclose((rate / sensitivity / truth)[inside], 1.0, atol=0.01)
