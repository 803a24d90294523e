"""The ground beneath the fibres, from fibres that see the sky alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.sky.test_fibre_sky import M, draw, even, factors
from tracecube.core.fibres import sum_variance
from tracecube.kernels.wandering import walk_covariance
from tracecube.recipes.sky.fibre_ground import FibreBins, Ground, amplifier_blank, find_ground, lit_fibres, source_light
from tracecube.recipes.sky.fibre_illumination import Illumination
from tracecube.recipes.sky.fibre_sky import SkyParams, fit_sky
from tracecube.recipes.sky.sky_numbers import ground_caveats
from tracecube.recipes.sky.sky_subtraction import subtract_sky

N, B = 100, 8


def bins(seed: int, size: float, noise: float = 0.6) -> tuple[FibreBins, np.ndarray]:
    """Four amplifiers of two bundles: a sky that is too bright, a bundle that is too dark, and a ground."""
    rng = np.random.default_rng(seed)
    model = np.tile(np.linspace(60.0, 200.0, B), (4 * N, 1)) * rng.normal(1.0, 0.05, (4 * N, 1))
    chol = np.linalg.cholesky(walk_covariance(np.arange(float(N)), max(size, 1e-9), 10.0))
    ground = np.concatenate([chol @ rng.normal(size=N) for _ in range(4)])
    bundle = np.repeat([47, 53], 2 * N)
    off = np.where(bundle == 47, -0.003, 0.002)[:, None] + 0.001 * rng.normal(size=(4 * N, 1))
    rest = model * off + ground[:, None] + noise * rng.normal(size=(4 * N, B))
    variance = np.full((4 * N, B), noise**2)
    at = rng.uniform(-1.0, 1.0, (4 * N, 2))
    place = np.tile(np.arange(float(N)), 4)
    row, dark = np.repeat(np.arange(4), N), np.zeros(4 * N, bool)
    return FibreBins(
        rest,
        model,
        variance,
        row,
        bundle,
        place,
        at,
        np.full(4 * N, 0.5),
        model,
        dark,
        np.zeros(4 * N),
        at * 0,
        model * 0,
    ), ground


def _beside_sky(given: FibreBins, left: np.ndarray, own: np.ndarray) -> np.ndarray:
    """What is left of some fibres beside the sky's level and gradient, which nothing tells from a ground like them."""
    sky = given.model.mean(axis=1)[own, None] * np.column_stack([np.ones(own.sum()), given.at[own]])
    return left[own] - sky @ np.linalg.lstsq(sky, left[own], rcond=None)[0]


def test_the_ground_is_found_with_its_error_and_not_taken_for_light() -> None:
    pulls = []
    for seed in range(24):
        given, true = bins(seed, 1.0)
        blank = np.random.default_rng(seed).random(4 * N) < 0.6
        found = find_ground(given, blank, blank, 0.001, colours=2, slope=0.01)
        left = found.level - true
        assert np.std(left) < 0.75
        assert found.size == pytest.approx(1.0, rel=0.5)
        # the error is that of the ground and of what the illumination takes of it
        pulls += [_beside_sky(given, left, own) / found.error[own] for own in (given.bundle == 47, given.bundle == 53)]
    assert np.std(np.concatenate(pulls)) == pytest.approx(1.0, abs=0.05)


def _shone(seed: int, moved: float = 0.0) -> tuple[FibreBins, np.ndarray, np.ndarray]:
    """A source that is redder than the sky in some fibres, each colour at its own place; bins, ground, its fibres."""
    given, true = bins(seed, 1.0)
    rng = np.random.default_rng([seed, 1])
    lit = (given.place > 30) & (given.place < 70) & (given.bundle == 47)
    strength = np.where(lit, rng.uniform(0.05, 0.3, 4 * N), 0.0)
    steep = np.where(lit[:, None], rng.normal((0.15, 0.0), 0.1, (4 * N, 2)), 0.0)
    tint = np.linspace(1.6, 0.8, B) * (1.0 + moved * steep[:, :1] * np.linspace(-1.0, 0.5, B))
    source = strength[:, None] * given.model * tint
    beside = strength * rng.normal(1.0, 0.02, 4 * N)  # as a model of it has it, without its colour
    grey = np.where(lit, beside, 0.0)[:, None] * given.model
    rest, light = source_light((given.rest + source - grey, given.model, given.variance), beside, given.bundle, lit)
    return given._replace(rest=rest, light=light, lit=lit, steep=steep), true, lit


def test_all_the_light_of_a_source_is_its_own_whatever_its_colour() -> None:
    shone, _, lit = _shone(0)
    first = shone.light[lit] / shone.model[lit]
    assert first.mean(axis=0) / first.mean() == pytest.approx(np.linspace(1.6, 0.8, B) / 1.2, rel=0.03)
    assert np.mean(shone.rest[lit] / shone.light[lit]) == pytest.approx(1.0, abs=0.05)
    np.testing.assert_array_equal(shone.light[~lit], shone.model[~lit])


