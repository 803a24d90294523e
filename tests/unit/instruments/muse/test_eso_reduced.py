"""What a cube is made of, in ESO's layout: pixels in flux on the sky, its sky, factors of its slices."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from tests.unit.instruments.muse.small_products import META, RNG, SHAPE, solution, traces
from tracecube.core.foreign import JobForm
from tracecube.core.frame import RawFrame
from tracecube.core.slice_flux import SliceResponse
from tracecube.core.slice_light import SliceSky
from tracecube.core.slices import SliceExposureOnDisk
from tracecube.instruments.muse.autocal_steps import user_factors
from tracecube.instruments.muse.classify import classify
from tracecube.instruments.muse.eso_layout import FORMS
from tracecube.instruments.muse.eso_reduced import native_places
from tracecube.instruments.muse.object_steps import ObjectParams
from tracecube.io.foreign import write_foreign
from tracecube.io.headers import read_header
from tracecube.io.raw import read_raw
from tracecube.recipes.slices.cube import Grid

POINTING = {
    "RA": 53.0, "DEC": -27.0, "ESO INS DROT POSANG": 0.0, "ESO INS DROT MODE": "SKY", "EXPTIME": 100.0,
    "ESO TEL AIRM START": 1.0, "ESO TEL AIRM END": 1.0, "ESO TEL PARANG START": 0.0, "ESO TEL PARANG END": 0.0,
    "ESO INS MODE": "NFM-AO-N",  # whose optics take refraction off
}  # fmt: skip
HEAD = {**META, **POINTING}
GAIN, SHIFT, RATIO = np.array([0.9, 1.1]), 0.3, 2e17
LIGHT = (1.0 + 0.1 * RNG.random(SHAPE)).astype(np.float32)


def sky() -> SliceSky:
    two, whole = np.zeros(2), np.array([1, 2], np.int32)
    return SliceSky(np.zeros(6000), np.array(["CHAN07"] * 2), whole, GAIN, two + 0.01, two + SHIFT, two, two,
                    np.zeros((2, 2)), np.zeros((2, 2)), two, two.astype(np.int32), *[np.zeros(0)] * 3,
                    0.0, 0.0, 1.0, 4600.0, 1.0, HEAD)  # fmt: skip


def given() -> dict[str, object]:
    """Inputs of the cube of an exposure of two slices, one 100 spaxels west of the other, seen without a sky."""
    variance, flags = np.full(SHAPE, 0.01, np.float32), np.zeros(SHAPE, np.int32)
    two = np.array([1, 2])
    exposure = SliceExposureOnDisk(SHAPE, lambda a, b: (LIGHT[a:b], variance[a:b], flags[a:b]), two, two * 0.0, HEAD)
    count = np.arange(48)
    table = {"SubField": np.full(48, 7), "SliceCCD": count + 1, "x": np.where(count, -50.0, 50.0), "y": 5.0 + count,
             "angle": np.zeros(48), "width": np.full(48, 75.0)}  # fmt: skip
    wave = np.linspace(4700.0, 9400.0, 50)
    response = SliceResponse(wave, wave * 0.0 + 25.0, wave * 0.0, wave * 0.0 + RATIO, *[wave] * 3,
                             np.ones(50, np.int32), 0.8, HEAD)  # fmt: skip
    extinction = {"EXTINCTION": {"lambda": np.array([4000.0, 10000.0]), "extinction": np.zeros(2)}}
    return {
        "exposures": [exposure], "sky": sky(), "traces": [traces()], "wavelengths": [solution()],
        "geometry": RawFrame("g", "GEOMETRY_TABLE", {}, {}, {"G": table}), "response": response, "telluric": None,
        "extinct_table": RawFrame("e", "EXTINCT_TABLE", {}, {}, extinction), "factors": None, "user_factors": None,
        "astrometry": None, "raman": None,
    }  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """A file as astropy reads it."""

    def call(category: str):
        form = next(one for one in FORMS if (one.category, one.tag) == (category, "CUBE"))
        assert isinstance(form, JobForm)
        write_foreign(tmp_path / "x.fits", form.arrange(ObjectParams(), **given()))
        with fits.open(tmp_path / "x.fits") as hdus:
            found = [hdu.copy() for hdu in hdus]
        assert found[0].header["ESO PRO CATG"] == category
        return found

    return call


def test_places_are_those_of_a_gnomonic_projection():
    west, north = np.array([10.0, -20.0, 0.0, 5.0]), np.array([4.0, 7.0, -30.0, -6.0])
    longitude, latitude = native_places(west, north)
    wcs = WCS(header=dict(Grid(0.0, 1.0, 0.0, 0.0, 1.0, (1, 9, 9)).cards(53.0, -27.0), NAXIS=3)).celestial
    found = wcs.wcs.p2s(np.stack([west, north], axis=1) + wcs.wcs.crpix, 1)
    turn = np.degrees(longitude) - found["phi"]
    assert np.mod(turn + 180.0, 360.0) - 180.0 == pytest.approx(0.0, abs=1e-9)
    assert np.degrees(latitude) + 90.0 == pytest.approx(found["theta"], abs=1e-12)


def test_pixels_are_in_flux_where_they_lie_on_the_detector_and_on_the_sky(written):
    hdus = written("PIXTABLE_REDUCED")
    assert [hdu.header["EXTNAME"] for hdu in hdus[1:]] == ["xpos", "ypos", "lambda", "data", "dq", "stat", "origin"]
    head = hdus[0].header
    assert "DETECTOR" not in head
    x, y, wave, data, dq, stat, origin = (hdu.data[:, 0].astype(np.float64) for hdu in hdus[1:])
    origin = origin.astype(np.int64)
    number, row = origin & 63, (origin >> 11 & 8191) - 1
    first = {k: head[f"ESO DRS MUSE PIXTABLE EXP0 IFU07 SLICE{k:02d} XOFFSET"] for k in (1, 2)}
    column = (origin >> 24 & 127) + np.vectorize(first.get)(number) - 1
    assert set((origin >> 6 & 31).tolist()) == {7}
    assert data.size > 0.9 * 2 * 30 * SHAPE[0]  # all of both slices but their dim edges
    worth = 1e20 / (100.0 * RATIO) / GAIN[number - 1]
    assert data == pytest.approx(LIGHT[row, column] * worth, rel=1e-5)
    assert stat == pytest.approx(0.01 * worth**2, rel=1e-4)
    assert not dq.any()
    where, ours = traces(), solution()
    across = column - where.centre[number - 1, row]
    moving = 1.0 + head["ESO DRS MUSE PIXTABLE RVCORR"] / 299792.458
    expected = [ours.wave(k - 1, j, a) + SHIFT for k, j, a in zip(number, row, across, strict=True)]
    assert wave == pytest.approx(np.array(expected) * moving, abs=2e-3)
    east, north = -np.tan(y) * np.sin(x), np.tan(y) * np.cos(x)  # cot(theta) = -tan(theta - pi/2)
    west = (np.where(number == 1, 50.0, -50.0) - across / 30.25 * 75.0) * 0.02519
    assert -east * 206264.806 == pytest.approx(west, abs=1e-3)
    assert north * 206264.806 == pytest.approx((4.0 + number) * 0.02542, abs=1e-3)


def test_factors_have_a_row_for_every_slice_and_range_in_the_order_of_the_recipe(written, tmp_path):
    hdus = written("AUTOCAL_FACTORS")
    rows, head = hdus[1].data, hdus[0].header
    assert len(rows) == 24 * 48 * 20
    at = 24 * 48 * 2 + 48 * (7 - 1)  # range 3, channel 7, slice 1
    assert (rows["ifu"][at], rows["sli"][at], rows["quad"][at]) == (7, 1, 3)
    assert rows["corr"][at : at + 2] == pytest.approx(1.0 / GAIN)
    assert np.count_nonzero(rows["corr"] != 1.0) == 2 * 20
    assert (head["ESO DRS MUSE LAMBDA2 MIN"], head["ESO DRS MUSE LAMBDA2 MAX"]) == (5000.0, 5265.0)
    path = tmp_path / "x.fits"
    assert classify("x.fits", read_header(path)).tag == "AUTOCAL_FACTORS"
    back = user_factors(read_raw(path, "AUTOCAL_FACTORS"))
    assert back.at(7, 2, np.array([6000.0])) == pytest.approx(1.0 / GAIN[1])


def test_the_sky_is_in_flux_as_observed(written):
    rows = written("SKY_SPECTRUM")[1].data
    assert rows.names == ["lambda", "data", "stat", "dq"]
    assert rows["data"] == pytest.approx(0.0)
    assert np.isnan(rows["stat"]).all()
    hdus = written("SKY_CONTINUUM")
    assert hdus[1].header["EXTNAME"] == "CONTINUUM"
    assert hdus[1].columns.names == ["lambda", "flux"]
