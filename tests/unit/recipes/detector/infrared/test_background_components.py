"""A thermal background that changes from frame to frame: components of skies, fitted to clear pixels of planes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.flags import NOT_USABLE
from tracecube.core.pixels import Background
from tracecube.io.products import read_product, write_product
from tracecube.recipes.detector.array import clean_exposure
from tracecube.recipes.detector.background import (
    BackgroundFit,
    BackgroundParams,
    background_for,
    combine_backgrounds,
    settle_sky,
)
from tracecube.recipes.detector.background_fit import fit_background
from tracecube.recipes.detector.dark import DarkParams, combine_darks
from tracecube.recipes.detector.plane import PixelCalibration, calibrate_plane

RANGE = (3.0, 15.0)
DIT = 16.0
PARAMS = BackgroundParams(component_scale=24.0, component_border=36, reject_high=0, reject_low=0)
PLACE = np.mgrid[:256, :256] / 255.0 * 2.0 - 1.0
SHAPES = np.array([1.0 + 0.3 * PLACE[0], PLACE[1] + 0.5 * PLACE[0] * PLACE[1]])
SPREAD = np.array([0.6, 0.4])  # electron / s
CLEAR = np.ones((256, 256), bool)
CLEAR[36:-36, 36:-36] = False
FIELD = np.zeros((256, 256), bool)
FIELD[50:-50, 50:-50] = True


def thermal(amounts: np.ndarray) -> np.ndarray:
    """Light of the warm instrument, electron / s."""
    return np.asarray(4.0 + np.tensordot(amounts, SHAPES, axes=1))


def exposure(array, amounts: np.ndarray, name: str, more: np.ndarray | float = 0.0):
    return array.expose(name, (thermal(amounts) * DIT + more) / array.responses(), dit=DIT)


@pytest.fixture(scope="module")
def dark(array):
    made = combine_darks(
        [clean_exposure(array.expose("dark", dit=DIT, count=40), array.detector)], DarkParams(), noise_range=RANGE
    )
    return made.master_dark


def skies(array, dark, count: int, *, shapes: int = 2, params: BackgroundParams = PARAMS) -> BackgroundFit:
    rng = np.random.default_rng(count + 10 * shapes)
    amounts = rng.normal(0, SPREAD, (count, 2)) * (np.arange(2) < shapes)
    frames = [clean_exposure(exposure(array, one, f"sky{i}"), array.detector) for i, one in enumerate(amounts)]
    return combine_backgrounds(frames, [dark], params, noise_range=RANGE)


@pytest.fixture(scope="module")
def sky(array, dark) -> Background:
    made = skies(array, dark, 10)
    return settle_sky(made.background, None, [dark])[0]


def for_dit(sky: Background) -> Background:
    made, _ = background_for(sky, None, [], DIT)
    assert isinstance(made, Background)
    return made


@pytest.mark.parametrize("shapes", [1, 2])
def test_frames_left_out_tell_how_many_components_there_are(array, dark, shapes):
    made = skies(array, dark, 10, shapes=shapes)
    components = made.background.components
    assert components is not None
    told = {q.name: q.value for q in made.quality}
    assert told["SKY COMPONENTS"] == len(components) >= shapes
    # levels of outputs change too, by little
    assert max([0.0, *np.asarray(made.background.spread)[shapes:]]) < 0.05 * made.background.spread[0]
    assert told["SKY LEFT"] < 0.05 * told["SKY LEFT MEAN"]
    # they span the shapes that the light was made of
    part = np.stack([one[FIELD] for one in SHAPES[:shapes]], axis=1)
    fit = np.linalg.lstsq(np.stack([one[FIELD] for one in components[:shapes]], axis=1), part, rcond=None)
    assert np.sqrt(fit[1] / FIELD.sum()) == pytest.approx(np.zeros(shapes), abs=0.07)


def test_planes_lose_a_background_that_changes_with_honest_errors(array, dark, sky):
    background = for_dit(sky)
    rng = np.random.default_rng(8)
    spectra = np.where(FIELD & (np.arange(256) % 5 == 0), 400.0, 0.0)
    # halo of a star, in lenslets of the field alone, and a few pixels of the border that other light reached
    stray = np.where(CLEAR & (rng.random(CLEAR.shape) < 0.02), rng.exponential(200.0, CLEAR.shape), 0.0)
    gaps = FIELD & (np.arange(256) % 5 == 2) & ~array.hot & ~array.noisy & ~array.dead
    usable = CLEAR & (background.flags & NOT_USABLE == 0)
    shift, error, plain, pulls = [], [], [], []
    for i in range(8):
        amounts = rng.normal(0, SPREAD)
        exposed = exposure(array, amounts, f"plane{i}", spectra + stray)
        frame, mean = (
            calibrate_plane(exposed, array.detector, PixelCalibration(background), clear=clear)
            for clear in (CLEAR, None)
        )
        assert frame.meta["BGNCOMP"] == 2
        assert frame.meta["BGRMS"] < frame.meta["BGRMSMN"]
        assert "BGNCOMP" not in mean.meta
        good = gaps & (frame.flags & NOT_USABLE == 0)
        fitted = fit_background(clean_exposure(exposed, array.detector), array.detector, background, usable).background
        added = (fitted.variance - background.variance)[good]
        assert added.min() > 0
        shift.append(np.mean(frame.data[good]))
        error.append(np.sqrt(np.median(added)))
        plain.append(mean.data[good])
        pulls.append((frame.data / np.sqrt(frame.variance))[good])
        assert np.std(frame.data[good]) < np.sqrt(np.mean(plain[-1] ** 2))
    assert abs(np.mean(shift)) < np.mean(error)
    assert np.sqrt(np.mean(np.square(shift))) < 1.5 * np.mean(error)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.05)
    assert np.sqrt(np.mean([np.mean(one) ** 2 for one in plain])) > 10.0 * np.mean(error)


def test_the_error_of_the_amounts_is_what_they_scatter_by(array):
    array = type(array)(3)  # the same noise whatever tests ran before: 160 draws tell a width to 0.04
    flat = np.zeros(CLEAR.shape, np.float32)
    ones = np.ones(CLEAR.shape, np.float32)
    known = Background(
        np.asarray(thermal(np.zeros(2)) * DIT + array.dark * DIT, np.float32),
        np.zeros(CLEAR.shape, np.int32),
        ones,
        ones,
        flat,
        components=np.asarray(SHAPES, np.float32),
        spread=SPREAD * DIT,
        left=np.zeros(2),
    )
    clear = CLEAR & array.inside & ~array.hot & ~array.noisy & ~array.dead
    rng = np.random.default_rng(9)
    clear &= rng.random(clear.shape) < 0.25
    pulls = []
    for i in range(160):
        amounts = rng.normal(0, SPREAD)
        found = fit_background(
            clean_exposure(exposure(array, amounts, f"plane{i}"), array.detector), array.detector, known, clear
        )
        off = found.background.data - (thermal(amounts) + array.dark) * DIT
        pulls += [[off[y, x] / np.sqrt(found.background.variance[y, x]) for y, x in ((30, 128), (225, 225), (225, 30))]]
    assert np.std(pulls) == pytest.approx(1.0, abs=0.08)
    assert np.abs(np.mean(pulls, axis=0)).max() < 4.0 / np.sqrt(len(pulls))


@pytest.mark.parametrize("asked", [-1, 0, 2])
def test_too_few_frames_leave_the_mean_and_say_so_where_components_were_asked_for(array, dark, asked):
    made = skies(array, dark, 2, params=PARAMS.model_copy(update={"sky_components": asked}))
    assert made.background.components is None
    assert [note for note in made.caveats if "components" in note] == (
        ["2 sky components asked for, 2 frames tell of none: the mean background stands"] if asked > 0 else []
    )
    assert not any(q.name.startswith("SKY") for q in made.quality)


def test_more_components_than_frames_tell_of_are_not_made(array, dark):
    made = skies(array, dark, 3, params=PARAMS.model_copy(update={"sky_components": 5}))
    assert made.background.components is not None
    assert len(made.background.components) == 1
    assert "5 sky components asked for, 3 frames tell of 1" in made.caveats
    assert skies(array, dark, 3, params=PARAMS.model_copy(update={"sky_components": 0})).background.components is None


def test_too_few_clear_pixels_leave_the_mean(array, sky):
    few = np.zeros(CLEAR.shape, bool)
    few[10:20, 10:20] = True
    exposed = exposure(array, np.array([1.0, 1.0]), "plane")
    frame = calibrate_plane(exposed, array.detector, PixelCalibration(for_dit(sky)), clear=few)
    mean = calibrate_plane(exposed, array.detector, PixelCalibration(for_dit(sky)))
    assert "BGNCOMP" not in frame.meta
    assert np.array_equal(frame.data, mean.data)


def test_components_survive_their_file_and_another_integration_time(tmp_path, sky):
    write_product(tmp_path / "sky.fits", sky)
    back = read_product(tmp_path / "sky.fits", Background)
    for name in ("components", "spread", "left"):
        assert np.array_equal(getattr(back, name), getattr(sky, name))
    longer = for_dit(back)
    assert longer.spread == pytest.approx(np.asarray(sky.spread) * DIT)
    assert np.array_equal(longer.components, sky.components)
    write_product(tmp_path / "plain.fits", replace(sky, components=None, spread=None, left=None))
    assert read_product(tmp_path / "plain.fits", Background).components is None
