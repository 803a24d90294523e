"""Lines of the sky are as bright in a crowd as in an empty field."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from tests.unit.recipes.slices.sky_pieces import Sky
from tracecube.kernels import sky_spline
from tracecube.recipes.slices.sky_fit import SkyParams, fit_sky
from tracecube.recipes.slices.sky_pieces import gather


def test_light_of_stars_is_not_taken_for_that_of_lines():
    """Pieces with stars count more upon bright lines, where all are as noisy: lines were 6 per cent too bright."""
    sky = Sky(slices=16, noise=0.02)
    extra = np.random.default_rng(4).exponential(3.0, (sky.slices, sky.pieces))
    found = fit_sky(gather(sky.segments(extra=extra)), SkyParams(fraction=0.75, even=False, alike=False, rounds=6))
    wave = np.arange(4800.0, 9200.0, 0.2)
    light = sky_spline.derivatives(wave, np.asarray(found.coefficient, np.float64), found.first, found.step)[0]
    true = sky.seen(wave)
    smooth = 1.0 + 0.3 * (wave - 7000.0) / 2300.0  # of the stars
    bright = true > 4.0
    quiet = true < 1.3
    rest = np.polyfit(wave[quiet], (light - true)[quiet] / smooth[quiet], 1)
    lines = (light - np.polyval(rest, wave) * smooth)[bright] / true[bright]
    assert abs(np.median(lines) - 1.0) < 0.01


def test_pieces_of_unlike_brightness_leave_no_pattern_in_the_spectrum():
    """Pieces sample the pixels' phases: what they differ in stood in the spectrum with the period of a pixel."""
    sky = Sky(slices=16, noise=0.02)
    extra = np.random.default_rng(4).exponential(3.0, (sky.slices, sky.pieces))
    params = SkyParams(fraction=0.75, even=False, alike=False, rounds=4)
    wave = np.arange(5000.0, 9000.0, 0.2)
    scatter = []
    for light in (np.zeros_like(extra), extra):
        found = fit_sky(gather(sky.segments(extra=light)), params)
        seen = sky_spline.derivatives(wave, np.asarray(found.coefficient, np.float64), found.first, found.step)[0]
        left = seen - sky.seen(wave)
        scatter.append(np.std(left - uniform_filter1d(left, 10)))
    assert scatter[1] < 2.5 * scatter[0]  # noise of photons of the stars; five times as much with the pattern


def test_brighter_pieces_tell_of_the_light_of_objects():
    sky = Sky(slices=16, noise=0.02)
    extra = np.random.default_rng(4).exponential(3.0, (sky.slices, sky.pieces))
    found = fit_sky(gather(sky.segments(extra=extra)), SkyParams(fraction=0.75, even=False, alike=False, rounds=3))
    wave = np.arange(5000.0, 9000.0, 0.2)
    light = sky_spline.derivatives(wave, np.asarray(found.objects, np.float64), found.first, found.step)[0]
    smooth = 1.0 + 0.3 * (wave - 7000.0) / 2300.0
    level = np.median(light / smooth)
    white = np.sort(extra.ravel())
    assert level == pytest.approx(white[-13:].mean() - white[:51].mean(), rel=0.3)
    assert np.std(uniform_filter1d(light / smooth / level, 10)) < 0.05  # no line of the sky is in it
