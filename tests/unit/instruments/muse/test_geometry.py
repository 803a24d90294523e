"""Where slices lie in the field, from the observatory's table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.geometry import channel_of, geometry_of, spaxel

WIDE, NARROW = {"ESO INS MODE": "WFM-NOAO-N"}, {"ESO INS MODE": "NFM-AO-N"}


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    field, ccd = (one.ravel() for one in np.meshgrid(np.arange(1, 25), np.arange(1, 49), indexing="ij"))
    order = rng.permutation(field.size)
    columns = {
        "SubField": field[order], "SliceCCD": ccd[order], "SliceSky": ccd[order], "x": (10.0 * field + ccd)[order],
        "y": (100.0 * field - ccd)[order], "angle": (0.01 * ccd)[order], "width": np.full(field.size, 76.0),
    }  # fmt: skip
    return RawFrame("geo", "GEOMETRY_TABLE", {}, {}, {"": columns})


def test_slices_of_a_channel_in_order_and_arcsec(table):
    made = geometry_of(table, 7, WIDE)
    ccd = np.arange(1, 49)
    assert np.array_equal(made.aperture, ccd)
    assert np.allclose(made.x, 0.2 * (70.0 + ccd))
    assert np.allclose(made.y, 0.2 * (700.0 - ccd))
    assert np.allclose(made.angle, 0.01 * ccd)
    assert np.allclose(made.width, 15.2)
    assert not made.dq.any()


def test_the_narrow_field_has_spaxels_of_its_own(table):
    made = geometry_of(table, 7, NARROW)
    assert np.allclose(made.x[0], 71.0 * 0.02519)
    assert np.allclose(made.y[0], 699.0 * 0.02542)
    assert spaxel(WIDE) == (0.2, 0.2)
    with pytest.raises(BadData, match="neither WFM nor NFM"):
        spaxel({})


def test_tables_that_will_not_do(table):
    columns = table.tables[""]
    with pytest.raises(BadData, match="no table with columns SubField"):
        geometry_of(replace(table, tables={"": {"x": columns["x"]}}), 7, WIDE)
    few = {name: value[columns["SliceCCD"] != 5] for name, value in columns.items()}
    with pytest.raises(BadData, match="47 slices of channel 7"):
        geometry_of(replace(table, tables={"": few}), 7, WIDE)


def test_the_channel_is_that_of_the_detector():
    assert channel_of({"DETECTOR": "CHAN07"}, "a") == 7
    for meta in ({}, {"DETECTOR": "EEV"}, {"DETECTOR": "CHANXX"}):
        with pytest.raises(MissingInput, match="a: its channel"):
            channel_of(meta, "a")
