"""Header scan: plain, compressed, gzipped, damaged."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from tracecube.core.errors import BadData, MissingInput
from tracecube.io.headers import BLOCK, bare_name, header_units, read_header

RAW_CARDS = {"OBJECT": "ZTF21abc [A]", "EXPTIME": 900.0, "ABPAIR": False, "ESO DPR CATG": "SCIENCE", "SER_NO": "0531"}


@pytest.fixture
def pixels() -> np.ndarray[Any, Any]:
    return np.arange(60 * 50, dtype=np.uint16).reshape(60, 50)


def described(hdu: Any) -> Any:
    for key, value in RAW_CARDS.items():
        hdu.header[key if " " not in key else f"HIERARCH {key}"] = value
    hdu.header["COMMENT"] = "of no interest"
    return hdu


def make(path: Path, pixels: np.ndarray[Any, Any]) -> Path:
    """Write the same observation in the manner of the file's name."""
    if path.name.endswith(".fz"):
        fits.HDUList([fits.PrimaryHDU(), described(fits.CompImageHDU(pixels))]).writeto(path)
    else:
        fits.HDUList([described(fits.PrimaryHDU(pixels))]).writeto(path)
    return path


@pytest.mark.parametrize("suffix", [".fits", ".fits.fz", ".fits.gz"])
def test_same_cards_whatever_the_compression(tmp_path: Path, pixels: np.ndarray[Any, Any], suffix: str) -> None:
    assert read_header(make(tmp_path / f"a{suffix}", pixels)) == RAW_CARDS


def test_primary_wins_over_first_image(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    primary, image, other = (
        fits.PrimaryHDU(),
        fits.ImageHDU(pixels, name="CHAN01"),
        fits.ImageHDU(pixels, name="CHAN02"),
    )
    primary.header["OBJECT"] = "one"
    image.header["OBJECT"], image.header["GAIN"] = "two", 1.5
    other.header["LATER"] = 3
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])], name="FIRST")
    table.header["TABLED"] = 1
    fits.HDUList([primary, table, image, other]).writeto(tmp_path / "a.fits")
    assert read_header(tmp_path / "a.fits") == {"OBJECT": "one", "GAIN": 1.5, "EXTENSIONS": "CHAN01 CHAN02"}


def several(path: Path, pixels: np.ndarray[Any, Any]) -> Path:
    """A file with one image a detector, of which the second was read with another gain."""
    primary = fits.PrimaryHDU()
    primary.header["OBJECT"] = "one"
    kind = fits.CompImageHDU if path.name.endswith(".fz") else fits.ImageHDU
    images = [kind(pixels, name=f"CHAN{k:02d}") for k in (1, 2, 5)]
    for image, gain in zip(images, (1.1, 1.2, 1.5), strict=True):
        image.header["HIERARCH ESO DET OUT1 GAIN"] = gain
        image.header["OBJECT"] = "other"
    fits.HDUList([primary, *images]).writeto(path)
    return path


@pytest.mark.parametrize("suffix", [".fits", ".fits.fz", ".fits.gz"])
def test_cards_of_one_image_of_several(tmp_path: Path, pixels: np.ndarray[Any, Any], suffix: str) -> None:
    path = several(tmp_path / f"a{suffix}", pixels)
    assert read_header(path)["EXTENSIONS"] == "CHAN01 CHAN02 CHAN05"
    assert read_header(path)["ESO DET OUT1 GAIN"] == 1.1
    found = read_header(path, extension="CHAN05")
    assert (found["OBJECT"], found["ESO DET OUT1 GAIN"]) == ("one", 1.5)
    assert "EXTENSIONS" not in found
    assert "EXTNAME" not in found
    with pytest.raises(BadData, match=r"no image CHAN03 .try: it has CHAN01, CHAN02, CHAN05"):
        read_header(path, extension="CHAN03")


def test_a_named_image_cut_off_in_a_gzip_file(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    path = several(tmp_path / "a.fits", pixels)
    content = path.read_bytes()
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress(content[: len(content) - 2 * BLOCK]))
    with pytest.raises(BadData, match="truncated"):
        read_header(tmp_path / "b.fits.gz")


