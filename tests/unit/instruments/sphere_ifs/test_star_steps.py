"""The recipes from spectra to star centre, star image and cube, called by themselves."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.instruments.sphere_ifs.test_observing import HEADER
from tests.unit.recipes.star_field import Star, lattice, source, spectra_of
from tracecube.core.errors import MissingInput
from tracecube.core.spectra import Spectra
from tracecube.instruments.sphere_ifs import instrument
from tracecube.instruments.sphere_ifs.star_parameters import CentreParams, CubeParams, FluxParams, ScienceParams
from tracecube.instruments.sphere_ifs.star_steps import (
    cube_at,
    cube_of_frame,
    ifs_coronagraph_center,
    ifs_science,
    ifs_science_flux,
)

META = {**HEADER, "ARCFILE": "SPHER.2018-11-18T03:43:25.807.fits", "ESO OCS WAFFLE AMPL": 0.0}
WAFFLE = {**META, "ESO OCS WAFFLE AMPL": 0.05, "ESO OCS WAFFLE ORIENT": "x"}
WAVE, SPREAD = np.linspace(9600.0, 16400.0, 5), np.linspace(136.0, 205.0, 5)
SMALL = ScienceParams(size=91)


@pytest.fixture(scope="module")
def star() -> Star:
    return Star(21, channels=5, extent=0.62)


@pytest.fixture(scope="module")
def spots(star: Star) -> Spectra:
    return star.frame(meta=WAFFLE)


@pytest.fixture(scope="module")
def beside() -> Spectra:
    """The star 0.25 arcsec beside its mask, 300 electron / Angstrom through the filter."""
    x, y = lattice(0.5)
    light = source(x, y, WAVE, SPREAD, lambda _: (-0.21, 0.13), 300.0)
    variance = 0.09**2 + light / 180.0
    noise = np.random.default_rng(22).normal(size=light.shape) * np.sqrt(variance)
    meta = {**META, "ESO DET SEQ1 DIT": 1.6, "ESO INS4 FILT2 NAME": "OPEN"}
    return spectra_of(x, y, WAVE, SPREAD, light + noise, variance, meta)


def numbers(outputs) -> dict[str, float]:
    return {one.name: one.value for one in outputs.quality}


def test_the_centre_is_that_of_the_spots_and_its_numbers_say_so(star, spots):
    found = ifs_coronagraph_center(spectra=spots)
    centre, told = found.star_centre, numbers(found)
    assert centre.method == "spots"
    assert centre.meta["ESO PRO CATG"] == "IFS_STAR_CENTER"
    assert centre.file[0] == "SPHER.2018-11-18T03:43:25.807"
    assert (centre.centre_x, centre.centre_y) == pytest.approx(star.place, abs=0.3e-3)
    assert told["STAR CENTRE X"] == pytest.approx(1e3 * centre.centre_x)
    assert found.caveats == ()


def test_spots_along_the_axes_are_looked_for_there(spots):
    turned = CentreParams(direction=CentreParams().direction + 45.0)  # with "+", 45 deg less again
    found = ifs_coronagraph_center(
        spectra=spectra_of(
            spots.x, spots.y, spots.wave, spots.lsf_sigma, spots.flux, spots.variance,
            {**WAFFLE, "ESO OCS WAFFLE ORIENT": "+"},
        ),
        params=turned,
    )  # fmt: skip
    assert found.star_centre.centre_x == ifs_coronagraph_center(spectra=spots).star_centre.centre_x


def test_without_spots_the_brightest_source_is_taken_and_said(beside):
    found = ifs_coronagraph_center(spectra=beside, params=CentreParams(use_waffle=False))
    assert (found.star_centre.centre_x, found.star_centre.centre_y) == pytest.approx((-0.21, 0.13), abs=0.5e-3)
    assert found.star_centre.method == "core"
    assert any("brightest source of the frame" in text for text in found.caveats)


def test_flux_is_scaled_to_the_science_integration(beside, spots):
    params = FluxParams(obstruction=0.2)  # of the simulated telescope
    own, scaled = (ifs_science_flux(spectra=beside, science=one, params=params) for one in (None, spots))
    ratio = 16.0 / 1.6
    assert own.star_psf.flux == pytest.approx(300.0 * np.ones(5), rel=0.02)
    assert scaled.star_psf.flux == pytest.approx(ratio * own.star_psf.flux)
    assert scaled.star_psf.dit == 16.0
    assert scaled.star_psf.meta["ESO PRO CATG"] == "IFS_SCIENCE_DR"
    said = "no science frame given: the star's flux is for the DIT of the flux frame itself"
    assert said in own.caveats
    assert said not in scaled.caveats


def test_a_shift_that_is_not_known_well_tilts_the_flux_through_a_dense_filter(beside):
    cards = {
        **beside.meta, "SHIFTEY": 0.1, "ESO INS4 FILT2 NAME": "ND_2.0", "INSTRUME": "SPHERE", "ESO SEQ ARM": "IFS",
        "ESO INS2 COMB IFS": "OBS_H", "ESO DPR CATG": "SCIENCE", "ESO DPR TYPE": "OBJECT,FLUX", "ESO DPR TECH": "IFU",
    }  # fmt: skip
    frame = spectra_of(beside.x, beside.y, WAVE, SPREAD, beside.flux, beside.variance, cards)
    tilt = ifs_science_flux(spectra=frame, params=FluxParams(obstruction=0.2)).star_psf.tilt
    blue, red = np.argmin(np.abs(WAVE - 10000.0)), np.argmax(WAVE)
    # a tenth of a pixel is 1.5 nm there, and the filter's curve falls by 1.2 per cent a nanometre
    assert tilt[blue] == pytest.approx(-0.017, abs=0.008)
    assert tilt[red] > tilt[blue]
    open_ = ifs_science_flux(spectra=beside, params=FluxParams(obstruction=0.2)).star_psf.tilt
    assert np.abs(open_).max() < 1e-6


def test_flux_without_filter_or_integration_time_is_refused(beside):
    for card, value in (("ESO INS4 FILT2 NAME", "ND_9"), ("ESO DET SEQ1 DIT", None)):
        bare = spectra_of(
            beside.x, beside.y, WAVE, SPREAD, beside.flux, beside.variance, {**beside.meta, card: value}
        )  # fmt: skip
        with pytest.raises(MissingInput, match=card):
            ifs_science_flux(spectra=bare, params=FluxParams())


def test_a_cube_has_the_star_at_its_coordinates_and_north_of_its_time(star, spots):
    made = ifs_science(spectra=spots, params=SMALL)
    told = numbers(made)
    assert made.dit_centre.method == "spots"
    assert made.cube.data.shape == (5, 91, 91)
    assert made.cube.meta["ESO PRO CATG"] == "IFS_SCIENCE_DR"
    # the reference pixel of the target's coordinates, counted from 1, is where the star is
    place = [SMALL.pixel * (made.cube.meta[f"CRPIX{axis}"] - 1 - 45) for axis in (1, 2)]
    assert place == pytest.approx(star.place, abs=0.3e-3)
    assert made.cube.meta["POSANGY"] == pytest.approx(told["POSANG Y"])
    assert (made.cube.meta["CRVAL1"], made.cube.meta["CRVAL2"]) == pytest.approx((44.5, -32.1), abs=0.1)


def test_a_frame_without_spots_follows_the_one_that_has_them(star, spots):
    centre = ifs_coronagraph_center(spectra=spots).star_centre
    dark = star.frame(spots=False, meta=META)
    carried = ifs_science(spectra=dark, star_centre=centre, params=SMALL)
    assert carried.dit_centre.method == "carried"
    assert carried.dit_centre.centre_x == pytest.approx(centre.centre_x)
    assert carried.dit_centre.centre_x_error > 1.9e-3
    assert any("star assumed where that frame had it" in text for text in carried.caveats)


def test_frames_for_flux_and_centre_have_cubes_about_their_star(beside, spots, star):
    for frame, place in ((beside, (-0.21, 0.13)), (spots, star.place)):
        cube, turned, caveats = cube_at(frame, place, CubeParams(size=91))
        assert cube.data.shape == (5, 91, 91)
        assert cube.meta["ESO PRO CATG"] == "IFS_SCIENCE_DR"
        assert [0.00746 * (cube.meta[f"CRPIX{k}"] - 46) for k in (1, 2)] == pytest.approx(place, abs=1e-6)
        assert cube.meta["POSANGY"] == pytest.approx(turned.angle)
        assert caveats == turned.caveats
    tasks = {task.name: task for task in instrument.workflow.tasks}
    for name, tag in (("ifs_science_flux", "FLUX_CUBE"), ("ifs_coronagraph_center", "CENTER_CUBE")):
        assert tasks[name].output_tags()["cube"] == tag
        assert "size" in tasks[name].recipe.params.model_fields


def test_a_flux_frame_that_tells_no_north_has_a_cube_all_the_same(beside):
    lost = {key: value for key, value in beside.meta.items() if "PARANG" not in key and "DROT2" not in key}
    lost = {key: value for key, value in lost.items() if key not in {"RA", "DEC"}}
    bare = spectra_of(beside.x, beside.y, WAVE, SPREAD, beside.flux, beside.variance, lost)
    cube, [caveat] = cube_of_frame(bare, (-0.21, 0.13), CubeParams(size=91))
    assert cube.meta["CTYPE1"] == "LINEAR"
    assert cube.meta["ESO PRO CATG"] == "IFS_SCIENCE_DR"
    assert "north not up" in caveat
    told, caveats = cube_of_frame(beside, (-0.21, 0.13), CubeParams(size=91))
    assert told.meta["CTYPE1"] == "RA---TAN"
    assert caveats == ()
    assert np.array_equal(told.data, cube.data, equal_nan=True)
