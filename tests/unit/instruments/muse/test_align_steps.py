"""Alignment of exposures: the observatory's offsets, users' lists and grids, advice."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from tests.unit.recipes.align.drawn_field import DEC, RA, SIDE, exposure
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.align_steps import _advice, align_exposures
from tracecube.instruments.muse.object_light import displaced
from tracecube.instruments.muse.pointing import Pointing
from tracecube.instruments.muse.user_files import output_grid
from tracecube.io.raw import read_raw
from tracecube.recipes.align.align import AlignParams

STARS = [(180.0, 26.0, 3000.0), (60.0, 22.0, 2500.0), (250.0, 30.0, 2000.0)]
OFFSET = (2.0, -3.0)  # px, y and x


def table(tag: str, columns: dict) -> RawFrame:
    return RawFrame(tag.lower(), tag, {}, {}, {"T": {key: np.asarray(value) for key, value in columns.items()}})


def aligned(given=()):
    images = [exposure(1, STARS), exposure(2, STARS, offset=OFFSET, dither=(1.5, 2.0), flux=0.8, mjd=58500.01)]
    inputs = {"source_list": [], "offset_list": None, "output_wcs": None, "params": AlignParams(srcmin=3)}
    return align_exposures(images=images[::-1], **{**inputs, **dict(given)})


@pytest.fixture(scope="module")
def made():
    return aligned()


def test_an_offset_is_where_sources_appear_less_where_they_do_in_the_first(made):
    east, north = (value * 3600.0 for value in (made.offsets.ra[1] * np.cos(np.radians(DEC)), made.offsets.dec[1]))
    assert made.offsets.mjd[0] == 58500.0
    assert east == pytest.approx(-OFFSET[1] * SIDE, abs=0.02)  # x to the west
    assert north == pytest.approx(OFFSET[0] * SIDE, abs=0.02)
    assert 0 < made.offsets.ra_error[1] * 3600.0 < 0.02
    assert made.offsets.flux_scale[1] == pytest.approx(1 / 0.8, rel=0.03)
    assert list(made.offsets.method) == ["reference", "images"]
    assert made.offsets.meta["ESO PRO CATG"] == "OFFSET_LIST"
    assert not made.caveats


def test_exposures_that_are_not_alike_are_named():
    pairs = [(0, 1, SimpleNamespace(fit=SimpleNamespace(chi2=10.7))), (0, 2, SimpleNamespace(fit=None)),
             (1, 2, SimpleNamespace(fit=SimpleNamespace(chi2=1.2)))]  # fmt: skip
    [said] = _advice(SimpleNamespace(sources=[], pairs=pairs), AlignParams())
    assert said.startswith("exposures 1 and 2 differ by more than noise and seeing")


def test_sources_of_both_lie_together_once_corrected(made):
    listed = made.source_list
    assert (listed.matches == 1).all()
    places = np.stack([listed.ra_corrected, listed.dec_corrected], axis=1).reshape(2, 3, 2)
    assert np.abs(np.diff(places, axis=0)).max() * 3600.0 < 0.03


def test_preview_has_each_star_once_and_the_map_counts_seconds(made):
    _, x = np.unravel_index(np.nanargmax(made.preview_fov.data), made.preview_fov.data.shape)
    east = -(made.offsets.grid_x + made.offsets.grid_side * x)
    assert east == pytest.approx(-(180.0 + 1 - 155.0) * SIDE, abs=0.2)
    assert set(np.unique(made.exposure_map.data)) == {0.0, 600.0, 1200.0}
    assert made.preview_fov.data.shape == (made.offsets.grid_rows, made.offsets.grid_columns)


def test_a_list_of_the_user_overrides(made):
    given = table(
        "OFFSET_LIST",
        {"MJD_OBS": [58500.01], "RA_OFFSET": [1e-4], "DEC_OFFSET": [-2e-4], "FLUX_SCALE": [np.nan]},
    )
    found = aligned({"offset_list": given})
    assert list(found.offsets.method) == ["reference", "list"]
    assert (found.offsets.ra[1], found.offsets.dec[1]) == (1e-4, -2e-4)
    assert found.offsets.flux_scale[1] == pytest.approx(made.offsets.flux_scale[1])
    assert any("is not in offset_list" in said for said in found.caveats)
    assert any("differs from what the images say" in said for said in found.caveats)


def test_sources_of_the_user_stand_for_those_found(made):
    listed = made.source_list
    given = table("USER_SOURCES", {"EXPOSURE": listed.exposure, "RA": listed.ra, "DEC": listed.dec})
    found = aligned({"source_list": [given], "params": AlignParams(override_detection=True)})
    assert found.offsets.dec[1] == pytest.approx(made.offsets.dec[1], abs=0.01 / 3600)
    assert any("EXPOSURE numbers count in this field, and in every other" in said for said in found.caveats)
    own = {"source_list": [replace(given, meta={"MJD-OBS": 58500.01})], "params": AlignParams(override_detection=True)}
    assert not any("EXPOSURE numbers" in said for said in aligned(own).caveats)
    own["source_list"] = [replace(given, meta={"MJD-OBS": 58501.0})]  # of another field
    with pytest.raises(MissingInput, match="no SOURCE_LIST of exposure 1"):
        aligned(own)
    with pytest.raises(MissingInput, match="no SOURCE_LIST of exposure 1"):
        aligned({"params": AlignParams(override_detection=True)})


WCS = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": RA, "CRVAL2": DEC, "CRPIX1": 10.0, "CRPIX2": 20.0,
    "CD1_1": -SIDE / 3600, "CD2_2": SIDE / 3600,
}  # fmt: skip
WAVES = {"CTYPE3": "AWAV", "CUNIT3": "Angstrom", "CRVAL3": 5000.0, "CRPIX3": 1.0, "CD3_3": 2.5}


def wcs(*shape: int, **cards: object) -> RawFrame:
    meta = {key: value for key, value in {**WCS, **cards}.items() if value is not None}
    return RawFrame("wcs", "OUTPUT_WCS", meta, {"DATA": np.broadcast_to(np.float32(0), shape)}, {})


def test_the_grid_is_that_of_an_output_wcs_as_it_stands_on_disk(tmp_path):
    path = tmp_path / "wcs.fits"
    cube = fits.ImageHDU(np.zeros((5, 80, 100), np.float32), fits.Header({**WCS, **WAVES}), name="DATA")
    fits.HDUList([fits.PrimaryHDU(header=fits.Header({"INSTRUME": "MUSE"})), cube]).writeto(path)
    found = aligned({"output_wcs": read_raw(path, "OUTPUT_WCS")}).offsets
    assert (found.grid_columns, found.grid_rows, found.grid_planes) == (100, 80, 5)
    assert (found.grid_wave, found.grid_step) == (5000.0, 2.5)
    assert found.grid_x == pytest.approx(-9 * SIDE)


def test_axes_of_an_output_wcs_in_other_words():
    metres = {"CUNIT3": "m", "CRVAL3": 5e-7, "CRPIX3": 0.0, "CD3_3": None, "CDELT3": 2.5e-10}
    found = output_grid(wcs(5, 80, 100, **{**WAVES, **metres}))
    assert (found.wave0, found.step) == pytest.approx((5002.5, 2.5))
    image = output_grid(wcs(80, 100))
    assert image == (found.field, 0.0, 0.0, 0)
    delta = {"CD1_1": None, "CD2_2": None, "CDELT1": SIDE / 3600, "CDELT2": SIDE / 3600}
    assert output_grid(wcs(80, 100, **delta, PC1_1=-1.0)) == image


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        ({"CD1_2": 1e-5}, "turned"),
        ({"CD1_1": None, "CD2_2": None, "CDELT1": -5e-5, "CDELT2": 5e-5, "CROTA2": 20.0}, "turned"),
        ({"CTYPE1": "GLON-TAN"}, "CTYPE1"),
        ({"CTYPE3": "AWAV-LOG"}, "AWAV-LOG"),
        ({"CTYPE3": "WAVE"}, "WAVE"),
        ({"CUNIT3": None}, "CUNIT3"),
        ({"CRPIX3": None}, "CRPIX3"),
        ({"CD3_3": None}, "CDELT3"),
        ({"CD3_3": -1.25}, "steps of -1.25"),
        ({"CD3_1": 0.1}, "with place"),
        ({"CRVAL2": None}, "CRVAL2"),
    ],
)
def test_axes_that_are_not_understood_are_refused(cards, said):
    with pytest.raises((BadData, MissingInput), match=said):
        output_grid(wcs(5, 80, 100, **{**WAVES, **cards}))


def test_an_output_wcs_without_pixels_is_refused():
    with pytest.raises(MissingInput, match="no image"):
        output_grid(RawFrame("wcs", "OUTPUT_WCS", WCS, {}, {}))


def test_displacements_of_pairs_are_in_spaxels_of_the_images_not_of_the_grid(made):
    found = aligned({"output_wcs": wcs(80, 100, CD1_1=-2.0 * SIDE / 3600, CD2_2=2.0 * SIDE / 3600)}).offsets
    assert found.grid_side == pytest.approx(2.0 * SIDE)
    assert found.pair_x == pytest.approx(made.offsets.pair_x)
    assert found.pair_y_error == pytest.approx(made.offsets.pair_y_error)


def test_too_few_sources_are_said():
    assert any("fewer than srcmin=5" in said for said in aligned({"params": AlignParams()}).caveats)


def test_places_of_an_exposure_on_a_grid_about_another_point():
    import astropy.wcs

    pointing = Pointing(RA + 0.01, DEC + 0.005, 0.0, (1.0, 1.0), (0.0, 0.0), 743.0, 12.0, 15.0, 600.0, 58500.0)
    placed = displaced(pointing, (1e-3, -2e-3), (RA, DEC))
    west, north = placed(np.array([-30.0, 25.0]), np.array([28.0, -29.0]))

    def axes(ra, dec):
        one = astropy.wcs.WCS(naxis=2)
        one.wcs.ctype, one.wcs.crval, one.wcs.crpix = ["RA---TAN", "DEC--TAN"], [ra, dec], [1.0, 1.0]
        one.wcs.cdelt = [-1 / 3600, 1 / 3600]
        return one

    sky = axes(pointing.ra, pointing.dec).all_pix2world([-30.0, 25.0], [28.0, -29.0], 0)
    expected = axes(RA, DEC).all_world2pix(sky[0] - 1e-3, sky[1] + 2e-3, 0)
    assert np.allclose([west, north], expected, atol=1e-4)


def test_a_single_exposure_lies_where_a_list_says():
    image = exposure(1, STARS)
    listed = table(
        "OFFSET_LIST", {"MJD_OBS": [58500.0], "RA_OFFSET": [1e-4], "DEC_OFFSET": [2e-4], "FLUX_SCALE": [0.9]}
    )
    found = align_exposures(
        images=[image], source_list=[], offset_list=listed, output_wcs=None, params=AlignParams(srcmin=3)
    )
    assert (found.offsets.ra[0], found.offsets.dec[0], found.offsets.flux_scale[0]) == (1e-4, 2e-4, 0.9)
    assert list(found.offsets.method) == ["list"]
    assert not found.caveats
    assert np.isfinite(found.preview_fov.data).any()
    few = AlignParams(srcmin=3)
    plain = align_exposures(images=[image], source_list=[], offset_list=None, output_wcs=None, params=few)
    assert list(plain.offsets.method) == ["reference"]
    assert not plain.caveats
