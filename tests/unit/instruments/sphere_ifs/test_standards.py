"""Standards and brightness from DIT to DIT: where the star is, and what of them goes to no science."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.star_field import Star, lattice, source, spectra_of
from tracecube.core.flags import Flag
from tracecube.instruments.sphere_ifs import instrument
from tracecube.instruments.sphere_ifs.science_steps import ifs_frame_photometry
from tracecube.instruments.sphere_ifs.star_parameters import CentreParams, ScienceParams
from tracecube.instruments.sphere_ifs.star_place import place_standard, star_in_frame

WAVE, SPREAD = np.linspace(9600.0, 16400.0, 9), np.linspace(136.0, 205.0, 9)
META = {
    "ESO DET SEQ1 DIT": 16.0, "ESO DET NDIT": 4, "ESO DET DITDELAY": 0.2, "DATE-OBS": "2018-11-18T03:43:25.807",
    "ESO DET FRAM UTC": "2018-11-18T03:44:33.327", "ESO OCS WAFFLE AMPL": 0.05, "ARCFILE": "SPHER.x.fits",
}  # fmt: skip


def standard(flux: float):
    x, y = lattice(0.5)
    light = source(x, y, WAVE, SPREAD, lambda _: (-0.21, 0.13), flux)
    variance = 0.09**2 + light / 180.0
    noise = np.random.default_rng(7).normal(size=light.shape) * np.sqrt(variance)
    return spectra_of(x, y, WAVE, SPREAD, light + noise, variance, {**META, "ESO OCS WAFFLE AMPL": 0.0})


def test_a_standard_is_the_brightest_star_of_its_frame():
    centre, caveats = place_standard(standard(3e3), ScienceParams())
    assert (centre.centre_x, centre.centre_y) == pytest.approx((-0.21, 0.13), abs=1e-3)
    assert centre.method == "core"
    assert not np.asarray(centre.dq).any()
    assert caveats == ()


def test_a_frame_without_a_star_is_placed_by_the_telescope_and_says_why():
    centre, caveats = place_standard(standard(0.0), ScienceParams())
    assert (np.asarray(centre.dq) & int(Flag.ASTROMETRY)).all()
    assert caveats[0].startswith("no star found: SPHER.x: no star in the field")


def test_brightness_follows_the_star_in_order_of_time():
    star, truth = Star(11, channels=7), {3: 1.0, 0: 0.9, 2: 1.1}
    centres = []
    for plane, brightness in truth.items():
        spectra = star.frame(brightness=brightness, meta={**META, "PLANE": plane})
        centres.append(star_in_frame(spectra, CentreParams())[0])
    blank, _ = place_standard(standard(3e3), ScienceParams())
    made = ifs_frame_photometry(centres=[*centres, blank])
    found = made.star_brightness
    assert found.plane.tolist() == [0, 2, 3]
    assert np.diff(found.mjd) * 86400.0 == pytest.approx([2 * 16.88, 16.88], abs=1e-3)
    assert found.brightness == pytest.approx([0.9, 1.1, 1.0], rel=0.02)
    assert found.brightness.mean() == pytest.approx(1.0)
    assert (found.error > 0).all()
    assert made.caveats == ("1 of 4 DITs show no satellite spots and are left out",)
    assert {number.name for number in made.quality} >= {"BRIGHTNESS RMS", "BRIGHTNESS ERROR"}


def test_without_spots_there_is_no_brightness_and_a_reason():
    blank, _ = place_standard(standard(3e3), ScienceParams())
    made = ifs_frame_photometry(centres=[blank, blank])
    assert made.star_brightness is None
    assert "0 of 2 DITs show satellite spots" in made.caveats[0]
    assert "(try: add further OBJECT,CENTER frames" in made.caveats[0]


def test_no_task_of_science_takes_what_was_made_of_a_standard():
    tasks = {task.name: task for task in instrument.workflow.tasks}
    standards = [tasks["ifs_standard_astrometry"], tasks["ifs_standard_flux"]]
    assert [task.main.tags for task in standards] == [("STD_ASTROMETRY",), ("STD_FLUX",)]
    made = {tag for task in standards for tag in task.output_tags().values()}
    taken = {tag for task in tasks.values() for rule in (task.main, *task.associations) for tag in rule.tags}
    assert made == {"SPECTRA", "STANDARD_CHANNELS", "STANDARD_CUBE", "STANDARD_CENTRE", "STANDARD_PSF"}
    assert not made & taken


def test_linearity_goes_to_every_plane_that_is_calibrated_for_spectra():
    tasks = {task.name: task for task in instrument.workflow.tasks}
    taking = {name for name, task in tasks.items() if any("LINEARITY" in rule.tags for rule in task.associations)}
    assert taking == {
        "ifs_spectra_positions", "ifs_line_wings", "ifs_ifu_flat", "ifs_distortion_map",
        "ifs_coronagraph_center", "ifs_science_flux", "ifs_science", "ifs_standard_astrometry", "ifs_standard_flux",
        "ifs_wavecalib_cube",
    }  # fmt: skip
