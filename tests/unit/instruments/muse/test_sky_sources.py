"""Where the sky of an exposure comes from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.slices.sky_pieces import CARDS, Sky
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.sky_sources import chosen_method, mask_image, masked_pieces, pointing_with
from tracecube.recipes.slices.sky_pieces import gather


@pytest.fixture(scope="module")
def segments():
    made = Sky(slices=8, pieces=4).segments()
    x, y = np.meshgrid([-5.6, -1.9, 1.9, 5.6], 0.2 * np.arange(8))
    for one in made:
        one.x[:], one.y[:] = x.ravel(), y.ravel()
    return made


@pytest.mark.parametrize(
    ("wanted", "spread", "there", "expected"),
    [
        ("auto", 0.001, True, "own"),
        ("auto", 0.1, True, "model"),
        ("auto", 0.1, False, "own"),
        ("model", 0.001, False, "own"),
        ("subtract-model", 0.001, True, "subtract-model"),
        ("none", 0.001, False, "none"),
    ],
)
def test_auto_takes_the_sky_exposure_where_objects_fill_the_field(segments, wanted, spread, there, expected):
    slices = gather(segments)
    slices.white[:] = 1.0 + spread * np.linspace(0.0, 2.0, slices.white.size)
    method, said = chosen_method(wanted, slices, "a sky" if there else None)
    assert method == expected
    assert bool(said) == (expected != wanted if wanted != "auto" else spread > 0.05) or wanted == "none"


def mask(time: float, image: np.ndarray, turn: float = 0.0) -> RawFrame:
    scale, angle = 0.2 / 3600, np.radians(turn)
    axes = {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": CARDS["RA"],
        "CRVAL2": CARDS["DEC"],
        "CRPIX1": 41.0,
        "CRPIX2": 11.0,
        "CD1_1": -scale * np.cos(angle),
        "CD1_2": scale * np.sin(angle),
        "CD2_1": scale * np.sin(angle),
        "CD2_2": scale * np.cos(angle),
    }
    return RawFrame("mask", "USER_SKY_MASK", {**axes, "MJD-OBS": time}, {"DATA": image}, {})


def turned(segments, **cards: object):
    """The same exposure with the field turned."""
    return [replace(one, meta={**one.meta, **cards}) for one in segments]


def test_a_mask_of_the_same_time_tells_where_the_sky_is(segments):
    west = np.zeros((30, 80))
    west[:, 41:] = 1.0
    pointing = pointing_with(segments, None)
    given = [mask(58400.0, 1.0 - west), mask(CARDS["MJD-OBS"], west)]
    found, said = masked_pieces(given, segments, pointing)
    assert np.array_equal(found, segments[0].x > 0)
    assert not said
    assert masked_pieces([], segments, pointing) == (None, ())
    none, [said] = masked_pieces([mask(58400.0, west)], segments, pointing)
    assert none is None
    assert "mask (58400.0)" in said


@pytest.mark.parametrize(("how", "sign"), [("SKY", 1.0), ("STAT", -1.0)])
def test_places_in_a_mask_are_those_of_the_cube_with_a_derotator_at_rest_too(segments, how, sign):
    """Of a field turned by 40 degrees, a mask that is turned as much has the field's own axes."""
    own = turned(segments, **{"ESO INS DROT POSANG": 40.0, "ESO INS DROT MODE": how})
    image = np.zeros((30, 80))
    image[12:, 41:] = 1.0  # towards the west, and north of 0.3 arcsec
    found, _ = masked_pieces([mask(CARDS["MJD-OBS"], image, sign * 40.0)], own, pointing_with(own, None))
    assert np.array_equal(found, (segments[0].x > 0) & (segments[0].y > 0.3))


def test_a_mask_without_scale_is_refused(segments):
    given = mask(CARDS["MJD-OBS"], np.ones((30, 80)))
    pointing = pointing_with(segments, None)
    without = replace(given, meta={key: value for key, value in given.meta.items() if not key.startswith("CD")})
    with pytest.raises(MissingInput, match="no CDELT1"):
        masked_pieces([without], segments, pointing)
    flat = replace(given, meta={**given.meta, "CD1_1": 0.0, "CD1_2": 0.0})
    with pytest.raises(BadData, match="no scale"):
        masked_pieces([flat], segments, pointing)
    galactic = replace(given, meta={**given.meta, "CTYPE1": "GLON-TAN"})
    with pytest.raises(BadData, match="CTYPE1 is 'GLON-TAN'"):
        masked_pieces([galactic], segments, pointing)
    with pytest.raises(MissingInput, match="mask: no image"):
        masked_pieces([replace(given, images={})], segments, pointing)


def test_places_follow_the_astrometry(segments):
    scale = 0.2 / 3600
    cards = {"CD1_1": -scale, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": scale, "CRPIX1": 11.0, "CRPIX2": 0.0}
    pointing = pointing_with(segments, RawFrame("wcs", "ASTROMETRY_WCS", cards, {}, {}))
    west = np.zeros((30, 80))
    west[:, 41:] = 1.0
    found, _ = masked_pieces([mask(CARDS["MJD-OBS"], west)], segments, pointing)
    assert np.array_equal(found, segments[0].x > 2.2)


@pytest.mark.parametrize("how", ["SKY", "STAT"])
def test_the_mask_that_is_made_says_the_same_when_given_back(segments, how):
    own = turned(segments, **{"ESO INS DROT POSANG": 30.0, "ESO INS DROT MODE": how})
    blank, pointing = segments[0].x > 0, pointing_with(own, None)
    made = mask_image(own, blank, pointing)
    given = RawFrame("m", "USER_SKY_MASK", made.meta, {"DATA": made.data}, {})
    assert np.array_equal(masked_pieces([given], own, pointing)[0], blank)
    assert made.meta["ESO PRO CATG"] == "SKY_MASK"


def test_a_mask_along_the_axes_of_the_field_has_spaxels_for_coordinates(segments):
    """As the observatory's recipe writes it, whichever way the field is turned."""
    own = turned(segments, **{"ESO INS DROT POSANG": 40.0, "ESO INS DROT MODE": "SKY"})
    image = np.zeros((12, 80))
    image[4:, 41:] = 1.0  # from spaxel 41 - 40 to the west, and 4 - 2 to the north
    cards = {"CTYPE1": "PIXEL", "CTYPE2": "PIXEL", "CRPIX1": 1.0, "CRPIX2": 1.0, "CRVAL1": -40.0, "CRVAL2": -2.0,
             "CD1_1": 1.0, "CD2_2": 1.0, "MJD-OBS": CARDS["MJD-OBS"]}  # fmt: skip
    given = RawFrame("mask", "USER_SKY_MASK", cards, {"": image}, {})
    found, said = masked_pieces([given], own, pointing_with(own, None))
    assert np.array_equal(found, (segments[0].x > 0.1) & (segments[0].y > 0.3))
    assert said == ()
