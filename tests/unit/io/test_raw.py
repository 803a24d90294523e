"""Raw files with their pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from tracecube.core.errors import BadData
from tracecube.core.frame import RawFrame
from tracecube.io.raw import read_raw, read_text_table, write_raw


@pytest.fixture
def counts() -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).integers(0, 65536, (64, 48)).astype(np.uint16)


@pytest.mark.parametrize("suffix", [".fits", ".fits.fz", ".fits.gz"])
def test_unsigned_counts_are_exact(tmp_path: Path, counts: np.ndarray[Any, Any], suffix: str) -> None:
    path = tmp_path / f"ifu1{suffix}"
    hdu = fits.CompImageHDU(counts) if suffix.endswith("fz") else fits.ImageHDU(counts)
    hdu.header["EXPTIME"] = 12.0
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    raw = read_raw(path, "DOME")
    assert (raw.name, raw.tag, raw.number("EXPTIME")) == ("ifu1", "DOME", 12.0)
    assert list(raw.images) == [""]
    assert raw.data.dtype == np.float32
    assert raw.data.dtype.isnative
    assert not raw.data.flags.writeable
    np.testing.assert_array_equal(raw.data, counts)


def test_wide_integers_are_exact_too(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.array([[2**31 - 1, 16777217]], np.int32)).writeto(tmp_path / "a.fits")
    np.testing.assert_array_equal(read_raw(tmp_path / "a.fits", "X").data, [[2**31 - 1, 16777217]])


def test_extensions_by_name_and_tables(tmp_path: Path, counts: np.ndarray[Any, Any]) -> None:
    table = fits.BinTableHDU.from_columns(
        [fits.Column("name", "4A", array=["a", "bc"]), fits.Column("flux", "D", array=[1.0, 2.0])], name="GUIDE"
    )
    images = [fits.ImageHDU(counts, name="CHAN02"), fits.ImageHDU(counts + 1, name="CHAN01")]
    fits.HDUList([fits.PrimaryHDU(), *images, table]).writeto(tmp_path / "a.fits")
    raw = read_raw(tmp_path / "a.fits", "FLAT")
    assert list(raw.images) == ["CHAN02", "CHAN01"]
    assert raw.tables["GUIDE"]["name"].tolist() == ["a", "bc"]
    np.testing.assert_array_equal(raw.tables["GUIDE"]["flux"], [1.0, 2.0])


@pytest.mark.parametrize("suffix", [".fits", ".fits.fz", ".fits.gz"])
def test_one_extension_of_several(tmp_path: Path, counts: np.ndarray[Any, Any], suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    kind = fits.CompImageHDU if suffix.endswith("fz") else fits.ImageHDU
    images = [kind(counts + np.uint16(k), name=f"CHAN{k:02d}") for k in (1, 2, 3)]
    images[1].header["HIERARCH ESO DET CHIP LIVE"] = False
    primary = fits.PrimaryHDU()
    primary.header["EXPTIME"] = 5.0
    table = fits.BinTableHDU.from_columns([fits.Column("x", "D", array=[1.0])], name="PAF")
    fits.HDUList([primary, *images, table]).writeto(path)
    raw = read_raw(path, "FLAT", extension="CHAN02")
    assert list(raw.images) == ["CHAN02"]
    assert not raw.tables
    np.testing.assert_array_equal(raw.data, counts + np.uint16(2))
    assert (raw.meta["DETECTOR"], raw.meta["EXPTIME"], raw.meta["ESO DET CHIP LIVE"]) == ("CHAN02", 5.0, False)
    with pytest.raises(BadData, match="no image CHAN07"):
        read_raw(path, "FLAT", extension="CHAN07")


def test_only_the_sum_of_the_wanted_extension_is_looked_at(tmp_path: Path, counts: np.ndarray[Any, Any]) -> None:
    path = tmp_path / "a.fits"
    images = [fits.ImageHDU(counts, name=name) for name in ("CHAN01", "CHAN02")]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path, checksum=True)
    content = bytearray(path.read_bytes())
    content[-3000] ^= 4
    path.write_bytes(content)
    np.testing.assert_array_equal(read_raw(path, "FLAT", extension="CHAN01").data, counts)
    with pytest.raises(BadData, match="do not agree with their DATASUM"):
        read_raw(path, "FLAT", extension="CHAN02")


def test_changed_bits_are_found_where_there_is_a_sum(tmp_path: Path, counts: np.ndarray[Any, Any]) -> None:
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(counts).writeto(path, checksum=True)
    content = bytearray(path.read_bytes())
    content[-3000] ^= 4
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"a\.fits: the data of extension 0 do not agree with their DATASUM"):
        read_raw(path, "BIAS")


def test_corrupt_compressed_pixels(tmp_path: Path, counts: np.ndarray[Any, Any]) -> None:
    path = tmp_path / "a.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(counts, compression_type="GZIP_1")]).writeto(path)
    content = bytearray(path.read_bytes())
    content[-4000:-2880] = bytes(1120)
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"a\.fits\.fz"):
        read_raw(path, "BIAS")


def test_corrupt_tiles_of_rice(tmp_path: Path) -> None:
    """As in raw frames of the SED Machine: the library that unpacks them has an exception of its own."""
    path = tmp_path / "a.fits.fz"
    noise = np.random.default_rng(1).integers(500, 700, (64, 512)).astype(np.uint16)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(noise, compression_type="RICE_1")]).writeto(path)
    content = bytearray(path.read_bytes())
    content[-12000:-8000] = bytes(4000)
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"a\.fits\.fz: pixels cannot be read \(.*\(try: fetch the file again"):
        read_raw(path, "SCIENCE")


def test_truncated_file(tmp_path: Path, counts: np.ndarray[Any, Any]) -> None:
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(counts).writeto(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadData, match=r"truncated, 5000 bytes where its headers promise 9024"):
        read_raw(path, "BIAS")


def test_csv_columns_keep_their_kind(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("field,source_id,ra,rmag\nSTD-HZ44,9000000000000001,159.8, 19.2\nZTF21a,2,-0.5,\n")
    table = read_raw(path, "STAR_CATALOGUE").tables[""]
    assert table["field"].tolist() == ["STD-HZ44", "ZTF21a"]
    assert table["source_id"].tolist() == [9000000000000001, 2]
    np.testing.assert_array_equal(table["ra"], [159.8, -0.5])
    np.testing.assert_array_equal(table["rmag"], [19.2, np.nan])


def test_csv_without_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("field,ra\n")
    assert {name: len(column) for name, column in read_text_table(tmp_path / "a.csv").items()} == {"field": 0, "ra": 0}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a,b\n1,2\n3\n", "row 2 has 1 cells"), (b"", "empty table"), (b"a,b\n\xff\xfe,1\n", "not a text table")],
)
def test_broken_csv(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(BadData, match=message):
        read_text_table(tmp_path / "a.csv")


def test_ecsv(tmp_path: Path) -> None:
    Table({"name": ["a", "b"], "ra": [1.5, 2.5]}).write(tmp_path / "a.ecsv", format="ascii.ecsv")
    table = read_text_table(tmp_path / "a.ecsv")
    assert table["name"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(table["ra"], [1.5, 2.5])
    (tmp_path / "b.ecsv").write_text("no such thing")
    with pytest.raises(BadData, match="not an ECSV table"):
        read_text_table(tmp_path / "b.ecsv")


def test_what_is_written_as_raw_reads_back(tmp_path: Path, counts: np.ndarray[Any, Any]) -> None:
    meta = {"OBJECT": "Calib: bias", "EXPTIME": 0.0, "ABPAIR": False}
    bias = RawFrame("ifu1", "BIAS", meta, {"": counts}, {})
    stars = RawFrame(
        "stars", "STAR_CATALOGUE", {}, {}, {"": {"name": np.array(["a", "b"]), "ra": np.array([1.5, 2.5])}}
    )
    truth = RawFrame("truth/x", "TRUTH", {}, {}, {"LENSLETS": {"q": np.array([1, 2]), "w": np.ones((2, 3))}})
    paths = [write_raw(tmp_path, frame) for frame in (bias, stars, truth)]
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["ifu1.fits.fz", "stars.csv", "truth/x.fits"]
    back = read_raw(paths[0], "BIAS")
    assert back.meta == meta
    np.testing.assert_array_equal(back.data, counts)
    assert read_raw(paths[1], "STAR_CATALOGUE").tables[""]["name"].tolist() == ["a", "b"]
    assert read_raw(paths[2], "TRUTH").tables["LENSLETS"]["w"].shape == (2, 3)
    first = paths[0].read_bytes()
    assert write_raw(tmp_path, bias).read_bytes() == first


@pytest.mark.parametrize("compressed", [True, False])
def test_one_plane_of_a_cube(tmp_path: Path, compressed: bool) -> None:
    cube = np.random.default_rng(4).integers(0, 60000, (3, 32, 24)).astype(np.uint16)
    hdu = fits.CompImageHDU(cube) if compressed else fits.ImageHDU(cube)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "a.fits")
    raw = read_raw(tmp_path / "a.fits", "OBJECT", plane=1)
    np.testing.assert_array_equal(raw.data, cube[1])
    assert raw.meta["PLANE"] == 1


def test_plane_of_a_single_image_is_the_image(tmp_path: Path, counts: np.ndarray[Any, Any]) -> None:
    fits.PrimaryHDU(counts).writeto(tmp_path / "a.fits")
    np.testing.assert_array_equal(read_raw(tmp_path / "a.fits", "OBJECT", plane=0).data, counts)


def test_plane_that_is_not_there_is_bad_data(tmp_path: Path) -> None:
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 8, 8), np.float32))]).writeto(tmp_path / "a.fits")
    with pytest.raises(BadData, match=r"a\.fits"):
        read_raw(tmp_path / "a.fits", "OBJECT", plane=2)


def test_tables_of_one_name_are_all_there_with_their_headers(tmp_path):
    units = [fits.PrimaryHDU()]
    for number in (1, 2, 3):
        column = [fits.Column("a", "D", array=np.full(2, float(number)))]
        units.append(fits.BinTableHDU.from_columns(column, fits.Header([("RA", 10.0 * number)]), name="STAR"))
    fits.HDUList(units).writeto(tmp_path / "x.fits")
    found = read_raw(tmp_path / "x.fits", "T")
    assert list(found.tables) == ["STAR", "STAR 2", "STAR 3"]
    assert found.tables["STAR 2"]["a"].tolist() == [2.0, 2.0]
    assert found.headers["STAR 3"]["RA"] == 30.0
    assert "NAXIS" not in found.headers["STAR"]


def test_an_exposure_that_was_cut_short_says_how_many_integrations_it_holds(tmp_path: Path) -> None:
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 8, 8), np.float32))]).writeto(tmp_path / "a.fits")
    with pytest.raises(BadData, match=r"no integration 2, counted from 0: the file holds 2, fewer than its header"):
        read_raw(tmp_path / "a.fits", "OBJECT", plane=2)
