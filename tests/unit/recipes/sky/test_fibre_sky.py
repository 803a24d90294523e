"""Throughput of fibres and sky of an exposure, on native pixels, from light drawn by the forward model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.fibres import FibreSpectra
from tracecube.recipes.sky.fibre_sky import SkyParams, fit_sky
from tracecube.recipes.sky.fibre_throughput import ThroughputParams, fit_throughput, throughput_of
from tracecube.recipes.sky.sky_fibres import gather_fibres
from tracecube.recipes.sky.sky_subtraction import subtract_sky

N, M = 60, 400
STEP = 2.0


def sky(wave: np.ndarray, sigma: np.ndarray, level: float) -> np.ndarray:
    """Continuum, broad structure and one line, electrons / Angstrom."""
    smooth = level * (1.0 + 0.3 * np.sin(wave / 60.0))
    line = 4.0 * level * np.exp(-0.5 * ((wave - 4358.3) / sigma) ** 2) * 2.4 / sigma
    return np.asarray(smooth + line)


def places(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of fibres in their bundle, arcsec: a sunflower."""
    angle, radius = np.arange(n) * 2.4, 24.0 * np.sqrt(np.arange(n) / n)
    return radius * np.cos(angle), radius * np.sin(angle)


def draw(
    slot: int,
    throughput: np.ndarray,
    *,
    level: float,
    seed: int,
    extra: np.ndarray | float = 0.0,
    bent: np.ndarray | float = 1.0,
) -> FibreSpectra:
    """Draw the fibres of one amplifier: bent wavelengths, widths of their own, photon and read noise."""
    rng = np.random.default_rng(seed)
    n = throughput.size
    row, column = np.arange(n)[:, None], np.arange(M)[None]
    wave = 4000.0 + STEP * column + 3.0 * (row / n - 0.5) ** 2 + 0.37 * (slot % 7) + 0.01 * row
    sigma = np.broadcast_to(2.4 + 0.24 * row / n, wave.shape)
    light = bent * throughput[:, None] * (sky(wave, sigma, level) * STEP + extra)
    variance = 45.0 + light
    flux = light + rng.normal(0.0, 1.0, light.shape) * np.sqrt(variance)
    x, y = places(n)
    none = np.zeros((n, M), np.float32)
    names = {"unit": np.full(n, f"{slot:03d}/1/1/1"), "amp": np.full(n, "LL")}
    return FibreSpectra(
        flux=flux, variance=variance, flags=np.zeros((n, M), np.int32), wave=wave, lsf_sigma=sigma, blend=none,
        unit=names["unit"], ifuslot=np.full(n, slot), amp=names["amp"], fibre=np.arange(n), exp=np.ones(n, int),
        x=x, y=y, ra=np.full(n, np.nan), dec=np.full(n, np.nan),
        throughput=np.ones(n), dq=np.zeros(n, np.int32),
    )  # fmt: skip


def factors(seed: int, n: int = N) -> np.ndarray:
    """Throughputs about 1."""
    return np.random.default_rng(seed).normal(1.0, 0.07, n)


def even(throughput: np.ndarray) -> np.ndarray:
    """Throughputs of all samples."""
    return np.broadcast_to(throughput[:, None], (throughput.size, M))


def subtracted(spectra, flat, params=SkyParams(), where=None):
    """Take the common sky off all detectors."""
    model, numbers, caveats = fit_sky(zip(spectra, flat, strict=True), params, where)
    return [subtract_sky(one, value, model) for one, value in zip(spectra, flat, strict=True)], numbers, caveats


def test_throughput_is_that_of_the_fibres() -> None:
    true = [factors(1), factors(2)]
    true[0][7] = 0.0
    spectra = [draw(s, t, level=400.0, seed=s) for s, t in zip((47, 53), true, strict=True)]
    noun, _ = fit_throughput(iter(spectra), ThroughputParams())
    found = [throughput_of(noun, one) for one in spectra]
    scale = np.median(np.concatenate(true))
    noise = (45.0 + 400.0 * STEP) ** 0.5 / (400.0 * STEP * M**0.5)
    for value, one in zip(found, true, strict=True):
        live = one > 0
        assert np.std(np.nanmean(value[live], axis=1) * scale / one[live] - 1.0) < 1.3 * noise
    assert np.isnan(found[0][7]).all()


