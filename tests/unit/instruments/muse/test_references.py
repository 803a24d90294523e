"""Standard stars by place and name; extinction of the site where no table tells it."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.references import (
    extinction_curve,
    extinction_notes,
    filter_curve,
    standard_star,
    telluric_bands,
)
from tracecube.io.raw import read_raw
from tracecube.recipes.slices.response import TELLURIC

WAVE = np.arange(4500.0, 9500.0, 500.0)


@pytest.fixture
def table(tmp_path):
    """A STD_FLUX_TABLE with one extension a star; two of them share a name, as extensions may."""

    def call(*stars: tuple[str, str, float | None, float | None]) -> RawFrame:
        units = [fits.PrimaryHDU()]
        for number, (extension, name, ra, dec) in enumerate(stars, start=1):
            cards = [("OBJECT", name)] if name else []
            cards += [("RA", ra), ("DEC", dec)] if ra is not None else []
            columns = [fits.Column("lambda", "D", array=WAVE), fits.Column("flux", "D", array=WAVE * number)]
            units.append(fits.BinTableHDU.from_columns(columns, fits.Header(cards), name=extension))
        fits.HDUList(units).writeto(tmp_path / "std.fits", overwrite=True)
        return read_raw(tmp_path / "std.fits", "STD_FLUX_TABLE")

    return call


FOUR = [("STAR", "EG 274", 230.0, -39.0), ("STAR", "GD 71", 88.115, 15.887), ("", "LTT 3218", 130.0, -32.9)]


def test_of_several_stars_the_one_in_the_field_is_taken(table):
    for number, (_, name, ra, dec) in enumerate(FOUR, start=1):
        found = standard_star(table(*FOUR), ra + 0.003, dec - 0.005, ["anything"])
        assert found.name == name
        assert np.array_equal(found.flux, WAVE * number)
        assert found.caveats == ()


def test_a_star_whose_place_is_off_is_found_by_its_name_and_that_is_said(table):
    found = standard_star(table(*FOUR), 88.2, 15.9, ["", "STD-GD71"])
    assert found.name == "GD 71"
    assert "by its name" in found.caveats[0]
    assert "arcsec" in found.caveats[0]


def test_no_star_near_and_none_of_the_name_is_an_error_that_tells_the_nearest(table):
    with pytest.raises(MissingInput, match=r"nearest of 3 is LTT 3218, \d+ arcsec off"):
        standard_star(table(*FOUR), 130.5, -32.9, ["HD 1"])


def test_the_only_star_of_a_table_without_places_is_taken(table):
    assert standard_star(table(("A", "", None, None)), 10.0, 20.0, []).name == "A"


def test_it_is_said_where_that_star_is_not_called_like_the_target(table):
    one = table(("A", "GD 153", None, None))
    assert standard_star(one, 10.0, 20.0, ["GD-153"]).caveats == ()
    (said,) = standard_star(one, 10.0, 20.0, ["GD 50", "STD"]).caveats
    assert "std is taken at its word" in said
    assert "GD 153, has no place, and is not called GD 50 or STD" in said


def test_several_without_places_go_by_name(table):
    two = table(("A", "Feige 110", None, None), ("B", "GD 153", None, None))
    assert standard_star(two, 10.0, 20.0, ["GD153"]).name == "GD 153"
    with pytest.raises(MissingInput):
        standard_star(two, 10.0, 20.0, ["GD 50"])


def test_distances_are_right_across_zero_hours(table):
    near = table(("A", "one", 359.999, -30.0), ("B", "two", 180.0, 30.0))
    found = standard_star(near, 0.001, -30.0, [])
    assert found.name == "one"
    assert found.distance(0.001, -30.0) == pytest.approx(0.002 * 3600.0 * np.cos(np.radians(30.0)), rel=1e-4)


def test_without_a_table_calspec_is_there():
    found = standard_star(None, 349.993, -5.166, ["Feige 110"])
    assert found.name == "FEIGE110"
    assert "CALSPEC" in found.caveats[0]
    # 11.83 mag (V): 3.63e-9 erg/s/cm2/Angstrom at magnitude 0, Bessell et al. 1998
    assert np.interp(5500.0, found.wave, found.flux) == pytest.approx(3.63e-9 * 10 ** (-0.4 * 11.83), rel=0.05)


def test_a_table_of_something_else_is_refused():
    with pytest.raises(BadData, match="lambda"):
        standard_star(RawFrame("x", "T", {}, {}, {"A": {"flux": WAVE}}), 0.0, 0.0, [])
    with pytest.raises(BadData, match="extinction"):
        extinction_curve(RawFrame("x", "T", {}, {}, {"A": {"flux": WAVE}}))


def test_extinction_of_the_site():
    wave, value = extinction_curve(None)
    assert np.all(np.diff(wave) > 0)
    assert np.interp(5500.0, wave, value) == pytest.approx(0.12, abs=0.02)  # the paper's table, V
    assert "Paranal" in extinction_notes(None)[0]
    own = RawFrame("x", "T", {}, {}, {"A": {"lambda": WAVE, "extinction": WAVE * 0.0}})
    assert np.array_equal(extinction_curve(own)[1], WAVE * 0.0)
    assert extinction_notes(own) == ()


def test_filters_are_found_by_name_however_it_is_written():
    table = RawFrame("filters", "FILTER_LIST", {}, {}, {"JOHNSON_V": {"lambda": WAVE, "throughput": WAVE * 2.0}})
    for name in ("Johnson_V", "JOHNSON_V"):
        assert np.array_equal(filter_curve(table, name)[1], WAVE * 2.0)
    for name in ("Johnson_B", ""):
        with pytest.raises(MissingInput, match=r"filters has no filter .*it has JOHNSON_V"):
            filter_curve(table, name)


def test_bands_of_the_observatorys_table_count_beside_the_projects():
    def listed(low, high):
        columns = {"lmin": np.array(low), "lmax": np.array(high)}
        return RawFrame("regions", "TELLURIC_REGIONS", {}, {}, {"T": columns})

    assert telluric_bands(None) == TELLURIC
    assert telluric_bands(listed([5700.0], [5760.0])) == (*TELLURIC, (5700.0, 5760.0))
    with pytest.raises(BadData, match="ends before it begins"):
        telluric_bands(listed([5700.0], [5600.0]))
