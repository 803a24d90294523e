"""What a person may change of an extraction: the place, the region, single spaxels, the method, the verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.unit.instruments.sedm.star_exposures import (
    FEIGE,
    FINE,
    MIDDLE,
    TARGET,
    WAVE,
    above,
    exposure,
    reference,
    supernova,
)
from tracecube.core.errors import BadData
from tracecube.core.spectra import Spectra
from tracecube.core.target import acceptable
from tracecube.instruments.sedm.star_parameters import ExtractStarParams
from tracecube.instruments.sedm.star_steps import extract_star, flux_calibration, response
from tracecube.instruments.sedm.type_steps import classify

PLACE = (1.2, 2.0)
SQUARE = ((-3.0, -2.2), (5.4, -2.2), (5.4, 6.2), (-3.0, 6.2))


@pytest.fixture(scope="module")
def science() -> Spectra:
    return exposure(TARGET, supernova(), PLACE, seed=3)


@pytest.fixture(scope="module")
def feige() -> Any:
    return extract_star(spectra=exposure(FEIGE, reference("STD-Feige34"), (0.4, -0.1), seed=1))


@pytest.fixture(scope="module")
def with_neighbour(science: Spectra) -> Spectra:
    """A brighter star 4.5 arcsec from the target, so that brightness leads astray."""
    beside = exposure(TARGET, 4.0 * supernova(), (5.0, -0.5), seed=5, sky=0.0)
    return replace(science, flux=science.flux + beside.flux, variance=science.variance + beside.variance)


def level(found: Any, seconds: float = 300.0) -> float:
    """Electrons of the target in the middle of its spectrum."""
    return float(np.nanmean(found.spectrum_uncal.flux_uncal[MIDDLE]) * seconds)


def test_a_place_by_hand_takes_a_5_away_and_finds_the_target(with_neighbour: Spectra, science: Spectra) -> None:
    robot = extract_star(spectra=with_neighbour, params=ExtractStarParams(host="never"))
    assert robot.target.quality == 5
    assert not acceptable(robot.target.quality)
    assert np.hypot(robot.target.x - 5.0, robot.target.y + 0.5) < 0.5
    params = ExtractStarParams(centroid_x=1.0, centroid_y=2.2, host="never")
    found = extract_star(spectra=with_neighbour, params=params)
    assert (found.target.quality, found.target.source_position) == (0, "manual")
    assert (found.target.x, found.target.y) == pytest.approx(PLACE, abs=0.1)
    assert level(found) == pytest.approx(level(extract_star(spectra=science)), rel=0.1)


def test_products_say_who_had_them_made(science: Spectra, feige: Any) -> None:
    params = ExtractStarParams(centroid_x=1.0, centroid_y=2.2, tag="redo101500", reviewer="Ada Lovelace")
    found = extract_star(spectra=science, params=params)
    name = "spec_auto_redo101500_lstep1__crr_b_ifu20210421_10_47_05_ZTF21abc"
    for meta in (found.target.meta, found.spectrum_uncal.meta):
        assert (meta["REDUCER"], meta["EXTRTAG"], meta["SPECNAME"]) == ("Ada Lovelace", "redo101500", name)
    night = response(spectrum_uncal=[feige.spectrum_uncal])
    calibrated = flux_calibration(spectrum_uncal=found.spectrum_uncal, response=night.response)
    done = classify(spectrum=calibrated.spectrum, target=found.target)
    assert done.spectrum_ascii.name == name
    lines = set(done.spectrum_ascii.text.splitlines())
    assert {"# REDUCER: Ada Lovelace", "# SRCPOS: manual", "# QUALITY: 0", "# REASON: good"} <= lines


def test_the_robot_names_its_own(science: Spectra) -> None:
    found = extract_star(spectra=science)
    assert found.target.meta["SPECNAME"] == "spec_auto_robot_lstep1__crr_b_ifu20210421_10_47_05_ZTF21abc"
    assert found.target.meta["REDUCER"] == "auto"


def test_recovery_makes_1_of_5_and_changes_no_number(science: Spectra) -> None:
    robot = extract_star(spectra=science)
    found = extract_star(spectra=science, params=ExtractStarParams(recovered=True))
    assert (robot.target.quality, found.target.quality) == (5, 1)
    assert acceptable(found.target.quality)
    assert found.target.source_position == "auto"
    assert found.spectrum_uncal.meta["QUALITY"] == 1
    assert "recovered" in found.target.reason
    np.testing.assert_array_equal(found.spectrum_uncal.flux_uncal, robot.spectrum_uncal.flux_uncal)


def test_a_region_keeps_a_neighbour_out(with_neighbour: Spectra, science: Spectra) -> None:
    place = {"centroid_x": 1.0, "centroid_y": 2.2, "neighbour_share": 1e9}  # the neighbour is not fitted
    region = ((-3.0, -2.0), (1.8, -0.4), (3.9, 1.8), (5.0, 6.2), (-3.0, 6.2))
    truth = level(extract_star(spectra=science))
    whole = extract_star(spectra=with_neighbour, params=ExtractStarParams(**place, host="never"))
    found = extract_star(spectra=with_neighbour, params=ExtractStarParams(**place, host="never", region=region))
    assert abs(level(found) / truth - 1) < 0.05
    assert abs(level(found) / truth - 1) < 0.5 * abs(level(whole) / truth - 1)
    used = found.psf_fit.used != 0
    assert used.any()
    assert (found.psf_fit.y[used] >= -2.0).all()
    assert any("region of 5 corners drawn" in caveat for caveat in found.caveats)


def test_the_brightest_source_is_sought_inside_a_region(with_neighbour: Spectra) -> None:
    region = ((-3.0, -2.0), (1.8, -0.4), (3.9, 1.8), (5.0, 6.2), (-3.0, 6.2))
    found = extract_star(spectra=with_neighbour, params=ExtractStarParams(region=region, host="never"))
    assert (found.target.quality, found.target.source_position) == (5, "auto")
    assert (found.target.x, found.target.y) == pytest.approx(PLACE, abs=0.2)


def test_a_target_beside_its_region_is_said_so(science: Spectra) -> None:
    params = ExtractStarParams(region=SQUARE, centroid_x=1.2, centroid_y=-2.6, host="never")
    found = extract_star(spectra=science, params=params)
    assert any("(1.2, -2.6) arcsec lies outside that region" in caveat for caveat in found.caveats)


def test_a_region_alone_changes_a_clean_star_by_its_noise(science: Spectra) -> None:
    whole = extract_star(spectra=science)
    found = extract_star(spectra=science, params=ExtractStarParams(region=SQUARE))
    assert found.target.quality == whole.target.quality
    assert level(found) == pytest.approx(level(whole), rel=0.02)
    assert np.count_nonzero(found.psf_fit.used) < np.count_nonzero(whole.psf_fit.used)


def test_a_region_too_small_to_fit_is_refused(science: Spectra) -> None:
    tiny = ((0.5, 1.5), (1.5, 1.5), (1.5, 2.5), (0.5, 2.5))
    with pytest.raises(BadData, match=r"region drawn by hand: \d+ spaxels inside, 20 are needed"):
        extract_star(spectra=science, params=ExtractStarParams(region=tiny))


def test_an_excluded_spaxel_has_no_say(science: Spectra) -> None:
    """A cosmic ray over half of a spectrum, in a spaxel beside the target."""
    beside = int(np.argmin(np.hypot(science.x - 2.4, science.y - 2.0)))
    flux = science.flux.copy()
    flux[beside, 60:160] += 900.0
    hit = replace(science, flux=flux)
    params = ExtractStarParams(centroid_x=1.2, centroid_y=2.0, exclude=(beside,))
    found = extract_star(spectra=hit, params=params)
    clean = extract_star(spectra=science, params=params)
    np.testing.assert_array_equal(found.spectrum_uncal.flux_uncal, clean.spectrum_uncal.flux_uncal)
    assert beside not in found.psf_fit.aperture
    assert any(f"spaxels {beside} left out" in caveat for caveat in found.caveats)
    with pytest.raises(BadData, match="no 99999 in this field"):
        extract_star(spectra=science, params=ExtractStarParams(exclude=(99999,)))


def test_an_aperture_gives_the_same_star(science: Spectra, feige: Any) -> None:
    params = ExtractStarParams(aperture=3.0, centroid_x=1.2, centroid_y=2.0, centroid_error=0.1)
    found = extract_star(spectra=science, params=params, standards=[feige.target])
    fitted = extract_star(spectra=science, standards=[feige.target])
    assert level(found) == pytest.approx(level(fitted), rel=0.03)
    assert found.spectrum_uncal.meta["EXTRACT"] == "aperture"
    assert found.spectrum_uncal.meta["APRADIUS"] == 3.0
    assert found.spectrum_uncal.meta["LEVELERR"] < 0.1
    assert (found.target.x, found.target.y, found.target.x_error) == (1.2, 2.0, 0.1)
    assert np.nanmedian(found.spectrum_uncal.variance_uncal) > np.nanmedian(fitted.spectrum_uncal.variance_uncal)
    assert any("aperture of 3 arcsec" in caveat for caveat in found.caveats)
    night = response(spectrum_uncal=[feige.spectrum_uncal])
    flux = flux_calibration(spectrum_uncal=found.spectrum_uncal, response=night.response).spectrum
    assert np.mean((flux.flux / above(supernova()))[MIDDLE]) == pytest.approx(1.0, abs=0.05)


def test_an_aperture_may_count_what_is_no_point(science: Spectra) -> None:
    place = {"aperture": 3.0, "centroid_x": 1.2, "centroid_y": 2.0}
    whole = extract_star(spectra=science, params=ExtractStarParams(**place))
    counted = extract_star(spectra=science, params=ExtractStarParams(**place, aperture_correction="none"))
    assert 0.7 < level(counted) / level(whole) < 0.98
    assert counted.spectrum_uncal.meta["APCORR"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"centroid_x": 1.0}, "belong together"),
        ({"region": ((0.0, 0.0), (1.0, 1.0))}, "three corners"),
        ({"annulus_inner": 3.0}, "outside annulus_inner"),
        ({"tag": "redo 1/2"}, "pattern"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ExtractStarParams(**given)


def test_a_standard_carries_the_flux_it_is_known_to_have(feige: Any) -> None:
    night = response(spectrum_uncal=[feige.spectrum_uncal])
    done = flux_calibration(spectrum_uncal=feige.spectrum_uncal, response=night.response).spectrum
    np.testing.assert_allclose(done.reference[MIDDLE], above(reference("STD-Feige34"))[MIDDLE], rtol=1e-3)
    assert np.interp(5000.0, WAVE, done.reference) == pytest.approx(
        np.interp(5000.0, FINE, reference("STD-Feige34")), rel=0.02
    )