@pytest.mark.parametrize("columns", [M, M - 3, M - 7])
def test_fibres_are_kept_small_and_lose_nothing(columns: int) -> None:
    """Wavelengths and widths are rebuilt from smooth parts: to what moves no line."""
    one = draw(3, factors(3), level=14.0, seed=3)
    cut = {name: getattr(one, name)[:, :columns] for name in ("flux", "variance", "flags", "wave", "lsf_sigma")}
    one = replace(one, **cut, blend=cut["flux"])
    one = replace(one, lsf_sigma=one.lsf_sigma * (1.0 + 0.1 * np.linspace(-1.0, 1.0, columns) ** 2))
    [kept], reference = gather_fibres([(one, None)])
    assert np.abs(kept.wave - one.wave).max() < 1e-5
    wider = one.lsf_sigma**2 - np.interp(one.wave, *reference) ** 2
    assert np.abs(kept.excess - wider).max() < 2e-3
    arrays = (kept.flux, kept.ivar, kept.bent, kept.expected, kept.wider)
    assert sum(part.nbytes for part in arrays) < 17 * one.flux.size


def test_sky_is_taken_off_and_errors_are_those_of_the_residual() -> None:
    true = [factors(1), factors(2)]
    spectra = [draw(s, t, level=14.0, seed=10 + s) for s, t in zip((47, 53), true, strict=True)]
    flat = [np.broadcast_to(t[:, None], (N, M)) for t in true]
    made, numbers, caveats = subtracted(spectra, flat)
    assert not caveats
    for one in made:
        pull = one.flux / np.sqrt(one.variance)
        assert np.std(pull) == pytest.approx(1.0, abs=0.02)
        assert abs(np.mean(one.flux)) < 0.003 * np.mean(one.sky)
        near = np.abs(one.wave - 4358.3) < 6.0
        assert abs(np.mean(one.flux[near])) < 0.01 * np.max(one.sky)
    assert {n.name for n in numbers} >= {"SKY FIBRES"}


def test_sources_keep_their_light_and_bend_nothing() -> None:
    true = [factors(1), factors(2)]
    light = np.zeros((N, 1))
    light[:20] = 30.0
    spectra = [
        draw(47, true[0], level=14.0, seed=3, extra=light),
        draw(53, true[1], level=14.0, seed=4),
    ]
    made, _, _ = subtracted(spectra, [np.broadcast_to(t[:, None], (N, M)) for t in true])
    assert np.mean(made[0].flux[:20]) == pytest.approx(30.0, rel=0.01)
    assert abs(np.mean(made[0].flux[20:])) < 0.005 * np.mean(made[0].sky)


def test_a_bundle_full_of_light_is_said_and_divides_by_no_zero() -> None:
    true = [factors(1), factors(2)]
    spectra = [draw(47, true[0], level=14.0, seed=3, extra=300.0), draw(53, true[1], level=14.0, seed=4)]
    made, _, caveats = subtracted(spectra, [np.broadcast_to(t[:, None], (N, M)) for t in true])
    assert all(np.isfinite(one.flux).all() for one in made)
    assert caveats == () or "047" in caveats[0]


def test_too_few_fibres_are_no_sky() -> None:
    one = draw(47, factors(1), level=14.0, seed=3)
    with pytest.raises(BadData, match="too few fibres"):
        subtracted([one], [np.full((N, M), np.nan)])


def test_sky_of_another_unit_is_not_taken_off() -> None:
    true = [factors(1), factors(2)]
    spectra = [draw(s, t, level=14.0, seed=10 + s) for s, t in zip((47, 53), true, strict=True)]
    flat = [np.broadcast_to(t[:, None], (N, M)) for t in true]
    model, _, _ = fit_sky(zip(spectra, flat, strict=True), SkyParams())
    with pytest.raises(BadData, match="none of the exposure's"):
        subtract_sky(draw(61, true[0], level=14.0, seed=5), flat[0], model)


def test_a_unit_without_twilight_has_no_throughput() -> None:
    spectra = [draw(s, factors(s), level=400.0, seed=s) for s in (47, 53)]
    noun, _ = fit_throughput(spectra[:1], ThroughputParams())
    assert np.isnan(throughput_of(noun, spectra[1])).all()


def test_illumination_is_off_by_no_more_than_its_error() -> None:
    pulls = []
    for seed in range(16):
        true = [factors(1), factors(2)]
        spectra = [draw(s, t, level=14.0, seed=50 * seed + s) for s, t in zip((47, 53), true, strict=True)]
        flat = [even(t) for t in true]
        model, _, _ = fit_sky(zip(spectra, flat, strict=True), SkyParams(colour=0))
        made = [subtract_sky(one, value, model) for one, value in zip(spectra, flat, strict=True)]
        for slot, one in zip((0, 1), made, strict=True):
            error = np.mean((model.light_error / model.light)[slot * N : (slot + 1) * N])
            light = model.light[slot * N : (slot + 1) * N]
            level = np.mean(one.sky * light[:, None] / (sky(one.wave, one.lsf_sigma, 14.0) * STEP))
            pulls.append((level - 1.0) / error)
    assert 0.4 < np.std(pulls) < 1.1  # fibres without light lie at the edge of what light can be: less than their error
    assert abs(np.mean(pulls)) < 0.6


