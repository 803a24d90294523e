from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.instruments.sedm.star_exposures import (
    FEIGE,
    FINE,
    HZ44,
    MIDDLE,
    TARGET,
    WAVE,
    above,
    efficiency,
    exposure,
    reference,
    supernova,
)
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.spectra import Response, Spectra, Spectrum
from tracecube.core.target import Target
from tracecube.instruments.sedm.ascii_layout import ascii_spectrum
from tracecube.instruments.sedm.references import absorbers
from tracecube.instruments.sedm.star_extraction import raw_name
from tracecube.instruments.sedm.star_parameters import ExtractStarParams, ResponseParams
from tracecube.instruments.sedm.star_steps import extract_star, flux_calibration, response


@pytest.fixture(scope="module")
def stars() -> list[Any]:
    places = [(FEIGE, (0.4, -0.1), 1), (HZ44, (-0.2, -1.1), 2)]
    return [extract_star(spectra=exposure(m, reference(m["OBJECT"]), p, seed=s)) for m, p, s in places]


@pytest.fixture(scope="module")
def night(stars: list[Any]) -> Any:
    return response(spectrum_uncal=[star.spectrum_uncal for star in stars])


@pytest.fixture(scope="module")
def science() -> Spectra:
    return exposure(TARGET, supernova(), (1.2, 2.0), seed=3)


def checked(found: Spectrum, truth: np.ndarray) -> tuple[float, float]:
    """Bias of level and colour."""
    ratio = (found.flux / above(truth))[MIDDLE]
    wave = WAVE[MIDDLE]
    return float(ratio.mean() - 1), float(ratio[wave < 5000].mean() / ratio[wave > 8000].mean() - 1)


def test_standards_are_found_by_brightness_and_never_get_5(stars: list[Any]) -> None:
    for star, place in zip(stars, [(0.4, -0.1), (-0.2, -1.1)], strict=True):
        assert star.target.quality == 0
        assert star.target.source_position == "brightest"
        assert (star.target.x, star.target.y) == pytest.approx(place, abs=0.02)
        assert star.psf_fit is not None
        assert {number.name for number in star.quality} >= {"PSF FWHM", "FLUX LEVEL ERROR", "REFRACTION SCALE"}
        assert all(number.good for number in star.quality if number.low is not None or number.high is not None)


def test_a_standard_is_calibrated_by_the_others(stars: list[Any], night: Any) -> None:
    for star, meta in zip(stars, (FEIGE, HZ44), strict=True):
        found = flux_calibration(spectrum_uncal=star.spectrum_uncal, response=night.response)
        absolute, colour = checked(found.spectrum, reference(meta["OBJECT"]))
        assert abs(absolute) < 0.01
        assert abs(colour) < 0.01
        assert raw_name(meta) not in str(found.spectrum.meta["CALSRC"])
        assert found.spectrum.flags[WAVE > 9210].all()
        assert not found.spectrum.flags[MIDDLE].any()


def test_the_only_standard_is_said_to_test_nothing(stars: list[Any]) -> None:
    alone = response(spectrum_uncal=[stars[0].spectrum_uncal])
    assert any("one standard alone" in caveat for caveat in alone.caveats)
    found = flux_calibration(spectrum_uncal=stars[0].spectrum_uncal, response=alone.response)
    assert any("tests nothing" in caveat for caveat in found.caveats)


def test_a_target_without_guider_gets_5_and_a_good_spectrum(science: Spectra, night: Any) -> None:
    found = extract_star(spectra=science)
    assert found.target.quality == 5
    assert found.target.source_position == "auto"
    assert any("no guide frame" in caveat for caveat in found.caveats)
    assert any("no standard of the night told the halo" in caveat for caveat in found.caveats)
    calibrated = flux_calibration(spectrum_uncal=found.spectrum_uncal, response=night.response)
    absolute, colour = checked(calibrated.spectrum, supernova())
    assert abs(absolute) < 0.02
    assert abs(colour) < 0.02
    pull = (calibrated.spectrum.flux / above(supernova()) - 1 - absolute) * above(supernova())
    pull = (pull / np.sqrt(calibrated.spectrum.variance))[MIDDLE]
    # what is left of the response's own error is a few parts in a thousand
    assert np.std(pull) == pytest.approx(1.0, abs=0.15)


def test_a_place_by_hand_is_taken(science: Spectra) -> None:
    params = ExtractStarParams(centroid_x=1.0, centroid_y=2.2)
    found = extract_star(spectra=science, params=params)
    assert found.target.quality == 0
    assert found.target.source_position == "manual"
    assert (found.target.x, found.target.y) == pytest.approx((1.2, 2.0), abs=0.05)


def test_a_place_outside_the_field_has_no_spectrum(science: Spectra) -> None:
    found = extract_star(spectra=science, params=ExtractStarParams(centroid_x=17.5, centroid_y=-9.0))
    assert found.target.quality == 3
    assert found.spectrum_uncal is None
    assert found.psf_fit is None
    assert any("outside the field" in caveat for caveat in found.caveats)


def test_noise_of_which_too_much_is_negative_gets_4() -> None:
    empty = exposure(TARGET, np.full(FINE.size, 1e-25), (0.0, 0.0), seed=4, sky=2.0)
    found = extract_star(spectra=empty, params=ExtractStarParams(centroid_x=0.0, centroid_y=0.0, centroid_error=0.1))
    assert found.target.quality == 4


def test_negative_samples_are_told_where_a_recovered_code_hides_them() -> None:
    empty = exposure(TARGET, np.full(FINE.size, 1e-25), (0.0, 0.0), seed=4, sky=2.0)
    found = extract_star(spectra=empty, params=ExtractStarParams(recovered=True))
    assert found.target.quality == 1
    assert any("of the samples are negative, which quality code 1 does not tell" in one for one in found.caveats)


