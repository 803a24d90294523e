"""Raw files that are written read back as they were."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tracecube.core.errors import BadData
from tracecube.core.frame import RawFrame
from tracecube.io.headers import read_header
from tracecube.io.raw import read_raw, read_text_table, write_raw
from tracecube.simulate.night import truth_arrays, truth_json


def test_image_is_compressed_without_loss(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 65536, (40, 60)).astype(np.uint16)
    cards = {"EXPTIME": 2250.0, "OBJECT": "STD-BD+28d4211", "ABPAIR": False, "PSCANX0": 1}
    path = write_raw(tmp_path, RawFrame("ifu20210506_00_05_12", "BIAS", cards, {"": image}, {}))
    assert path.name == "ifu20210506_00_05_12.fits.fz"
    back = read_raw(path, "BIAS")
    assert back.name == "ifu20210506_00_05_12"
    assert np.array_equal(back.data, image)
    assert {key: read_header(path)[key] for key in cards} == cards


def test_same_frame_same_bytes(tmp_path: Path) -> None:
    frame = RawFrame("a", "BIAS", {"GAIN": 1.0}, {"": np.arange(64, dtype=np.uint16).reshape(8, 8)}, {})
    one, two = (write_raw(tmp_path / name, frame).read_bytes() for name in ("x", "y"))
    assert one == two


def test_text_table(tmp_path: Path) -> None:
    table = {"field": np.array(["A", "B c"]), "source_id": np.array([1, 2]), "ra": np.array([1.5, 2.25])}
    path = write_raw(tmp_path, RawFrame("field_stars", "STAR_CATALOGUE", {}, {}, {"": table}))
    back = read_text_table(path)
    assert path.name == "field_stars.csv"
    assert all(np.array_equal(back[key], table[key]) for key in table)


def test_named_tables_in_a_subfolder(tmp_path: Path) -> None:
    table = {
        "Q": np.array([1, -2]),
        "DEAD": np.array([True, False]),
        "WCHEB": np.arange(6.0).reshape(2, 3),
        "NAME": np.array(["x", "yz"]),
    }
    path = write_raw(tmp_path, RawFrame("truth/lenslets", "TRUTH", {"LENSPIT": 0.64}, {}, {"LENSLETS": table}))
    assert path == tmp_path / "truth" / "lenslets.fits"
    with fits.open(path) as file:
        assert file["LENSLETS"].header["LENSPIT"] == 0.64
        for key, values in table.items():
            assert np.array_equal(file["LENSLETS"].data[key], values)


def test_packed_arrays_and_nested_facts_read_back_and_have_the_same_bytes_again(tmp_path: Path) -> None:
    arrays = {"x": np.arange(6.0).reshape(2, 3), "dead": np.array([True, False])}
    paths = [write_raw(tmp_path / name, truth_arrays("a", arrays)) for name in ("one", "two")]
    assert paths[0] == tmp_path / "one" / "truth" / "a.npz"
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with np.load(paths[0]) as back:
        assert {key: back[key].tolist() for key in back} == {key: value.tolist() for key, value in arrays.items()}
    facts = {"stars": [{"id": "S00", "ra": 1.25, "live": True}], "dither": [[0.0, 1.5]]}
    assert json.loads(write_raw(tmp_path, truth_json("b", facts)).read_text()) == facts


def test_a_name_that_ends_in_fits_is_not_compressed(tmp_path: Path) -> None:
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    path = write_raw(tmp_path, RawFrame("night/a.fits", "BIAS", {"GAIN": 1.0}, {"": image}, {}))
    assert path == tmp_path / "night" / "a.fits"
    with fits.open(path) as file:
        assert len(file) == 1
        assert np.array_equal(file[0].data, image)
    back = read_raw(path, "BIAS")
    assert (back.name, back.meta["GAIN"]) == ("a", 1.0)
    assert np.array_equal(back.data, image)


def test_members_are_added_to_an_archive(tmp_path: Path) -> None:
    images = {name: np.full((8, 8), value, np.uint16) for value, name in enumerate(("b", "a"))}
    for name, image in images.items():
        write_raw(tmp_path, RawFrame(f"n/x.tar::x/{name}.fits", "BIAS", {}, {"": image}, {}))
    with tarfile.open(tmp_path / "n" / "x.tar") as tar:
        assert tar.getnames() == ["x/b.fits", "x/a.fits"]
    for name, image in images.items():
        assert np.array_equal(read_raw(f"{tmp_path}/n/x.tar::x/{name}.fits", "BIAS").data, image)
    (tmp_path / "n" / "x.tar").write_bytes(b"not the end of an archive" * 100)
    with pytest.raises(BadData, match="no end of an archive"):
        write_raw(tmp_path, RawFrame("n/x.tar::x/c.fits", "BIAS", {}, {"": images["a"]}, {}))


@pytest.mark.parametrize("title", [None, "HETDEX IFU description file"])
def test_table_between_blanks(tmp_path: Path, title: str | None) -> None:
    table = {"col1": np.array(["001", "002"]), "col2": np.array([1.5, -2.25])}
    meta = {} if title is None else {"TITLE": title}
    path = write_raw(tmp_path, RawFrame("x.txt", "TABLE", meta, {}, {"": table}))
    assert read_header(path).get("TITLE") == title
    back = read_text_table(path)
    assert back["col1"].tolist() == [1, 2]
    assert back["col2"].tolist() == [1.5, -2.25]


def test_images_and_tables_that_are_not_compressed_have_their_own_cards(tmp_path: Path) -> None:
    images = {name: np.full((4, 6), i, np.uint16) for i, name in enumerate(("CHAN01", "CHAN02"), start=1)}
    headers = {"CHAN01": {"GAIN": 1.1}, "CHAN02": {"GAIN": 1.2}, "LINES": {"TUNIT1": "Angstrom"}}
    table = {"LINES": {"lambda": np.array([1.0, 2.0]), "n": np.array([1, 2])}}
    path = write_raw(tmp_path, RawFrame("a.fits", "ARC", {"EXPTIME": 3.0}, images, table, headers))
    with fits.open(path) as file:
        assert [hdu.name for hdu in file] == ["PRIMARY", "CHAN01", "CHAN02", "LINES"]
        assert file[0].header["EXPTIME"] == 3.0
        assert file["LINES"].columns["lambda"].unit == "Angstrom"
    back = read_raw(path, "ARC", extension="CHAN02")
    assert np.array_equal(back.data, images["CHAN02"])
    assert back.meta["GAIN"] == 1.2
    assert back.meta["EXPTIME"] == 3.0