@pytest.mark.parametrize("slots", [(47,), (47, 53), (47, 53, 61)])
def test_a_galaxy_keeps_its_light_beside_a_dead_bundle(slots: tuple[int, ...]) -> None:
    n = 448
    x, y = places(n)
    light = 65.0 * np.exp(-np.hypot(x + 6.0, y - 8.0) / 5.96)  # half of it within 10 arcsec; a third of the sky
    true = [factors(s, n) for s in slots]
    near = np.hypot(x + 6.0, y - 8.0) < 14.0
    kept = []
    for seed in range(0, 400, 100):
        spectra = [
            draw(s, t, level=95.0, seed=seed + s, extra=light[:, None] * (s == 47))
            for s, t in zip(slots, true, strict=True)
        ]
        flat = [np.full((n, M), np.nan) if s == 53 else even(t) for s, t in zip(slots, true, strict=True)]
        made = subtracted(spectra, flat)[0][0]
        found = made.flux.mean(axis=1)[near] * made.throughput[near] / true[0][near]
        kept.append(found @ light[near] / (light[near] @ light[near]))
    assert np.mean(kept) == pytest.approx(1.0, abs=0.02)


def test_a_bundle_filled_with_light_takes_its_level_from_the_others() -> None:
    slots = [24, 34, 44, 54, 64, 25, 35, 45, 55, 65]
    where = {slot: (100.0 * (slot // 10 - 5), 100.0 * (5 - slot % 10)) for slot in slots}
    true = [factors(slot) for slot in slots]
    tilt = np.array([1.0 + 1e-4 * where[slot][0] for slot in slots])
    spectra = [
        draw(s, t, level=14.0, seed=s, bent=b, extra=3.0 * (s == 45)) for s, t, b in zip(slots, true, tilt, strict=True)
    ]
    flat, at = [even(t) for t in true], slots.index(45)
    made, _, caveats = subtracted(spectra, flat, where=where)
    assert np.mean(made[at].flux) == pytest.approx(3.0, rel=0.1)
    assert any("045" in text and "other bundles" in text for text in caveats)
    found = np.array([np.median(one.throughput / t) for one, t in zip(made, true, strict=True)]) / tilt
    assert np.std(found) < 0.004
    alone = subtracted(spectra, flat)[0]
    assert abs(np.mean(alone[at].flux)) < 0.3  # nothing tells it from a brighter sky


def test_illumination_may_change_with_wavelength_from_bundle_to_bundle() -> None:
    n = 448
    true = [factors(1, n), factors(2, n)]
    ramp = 1.0 + 0.03 * np.linspace(-1.0, 1.0, M)
    spectra = [draw(s, t, level=14.0, seed=s, bent=b) for s, t, b in zip((47, 53), true, (ramp, 1.0), strict=True)]
    worst = {}
    for degree in (0, 2):
        made = subtracted(spectra, [even(t) for t in true], SkyParams(colour=degree))[0]
        ends = [
            one.flux[:, part].mean() / one.sky[:, part].mean() for one in made for part in (slice(60), slice(-60, M))
        ]
        worst[degree] = np.abs(ends).max()
    assert worst[0] > 0.01
    assert worst[2] < 0.005


def test_what_all_bundles_have_in_common_is_the_sky_s_colour() -> None:
    true = [factors(1), factors(2), factors(3)]
    spectra = [draw(s, t, level=14.0, seed=s) for s, t in zip((47, 53, 61), true, strict=True)]
    model, _, _ = fit_sky(zip(spectra, [even(t) for t in true], strict=True), SkyParams())
    np.testing.assert_allclose(model.colour.mean(axis=0), [1.0, 0.0, 0.0], atol=1e-9)
    made = [subtract_sky(one, even(t), model) for one, t in zip(spectra, true, strict=True)]
    shape = np.mean([np.mean(one.sky / (sky(one.wave, one.lsf_sigma, 14.0) * STEP), axis=0) for one in made], axis=0)
    assert abs(shape[:100].mean() / shape[-100:].mean() - 1.0) < 0.005


def test_sky_is_not_low_where_variances_hold_the_noise_of_their_own_samples() -> None:
    true = [factors(1), factors(2)]
    spectra = []
    for slot, one in zip((47, 53), true, strict=True):
        made = draw(slot, one, level=14.0, seed=slot)
        noise = made.flux - (made.variance - 45.0)
        spectra.append(replace(made, variance=made.variance + 0.5 * noise))  # half an electron low by their weights
    found = subtracted(spectra, [even(t) for t in true])[0]
    for one in found:
        light = np.median(one.throughput[:, None] / true[int(one.ifuslot[0] == 53)][:, None])
        away = np.mean(one.sky) * light / np.mean(sky(one.wave, one.lsf_sigma, 14.0) * STEP) - 1.0
        assert abs(away) < 0.006  # a third of half an electron
