"""Detector flats, the bad-pixel map, and planes calibrated with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.pixels import DetectorFlat
from tracecube.recipes.detector.array import clean_smooth_scene
from tracecube.recipes.detector.dark import DarkParams, combine_darks, dark_for
from tracecube.recipes.detector.flat import lamp_flat, super_flat
from tracecube.recipes.detector.flat_fit import FlatParams, LampExposure
from tracecube.recipes.detector.plane import PixelCalibration, calibrate_plane, divide_by_flat
from tracecube.recipes.detector.static_badpixels import find_bad_pixels

RANGE = (3.0, 15.0)
LAMPS = (10200.0, 12300.0, 13000.0, 15450.0, 12500.0)


@pytest.fixture(scope="module")
def darks(array):
    made = []
    for dit, count in ((1.65, 50), (16.0, 20)):
        clean = clean_smooth_scene(array.expose("dark", dit=dit, count=count), array.detector, scale=64.0)
        made.append(combine_darks([clean], DarkParams(), noise_range=RANGE).master_dark)
    return made


def lamp(array, wave: float, level: float, count: int, name: str, *, stop: bool = False) -> LampExposure:
    light = array.light(level, tilt=0.2 * (wave - 12500.0) / 3000.0)
    if stop:
        y, x = np.mgrid[: light.shape[0], : light.shape[1]]
        light = np.where(x + y < 50, 0.05 * light, light)
    exposure = array.expose(name, light, count=count, wave=wave)
    return LampExposure(clean_smooth_scene(exposure, array.detector, scale=25.0), wave)


@pytest.fixture(scope="module")
def lamps(array):
    return [
        lamp(array, wave, level, count, f"{wave}_{level}")
        for wave in LAMPS
        for level, count in ((45.0, 200), (160.0, 200), (500.0, 100))
    ]


@pytest.fixture(scope="module")
def flat(array, lamps, darks) -> DetectorFlat:
    return super_flat(lamps, darks, array.detector, FlatParams(), noise_range=RANGE).detector_flat


def usual(array):
    usual = array.inside & ~array.hot & ~array.noisy & ~array.dead
    usual[:8] = usual[-8:] = usual[:, :8] = usual[:, -8:] = False  # surfaces are less sure at the border
    return usual


def test_responses_at_any_wavelength_have_honest_errors(array, flat):
    for wave in (9500.0, 12500.0, 16800.0):
        value, variance = flat.response(wave)
        ratio = value / array.responses(wave)
        ratio /= np.median(ratio[usual(array)])
        assert np.std(((ratio - 1.0) / np.sqrt(variance))[usual(array)]) == pytest.approx(1.0, abs=0.08)
    image = np.full(flat.data.shape, 15000.0)
    image[:100] = np.nan
    mixed, _ = flat.response(image)
    assert np.array_equal(mixed[:100], flat.data[:100])
    assert np.allclose(mixed[100:], flat.response(15000.0)[0][100:])
    with pytest.raises(BadData, match="wavelengths of"):
        flat.response(np.zeros((3, 3)))


def test_gains_of_outputs_are_part_of_the_response_and_stated(array, flat):
    columns = flat.amplifiers[0] / np.mean(flat.amplifiers[0])
    truth = array.amplifiers / array.amplifiers.mean()
    steps = np.array([b for b, _ in array.outputs[1:]])
    found, given = columns[steps] / columns[steps - 1], truth[steps] / truth[steps - 1]
    assert np.abs(found - given).max() < 3e-3
    assert np.mean(columns[1::2]) / np.mean(columns[::2]) == pytest.approx(1.004, abs=5e-4)


def test_the_spread_of_slopes_and_the_noise_model_are_numbers(array, lamps, darks):
    made = super_flat(lamps, darks, array.detector, FlatParams(), noise_range=RANGE)
    numbers = {q.name: q.value for q in made.quality}
    assert numbers["FLAT SLOPE RMS"] == pytest.approx(0.01, abs=0.0015)
    assert numbers["CHI2"] == pytest.approx(1.0, abs=0.08)
    assert numbers["PREAMP CORR MEAN"] == pytest.approx(1.0, abs=1e-3)
    assert numbers["READ NOISE"] == pytest.approx(6.0, rel=0.1)


def test_the_large_scale_response_that_lamps_leave_open_is_stated(array, flat, darks):
    tilts = [0.2 * (wave - 12500.0) / 3000.0 for wave in LAMPS]  # of x - y, which has an r.m.s. of 0.34 in the circle
    rms = np.sqrt(2.0) * 0.95 / 4.0
    assert flat.open_response == pytest.approx(np.std(tilts, ddof=1) / np.sqrt(5.0) * rms, rel=0.05)
    single = [lamp(array, 12500.0, level, 100, f"bb{level}") for level in (90.0, 500.0)]
    made = super_flat(single, darks, array.detector, FlatParams(), noise_range=RANGE)
    assert made.detector_flat.open_response is None
    assert "RESPONSE OPEN" not in {q.name for q in made.quality}


def test_bad_pixels_are_found_and_good_ones_are_left_alone(array, flat, darks):
    made = find_bad_pixels(darks, flat)
    bad = made.static_badpix.flags & NOT_USABLE != 0
    assert bad[array.dead].mean() > 0.97
    assert bad[array.hot].mean() > 0.98
    assert bad[array.noisy].mean() > 0.7
    assert bad[usual(array)].mean() < 3e-3
    assert made.caveats == ()


def test_what_the_bad_pixel_map_lacked_is_said(darks):
    made = find_bad_pixels(darks[:1], None)
    assert any("one DIT" in text for text in made.caveats)
    assert any("no detector flat" in text for text in made.caveats)
    with pytest.raises(MissingInput, match="no master dark"):
        find_bad_pixels([], None)


@pytest.mark.parametrize("robust", [False, True])
def test_the_flat_of_one_lamp(array, darks, robust):
    pair = [lamp(array, 12500.0, level, 100, f"bb{level}") for level in (90.0, 500.0)]
    made = lamp_flat(pair, darks, array.detector, FlatParams(robust=robust), noise_range=RANGE)
    ratio = made.lamp_flat.data / array.responses()
    pull = ((ratio / np.median(ratio) - 1.0) / np.sqrt(made.lamp_flat.variance))[usual(array)]
    assert np.std(pull) == pytest.approx(1.0, abs=0.08)
    light = made.large_scale_flat.data / array.light(500.0, tilt=0.0)
    assert np.std((light / np.median(light))[usual(array)]) < 5e-3
    assert made.caveats == ()


def test_one_level_and_one_lamp_are_caveats(array, darks):
    single = [lamp(array, 12500.0, 500.0, 100, "bb")]
    assert "single level" in lamp_flat(single, darks, array.detector, FlatParams(), noise_range=RANGE).caveats[-1]
    made = super_flat(single, darks, array.detector, FlatParams(), noise_range=RANGE)
    assert "one lamp only" in made.caveats[-1]
    assert not made.detector_flat.slope.any()


def test_a_stopped_corner_is_no_region_of_dead_pixels(array, darks):
    pair = [lamp(array, 12500.0, level, 100, f"bb{level}", stop=True) for level in (90.0, 500.0)]
    made = lamp_flat(pair, darks, array.detector, FlatParams(), noise_range=RANGE).lamp_flat
    y, x = np.mgrid[: array.inside.shape[0], : array.inside.shape[1]]
    corner = array.inside & (x + y < 45)
    assert (made.flags[corner] & int(Flag.NOT_ILLUMINATED) != 0).all()
    good = corner & ~array.dead & ~array.hot & ~array.noisy
    assert (made.flags[good] & int(Flag.BAD_PIXEL) != 0).mean() < 0.01
    pull = (made.data / array.responses() - 1.0)[good] / np.sqrt(made.variance[good])
    assert np.std(pull) == pytest.approx(1.0, abs=0.25)


def test_flats_without_light_are_refused_or_left_out(array, darks):
    off = lamp(array, 12500.0, 0.0, 100, "off")
    with pytest.raises(BadData, match="off"):
        lamp_flat([off], darks, array.detector, FlatParams(), noise_range=RANGE)
    with pytest.raises(BadData, match="no lamp"):
        lamp_flat([], darks, array.detector, FlatParams(), noise_range=RANGE)
    on = lamp(array, 12500.0, 300.0, 100, "on")
    assert "off" in lamp_flat([off, on], darks, array.detector, FlatParams(), noise_range=RANGE).caveats[0]


def test_flats_of_two_integration_times_go_together(array, darks):
    pair = [lamp(array, 12500.0, 300.0, 100, "short")]
    long = array.expose("long", array.light(600.0), dit=6.6, count=50)
    pair.append(LampExposure(clean_smooth_scene(long, array.detector, scale=25.0), 12500.0))
    made = lamp_flat(pair, darks, array.detector, FlatParams(), noise_range=RANGE)
    ratio = made.lamp_flat.data / array.responses()
    pull = ((ratio / np.median(ratio) - 1.0) / np.sqrt(made.lamp_flat.variance))[usual(array)]
    assert np.std(pull) == pytest.approx(1.0, abs=0.08)


def spectra(array, peak: float) -> np.ndarray:
    """Short spectra along y with a sharp profile, as lenslets draw them."""
    y, x = np.mgrid[: array.inside.shape[0], : array.inside.shape[1]].astype(float)
    across = np.exp(-0.5 * ((x % 5.1 - 2.5) / 0.95) ** 2)
    return peak * across * np.clip(np.sin(y / 12.0), 0.0, None)


@pytest.mark.parametrize(("peak", "count"), [(0.0, 1), (300.0, 1), (300.0, 20)])
def test_a_plane_has_pulls_of_unit_width(array, darks, flat, peak, count):
    light = spectra(array, peak)
    background, _ = dark_for(darks, 1.65)
    bad = find_bad_pixels(darks, flat).static_badpix
    frame = calibrate_plane(
        array.expose("plane", light, count=count), array.detector, PixelCalibration(background, flat, bad)
    )
    good = (frame.flags & (NOT_USABLE | int(Flag.NOT_ILLUMINATED)) == 0) & usual(array)
    pull = ((frame.data - light) / np.sqrt(frame.variance))[good]
    assert np.std(pull) == pytest.approx(1.0, abs=0.06)
    assert abs(np.mean(pull)) < 0.1
    assert (frame.flags & int(Flag.COSMIC_RAY) != 0).sum() <= 2
    assert frame.meta["NINTEG"] == count


def test_unlit_pixels_help_and_the_wavelength_of_pixels_counts(array, darks, flat):
    background, _ = dark_for(darks, 1.65)
    calibration = PixelCalibration(background, flat)
    light = spectra(array, 500.0)
    exposure = array.expose("plane", light, wave=15450.0, count=200)
    wave = np.full(light.shape, 15450.0)
    unlit = (light < 1.0) & array.inside
    right = calibrate_plane(exposure, array.detector, calibration, wave=wave, unlit=unlit)
    grey = calibrate_plane(exposure, array.detector, calibration, unlit=unlit)
    again = divide_by_flat(grey, flat, wave, known=None)
    good = usual(array) & (right.flags & NOT_USABLE == 0)
    assert np.allclose(again.data[good], right.data[good], rtol=1e-4, atol=1e-3)
    bright = good & (light > 300.0)
    assert np.std(right.data[bright] / light[bright]) <= np.std(grey.data[bright] / light[bright])


def test_a_hit_is_flagged_and_keeps_its_value(array, darks, flat):
    background, _ = dark_for(darks, 16.0)
    exposure = array.expose("plane", spectra(array, 300.0), dit=16.0)
    image = np.array(exposure.raw.data)
    y, x = next((y, x) for y in range(100, 120) for x in range(100, 120) if usual(array)[y, x])
    image[y, x] += 3000.0
    hit = replace(exposure, raw=replace(exposure.raw, images={"": image}))
    frame = calibrate_plane(hit, array.detector, PixelCalibration(background, flat))
    assert frame.flags[y, x] & int(Flag.COSMIC_RAY)
    assert frame.data[y, x] > 3000.0


def test_departures_from_linearity_are_told_from_noise(array, darks):
    pair = [lamp(array, 12500.0, level, 100, f"nl{level}") for level in (90.0, 500.0)]

    def numbers(lamps: list[LampExposure]) -> dict[str, float]:
        made = lamp_flat(lamps, darks, array.detector, FlatParams(), noise_range=RANGE)
        return {q.name: q.value for q in made.quality}

    plain = numbers(pair)
    assert plain["FLAT NONLINEARITY"] < 0.005  # noise alone is 0.013 of the fainter exposure
    assert plain["FLAT NONLINEARITY ERROR"] < 0.005
    own = 1.0 + np.random.default_rng(8).normal(0.0, 0.03, array.inside.shape).astype(np.float32)
    faint = replace(pair[0], clean=replace(pair[0].clean, data=pair[0].clean.data * own))
    assert numbers([faint, pair[1]])["FLAT NONLINEARITY"] == pytest.approx(0.03, rel=0.15)
    assert "FLAT NONLINEARITY" not in numbers(pair[1:])
