"""A pixel table of ESO's pipeline becomes an exposure on its pixels: what is written in its layout comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.muse.small_products import LEVEL, META, RNG, SHAPE, frame, solution, traces
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.slices import SliceExposure
from tracecube.instruments.muse import instrument
from tracecube.instruments.muse.eso_layout import FORMS
from tracecube.instruments.muse.exposure_steps import PreprocessParams
from tracecube.instruments.muse.given_pixels import given_pixels
from tracecube.io.foreign import write_foreign
from tracecube.io.headers import read_header
from tracecube.io.raw import read_raw

MORE = {
    "MJD-OBS": 58500.0, "EXPTIME": 600.0, "ESO DET READ CURID": 1, "ESO DET BINX": 1, "RA": 53.0, "DEC": -27.0,
    "ESO PRO REC1 RAW1 NAME": "MUSE.2019-01-17T03:00:00.000.fits", "ESO OBS TARG NAME": "HUDF", "ESO OBS ID": 12,
}  # fmt: skip
COUNT = np.arange(48)
GEOMETRY = RawFrame("g", "GEOMETRY_TABLE", {}, {}, {"G": {
    "SubField": np.full(48, 7), "SliceCCD": COUNT + 1, "x": np.where(COUNT, -100.0, 100.0), "y": 5.0 + COUNT,
    "angle": np.zeros(48), "width": np.full(48, 75.0),
}})  # fmt: skip


@pytest.fixture
def given(tmp_path):
    """An exposure of ours as a pixel table, its path, and the exposure."""
    light = RNG.uniform(0.5, 1.5, SHAPE).astype(np.float32)
    flags = np.zeros(SHAPE, np.int32)
    flags[200, 30] = Flag.COSMIC_RAY
    two = np.zeros(2)
    exposure = SliceExposure(light, np.full(SHAPE, 0.01, np.float32), flags, np.array([1, 2]), two, two + 1, two,
                             two.astype(np.int32), META)  # fmt: skip
    form = next(one for one in FORMS if one.category == "PIXTABLE_STD")
    beside = {"traces": traces(), "wavelengths": solution(), "flat": frame(30000.0, 10.0), "geometry": GEOMETRY}
    path = tmp_path / "PIXTABLE_STD_0001-07.fits"
    write_foreign(path, form.arrange(exposure, **beside), cards=MORE)
    return read_raw(path, "ESO_PIXTABLE_STD"), path, exposure


def taken(raw: RawFrame):
    return given_pixels(
        raw=raw, traces=traces(), wavelengths=solution(), geometry=GEOMETRY, params=PreprocessParams(pieces=2)
    )


def test_light_variance_and_flags_come_back_on_the_pixels_of_slices(given):
    raw, _, exposure = given
    found = taken(raw).preprocessed
    lit = found.flags & int(Flag.NOT_ILLUMINATED) == 0
    assert 0.4 < lit.mean() < 0.6
    assert found.data[lit] == pytest.approx(exposure.data[lit], rel=1e-4)
    assert found.variance[lit] == pytest.approx(0.01, rel=1e-4)
    assert np.isinf(found.variance[~lit]).all()
    assert found.flags[200, 30] == Flag.COSMIC_RAY
    assert found.meta["SKYLIGHT"] == pytest.approx(LEVEL)
    assert found.meta["DETECTOR"] == "CHAN07"


def test_without_a_twilight_the_light_is_that_of_the_lamp(given):
    raw, _, exposure = given
    meta = {key: value for key, value in raw.meta.items() if key != "ESO DRS MUSE FLAT FLUX SKY"}
    made = taken(replace(raw, meta=meta))
    lit = made.preprocessed.flags & int(Flag.NOT_ILLUMINATED) == 0
    assert made.preprocessed.data[lit] == pytest.approx(exposure.data[lit] * LEVEL, rel=1e-4)
    assert "no twilight" in made.caveats[1]


def test_what_can_not_be_taken_is_told(given):
    raw, _, _ = given
    with pytest.raises(MissingInput, match="SLICE02 XOFFSET"):
        taken(replace(raw, meta={key: value for key, value in raw.meta.items() if "SLICE02 XOFFSET" not in key}))
    with pytest.raises(BadData, match="other channels"):
        taken(replace(raw, meta={**raw.meta, "UNITNAME": "CHAN08", "DETECTOR": "CHAN08"}))
    with pytest.raises(BadData, match="no columns"):
        taken(replace(raw, images={}))


def test_it_is_an_exposure_of_its_channel_beside_its_raw_frame(given):
    _, path, _ = given
    found = instrument.classify(path.name, {**read_header(path), "INSTRUME": "MUSE"})
    assert (found.tag, found.setup["detector"], found.object) == ("ESO_PIXTABLE_STD", "CHAN07", "HUDF")
    assert found.setup["exposure"] == "MUSE.2019-01-17T03:00:00.000_ESO"
    assert (found.setup["night"], found.setup["ra"], found.exptime) == ("2019-01-17", 53.0, 600.0)
    tags = {tag for task in instrument.workflow.tasks for tag in task.main.tags}
    assert {"ESO_PIXTABLE_OBJECT", "ESO_PIXTABLE_SKY", "ESO_PIXTABLE_STD"} <= tags
