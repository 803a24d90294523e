"""The sky of an exposure with that of an exposure of the sky."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.slices.sky_pieces import SIGMA, Sky
from tracecube.core.slice_light import SliceSky
from tracecube.kernels import sky_spline
from tracecube.recipes.slices.object_bands import bands_of
from tracecube.recipes.slices.sky_exposure import BORDERS, borrowed_sky, continuum_of
from tracecube.recipes.slices.sky_fit import SkyFit

FIRST, STEP = 4645.0, 0.6
SIZE = 7900
SKY = Sky()


def splined(spectrum, noise: float = 0.0, seed: int = 1) -> np.ndarray:
    wave = np.arange(BORDERS[0] - 10, BORDERS[1] + 10, 0.2)
    data = spectrum(wave) + np.random.default_rng(seed).normal(0, noise, wave.size)
    matrix, rhs = np.zeros((sky_spline.BAND, SIZE)), np.zeros(SIZE)
    sky_spline.accumulate(wave, data, np.ones(wave.size), 1.0, FIRST, STEP, matrix, rhs)
    return sky_spline.solve(matrix, rhs)


def own_fit(spectrum) -> SkyFit:
    empty = np.zeros((0, 8))
    found = splined(spectrum, 0.003)
    return SkyFit(
        coefficient=found,
        first=FIRST,
        step=STEP,
        value=empty,
        error=empty,
        blank=np.zeros(0, bool),
        chi2=1.0,
        moved=0.0,
        dq=np.zeros(0, np.int32),
        told=np.zeros(0),
        scale=1.0,
        lit=0.0,
        shared=found,
        objects=np.zeros_like(found),
    )


def exposure() -> SliceSky:
    none = np.zeros(0)
    return SliceSky(
        splined(SKY.seen, 0.003, 2), np.array([], str), np.zeros(0, np.int32), *[none] * 5, np.zeros((0, 2)),
        np.zeros((0, 2)), none, np.zeros(0, np.int32), none, none, none, 0.0, 0.0, SIGMA, FIRST, STEP,
    )  # fmt: skip


def strengths(wave):
    return 1.0 + 0.2 * np.sin((wave - 4700.0) / 700.0)


def lines(wave):
    return SKY.seen(wave) - continuum(wave)


def continuum(wave):
    return 1.0 + 0.1 * (wave - 7000.0) / 2300.0


def seen_spectrum(wave):
    """Twice as long, lines of other strength, shifted by 0.03 A; a nebula: light, and a line at 6600 A."""
    nebula = 0.4 + 8.0 * np.exp(-0.5 * ((wave - 6600.0) / 1.2) ** 2)
    return 2.0 * (continuum(wave) + strengths(wave) * lines(wave - 0.03)) + nebula


WAVE = np.arange(4700.0, 9300.0, 0.7)


def made(*, refit: bool):
    found = borrowed_sky(own_fit(seen_spectrum), exposure(), zero=(0.0, 0.0), scale=2.0, refit=refit)
    return found, sky_spline.derivatives(WAVE, found.coefficient, FIRST, STEP)[0]


def test_lines_are_refitted_and_the_nebula_stays():
    found, sky = made(refit=True)
    expected = 2.0 * (continuum(WAVE) + strengths(WAVE) * lines(WAVE - 0.03))
    off = sky - expected
    assert np.sqrt(np.mean(off**2)) < 0.02 * np.std(lines(WAVE) * 2)
    nebula = np.abs(WAVE - 6600.0) < 4.0
    assert np.abs(off[nebula]).max() < 0.1
    assert found.strength == pytest.approx(1.0, abs=0.1)
    assert found.change > 0.05
    assert found.left < 0.1


def test_as_it_is_it_is_the_other_sky_in_the_time_of_the_exposure():
    _, sky = made(refit=False)
    assert sky == pytest.approx(2.0 * SKY.seen(WAVE), abs=0.1)


def test_the_continuum_lies_under_the_lines():
    wave = np.arange(4700.0, 9300.0, 0.3)
    found = continuum_of(SKY.seen(wave), 0.3)
    assert np.median(np.abs(found - continuum(wave))) < 0.03


@pytest.mark.parametrize("height", [0.0, 1.0, 8.0])
def test_bands_that_overlap_brighten_each_by_itself_and_an_unknown_line_does_not_count(height):
    """Six bands change by 6 per cent, their lines mixed along the spectrum; an unknown line of gas lies at 6600 A.

    Strengths that change along the spectrum alone leave 3.8 per cent.
    """
    other = Sky()
    other.strength = SKY.strength * np.exp(np.random.default_rng(5).normal(0, 0.06, 6))[np.arange(130) % 6]

    def seen(wave):
        return 2.0 * other.seen(wave) + 0.4 + height * np.exp(-0.5 * ((wave - 6600.0) / 1.2) ** 2)

    found = borrowed_sky(own_fit(seen), exposure(), zero=(0.0, 0.0), scale=2.0, refit=True)
    light = sky_spline.derivatives(WAVE, found.coefficient, FIRST, STEP)[0]
    off = light - 2.0 * other.seen(WAVE)
    assert np.sqrt(np.mean(off**2)) < 0.01 * np.std(2.0 * other.seen(WAVE))
    assert np.abs(off[np.abs(WAVE - 6600.0) < 4.0]).max() < 0.15
    assert 0.02 < found.apart < 0.1


def test_lines_beside_known_gas_do_not_follow_it():
    """A line of gas on a line of the sky is taken for it, unless it is said where gas is."""
    at = float(SKY.line_wave[np.argmin(np.abs(SKY.line_wave - 6700.0))])

    def seen(wave):
        return 2.0 * SKY.seen(wave) + 3.0 * np.exp(-0.5 * ((wave - at) / SIGMA) ** 2)

    near = np.abs(WAVE - at) < 4.0
    taken = []
    for without in ((), ((at - 9.0, at + 9.0),)):
        found = borrowed_sky(own_fit(seen), exposure(), zero=(0.0, 0.0), scale=2.0, refit=True, without=without)
        light = sky_spline.derivatives(WAVE, found.coefficient, FIRST, STEP)[0]
        taken.append(np.abs(light - 2.0 * SKY.seen(WAVE))[near].max())
    assert taken[1] < 0.15
    assert taken[1] < 0.2 * taken[0]


def absorbed(wave, depth: float = 0.4):
    """Light of objects that a band of the air has taken a part of, in narrow lines."""
    lines = np.arange(8000.0, 8200.0, 7.0)
    return 1.0 - depth * np.exp(-0.5 * ((wave[..., None] - lines) / SIGMA) ** 2).sum(axis=-1)


def test_lines_of_the_sky_on_a_band_of_the_air_are_not_made_fainter():
    """Light of stars in all pieces has the band's lines in it; brighter pieces show them."""

    def seen(wave):
        return 2.0 * SKY.seen(wave) + 1.5 * absorbed(wave)

    band = (WAVE > 8000.0) & (WAVE < 8200.0)
    off = []
    for objects in (np.zeros(SIZE), splined(lambda wave: 7.0 * absorbed(wave), 0.02, 3)):
        fit = replace(own_fit(seen), objects=objects)
        found = borrowed_sky(fit, exposure(), zero=(0.0, 0.0), scale=2.0, refit=True)
        light = sky_spline.derivatives(WAVE, found.coefficient, FIRST, STEP)[0]
        off.append(np.std((light - 2.0 * SKY.seen(WAVE))[band]))
    assert off[1] < 0.3 * off[0]
    assert off[1] < 0.01 * np.std(2.0 * SKY.seen(WAVE))


def test_faint_light_of_objects_tells_of_no_band():
    noise = np.random.default_rng(2).normal(0.0, 1.0, 15600)
    assert bands_of(noise) == pytest.approx(np.ones(15600))
    wave = np.arange(*BORDERS, 0.3)
    found = bands_of(10.0 * absorbed(wave))
    assert found[(wave > 5000) & (wave < 7000)] == pytest.approx(1.0, abs=0.01)
    assert found.min() == pytest.approx(0.6, abs=0.05)