@pytest.mark.parametrize("moved", [0.0, 1.0])
def test_the_light_of_a_source_is_not_taken_for_ground_and_its_fibres_tell_it(moved: float) -> None:
    """Fibres of any light of one colour: their ground is found by that colour, as those of the dark ones is by none."""
    pulls, beside, off = [], [], []
    for seed in range(12):
        shone, true, lit = _shone(seed, moved)
        blank = ~lit & (np.random.default_rng(seed).random(4 * N) < 0.8)
        found = find_ground(shone, blank, blank, 0.001, colours=2, slope=0.01)
        assert not found.told[lit].any()
        pulls.append(_beside_sky(shone, found.level - true, lit) / found.error[lit])
        off.append(np.mean((found.level - true)[lit]) - np.mean((found.level - true)[~lit & (shone.bundle == 47)]))
        without = find_ground(shone._replace(lit=~lit & lit), blank, blank, 0.001, colours=2, slope=0.01)
        beside.append([np.std(_beside_sky(shone, one.level - true, lit)) for one in (found, without)])
    assert np.std(np.concatenate(pulls)) == pytest.approx(1.0, abs=0.2 if moved else 0.15)
    assert abs(np.mean(off)) < 3.0 * np.std(off) / np.sqrt(len(off))
    with_, without_ = np.mean(beside, axis=0)
    assert with_ < 0.9 * without_


def test_which_fibres_tell_the_ground_is_no_matter_of_their_noise() -> None:
    """Of fibres with some light, dim ones by chance would be dark, bright ones lit: the ground would be low."""
    rng = np.random.default_rng(2)
    n, slots = 4000, np.array([47])
    beside, error = rng.uniform(0.0, 3.0, n) * 0.003, np.full(n, 0.003)
    noise = rng.normal(size=n) * error
    one, none = np.ones(n), np.zeros(n)
    found = Illumination(
        one, none, np.abs(beside + noise) < 2.5 * error, slots, np.ones(1), np.zeros(1), np.zeros(1, bool),
        np.zeros(2), 0.0, beside, none, np.zeros((n, 2)), np.zeros(n, int),
    )  # fmt: skip
    levels = (1.0 + beside + noise, error)
    told = amplifier_blank(levels, found, np.arange(n) // 112, 2.5)
    lit = lit_fibres(levels, found)
    assert not (told & lit).any()
    for chosen in (told, lit):
        assert chosen.mean() > 0.2
        assert abs(np.mean(noise[chosen] / error[chosen])) < 4.0 / np.sqrt(chosen.sum())


def test_without_a_ground_none_is_taken_off() -> None:
    given, _ = bins(3, 0.0)
    every = np.ones(4 * N, bool)
    found = find_ground(given, every, every, 0.001, colours=2, slope=0.01)
    assert found.size < 0.1
    assert np.std(found.level) < 0.15
    unknown = find_ground(given._replace(stated=np.zeros(4 * N)), every, every, 0.001, colours=2, slope=0.01)
    assert not unknown.level.any()
    assert np.isnan(unknown.error).all()
    assert np.isnan(unknown.size)


def test_a_ground_that_was_not_found_is_no_perfect_one() -> None:
    spectra = [replace(draw(s, factors(s, N), level=14.0, seed=s), ground_error=np.zeros(N)) for s in (47, 53)]
    flat = [even(factors(s, N)) for s in (47, 53)]
    model, numbers, caveats = fit_sky(zip(spectra, flat, strict=True), SkyParams())
    assert not any(one.name.startswith("GROUND") for one in numbers)
    assert not caveats  # the overscan says that there is none
    [said] = ground_caveats(Ground.unknown(3), np.full(3, 0.3))
    assert "the ground beneath the fibres was not found" in said
    assert np.isnan(model.ground_error).all()
    made = subtract_sky(replace(spectra[0], ground_error=np.full(N, 0.3)), flat[0], model)
    np.testing.assert_array_equal(made.ground_error, 0.3)  # what the overscan says


def test_sums_along_fibres_scatter_as_their_errors_say() -> None:
    pulls = []
    for seed in range(2):
        spectra, flat = [], []
        for slot in (47, 53, 61):
            true = factors(slot, N)
            one = draw(slot, true, level=14.0, seed=100 * seed + slot)
            rng = np.random.default_rng(1000 * seed + slot)
            ground = np.linalg.cholesky(walk_covariance(np.arange(float(N)), 1.2, 12.0)) @ rng.normal(size=N)
            spectra.append(replace(one, flux=one.flux + ground[:, None], ground_error=np.full(N, 0.6)))
            flat.append(even(true))
        model, numbers, _ = fit_sky(zip(spectra, flat, strict=True), SkyParams())
        told = {n.name: n.value for n in numbers}
        assert told["GROUND SIZE"] == pytest.approx(1.2, rel=0.6)
        for one, value in zip(spectra, flat, strict=True):
            made = subtract_sky(one, value, model)
            assert made.correlation is not None
            for width in (50, M):
                weight = np.ones((N, width))
                total = made.flux.reshape(N, -1, width).sum(axis=2)[:, 0]
                pulls.append(total / np.sqrt(sum_variance(made.variance[:, :width], weight, made.correlation)))
    assert np.std(np.concatenate(pulls)) == pytest.approx(1.0, abs=0.08)


def test_an_amplifier_whose_ground_is_far_off_is_brought_to_the_others_of_its_bundle() -> None:
    spectra, flat = [], []
    for number, (slot, amp, off) in enumerate(((47, "LL", 0.0), (47, "RU", 2.5), (53, "LL", 0.0), (53, "RU", 0.0))):
        true = factors(number, N)
        one = draw(slot, true, level=14.0, seed=number)
        names = {"amp": np.full(N, amp), "ground_error": np.full(N, 0.6)}
        spectra.append(replace(one, flux=one.flux + off, **names))
        flat.append(even(true))
    model, _, _ = fit_sky(zip(spectra, flat, strict=True), SkyParams())
    made = [subtract_sky(one, value, model) for one, value in zip(spectra, flat, strict=True)]
    assert [np.mean(one.flux) for one in made] == pytest.approx([0.0] * 4, abs=0.35)
