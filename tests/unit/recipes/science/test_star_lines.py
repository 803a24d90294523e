"""Lines in the spectra of stars: found with their errors, and no more of them than noise makes."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.lines import Lines
from tracecube.core.sources import Sources
from tracecube.recipes.science.fibre_lines import FibreLinesParams, with_star_lines
from tracecube.recipes.science.star_lines import StarLight, StarLineParams, false_lines, star_lines

WAVE = 3470.0 + 2.0 * np.arange(1036)
PARAMS = StarLineParams(1.3, 4.3, 60.0, 3.0, 10.0, (3480.0, 5530.0))
LSF, NOISE = 2.4, 1.0


def spectrum(seed: int, lines: dict[float, float], level: float = 0.0, number: int = 0) -> StarLight:
    """A sloping continuum with lines and noise, correlated with the next sample."""
    rng = np.random.default_rng(seed)
    width = np.hypot(LSF, 1.3)
    flux = level * (1.0 + 0.3 * (WAVE - 4500.0) / 1000.0)
    for place, strength in lines.items():
        flux = flux + strength * np.exp(-0.5 * ((WAVE - place) / width) ** 2) / (np.sqrt(2.0 * np.pi) * width)
    white = rng.normal(0.0, NOISE, WAVE.size + 1)
    flux = flux + (white[1:] + 0.3 * white[:-1]) / np.hypot(1.0, 0.3)
    shared = np.full(WAVE.size, 0.3 / (1.0 + 0.3**2) * NOISE**2)
    good = np.ones(WAVE.size, bool)
    good[700:710] = False
    return StarLight(number, WAVE, flux, np.full(WAVE.size, NOISE**2), shared, np.full(WAVE.size, LSF), good)


def test_a_line_is_found_with_its_error() -> None:
    flux, wave = [], []
    for seed in range(120):
        [line] = star_lines([spectrum(seed, {4321.3: 60.0})], PARAMS)
        flux.append((line.flux - 60.0) / line.flux_err)
        wave.append((line.wave - 4321.3) / line.wave_err)
    assert np.std(wave) == pytest.approx(1.0, abs=0.15)  # of 120: 0.065
    assert np.std(flux) == pytest.approx(1.0, abs=0.15)
    assert abs(np.mean(flux)) < 0.3  # a maximum is a little higher than the line, samples lie beside it


def test_noise_makes_no_more_lines_than_said() -> None:
    low = PARAMS._replace(threshold=2.5)
    light = [spectrum(seed, {}) for seed in range(60)]
    count, expected = len(star_lines(light, low)), false_lines(light, low)
    assert count == pytest.approx(expected, abs=3.0 * expected**0.5)
    assert not star_lines(light, PARAMS)


def test_the_structure_of_a_bright_star_is_no_line_but_a_strong_line_on_it_is() -> None:
    bright = 1000.0
    assert not star_lines([spectrum(1, {4400.0: 5.0 * bright, 4420.0: -6.0 * bright}, level=bright)], PARAMS)
    [line] = star_lines([spectrum(1, {4400.0: 40.0 * bright}, level=bright)], PARAMS)
    assert line.wave == pytest.approx(4400.0, abs=0.1)
    assert line.flux == pytest.approx(40.0 * bright, rel=0.05)


def test_lines_of_stars_join_those_of_the_map_with_the_places_of_their_stars() -> None:
    one = np.ones(1)
    none = Lines(**{name: np.zeros(0) for name in ("ra", "dec", "wave", "flux", "sn", "sigma", "chi2")},
                 **{name: np.zeros(0, np.int32) for name in ("ifuslot", "dq")},
                 **{name: np.zeros(0) for name in ("ra_err", "dec_err", "wave_err", "sigma_err", "continuum",
                                                   "flux_err")})  # fmt: skip
    names = ("ra_err", "dec_err", "ra_seen", "dec_seen", "seen_err", "mag", "mag_err", "mag_cat", "flux", "flux_err")
    plain = {name: 0.1 * np.ones(2) for name in (*names, "snr", "chi2")}
    sources = Sources(
        object=np.array(["a", "b"]), ra=np.array([10.0, 20.0]), dec=np.array([1.0, 2.0]), dq=np.zeros(2, int), **plain
    )
    joined, numbers = with_star_lines(
        none, [spectrum(3, {4800.0: 80.0}, number=1)], sources, FibreLinesParams(), ifuslot=47
    )
    assert (joined.ra, joined.dec, joined.ifuslot) == (20.0 * one, 2.0 * one, 47 * one)
    assert joined.wave == pytest.approx(4800.0, abs=1.0)
    assert np.isnan(joined.sigma).all()
    assert {n.name: n.value for n in numbers}["LINES IN STARS"] == 1.0
    same, _ = with_star_lines(none, [spectrum(3, {})], sources, FibreLinesParams(), ifuslot=47)
    assert same is none
