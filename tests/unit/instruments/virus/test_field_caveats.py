"""What is said of a field whose calibration rests on less than it should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracecube.core.sources import FieldSolution
from tracecube.instruments.virus.field_caveats import beyond_table, unplaced

FIELD = FieldSolution(
    **{name: np.zeros(3) for name in ("east", "north", "fwhm", "fwhm_error", "norm", "norm_error")},
    **{name: np.zeros(2) for name in ("wave", "refraction_east", "refraction_north")},
    **dict.fromkeys(("ra0", "dec0", "rotation", "rotation_error", "scale", "scale_error", "reference"), 0.0),
    **dict.fromkeys(("beta", "width_slope", "refraction", "refraction_error", "model_error"), 0.0),
    **dict.fromkeys(("refraction_across", "refraction_across_error", "catalogue_error"), 0.0),
    exposure=np.arange(1, 4),
    east_error=np.full(3, 5.0),
    north_error=np.full(3, 5.0),
    stars=0,
)  # fmt: skip


def test_places_that_no_star_told_are_said_to_be_the_headers() -> None:
    [said] = unplaced(FIELD)
    assert "those of the headers, 7 arcsec or more off" in said
    assert not unplaced(replace(FIELD, stars=9))


def test_flux_beyond_the_table_of_the_throughput_is_said_to_be_extrapolated() -> None:
    [said] = beyond_table(np.linspace(3470.0, 5540.0, 10))
    assert "ends at 3500 and 5500 Angstrom: flux beyond is by its extrapolation, over 30 and 40 Angstrom" in said
    assert not beyond_table(np.linspace(3600.0, 5400.0, 10))
