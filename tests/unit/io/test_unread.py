"""Raw images that are read when they are asked for."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tracecube.core.errors import BadData
from tracecube.io.raw import read_raw
from tracecube.io.unread import open_raw

COUNTS = np.arange(60, dtype=np.uint16).reshape(6, 10)


@pytest.fixture(params=[".fits", ".fits.fz", ".fits.gz"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    made = tmp_path / f"night{request.param}"
    kind = fits.CompImageHDU if made.name.endswith("fz") else fits.ImageHDU
    units = [fits.PrimaryHDU()]
    for number in (1, 2):
        units.append(kind(COUNTS + np.uint16(1000 * number), name=f"CHAN{number:02d}"))
        units[-1].header["GAIN"] = 1.0 + number
    fits.HDUList(units).writeto(made)
    return made


def test_it_is_what_is_read_at_once(path):
    opened, read = open_raw(path, "BIAS", extension="CHAN02"), read_raw(path, "BIAS", extension="CHAN02")
    assert (opened.name, opened.tag, dict(opened.meta)) == (read.name, read.tag, dict(read.meta))
    assert list(opened.images) == list(read.images) == ["CHAN02"]
    assert opened.data.dtype == read.data.dtype
    np.testing.assert_array_equal(opened.data, COUNTS + 2000)


def test_pixels_are_not_kept(path):
    opened = open_raw(path, "BIAS", extension="CHAN01")
    held = opened.data
    assert opened.data is held
    alive = weakref.ref(held)
    del held
    gc.collect()
    assert alive() is None
    np.testing.assert_array_equal(opened.data, COUNTS + 1000)


def test_another_name_is_absent(path):
    with pytest.raises(KeyError):
        open_raw(path, "BIAS", extension="CHAN01").images["CHAN02"]


def test_an_extension_of_several_images_is_read_at_once(tmp_path):
    units = [fits.PrimaryHDU(), *(fits.ImageHDU(COUNTS, name=f"CHAN01.{part}") for part in ("DATA", "STAT"))]
    fits.HDUList(units).writeto(tmp_path / "a.fits")
    opened = open_raw(tmp_path / "a.fits", "BIAS", extension="CHAN01")
    assert set(opened.images) == {"DATA", "STAT"}
    assert isinstance(opened.images, dict)


def test_damaged_pixels_are_told_when_they_are_asked_for(tmp_path):
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(COUNTS, name="CHAN01")]).writeto(path, checksum=True)
    whole = path.read_bytes()
    path.write_bytes(whole[:-2880] + bytes(120) + whole[-2760:])
    opened = open_raw(path, "BIAS", extension="CHAN01")
    with pytest.raises(BadData, match="DATASUM"):
        _ = opened.data
