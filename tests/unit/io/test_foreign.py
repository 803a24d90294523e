"""Files in a foreign layout: planes in order, nothing packed, the same bytes for the same content."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from tracecube.core.errors import BadData
from tracecube.core.foreign import ForeignFile, ForeignTable, Plane
from tracecube.io.foreign import write_foreign

IMAGE = np.arange(12, dtype=np.float32).reshape(3, 4)
LARGE = np.zeros((512, 513), np.int32)  # our own products pack such a plane
AXES = {"CTYPE1": "LINEAR", "CRPIX1": 2.0, "CDELT1": 0.5}
META = {"OBJECT": "star", "BUNIT": "adu", "QC RON": 3.0, "PRODTAG": "OURS", **AXES}
TABLE = ForeignTable("LENSLETS", (Plane("N", np.arange(3)), Plane("VALUE", np.array([1.0, np.nan, 3.0]), "um", "x")))
FILE = ForeignFile(
    (Plane("IMAGE", IMAGE, "um", "what it is"), Plane("BAD", LARGE, "", "1 bad"), Plane("CUBE", np.zeros((2, 3, 4)))),
    (TABLE,),
    META,
    {"ESO PRO CATG": "KIND", "OBJECT": ("other", "said again")},
)


def test_planes_come_back_in_order_the_first_in_the_primary_unit(tmp_path):
    write_foreign(tmp_path / "a.fits", FILE, cards={"ESO QC RON": (4.5, "[electron]")})
    with fits.open(tmp_path / "a.fits", checksum=True, disable_image_compression=True) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["IMAGE", "BAD", "CUBE", "LENSLETS"]
        assert [type(hdu) for hdu in hdus] == [fits.PrimaryHDU, fits.ImageHDU, fits.ImageHDU, fits.BinTableHDU]
        for hdu, plane in zip(hdus, FILE.planes, strict=False):
            assert hdu.data.dtype.newbyteorder("=") == plane.values.dtype
            assert np.array_equal(hdu.data, plane.values)
        assert np.array_equal(hdus[3].data["VALUE"], TABLE.columns[1].values, equal_nan=True)
        assert hdus[3].columns["VALUE"].unit == "um"
        head = hdus[0].header
        assert (head["BUNIT"], head.comments["BUNIT"], head["OBJECT"]) == ("um", "what it is", "other")
        assert (head["ESO PRO CATG"], head["ESO QC RON"], head.comments["ESO QC RON"]) == ("KIND", 4.5, "[electron]")
        assert not {"QC RON", "PRODTAG", "CTYPE1"} & set(head)


def test_axes_stand_in_every_plane_where_they_are_asked_for(tmp_path):
    write_foreign(tmp_path / "a.fits", ForeignFile(FILE.planes, meta=META, axes=True))
    with fits.open(tmp_path / "a.fits") as hdus:
        assert all({key: hdu.header[key] for key in AXES} == AXES for hdu in hdus)
        assert "BUNIT" not in hdus[2].header


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_foreign(tmp_path / name, FILE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_fits_can_not_hold_is_refused(tmp_path):
    with pytest.raises(BadData, match="complex"):
        write_foreign(tmp_path / "a.fits", ForeignFile((Plane("IMAGE", IMAGE * 1j),)))
