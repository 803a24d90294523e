"""Brightness of the slices about a standard star, by the sky beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.slices.sky_pieces import Sky
from tracecube.recipes.slices.star_slices import brightness_near


def test_slices_are_as_bright_as_the_sky_in_them_tells():
    sky = Sky(noise=0.03)
    found = brightness_near(sky.segments(2), 0.0)
    off = found.value - sky.gain
    assert off.std() < 0.35 * sky.gain.std()
    assert 0.5 < np.std(off / found.error) < 1.6
    assert np.array_equal(found.of("CHAN02", np.array([1, 99])), [found.value[12], 1.0])


def brightened(noise, seed, width):
    """Twelve slices whose brightness scatters by ``width``."""
    sky = Sky(noise=noise, slices=12, seed=seed)
    sky.gain = 1.0 + width * (sky.gain - 1.0) / sky.gain.std()
    return sky


def test_a_sky_too_faint_to_tell_leaves_slices_alike():
    found = brightness_near(Sky(noise=4.0, slices=12).segments(1), 0.0)
    assert np.array_equal(found.value, np.ones(12))
    sky = Sky(noise=0.3, slices=12)
    assert np.std(brightness_near(sky.segments(1), 0.0).value - sky.gain) < 0.6 * sky.gain.std()


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_what_scatters_no_more_than_noise_feigns_is_alike(noise):
    for seed in (1, 2, 5):
        assert np.array_equal(brightness_near(brightened(noise, seed, 0.0).segments(1), 0.0).value, np.ones(12))


def test_slices_that_differ_by_more_than_noise_feigns_are_told_however_faint_the_sky():
    for noise, most in ((0.3, 0.25), (1.0, 0.8)):
        for seed in (1, 2, 5):
            sky = brightened(noise, seed, 0.02)
            assert np.std(brightness_near(sky.segments(1), 0.0).value - sky.gain) < most * 0.02


def test_a_star_whose_halo_fills_the_field_tells_nothing():
    [one] = Sky(slices=12).segments(1)
    halo = 40.0 * (1.0 - 0.5 * np.exp(-0.5 * ((one.wave - 6870.0) / 200.0) ** 2)) * (one.aperture % 3)[:, None]
    rough = np.random.default_rng(3).normal(0.0, 0.2, one.flux.shape)  # lines of its own
    found = brightness_near([replace(one, flux=(one.flux + halo * (1.0 + rough)).astype(np.float32))], 0.0)
    assert np.array_equal(found.value, np.ones(12))
    assert np.isinf(found.error).all()


def test_slices_that_the_star_lights_are_no_brighter():
    """Light of the star makes noise: pieces that count alike for all their samples made its slices fainter (1.3 %)."""
    lit, light = np.arange(9, 13), np.zeros((24, 4))
    light[lit] = 3.0
    off = []
    for seed in (1, 2, 5):
        sky = Sky(noise=0.3, seed=seed)
        wrong = brightness_near(sky.segments(1, extra=light), 0.0).value - sky.gain
        off.append(wrong[lit].mean() - np.delete(wrong, lit).mean())
    assert abs(np.mean(off)) < 0.006


def test_without_sky_slices_are_alike():
    [one] = Sky(slices=6).segments(1)
    found = brightness_near([replace(one, white=np.full(one.white.shape, np.nan))], 0.0)
    assert np.array_equal(found.value, np.ones(6))


def test_the_channels_closest_to_the_star_tell():
    made = [replace(one, y=np.full(one.y.shape, 2.4 * k)) for k, one in enumerate(Sky(slices=24).segments(6))]
    assert set(brightness_near(made, 9.0).detector) == {"CHAN04", "CHAN05", "CHAN06"}
