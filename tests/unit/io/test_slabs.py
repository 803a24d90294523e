"""Cubes that are read a slab at a time."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.spectra import Cube, Image
from tracecube.io.products import write_product
from tracecube.io.slabs import open_cube


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
