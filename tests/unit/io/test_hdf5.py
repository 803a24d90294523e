"""Nouns and tables in HDF5."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fibres import FibreSpectra
from tracecube.core.foreign import ForeignTable, Plane
from tracecube.io.hdf5 import Hdf5Writer, groups_of, read_group, read_table


def spectra(n: int = 3, m: int = 5) -> FibreSpectra:
    rng = np.random.default_rng(1)
    images = [rng.normal(size=(n, m)).astype(np.float32) for _ in range(5)]
    return FibreSpectra(
        images[0], images[1], rng.integers(0, 9, (n, m)).astype(np.int32), images[2].astype(np.float64), images[3], images[4],
        np.array(["053_320_020", "053_320", "é"]), np.full(n, 53), np.full(n, "LL"), np.arange(n), np.ones(n, int),
        np.arange(n) * 2.54, np.zeros(n), 267.123456789012 + np.arange(n) / 3600.0, np.zeros(n), np.ones(n),
        np.zeros(n, np.int32), meta={"BUNIT": "electron", "EXPTIME": 360.0, "GUIDER": None, "OBJECT": ""},
    )  # fmt: skip


def rows(start: int, count: int) -> ForeignTable:
    index = np.arange(start, start + count)
    return ForeignTable("Fibers", (Plane("ra", index * np.pi, "deg"), Plane("spectrum", np.ones((count, 4), np.float32)),
                                   Plane("amp", np.full(count, "LL"))))  # fmt: skip


def test_a_noun_comes_back_as_it_was(tmp_path: Path) -> None:
    given = spectra()
    with Hdf5Writer(tmp_path / "a.h5") as out:
        out.add("spectra/053/exp01", given)
        out.add("spectra/053/exp02", given)
    assert groups_of(tmp_path / "a.h5") == ("spectra/053/exp01", "spectra/053/exp02")
    found = read_group(tmp_path / "a.h5", "spectra/053/exp02", FibreSpectra)
    for one in fields(given):
        if one.name not in {"meta", "sky", "chi2", "box"}:
            assert np.array_equal(getattr(found, one.name), getattr(given, one.name)), one.name
    assert found.sky is None
    assert found.ra.dtype == np.float64
    assert dict(found.meta) == dict(given.meta)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        with Hdf5Writer(tmp_path / name, {"DATE": "2019-02-04"}) as out:
            out.add("one", spectra())
            out.append(rows(0, 3))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_tables_grow_and_say_how_long_they_are(tmp_path: Path) -> None:
    with Hdf5Writer(tmp_path / "a.h5") as out:
        out.append(rows(0, 3))
        out.append(rows(3, 4))
    table = read_table(tmp_path / "a.h5", "Fibers")
    assert np.array_equal(table["ra"], np.arange(7) * np.pi)
    assert table["spectrum"].shape == (7, 4)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["Fibers"].attrs["NROWS"] == 7
        assert file["Fibers"].attrs["FIELD_1_NAME"] == b"spectrum"


def test_what_does_not_fit_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    uneven = ForeignTable("Info", (Plane("a", np.zeros(2)), Plane("b", np.zeros(3))))
    with pytest.raises(BadData, match="differ in length"), Hdf5Writer(tmp_path / "a.h5") as out:
        out.append(uneven)
    other = ForeignTable("Fibers", (Plane("ra", np.zeros(2, np.float32)),))
    with pytest.raises(BadData, match="differ in columns"), Hdf5Writer(tmp_path / "a.h5") as out:
        out.append(rows(0, 1))
        out.append(other)
    with pytest.raises(BadData, match="two groups"), Hdf5Writer(tmp_path / "a.h5") as out:
        out.add("one", spectra())
        out.add("one", spectra())
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with Hdf5Writer(tmp_path / "a.h5") as out:
        out.add("one", spectra())
    with pytest.raises(MissingInput, match="no group two"):
        read_group(tmp_path / "a.h5", "two", FibreSpectra)
    with pytest.raises(MissingInput, match="no table Cals"):
        read_table(tmp_path / "a.h5", "Cals")
    (tmp_path / "b.h5").write_bytes(b"nothing")
    with pytest.raises(BadData, match="b.h5"):
        read_group(tmp_path / "b.h5", "one", FibreSpectra)
