"""Cleaning of exposures, master darks, backgrounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.recipes.detector.array import clean_exposure, clean_smooth_scene
from tracecube.recipes.detector.background import (
    BackgroundParams,
    background_for,
    combine_backgrounds,
    settle_sky,
)
from tracecube.recipes.detector.background_surface import polynomial_surface
from tracecube.recipes.detector.collapse import CollapseParams, collapse
from tracecube.recipes.detector.dark import DarkParams, combine_darks, dark_for, dit_of

RANGE = (3.0, 15.0)
THERMAL = 1.0  # electron / s


def dark(array, dit: float, count: int, n: int = 1):
    cleaned = [
        clean_smooth_scene(array.expose(f"dark{i}", dit=dit, count=count), array.detector, scale=64.0) for i in range(n)
    ]
    return combine_darks(cleaned, DarkParams(), noise_range=RANGE)


@pytest.fixture(scope="module")
def darks(array):
    return [dark(array, 1.65, 20).master_dark, dark(array, 16.0, 10).master_dark]


def usual(array):
    return array.inside & ~array.hot & ~array.noisy & ~array.dead


def test_the_noise_of_each_frame_is_measured(array):
    for count in (1, 20):
        clean = clean_exposure(array.expose("a", count=count), array.detector)
        assert clean.read_noise == pytest.approx(array.read_noise, rel=0.05)
        pull = (clean.data / np.sqrt(clean.floor))[usual(array)]
        assert np.std(pull) == pytest.approx(1.0, abs=0.06)


def test_linearity_goes_in_with_its_error(array):
    from tracecube.core.pixels import Linearity

    curve = Linearity(np.array([0.0, 30000.0]), np.array([1.0, 1.02]), np.array([0.0, 0.01**2]))
    clean = clean_exposure(array.expose("a", 20000.0), array.detector, linearity=curve)
    plain = clean_exposure(array.expose("a", 20000.0), array.detector)
    ratio = np.median(clean.data[array.inside]) / np.median(plain.data[array.inside])
    level = np.median(plain.data[array.inside]) / array.gain
    assert ratio == pytest.approx(1.0 + 0.02 * level / 30000.0, abs=3e-4)
    assert clean.linear_variance is not None
    assert np.median(clean.linear_variance[array.inside]) > 0


def test_saturated_and_unread_pixels_are_flagged(array):
    exposure = array.expose("a", 100.0)
    image = np.array(exposure.raw.data)
    image[50, 50], image[60, 60], image[70, 70] = 35000.0, 50000.0, np.nan
    raw = replace(exposure.raw, images={"": image})
    flags = clean_exposure(replace(exposure, raw=raw), array.detector).flags
    assert flags[50, 50] == Flag.NON_LINEAR
    assert flags[60, 60] == Flag.NON_LINEAR | Flag.SATURATED
    assert flags[70, 70] & Flag.NOT_MEASURED


def test_bad_frames_are_refused(array):
    exposure = array.expose("a")
    for image in (np.zeros((10, 10)), np.full(exposure.raw.data.shape, 7.0), np.full(exposure.raw.data.shape, 6e4)):
        raw = RawFrame("broken", "X", {}, {"": image.astype(np.float32)}, {})
        with pytest.raises(BadData, match="broken"):
            clean_exposure(replace(exposure, raw=raw), array.detector)


def test_a_dark_knows_hot_pixels_and_its_own_noise(array, darks):
    for master in darks:
        hot = master.flags & int(Flag.HOT_PIXEL) != 0
        bright = array.hot & (array.dark * dit_of(master) > 20.0)
        assert hot[bright].mean() > 0.98
        assert hot[usual(array)].mean() < 1e-3
        pull = ((master.data - array.dark * dit_of(master)) / np.sqrt(master.variance))[usual(array)]
        assert np.std(pull) == pytest.approx(1.0, abs=0.06)
        assert abs(np.mean(pull)) < 0.2


def test_darks_of_two_times_serve_any(array, darks):
    made, caveats = dark_for(darks, 16.0)
    assert caveats == ()
    assert np.median(made.variance) < np.median(darks[1].variance)
    made, caveats = dark_for(darks, 4.0)
    assert "no dark of DIT 4 s" in caveats[0]
    pull = ((made.data - array.dark * 4.0) / np.sqrt(made.variance))[usual(array)]
    assert np.std(pull) == pytest.approx(1.0, abs=0.07)
    with pytest.raises(MissingInput, match="no dark"):
        dark_for([], 4.0)


def test_darks_of_different_time_are_not_one_dark(array):
    cleaned = [clean_exposure(array.expose(f"d{dit}", dit=dit), array.detector) for dit in (1.0, 2.0)]
    with pytest.raises(BadData, match=r"d2\.0"):
        combine_darks(cleaned, DarkParams(), noise_range=RANGE)


def test_light_in_a_dark_is_refused(array):
    rng = np.random.default_rng(3)
    spots = np.where(rng.random(array.inside.shape) < 0.4, 5000.0, 0.0)
    cleaned = [clean_exposure(array.expose("lit", spots), array.detector)]
    with pytest.raises(BadData, match="lit"):
        combine_darks(cleaned, DarkParams(), noise_range=RANGE)


@pytest.mark.parametrize("algorithm", [0, 1, 2])
def test_collapsing_has_honest_errors(array, algorithm):
    cleaned = [clean_exposure(array.expose(f"f{i}", dit=1.0), array.detector) for i in range(7)]
    if algorithm == 2:
        cleaned[3].data[100, 100] += 5000.0
    made = collapse(cleaned, CollapseParams(algorithm=algorithm))
    pull = ((made.data - array.dark) / np.sqrt(made.variance))[usual(array)]
    assert np.std(pull) == pytest.approx(1.0, abs=0.08 if algorithm == 1 else 0.06)
    if algorithm == 2:
        assert made.weight[100, 100] == 6
        assert made.data[100, 100] < 100.0


def test_rejecting_all_frames_is_refused(array):
    cleaned = [clean_exposure(array.expose(f"f{i}"), array.detector) for i in range(2)]
    with pytest.raises(BadData, match="all rejected"):
        collapse(cleaned, CollapseParams(reject_high=1, reject_low=1))
    with pytest.raises(BadData, match="skipped"):
        collapse(cleaned, CollapseParams(skip=2))


def background(array, darks, level: float, count: int, name: str = "bg"):
    light = array.light(level * 16.0) / array.responses()
    cleaned = [clean_smooth_scene(array.expose(name, light, dit=16.0, count=count), array.detector, scale=16.0)]
    return combine_backgrounds(cleaned, darks, BackgroundParams(fit=True, fit_order=3), noise_range=RANGE)


def test_a_background_is_per_second_and_its_errors_hold(array, darks):
    made = background(array, darks, THERMAL, 20)
    truth = array.light(THERMAL) + array.dark
    pull = ((made.background.data - truth) / np.sqrt(made.background.variance))[usual(array)]
    assert np.std(pull) == pytest.approx(1.0, abs=0.06)
    numbers = {q.name: q.value for q in made.quality}
    assert numbers["BACKGROUND MEDIAN"] == pytest.approx(THERMAL, rel=0.06)
    assert made.background_fit is not None
    assert np.std((made.background_fit.data - array.light(THERMAL))[usual(array)]) < 0.02


def test_errors_of_a_surface_through_a_background_hold():
    rng, (y, x) = np.random.default_rng(4), np.mgrid[:256, :256] / 256.0
    truth, pulls = 5.0 + 3.0 * x * y - 2.0 * y**3, []
    for _ in range(6):
        seen = (truth + rng.normal(0.0, 1.0, truth.shape)).astype(np.float32)
        surface, variance = polynomial_surface(seen, np.ones(seen.shape, bool), degree=4, samples=400)
        pulls.append(((surface - truth) / np.sqrt(variance))[::16, ::16])
    assert np.std(pulls) == pytest.approx(1.0, abs=0.3)  # 15 numbers a fit, six fits


def test_a_sky_gives_the_level_and_little_noise(array, darks):
    day, night = background(array, darks, THERMAL, 20).background, background(array, darks, 1.3 * THERMAL, 1).background
    best, caveats = settle_sky(night, day, darks)
    assert caveats == ()
    truth = array.light(1.3 * THERMAL) + array.dark
    wrong = (best.data - truth)[usual(array)]
    assert abs(np.mean(wrong)) < 0.03
    assert np.std(wrong) < 0.4 * np.sqrt(np.median(night.variance))
    alone, caveats = settle_sky(night, None, darks)
    assert "no instrument background" in caveats[0]
    assert np.std((alone.data - truth)[usual(array)]) < 0.4 * np.sqrt(np.median(night.variance))


def test_the_best_background_there_is(array, darks):
    day = background(array, darks, THERMAL, 20).background
    sky, _ = settle_sky(background(array, darks, 1.3 * THERMAL, 1).background, day, darks)
    levels = []
    for given in ((sky, day), (None, day), (None, None)):
        made, caveats = background_for(*given, darks, 16.0)
        levels.append(np.median(made.data[usual(array)]) / 16.0)
    assert levels == pytest.approx([1.3, 1.0, 0.02], abs=0.06)
    assert "dark alone" in caveats[-1]
    _, caveats = background_for(None, day, darks, 1.65)
    assert "scaled" in caveats[0]
