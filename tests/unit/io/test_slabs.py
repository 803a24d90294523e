"""Cubes that are read a slab at a time, exposures some rows at a time."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.slices import SliceExposure
from tracecube.core.spectra import Cube, Image
from tracecube.io.products import write_product
from tracecube.io.slabs import open_cube, open_exposure


def test_planes_are_those_that_were_written(tmp_path):
    rng = np.random.default_rng(1)
    shape = (20, 150, 160)  # flags of this size are packed
    data, variance = (rng.normal(5, 1, shape).astype(np.float32) for _ in range(2))
    flags = rng.integers(0, 3, shape).astype(np.int32)
    meta = {"CRVAL3": 4750.0, "CD3_3": 1.25, "EXPTIME": 600.0}
    write_product(tmp_path / "c.fits", Cube(data, variance, flags, np.zeros((0, 3), np.int32), np.zeros(0), meta))
    found = open_cube(tmp_path / "c.fits")
    assert found.shape == shape
    assert found.meta["EXPTIME"] == 600.0
    assert found.meta["CRVAL3"] == 4750.0
    for one, other in zip(found.planes(5, 9), (data, variance, flags), strict=True):
        assert np.array_equal(one, other[5:9])


def test_what_is_no_cube_is_refused(tmp_path):
    write_product(tmp_path / "i.fits", Image(np.zeros((4, 4)), np.ones((4, 4)), np.zeros((4, 4), np.int32)))
    with pytest.raises(BadData, match="not a cube"):
        open_cube(tmp_path / "i.fits")


def test_rows_of_an_exposure_are_those_that_were_written(tmp_path):
    rng = np.random.default_rng(2)
    shape = (900, 400)  # flags of this size are packed
    data, variance = (rng.normal(5, 1, shape).astype(np.float32) for _ in range(2))
    flags = rng.integers(0, 3, shape).astype(np.int32)
    two = np.array([0.5, -0.25])
    dq = np.zeros(2, np.int32)
    exposure = SliceExposure(data, variance, flags, np.array([3, 7]), two, two, two, dq, {"DETECTOR": "CHAN02"})
    write_product(tmp_path / "e.fits", exposure)
    found = open_exposure(tmp_path / "e.fits")
    assert found.shape == shape
    assert found.meta["DETECTOR"] == "CHAN02"
    assert found.aperture.tolist() == [3, 7]
    assert found.shift.tolist() == two.tolist()
    for one, other in zip(found.rows(100, 733), (data, variance, flags), strict=True):
        assert np.array_equal(one, other[100:733])
        assert one.dtype.isnative


def test_what_is_no_exposure_of_slices_is_refused(tmp_path):
    write_product(tmp_path / "i.fits", Image(np.zeros((4, 4)), np.ones((4, 4)), np.zeros((4, 4), np.int32)))
    with pytest.raises(BadData, match="not an exposure of slices"):
        open_exposure(tmp_path / "i.fits")


def test_the_correlation_of_voxels_is_read_with_the_cube(tmp_path):
    offset, value = np.array([[0, 0, 1], [1, -1, 0]], np.int32), np.array([0.2, -0.05])
    one = np.ones((3, 4, 5), np.float32)
    write_product(tmp_path / "c.fits", Cube(one, one, np.zeros(one.shape, np.int32), offset, value, {"EXPTIME": 1.0}))
    found = open_cube(tmp_path / "c.fits")
    assert found.covariance_offset.tolist() == offset.tolist()
    assert found.covariance_value == pytest.approx(value)