def test_extensions_do_not_add_to_a_primary_with_data(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    image = fits.ImageHDU(pixels)
    image.header["EXTRA"] = 1
    fits.HDUList([described(fits.PrimaryHDU(pixels)), image]).writeto(tmp_path / "a.fits")
    assert "EXTRA" not in read_header(tmp_path / "a.fits")


def test_header_of_many_blocks(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU()
    for i in range(900):
        hdu.header[f"HIERARCH ESO KEY{i}"] = i
    hdu.writeto(tmp_path / "a.fits")
    assert read_header(tmp_path / "a.fits")["ESO KEY899"] == 899


def test_bytes_that_are_not_ascii_become_question_marks(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    path = make(tmp_path / "a.fits", pixels)
    path.write_bytes(path.read_bytes().replace(b"ZTF21abc", b"ZTF\xb221ac"))
    assert read_header(path)["OBJECT"] == "ZTF?21ac [A]"


@pytest.mark.parametrize("suffix", [".fits", ".fits.fz"])
def test_truncated_file_is_found_without_its_pixels(tmp_path: Path, pixels: np.ndarray[Any, Any], suffix: str) -> None:
    path = make(tmp_path / f"a{suffix}", pixels)
    last = list(header_units(path))[-1]
    need = last.data_start + last.size
    path.write_bytes(path.read_bytes()[: need - 10])
    with pytest.raises(BadData, match=rf"a{suffix}: truncated, {need - 10} bytes where its headers promise {need}"):
        read_header(path)


def test_second_extension_cut_off(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels), fits.ImageHDU(pixels)]).writeto(tmp_path / "a.fits")
    path = tmp_path / "a.fits"
    path.write_bytes(path.read_bytes()[: -2 * BLOCK])
    with pytest.raises(BadData, match="truncated"):
        read_header(path)


def test_data_without_padding_is_whole(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    path = make(tmp_path / "a.fits", pixels)
    unit = next(iter(header_units(path)))
    path.write_bytes(path.read_bytes()[: unit.data_start + unit.size])
    assert read_header(path) == RAW_CARDS


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated_gzip(tmp_path: Path, keep: float) -> None:
    noise = np.random.default_rng(1).integers(0, 60000, (300, 300)).astype(np.uint16)
    path = make(tmp_path / "a.fits.gz", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(BadData, match=r"a\.fits\.gz: truncated"):
        read_header(path)


def test_gzip_in_two_members_is_whole(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    whole = make(tmp_path / "a.fits", pixels).read_bytes()
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress(whole[:4000]) + gzip.compress(whole[4000:]))
    assert read_header(tmp_path / "b.fits.gz") == RAW_CARDS


def test_missing_end_card(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    path = make(tmp_path / "a.fits", pixels)
    header = path.read_bytes()[:BLOCK].replace(b"END     ", b"NOEND   ")
    path.write_bytes(header + b" " * BLOCK)
    with pytest.raises(BadData, match=r"a\.fits: no END card"):
        read_header(path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\0" * 6000, b"<html>not found</html>" * 400])
def test_not_a_fits_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.fits").write_bytes(content)
    with pytest.raises(BadData, match="not a FITS file"):
        read_header(tmp_path / "a.fits")
    (tmp_path / "a.fits.gz").write_bytes(content)
    with pytest.raises(BadData, match=r"not a (gzip|FITS) file"):
        read_header(tmp_path / "a.fits.gz")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"NAXIS1  =                   50", b"NAXIS1  =                  -50"),
        (b"BITPIX  =                   16", b"BITPIX  =                   AB"),
        (b"NAXIS   =                    2", b"NAXIS   =                  'x'"),
    ],
)
def test_header_that_cannot_be(tmp_path: Path, pixels: np.ndarray[Any, Any], old: bytes, new: bytes) -> None:
    path = make(tmp_path / "a.fits", pixels)
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(BadData, match="NAXIS"):
        read_header(path)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no such file"):
        read_header(tmp_path / "a.fits")
    (tmp_path / "b.fits").mkdir()
    with pytest.raises(BadData, match="cannot be read"):
        read_header(tmp_path / "b.fits")
    with pytest.raises(BadData, match="not a FITS file nor a table"):
        read_header(tmp_path / "c.dat")


def test_text_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("# a star catalogue\nfield, ra ,dec\nx,1,2\n")
    (tmp_path / "b.ecsv").write_text("# %ECSV 1.0\n# ---\n# delimiter: ','\nra,dec\n1,2\n")
    (tmp_path / "c.ecsv").write_text('# %ECSV 1.0\n# ---\nra "dec err"\n1 2\n'.replace("dec err", "dec"))
    (tmp_path / "d.csv").write_text("# nothing\n")
    assert read_header(tmp_path / "a.csv") == {"FILETYPE": "table", "COLUMNS": "field,ra,dec"}
    assert (
        read_header(tmp_path / "b.ecsv")
        == read_header(tmp_path / "c.ecsv")
        == {"FILETYPE": "table", "COLUMNS": "ra,dec"}
    )
    with pytest.raises(BadData, match="without a line of column names"):
        read_header(tmp_path / "d.csv")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b.fits.gz", "b"),
        ("b.fits", "b"),
        ("s.2018.054.fits.fz", "s.2018.054"),
        ("stars.csv", "stars"),
        ("README.md", "README.md"),
    ],
)
def test_bare_name(path: str, name: str) -> None:
    assert bare_name(path) == name
