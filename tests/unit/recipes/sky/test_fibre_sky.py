"""Throughput of fibres and sky of an exposure, on native pixels, from light drawn by the forward model."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.fibres import FibreSpectra
from tracecube.recipes.sky.fibre_sky import (
    SkyParams,
    ThroughputParams,
    fit_sky,
    fit_throughput,
    subtract_sky,
    throughput_of,
)

N, M = 60, 400
STEP = 2.0


def sky(wave: np.ndarray, sigma: np.ndarray, level: float) -> np.ndarray:
    """Continuum, broad structure and one line, electrons / Angstrom."""
    smooth = level * (1.0 + 0.3 * np.sin(wave / 60.0))
    line = 4.0 * level * np.exp(-0.5 * ((wave - 4358.3) / sigma) ** 2) * 2.4 / sigma
    return np.asarray(smooth + line)


def draw(
    slot: int, throughput: np.ndarray, *, level: float, seed: int, extra: np.ndarray | float = 0.0
) -> FibreSpectra:
    """Draw the fibres of one amplifier: bent wavelengths, widths of their own, photon and read noise."""
    rng = np.random.default_rng(seed)
    row, column = np.arange(N)[:, None], np.arange(M)[None]
    wave = 4000.0 + STEP * column + 3.0 * (row / N - 0.5) ** 2 + 0.37 * (slot % 7) + 0.01 * row
    sigma = np.broadcast_to(2.4 + 0.004 * row, wave.shape)
    light = throughput[:, None] * (sky(wave, sigma, level) * STEP + extra)
    variance = 45.0 + light
    flux = light + rng.normal(0.0, 1.0, light.shape) * np.sqrt(variance)
    angle = np.arange(N) * 2.4
    place = 24.0 * np.sqrt(np.arange(N) / N)
    none = np.zeros((N, M), np.float32)
    names = {"unit": np.full(N, f"{slot:03d}/1/1/1"), "amp": np.full(N, "LL")}
    return FibreSpectra(
        flux=flux, variance=variance, flags=np.zeros((N, M), np.int32), wave=wave, lsf_sigma=sigma, blend=none,
        unit=names["unit"], ifuslot=np.full(N, slot), amp=names["amp"], fibre=np.arange(N), exp=np.ones(N, int),
        x=place * np.cos(angle), y=place * np.sin(angle), ra=np.full(N, np.nan), dec=np.full(N, np.nan),
        throughput=np.ones(N), dq=np.zeros(N, np.int32),
    )  # fmt: skip


def factors(seed: int) -> np.ndarray:
    """Throughputs about 1."""
    return np.random.default_rng(seed).normal(1.0, 0.07, N)


def subtracted(spectra, flat):
    """Take the common sky off all detectors."""
    model, numbers, caveats = fit_sky(zip(spectra, flat, strict=True), SkyParams())
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
