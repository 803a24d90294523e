"""Every noun to its file and back."""

from __future__ import annotations

import hashlib
import importlib
import math
import pkgutil
import warnings
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tracecube.core
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, card, column, image, places
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.core.spectra import Cube, Response
from tracecube.core.target import Target
from tracecube.io import read_cards, read_product, verify_product, write_product
from tracecube.io.headers import header_units

MODULES = [importlib.import_module(f"tracecube.core.{m.name}") for m in pkgutil.iter_modules(tracecube.core.__path__)]
NOUNS = sorted(
    {c for m in MODULES for c in vars(m).values() if isinstance(c, type) and is_dataclass(c) and places(c)},
    key=lambda noun: noun.__name__,
)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=90).map(str.rstrip)
SCALARS = {str: TEXT, int: st.integers(-(2**40), 2**40), float: st.floats(allow_infinity=False), bool: st.booleans()}
META = st.dictionaries(
    st.sampled_from(["OBJECT", "EXPTIME", "ESO DPR CATG", "HG_LAMP", "SER_NO"]),
    st.one_of(TEXT, st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()),
)


def values_of(hint: Any, name: str, shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Arrays of the declared type: floats of both widths with NaN, integers, strings."""
    if name == "star":
        return arrays("U12", shape, elements=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12))
    if hint == FloatArray:
        wide = arrays(np.float64, shape, elements=st.floats(width=64, allow_infinity=False))
        return st.one_of(wide, arrays(np.float32, shape, elements=st.floats(width=32, allow_infinity=False)))
    return arrays(np.int32, shape, elements=st.integers(-(2**31), 2**31 - 1))


@st.composite
def nouns(draw: st.DrawFn, noun: type) -> Any:
    """Any noun with any content, empty tables and images among them."""
    hints, declared, made = get_type_hints(noun), places(noun), {}
    rows = {p.hdu: draw(st.integers(0, 5)) for p in declared.values() if p.kind != "card"}
    wide, along = draw(st.lists(st.integers(1, 4), min_size=1, max_size=2)), draw(st.integers(1, 6))
    for name, place in declared.items():
        if place.kind == "card":
            kinds = [SCALARS[kind] for kind in get_args(hints[name]) or [hints[name]] if kind is not type(None)]
            optional = type(None) in get_args(hints[name])
            made[name] = draw(
                st.one_of(st.none(), kinds[0].filter(lambda v: not (isinstance(v, float) and math.isnan(v))))
                if optional
                else kinds[0]
            )
            continue
        shape: tuple[int, ...] = (rows[place.hdu],)
        if place.kind == "image":
            shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
        elif place.kind == "samples":
            shape = (rows[declared["aperture"].hdu], along)
        elif name not in {"aperture", "start", "star"} and draw(st.booleans()):
            shape = (*shape, *wide)
        made[name] = draw(values_of(hints[name], name, shape))
    if any(p.kind == "samples" for p in declared.values()):
        number = len(made["aperture"])
        made["aperture"] = np.array(draw(st.permutations(range(number))), np.int32)
        made["start"] = np.array(draw(st.lists(st.integers(-50, 3000), min_size=number, max_size=number)), np.int32)
        made = with_gaps(made, [name for name, p in declared.items() if p.kind == "samples"])
    return noun(**made, meta=draw(META))


def with_gaps(made: dict[str, Any], ragged: list[str]) -> dict[str, Any]:
    """Leave nothing where the first ragged array has no sample."""
    gap = np.isnan(made[ragged[0]])
    return made | {
        k: np.where(gap, np.nan if made[k].dtype.kind == "f" else 0, made[k]).astype(made[k].dtype) for k in ragged
    }


def assert_same(one: Any, two: Any) -> None:
    for item in fields(one):
        a, b = getattr(one, item.name), getattr(two, item.name)
        if isinstance(a, np.ndarray):
            assert a.shape == b.shape, item.name
            assert a.dtype.kind == b.dtype.kind, item.name
            assert a.dtype == b.dtype or a.dtype.kind == "U", item.name
            np.testing.assert_array_equal(a, b, err_msg=item.name)
        elif isinstance(a, float) and math.isnan(a):
            assert isinstance(b, float), item.name
            assert math.isnan(b), item.name
        elif item.name != "meta":
            assert a == b, item.name
            assert type(a) is type(b), item.name


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_round_trip(tmp_path: Path, noun: type, data: st.DataObject) -> None:
    one, path = data.draw(nouns(noun)), tmp_path / "product.fits"
    sha = write_product(path, one, cards={"PRODTAG": "X", "QC TRACE RMS": (0.1, "[pix]")})
    two = read_product(path, noun)
    assert_same(one, two)
    own = {p.name for p in places(noun).values()}
    assert two.meta == {**one.meta, "PRODTAG": "X", "QC TRACE RMS": 0.1, "PRODSHA": sha} | {
        key: value for key, value in two.meta.items() if key in own
    }
    assert verify_product(path) == sha
    for array in (getattr(two, f.name) for f in fields(two)):
        if isinstance(array, np.ndarray):
            assert array.dtype.isnative
            assert array.flags.c_contiguous
            assert not array.flags.writeable


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_plain_astropy_finds_a_sound_file(tmp_path: Path, noun: type, data: st.DataObject) -> None:
    path = tmp_path / "product.fits"
    write_product(path, data.draw(nouns(noun)), cards={"QC READ NOISE": (4.1, "[electron] of the night")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True, memmap=False) as hdus:
            hdus.verify("exception")
            assert [hdu.name for hdu in hdus[1:]] == list(dict.fromkeys(p.hdu for p in places(noun).values() if p.hdu))
            assert hdus[0].header["QC READ NOISE"] == 4.1
            assert hdus[0].header.comments["QC READ NOISE"] == "[electron] of the night"


def frame(shape: tuple[int, int] = (600, 500), **meta: Any) -> Frame:
    random = np.random.default_rng(5)
    flags = np.where(random.random(shape) < 1e-3, 8, 0).astype(np.int64)
    return Frame(random.normal(size=shape).astype(np.float32), np.ones(shape, np.float32), flags, meta)


def test_the_same_noun_gives_the_same_bytes(tmp_path: Path) -> None:
    shas = {write_product(tmp_path / f"{i}.fits", frame(OBJECT="a"), cards={"PRODTAG": "B"}) for i in range(2)}
    assert len(shas) == 1
    assert (tmp_path / "0.fits").read_bytes() == (tmp_path / "1.fits").read_bytes()


def test_prodsha_is_the_sha256_of_the_data_units(tmp_path: Path) -> None:
    sha = write_product(tmp_path / "a.fits", frame())
    content, digest = (tmp_path / "a.fits").read_bytes(), hashlib.sha256()
    for unit in header_units(tmp_path / "a.fits"):
        digest.update(content[unit.data_start : unit.stop])
    assert sha == digest.hexdigest() == fits.getheader(tmp_path / "a.fits")["PRODSHA"]


def test_meta_does_not_change_the_content_hash_but_own_cards_do(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    assert write_product(path, frame(OBJECT="a")) == write_product(path, frame(OBJECT="b"))
    targets = [Target("a", code, "x", 0.0, 0.0, 1.0, 1.0, "auto") for code in (0, 5)]
    assert len({write_product(path, target) for target in targets}) == 2


def test_flags_are_packed_and_open_by_name(tmp_path: Path) -> None:
    one = frame()
    write_product(tmp_path / "a.fits", one)
    with fits.open(tmp_path / "a.fits") as hdus:
        assert isinstance(hdus["DQ"], fits.CompImageHDU)
        assert hdus["DQ"].data.dtype == np.int32
        np.testing.assert_array_equal(hdus["DQ"].data, one.flags)
    assert read_product(tmp_path / "a.fits", Frame).flags.dtype == np.int32


@dataclass(frozen=True)
class Sketch:
    """A noun of every kind of place, one of them optional."""

    flux: FloatArray = image("FLUX", unit="electron")
    wave: FloatArray = column("TABLE", "WAVE", unit="Angstrom", text="vacuum")
    other: FloatArray = column("TABLE", "OTHER")
    fit: FloatArray | None = image("FIT", default=None)
    pitch: float = card("PITCH", unit="arcsec", text="between neighbours", default=0.5)


def test_precision_units_and_comments(tmp_path: Path) -> None:
    write_product(tmp_path / "a.fits", Sketch(np.ones((2, 3), np.float32), np.ones(4), np.ones(4, np.float32)))
    with fits.open(tmp_path / "a.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "FLUX", "TABLE"]
        assert hdus["FLUX"].header["BUNIT"] == "electron"
        assert hdus["TABLE"].columns["WAVE"].format == "D"
        assert hdus["TABLE"].columns["WAVE"].unit == "Angstrom"
        assert hdus["TABLE"].header.comments["TTYPE1"] == "vacuum"
        assert hdus[0].header.comments["PITCH"] == "[arcsec] between neighbours"
    assert read_product(tmp_path / "a.fits", Sketch).fit is None


def test_axes_of_a_cube_stand_with_its_images(tmp_path: Path) -> None:
    meta = {"CTYPE1": "RA---TAN", "CRVAL1": 211.0, "CTYPE3": "WAVE", "CD3_3": 25.6, "BUNIT": "electron", "OBJECT": "x"}
    box = np.zeros((2, 3, 4), np.float32)
    one = Cube(box, box, box.astype(np.int32), np.zeros((1, 3), np.int32), np.ones(1), meta)
    write_product(tmp_path / "a.fits", one)
    header = fits.getheader(tmp_path / "a.fits", "DATA")
    assert {key: header[key] for key in meta if key != "OBJECT"} == {k: v for k, v in meta.items() if k != "OBJECT"}
    assert fits.getval(tmp_path / "a.fits", "BUNIT", "STAT") == "(electron)**2"
    assert "CTYPE1" not in fits.getheader(tmp_path / "a.fits")
    back = dict(read_product(tmp_path / "a.fits", Cube).meta)
    assert back.pop("PRODSHA")
    assert back == meta


def test_bookkeeping_is_not_inherited(tmp_path: Path) -> None:
    write_product(
        tmp_path / "a.fits", frame(OBJECT="x"), cards={"RECIPE": "bias", "RAW1": "a", "CAL2TAG": "B", "QC GAIN": 2.0}
    )
    child = frame()
    write_product(
        tmp_path / "b.fits",
        Frame(child.data, child.variance, child.flags, read_product(tmp_path / "a.fits", Frame).meta),
    )
    assert set(read_cards(tmp_path / "b.fits")) == {"OBJECT", "PRODSHA"}


def test_trace_samples_are_a_long_table(tmp_path: Path) -> None:
    centre = np.array([[1.0, np.nan, 3.0], [np.nan, 5.0, 6.0]])
    index = np.arange(2, dtype=np.int32)
    one = TraceSet(
        index + 7, index * 100, index, index, index, centre, centre, np.zeros((2, 3), np.int32), np.ones(1), np.ones(1)
    )
    write_product(tmp_path / "a.fits", one)
    table = fits.getdata(tmp_path / "a.fits", "TRACE_SAMPLES")
    assert table["aperture"].tolist() == [7, 7, 8, 8]
    assert table["pixel"].tolist() == [0, 2, 101, 102]
    assert table["centre"].tolist() == [1.0, 3.0, 5.0, 6.0]


def test_an_aperture_twice_is_refused(tmp_path: Path) -> None:
    index, grid = np.zeros(2, np.int32), np.ones((2, 3))
    with pytest.raises(BadData, match="stands twice"):
        write_product(tmp_path / "a.fits", TraceSet(index, index, index, index, index, grid, grid, grid, index, index))


def test_columns_of_different_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"TABLE: columns of different length .*'OTHER': 3"):
        write_product(tmp_path / "a.fits", Sketch(np.ones(1), np.ones(2), np.ones(3)))


@pytest.mark.parametrize("kind", [np.complex128, np.float16])
def test_types_without_a_place_in_fits_are_refused(tmp_path: Path, kind: type) -> None:
    plane = np.ones((2, 2), kind)
    with pytest.raises(BadData, match="which FITS does not have"):
        write_product(tmp_path / "a.fits", Frame(plane, plane, plane))


def test_text_of_tables_is_plain_ascii(tmp_path: Path) -> None:
    for names in (np.array(["é"]), np.array([["a", "b"]])):
        with pytest.raises(BadData, match=r"TABLE\.OTHER"):
            write_product(tmp_path / "a.fits", Sketch(np.ones(1), np.ones(1), names))


def test_another_noun_is_refused(tmp_path: Path) -> None:
    write_product(tmp_path / "a.fits", frame((4, 4)))
    with pytest.raises(BadData, match=r"a\.fits: not a whole Response"):
        read_product(tmp_path / "a.fits", Response)


def test_missing_product(tmp_path: Path) -> None:
    for read in (verify_product, lambda path: read_product(path, Frame)):
        with pytest.raises(MissingInput, match="no such product"):
            read(tmp_path / "a.fits")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(tmp_path: Path, place: float, bit: int) -> None:
    write_product(tmp_path / "a.fits", frame((20, 20), OBJECT="x"))
    content = bytearray((tmp_path / "a.fits").read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    (tmp_path / "a.fits").write_bytes(content)
    with pytest.raises(BadData):
        verify_product(tmp_path / "a.fits")


@pytest.mark.parametrize("cut", [1, 2880, 5000])
def test_a_shortened_product_is_noticed(tmp_path: Path, cut: int) -> None:
    write_product(tmp_path / "a.fits", frame((60, 60)))
    (tmp_path / "a.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:-cut])
    with pytest.raises(BadData):
        verify_product(tmp_path / "a.fits")
