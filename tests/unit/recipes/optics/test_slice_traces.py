"""Slices in a flat: edges and middles with their errors; what spoils a slice spoils no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import binary_closing

from tests.unit.recipes.slice_detector import SliceDetector, expose
from tracecube.core.errors import NoConvergence
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.recipes.optics.slice_traces import TraceParams, trace_slices

FIELD = SliceDetector(count=4)
LAMP = 8000.0 * (1.0 + 0.6 * FIELD.u)[:, None]
MASKS = Path(__file__).parents[5] / "shared" / "real" / "muse" / "PAE_July2013.fits.gz"


def traced(frame, count=FIELD.count):
    return trace_slices(frame, count=count, params=TraceParams())


@pytest.fixture(scope="module")
def found():
    return [traced(expose(LAMP * FIELD.light(), np.random.default_rng(seed))) for seed in range(10)]


def test_centres_have_pulls_of_one(found):
    at = np.linspace(100, FIELD.rows - 100, 6).astype(int)
    pulls = np.array([((one.traces.centre - FIELD.traces.centre) / one.traces.error)[:, at] for one in found])
    assert 0.85 < pulls.std() < 1.15
    assert abs(pulls.mean()) < 0.35  # of some 120 independent numbers


def test_edges_and_blur_are_found(found):
    for name in ("left", "right"):
        off = np.array([getattr(one.traces, name) - getattr(FIELD.traces, name) for one in found])
        assert off.std() < 0.005
        assert abs(off.mean()) < 0.001
    assert np.allclose([one.traces.edge for one in found], 0.8, atol=0.03)
    assert not any(one.caveats for one in found)


def test_the_number_of_slices_must_be_right():
    with pytest.raises(NoConvergence, match="4 slices of 62 to 92 px are found, there are 48"):
        traced(expose(LAMP * FIELD.light(), np.random.default_rng(1)), count=48)


def test_dead_columns_and_a_faint_slice_do_no_harm():
    level = np.array([1.0, 1.0, 0.3, 1.0])
    frame = expose(LAMP * FIELD.light(level=level), np.random.default_rng(2))
    dead = [70, 71, 72, 190]
    frame.data[:, dead] = 0.0  # not flagged
    frame.flags[:, 310] = int(Flag.BAD_PIXEL)
    frame.data[:, 310] = 6e4
    one = traced(frame)
    assert not one.traces.dq.any()
    assert np.abs(one.traces.centre - FIELD.traces.centre).max() < 0.02


def test_where_a_filter_leaves_no_light_the_trace_is_said_to_be_extrapolated():
    rows = np.arange(FIELD.rows)[:, None]
    one = traced(expose(LAMP * FIELD.light() * (rows > 400), np.random.default_rng(4)))
    beyond = one.traces.sample_dq & int(Flag.EXTRAPOLATED) != 0
    assert beyond[:, :330].all()
    assert not beyond[:, 480:].any()
    assert np.abs(one.traces.centre - FIELD.traces.centre)[~beyond].max() < 0.02


def test_a_slice_that_is_dark_on_most_of_the_chip_is_flagged_alone():
    dark = FIELD.light(level=np.array([1.0, 1.0, 0.0, 1.0]))
    rows = np.arange(FIELD.rows)[:, None]
    clean = LAMP * np.where((rows > 1600) & (rows < 2500), FIELD.light(), dark)
    one = traced(expose(clean, np.random.default_rng(3)))
    assert one.traces.dq.astype(bool).tolist() == [False, False, True, False]
    assert one.caveats[0].startswith("slice 3: traced in ")
    kept = one.traces.dq == 0
    assert np.abs(one.traces.centre - FIELD.traces.centre)[kept].max() < 0.02


def masks(channels):
    """Where slices are lit on the trimmed chips of channels (y, x), every sixteenth row; prescan and overscan cut."""
    rows = np.r_[32:2088, 2152:4208][::16]
    columns = np.r_[32:2080, 2144:4192]
    with fits.open(MASKS, lazy_load_hdus=True) as file:
        for number in channels:
            yield number, file[f"CHAN{number:02d}"].data[rows][:, columns] > 0


def borders_of(row):
    """Borders of the runs of a row of a mask (n, 2), px; holes of a pixel or two are bad columns."""
    closed = binary_closing(np.pad(row, 4), np.ones(4, bool))[4:-4]
    return np.flatnonzero(np.diff(np.concatenate([[0], closed, [0]]).astype(int))).reshape(-1, 2) - 0.5


@pytest.mark.skipif(not MASKS.is_file(), reason="no real slice masks beside the checkout")
@pytest.mark.parametrize(
    "channels", [range(1, 4), pytest.param(range(1, 25), marks=pytest.mark.night)], ids=["three", "all"]
)
def test_48_slices_are_traced_where_the_masks_of_real_detectors_have_them(channels):
    for number, lit in masks(channels):
        rng = np.random.default_rng(number)
        data = np.where(lit, 1e4, 0.0).astype(np.float32) + rng.normal(0, 30, lit.shape).astype(np.float32)
        frame = Frame(data, np.full(lit.shape, 900, np.float32), np.zeros(lit.shape, np.int32), {})
        one = trace_slices(frame, count=48, params=TraceParams(rows=8))
        assert not one.traces.dq.any()
        assert not one.caveats
        known = [(y, borders) for y in range(0, len(lit), 8) if len(borders := borders_of(lit[y])) == 48]
        assert len(known) > 15
        off = np.array([np.stack([one.traces.left[:, y], one.traces.right[:, y]], axis=1) - at for y, at in known])
        assert np.std(off) < 0.5  # a mask has whole pixels
        assert np.abs(off).max() < 2.0
