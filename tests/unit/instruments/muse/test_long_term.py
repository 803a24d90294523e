"""Long-term calibrations: what a measured scale does to places, tables of the observatory, and the twilight's image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.muse.long_term_products import META, field, wcs
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.outputs import LinearityLevel
from tracecube.core.slice_colour import SliceColours
from tracecube.core.slice_light import SliceIllumination
from tracecube.instruments.muse import instrument
from tracecube.instruments.muse.geometry import geometry_of
from tracecube.instruments.muse.geometry_steps import _caveats
from tracecube.instruments.muse.monitoring_steps import linearity_and_gain
from tracecube.instruments.muse.pointing import Pointing, on_sky, refraction, with_astrometry
from tracecube.instruments.muse.twilight_steps import ImageParams, twilight_image
from tracecube.io.products import write_product
from tracecube.io.raw import read_raw
from tracecube.recipes.detector.photon_transfer import TransferParams
from tracecube.workflow.check import faults

SIDE = (0.2, 0.2)
POINTING = Pointing(53.0, -27.8, 90.0, (1.2, 1.3), (30.0, 31.0), 743.0, 12.0, 15.0, 600.0, 58500.0)


def test_the_workflow_closes_with_every_choice():
    assert faults(instrument) == []
    names = {task.name for task in instrument.workflow.tasks}
    assert names >= {
        "geometry", "preprocess_astrometry", "astrometry", "throughput", "linearity_and_gain",
        "line_spread_function_lsf",
    }  # fmt: skip
    options = {option.name: option.values[0] for option in instrument.workflow.options}
    assert options["recompute_geometry"] == options["recompute_astrometry"] == options["use_linearity"] == "no"
    assert (options["use_skyflats"], options["lsfmode"], options["use_darks"]) == ("yes", "any", "yes")


def test_a_measured_scale_moves_places_and_turns_with_the_field(tmp_path):
    path = tmp_path / "wcs.fits"
    write_product(path, wcs())
    measured = with_astrometry(POINTING, read_raw(path, "FIELD_WCS"), SIDE)
    west, north = on_sky(np.array([10.4]), np.array([-0.2]), measured)
    # ten arcsec along x from where the telescope points, and none along y; the field is turned by 90 degrees
    assert west[0] == pytest.approx(0.0, abs=1e-9)
    assert north[0] == pytest.approx(10.01)
    assert with_astrometry(POINTING, None, SIDE) is POINTING
    write_product(path, wcs(0.126))
    with pytest.raises(BadData, match="of the nominal scale"):
        with_astrometry(POINTING, read_raw(path, "FIELD_WCS"), SIDE)


def test_the_narrow_field_has_no_refraction_left():
    wave = np.array([5000.0, 9000.0])
    assert not np.array(refraction(replace(POINTING, corrected=True), wave)).any()
    assert np.abs(refraction(POINTING, wave)).max() > 0.1


def test_a_table_made_here_is_read_like_the_observatorys(tmp_path):
    path = tmp_path / "geometry.fits"
    write_product(path, field())
    places = geometry_of(read_raw(path, "GEOMETRY"), 7, META)
    assert places.x[0] == pytest.approx(113.1 * 0.2)
    assert places.y[0] == pytest.approx((5.5 * 12.03 + 5.5 - 8) * 0.2)


def test_the_twilight_as_an_image_with_its_vignetting(tmp_path):
    path = tmp_path / "geometry.fits"
    write_product(path, field())
    across = np.arange(-46.0, 47.0)[None]
    level = 0.2 * (1.0 + 0.01 * np.arange(48) / 48.0)
    light = SliceIllumination(
        np.repeat(level[:, None], 93, axis=1), np.full((48, 93), 1e-3), across, np.arange(1, 49, dtype=np.int32), level,
        level, np.zeros(48, np.int32), META,
    )  # fmt: skip
    dark = np.zeros((288, 300), np.float32)
    dark[:, 280:] = 1.0
    mask = RawFrame("mask", "VIGNETTING_MASK", {}, {"": dark}, {})
    even, wave = np.ones((48, 17, 93)), np.arange(5000.0, 9001.0, 250.0)
    one = np.ones(17)
    colours = SliceColours(even, 1e-3 * even, across, light.aperture, light.dq, wave, one, one, META)
    made = twilight_image(
        twilights=[light], colours=[colours], geometry=read_raw(path, "GEOMETRY"), vignetting=mask, params=ImageParams()
    ).twilight_image
    known = made.flags & int(Flag.NOT_MEASURED) == 0
    assert np.abs(made.data[known] - 1.0).max() < 0.011
    assert made.data.shape[0] == 12
    shaded = made.flags & int(Flag.LOW_THROUGHPUT) > 0
    assert shaded.any()
    assert shaded[:, -5:].all()
    assert not shaded[:, :200].any()


def test_slices_placed_by_neighbours_and_by_nothing():
    table = field()
    dq = np.where(np.arange(48) == 4, int(Flag.EXTRAPOLATED), 0)
    assert _caveats(replace(table, dq=dq)) == ("slices (channel/slice) 7/5: placed by their neighbours in the stack",)
    with pytest.raises(MissingInput, match="7/5: nothing tells"):
        _caveats(replace(table, dq=np.where(dq, int(Flag.NOT_MEASURED), 0)))


def test_a_read_noise_that_light_does_not_tell_is_said():
    flux, boxes = np.linspace(200.0, 2000.0, 40), np.arange(40)
    levels = [
        LinearityLevel(
            boxes * 0 + 3, boxes, flux * t, 0.1 * np.sqrt(flux * t), flux * t - 9.0, boxes * 0 + 900, t, 58500.0 + t
        )
        for t in (0.5, 1.0, 2.0, 4.0)
    ]
    made = linearity_and_gain(levels=levels, params=TransferParams(order=1, offset=0.0))
    assert made.caveats == ("outputs 3: noise against light does not tell the read noise",)
    assert np.isnan(made.nonlinearity_gain.noise).all()
