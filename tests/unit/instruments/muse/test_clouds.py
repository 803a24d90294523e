"""Flux scales where an exposure was taken through clouds: the clearest tells the flux, not the first."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.align.drawn_field import exposure
from tracecube.instruments.muse.align_steps import _of_clearest, align_exposures
from tracecube.recipes.align.align import AlignParams

STARS = [(180.0, 26.0, 3000.0), (60.0, 22.0, 2500.0), (250.0, 30.0, 2000.0)]


def test_the_first_exposure_through_clouds_does_not_make_the_others_as_faint() -> None:
    images = [exposure(1, STARS, flux=0.5), exposure(2, STARS, dither=(1.5, 2.0), mjd=58500.01)]
    made = align_exposures(
        images=images, source_list=[], offset_list=None, output_wcs=None, params=AlignParams(srcmin=3)
    )
    assert made.offsets.flux_scale[1] == 1.0
    assert made.offsets.flux_scale[0] == pytest.approx(2.0, rel=0.03)
    assert 0.0 < made.offsets.flux_error[0] < 0.06
    assert any("exposure 1 saw" in one and "of the light of exposure 2: was it cloudy?" in one for one in made.caveats)


def test_scales_against_the_first_stand_where_none_is_surely_clearer() -> None:
    scale, error = np.array([1.0, 0.99, 1.3]), np.array([0.0, 0.008, 0.01])
    found = _of_clearest(scale, error)
    assert found[0].tolist() == scale.tolist()
    assert found[1].tolist() == error.tolist()
    assert not found[2]
    unsure = np.array([0.0, 0.05, np.inf])
    assert _of_clearest(np.array([1.0, 0.9, 0.2]), unsure)[0].tolist() == [1.0, 0.9, 0.2]


def test_exposures_that_are_as_clear_as_the_clearest_count_together() -> None:
    scale, error, [said] = _of_clearest(np.array([1.0, 0.51, 0.49, 1.0]), np.array([0.0, 0.01, 0.01, np.inf]))
    assert scale[:3] == pytest.approx([2.0, 1.02, 0.98])
    assert error[0] == pytest.approx(0.01 / np.sqrt(2.0) / 0.25, rel=1e-6)
    assert np.isinf(error[3])
    assert "exposure 1 saw 50 per cent" in said
