"""Lenslets' places where no grid of pinholes tells them: by constants, and said."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.instruments.sphere_ifs.test_observing import HEADER
from tracecube.core.errors import BadData
from tracecube.core.optics import TraceSet
from tracecube.instruments.sphere_ifs.nominal_layout import SCALE_ERROR, layout_of_date, nominal_layout, said_of
from tracecube.recipes.optics.pinholes import lattice_plane


@pytest.fixture
def traces() -> TraceSet:
    q, r = (one.ravel() for one in np.meshgrid(np.arange(-20, 21), np.arange(-15, 16)))
    none = np.zeros((q.size, 2))
    return TraceSet(
        aperture=np.arange(q.size), start=np.zeros(q.size, int), q=q, r=r, dq=np.zeros(q.size, np.int32),
        centre=none, sigma=none, sample_dq=none.astype(np.int32), profile_u=np.zeros(2), profile=np.zeros(2),
    )  # fmt: skip


def test_pitch_and_anamorphism_are_those_of_the_date(traces):
    layout = nominal_layout(traces, HEADER, "f")
    plane = lattice_plane(traces.q, traces.r)
    slopes = [np.polyfit(plane[:, k], one, 1)[0] for k, one in enumerate((layout.x, layout.y))]
    assert slopes == pytest.approx([0.01292 * 1.0059, 0.01292 * 1.0011], rel=1e-6)
    assert (layout.x.mean(), layout.y.mean()) == pytest.approx((0.0, 0.0), abs=1e-12)
    assert layout.pitch == pytest.approx(0.01292 * np.sqrt(1.0059 * 1.0011))
    assert not layout.dq.any()
    assert layout.meta[SCALE_ERROR] == 0.005
    with pytest.raises(BadData, match="constants"):
        nominal_layout(traces, {**HEADER, "DATE-OBS": "2001-01-01T00:00:00"}, "f")


def test_without_a_date_there_is_none_and_it_is_said(traces):
    assert layout_of_date(traces, HEADER)[1] == ()
    undated = {key: value for key, value in HEADER.items() if key != "DATE-OBS"}
    none, [caveat] = layout_of_date(traces, undated)
    assert none is None
    assert caveat.startswith("no places of lenslets by the constants of the date: lenslets: no start of exposure")
    named, said = layout_of_date(traces, {**undated, "ARCFILE": "SPHER.2018-11-18T03:43:25.807.fits"})
    assert said == ()
    assert named is not None


def test_who_uses_it_says_so(traces):
    layout = nominal_layout(traces, HEADER, "f")
    [caveat] = said_of(layout)
    assert "a regular lattice of 12.97 mas stands in" in caveat
    assert "known to 0.5%" in caveat
    assert said_of(type(layout)(layout.aperture, layout.x, layout.y, layout.dq, layout.pitch, -90.0)) == ()
