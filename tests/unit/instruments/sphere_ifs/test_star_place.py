"""Where the star is taken to be when no frame tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.star_field import Star
from tracecube.core.flags import Flag
from tracecube.instruments.sphere_ifs.star_parameters import ScienceParams
from tracecube.instruments.sphere_ifs.star_place import place_star

META = {"ARCFILE": "SPHER.2018-11-18T03:38:50.598.fits", "ESO OCS WAFFLE AMPL": 0.0}


@pytest.fixture(scope="module")
def science():
    return Star(1, channels=5, extent=0.3).frame(spots=False, meta=META)


def test_without_satellite_spots_it_is_the_field_centre_flagged_and_said(science):
    centre, caveats = place_star(science, None, None, ScienceParams())
    assert (centre.centre_x, centre.centre_y) == (0.0, 0.0)
    assert centre.centre_x_error == pytest.approx(0.05)  # arcsec: as well as a telescope centres a star
    assert (np.asarray(centre.dq) & int(Flag.ASTROMETRY)).all()
    [caveat] = caveats
    assert "astrometry not trusted (try: add the OBJECT,CENTER frame, or place the star with" in caveat


def test_a_place_given_by_the_user_is_taken_and_said(science):
    centre, caveats = place_star(science, None, None, ScienceParams(user_cent=True, cx=147.0, cy=145.0))
    assert centre.centre_x == pytest.approx(7.46e-3)
    assert centre.centre_y == pytest.approx(-7.46e-3)
    assert not np.asarray(centre.dq).any()
    assert caveats == ("star placed by the user",)


def test_spots_of_another_star_place_this_one_roughly_and_it_is_said(science):
    star = Star(1, channels=5, extent=0.3)
    spots = star.frame(meta={**META, "OBJECT": "HD 1", "ESO OCS WAFFLE AMPL": 0.05})
    given, _ = place_star(science, None, None, ScienceParams(user_cent=True))
    ours = replace(science, meta={**META, "OBJECT": "HIP 2"})
    centre, caveats = place_star(ours, replace(given, meta=spots.meta), spots, ScienceParams())
    assert centre.method == "carried"
    assert caveats[0] == "no frame with satellite spots of this star: that of HD 1 stands in"
    same, said = place_star(ours, replace(given, meta={**META, "OBJECT": "hip2 "}), None, ScienceParams())
    assert same.method == "carried"
    assert not any("stands in" in text for text in said)
