"""Fields that no star placed: their light is delivered at the headers' places, flagged, and said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.unit.recipes.fibre_bundle import REFRACTION, SLOT, Bundle
from tracecube.core.flags import Flag
from tracecube.recipes.cube.fibres import FibreCubeParams, build_fibre_cube


def test_the_cube_of_an_unplaced_bundle_holds_its_light_and_all_of_it_is_flagged() -> None:
    placed = Bundle().draw(1)[0]
    unplaced = replace(placed, dq=placed.dq | int(Flag.ASTROMETRY))
    params = FibreCubeParams(wave_range=(4500.0, 4520.0), least_cover=0.1)
    known, other = (build_fibre_cube([one], REFRACTION, params, ifuslot=SLOT) for one in (placed, unplaced))
    np.testing.assert_array_equal(known.data, other.data)
    assert np.isfinite(other.data).any()
    assert not (known.flags & Flag.ASTROMETRY).any()
    assert (other.flags & Flag.ASTROMETRY).all()
