"""The ground beneath the fibres, from fibres that see the sky alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.sky.test_fibre_sky import M, draw, even, factors
from tracecube.core.fibres import sum_variance
from tracecube.kernels.wandering import walk_covariance
from tracecube.recipes.sky.fibre_ground import FibreBins, Ground, find_ground
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
    return FibreBins(rest, model, variance, row, bundle, place, at, np.full(4 * N, 0.5), model, dark), ground


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


def test_the_light_of_a_source_is_not_taken_for_ground_and_its_fibres_tell_it() -> None:
    """Fibres of any light of one colour: their ground is found by that colour, as those of the dark ones is by none."""
    pulls, beside = [], []
    for seed in range(12):
        given, true = bins(seed, 1.0)
        rng = np.random.default_rng([seed, 1])
        lit = (given.place > 30) & (given.place < 70) & (given.bundle == 47)
        light = given.model * np.where(lit[:, None], np.linspace(1.6, 0.8, B), 1.0)
        strength = np.where(lit, rng.uniform(0.05, 0.3, 4 * N), 0.0)
        shone = given._replace(rest=given.rest + strength[:, None] * light, light=light, lit=lit)
        blank = ~lit & (rng.random(4 * N) < 0.8)
        found = find_ground(shone, blank, blank, 0.001, colours=2, slope=0.01)
        assert not found.told[lit].any()
        pulls.append(_beside_sky(given, found.level - true, lit) / found.error[lit])
        without = find_ground(shone._replace(lit=~lit & lit), blank, blank, 0.001, colours=2, slope=0.01)
        beside.append([np.std(_beside_sky(given, one.level - true, lit)) for one in (found, without)])
    assert np.std(np.concatenate(pulls)) == pytest.approx(1.0, abs=0.15)
    with_, without_ = np.mean(beside, axis=0)
    assert with_ < 0.9 * without_


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
