"""Lines of the sky tell what the wavelengths of all detectors have in common."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.sky.test_fibre_sky import M, N, draw, even, factors
from tracecube.recipes.sky.fibre_sky import SkyParams, fit_sky
from tracecube.recipes.sky.sky_anchor import find_anchor
from tracecube.recipes.sky.sky_subtraction import subtract_sky

LINES = (4358.3,)


def samples(seed: int, drift: float, lines: dict[float, float]):
    """Continuum with a bend and lines, seen by fibres whose wavelengths are too high by a drift."""
    rng = np.random.default_rng(seed)
    for side in range(2):
        wave = 4000.0 + 2.0 * np.arange(M) + rng.uniform(-1.0, 1.0, (N, 1)) + side
        sigma = np.full((N, M), 2.4 + 0.1 * side)
        light = 30.0 + 1e-5 * (wave - 4300.0) ** 2
        for line, strength in lines.items():
            light = light + strength * np.exp(-0.5 * ((wave - line) / sigma) ** 2) / (2.5066 * sigma)
        scale = np.full((N, M), 2.0)
        flux = scale * light + rng.normal(0.0, 10.0, (N, M))
        yield wave + drift, scale, sigma, flux, np.full((N, M), 0.01)


def test_the_offset_of_lines_is_found_with_its_error() -> None:
    """Structure of the sky moves a faint line by as much as the error says: 0.13 Angstrom**2 over its width."""
    pulls = []
    for seed in range(400):
        rng = np.random.default_rng([seed, 5])
        faint = [(4358.3, 300.0), (4046.6, 200.0)]
        level = [30.0 + 1e-5 * (wave - 4300.0) ** 2 for wave, _ in faint]
        lines = {w + rng.normal(0.0, 0.13 * beneath / s): s for (w, s), beneath in zip(faint, level, strict=True)}
        found = find_anchor(samples(seed, 0.31, lines), (4358.3, 4046.6))
        assert found is not None
        assert len(found.lines) == 2
        pulls += [(value - 0.31) / error for _, value, error in found.lines]
    assert np.std(pulls) == pytest.approx(1.0, abs=0.05)
    assert abs(np.mean(pulls)) < 0.15
    assert found.error < 0.05


def test_lines_that_disagree_widen_the_error_and_faint_ones_tell_nothing() -> None:
    agree = find_anchor(samples(1, 0.0, {4358.3: 300.0, 4046.6: 300.0}), (4358.3, 4046.6))
    apart = find_anchor(samples(1, 0.0, {4358.3: 300.0, 4046.6: 300.0}), (4358.6, 4046.6))
    assert agree is not None
    assert apart is not None
    assert apart.error > 3.0 * agree.error
    assert find_anchor(samples(1, 0.0, {}), (4358.3,)) is None


def test_without_a_sample_that_weighs_nothing_is_found() -> None:
    wave = np.full((2, 3), 4358.3) + np.arange(3)
    bare = (wave, np.zeros((2, 3)), np.full((2, 3), 2.4), np.zeros((2, 3)), np.ones((2, 3)))
    assert find_anchor([bare], (4358.3,)) is None
    assert find_anchor([], LINES) is None
    assert find_anchor([bare], (3000.0,)) is None


@pytest.mark.parametrize("drift", [0.0, -0.4])
def test_a_drift_that_all_detectors_share_is_found_and_changes_no_residual(drift: float) -> None:
    true = [factors(1), factors(2)]
    spectra = [draw(s, t, level=14.0, seed=10 + s) for s, t in zip((47, 53), true, strict=True)]
    moved = [replace(one, wave=one.wave + drift + own) for one, own in zip(spectra, (0.05, -0.05), strict=True)]
    flat = [even(t) for t in true]
    model, numbers, caveats = fit_sky(zip(moved, flat, strict=True), SkyParams(), lines=LINES)
    told = {n.name: n.value for n in numbers}
    assert not caveats
    assert told["WAVE ANCHOR ERROR"] < 0.03
    for one, value, before in zip(moved, flat, spectra, strict=True):
        made = subtract_sky(one, value, model)
        assert np.mean(made.wave - before.wave) == pytest.approx(0.0, abs=5.0 * told["WAVE ANCHOR ERROR"])
        assert np.std(made.flux / np.sqrt(made.variance)) == pytest.approx(1.0, abs=0.02)


def test_without_a_line_the_mean_of_the_shifts_is_nothing_and_that_is_said() -> None:
    spectra = [draw(s, factors(s), level=14.0, seed=s) for s in (47, 53)]
    flat = [even(factors(s)) for s in (47, 53)]
    model, numbers, caveats = fit_sky(zip(spectra, flat, strict=True), SkyParams(), lines=(4500.0,))
    assert any("none of the lines of the sky at 4500" in text for text in caveats)
    assert not any(n.name.startswith("WAVE ANCHOR") for n in numbers)
    assert abs(np.mean(model.shift[model.blank == 1])) < 1e-3