def test_an_unusable_guide_frame_is_named(science: Spectra) -> None:
    blank = RawFrame("rc20210421_10_47_40", "GUIDER", {"FILTER": "r"}, {"": np.zeros((2048, 2048)) + 700.0}, {})
    rng = np.random.default_rng(0)
    blank.images[""][:] += rng.normal(0, 9, (2048, 2048))
    table = {"ra": rng.uniform(211, 211.1, 50), "dec": rng.uniform(21.3, 21.5, 50), "rmag": rng.uniform(13, 19, 50)}
    stars = RawFrame("field_stars", "STAR_CATALOGUE", {}, {}, {"": table})
    meta = {**TARGET, "OBJRA": "14:04:04.38", "OBJDEC": "+21:24:27.8"}
    found = extract_star(spectra=replace(science, meta=meta), guider=[blank], catalogue=stars)
    assert found.target.quality == 5
    assert any("rc20210421_10_47_40" in caveat for caveat in found.caveats)


def test_standards_of_the_night_tell_refraction(science: Spectra, stars: list[Any]) -> None:
    found = extract_star(spectra=science, standards=[star.target for star in stars])
    scale = next(number.value for number in found.quality if number.name == "REFRACTION SCALE")
    assert scale == pytest.approx(1.0, abs=0.05)
    assert all(isinstance(star.target, Target) for star in stars)


def test_standards_of_the_night_tell_the_halo(science: Spectra, stars: list[Any]) -> None:
    found = extract_star(spectra=science, standards=[star.target for star in stars])
    assert not any("halo" in caveat for caveat in found.caveats)
    assert not any("halo" in caveat for star in stars for caveat in star.caveats)


def test_response_carries_one_row_a_star(night: Any) -> None:
    found: Response = night.response
    assert list(found.star) == ["ifu20210421_03_52_10", "ifu20210421_11_20_30"]
    assert found.star_response.shape == (2, WAVE.size)
    np.testing.assert_allclose(found.grey, 1.0, atol=0.01)
    np.testing.assert_allclose((found.response / efficiency(WAVE))[MIDDLE], 1.0, atol=0.015)
    np.testing.assert_allclose(found.telluric, found.airmass[:, None] ** absorbers().exponent, rtol=0.12)
    values = {number.name: number.value for number in night.quality}
    assert values["STANDARDS USED"] == 2
    assert values["RESPONSE ERROR"] < 0.01


def test_unknown_standards_are_left_out_by_name(stars: list[Any]) -> None:
    other = stars[1].spectrum_uncal
    other = replace(other, meta={**other.meta, "OBJECT": "STD-Vega", "NAME": "STD-Vega"})
    found = response(spectrum_uncal=[stars[0].spectrum_uncal, other])
    assert any("STD-Vega" in caveat for caveat in found.caveats)
    assert found.response.star.size == 1
    with pytest.raises(MissingInput, match="no usable standard"):
        response(spectrum_uncal=[other])


def test_the_other_library_is_said_so(stars: list[Any]) -> None:
    found = response(spectrum_uncal=[stars[0].spectrum_uncal], params=ResponseParams(reference="calspec"))
    assert not any("not in the tables" in caveat for caveat in found.caveats)
    gd71 = replace(stars[0].spectrum_uncal, meta={**stars[0].spectrum_uncal.meta, "OBJECT": "STD-GD71"})
    found = response(spectrum_uncal=[gd71])
    assert any("not in the tables 'oke'" in caveat for caveat in found.caveats)


def test_other_grids_are_refused(stars: list[Any], night: Any) -> None:
    cut = stars[0].spectrum_uncal
    cut = replace(cut, wave=cut.wave + 1.0)
    with pytest.raises(BadData, match="different wavelength grids"):
        flux_calibration(spectrum_uncal=cut, response=night.response)


def test_text_form_is_what_classifiers_read(science: Spectra, night: Any) -> None:
    found = extract_star(spectra=science)
    spectrum = flux_calibration(spectrum_uncal=found.spectrum_uncal, response=night.response).spectrum
    flags = spectrum.flags.copy()
    flags[10] = int(Flag.NOT_MEASURED)
    text = ascii_spectrum(replace(spectrum, flags=flags), found.target, TARGET)
    head = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# "))
    rows = np.array(
        [[float(value) for value in line.split()] for line in text.splitlines() if not line.startswith("#")]
    )
    assert head["EXPTIME"] == "300.0"
    assert head["QUALITY"] == "5"
    assert head["SRCPOS"] == "auto"
    assert rows.shape == (np.count_nonzero(flags == 0), 3)
    np.testing.assert_allclose(rows[:, 1], spectrum.flux[flags == 0], rtol=1e-3)


def test_same_inputs_give_the_same_numbers(science: Spectra) -> None:
    one, two = (extract_star(spectra=science) for _ in range(2))
    np.testing.assert_array_equal(one.spectrum_uncal.flux_uncal, two.spectrum_uncal.flux_uncal)


def test_a_standard_of_more_light_than_falls_on_the_mirror_is_refused(stars: list[Any], night: Any) -> None:
    """It is not the star that its name says, and would pass for the one standard seen through no clouds."""
    good, other = (star.spectrum_uncal for star in stars)
    wrong = replace(other, flux_uncal=60.0 * other.flux_uncal, variance_uncal=3600.0 * other.variance_uncal)
    found = response(spectrum_uncal=[good, wrong])
    [caveat] = [one for one in found.caveats if "not used" in one]
    assert "times the light that the telescope collects" in caveat
    assert list(found.response.star) == [raw_name(FEIGE)]
    np.testing.assert_allclose((found.response.response / night.response.response)[MIDDLE], 1.0, atol=0.03)
