"""Sources, previews and masks in ESO's layout, and that they are taken when they are given back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from tests.unit.instruments.muse.small_products import META, RNG
from tracecube.core.alignment import Offsets, SourceList
from tracecube.core.errors import MissingInput
from tracecube.core.flags import Flag
from tracecube.core.foreign import Form, GatheredForm
from tracecube.core.slices import SliceExposure
from tracecube.core.spectra import Image
from tracecube.instruments.muse import instrument
from tracecube.instruments.muse.classify import classify
from tracecube.instruments.muse.eso_layout import FORMS
from tracecube.instruments.muse.sky_axes import SkyAxes
from tracecube.instruments.muse.user_files import listed_sources
from tracecube.io.foreign import write_foreign
from tracecube.io.headers import read_header
from tracecube.io.raw import read_raw
from tracecube.recipes.align.white import white
from tracecube.recipes.slices.cube import Grid, flat_cards

GRID = Grid(0.0, 1.0, -2.0, -1.0, 0.2, (1, 6, 7))
DATES = ("2019-01-17T00:00:00", "2019-01-17T00:14:24")


def form_of(category: str):
    return next(one for one in FORMS if one.category == category)


def picture(data: np.ndarray, flags: np.ndarray, unit: str = "s") -> Image:
    meta = flat_cards({**META, **GRID.cards(53.0, -27.0), "BUNIT": unit})
    return Image(data.astype(np.float32), np.zeros(data.shape, np.float32), flags, meta)


@pytest.mark.parametrize("category", ["PREVIEW_FOV", "EXPOSURE_MAP"])
def test_maps_have_values_and_axes_alone(tmp_path, category):
    data, flags = RNG.uniform(1.0, 2.0, (6, 7)), np.zeros((6, 7), np.int32)
    flags[0, 0] = Flag.NOT_MEASURED
    write_foreign(tmp_path / "x.fits", form_of(category).arrange(picture(data, flags)))
    with fits.open(tmp_path / "x.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "DATA"]
        assert hdus[0].header["ESO PRO CATG"] == category
        found, head = hdus[1].data, hdus[1].header
        assert np.isnan(found[0, 0])
        assert found[1:] == pytest.approx(data[1:], rel=1e-6)
        assert (head["BUNIT"], head["CTYPE1"], head["CRVAL2"]) == ("s", "RA---TAN", -27.0)
        assert "ERRDATA" not in head


def test_a_sky_mask_can_be_given_back(tmp_path):
    data, flags = RNG.integers(0, 2, (6, 7)), np.zeros((6, 7), np.int32)
    flags[2] = Flag.NOT_MEASURED
    product = picture(data, flags, "")
    path = tmp_path / "x.fits"
    write_foreign(path, form_of("SKY_MASK").arrange(product))
    with fits.open(path) as hdus:
        assert len(hdus) == 1
        assert hdus[0].data.dtype == np.uint8
    assert classify(path.name, read_header(path)).tag == "USER_SKY_MASK"
    axes = SkyAxes.of(read_raw(path, "USER_SKY_MASK"), 2)
    assert np.array_equal(axes.image, data * (flags == 0))
    assert (axes.ra, axes.dec, axes.matrix[1, 1] * 3600.0) == pytest.approx((53.0, -27.0, 0.2))


def offsets() -> Offsets:
    two, none = np.array([58500.0, 58500.01]), np.zeros(0)
    whole, zero = none.astype(np.int32), np.zeros(2, np.int32)
    return Offsets(
        np.array(DATES), two, np.array([0.0, 1e-4]), np.array([0.0, -2e-4]), np.array([1.0, 0.9]), *[two] * 5, zero,
        np.array(["reference", "images"]), zero, np.array(["a", "b"]), whole, whole, *[none] * 7, whole,
        53.0, -27.0, 0.0, 0.0, 0.2, 5, 6, 0.0, 0.0, 0, META,
    )  # fmt: skip


def sources() -> SourceList:
    five, number = np.arange(5.0), np.array([1, 2, 3, 1, 2], np.int32)
    ra, dec = 53.0 + 1e-4 * five, -27.0 - 1e-4 * five
    exposure = np.array([1, 1, 1, 2, 2], np.int32)
    return SourceList(exposure, number, *[five] * 8, ra, dec, ra, dec, number, META)


def test_each_exposure_has_a_list_of_its_own_that_can_be_given_back(tmp_path):
    form = form_of("SOURCE_LIST")
    assert isinstance(form, GatheredForm)
    made = list(form.arranged({"night": "n"}, {"lists": [sources()], "offsets": [offsets()]}))
    assert len({form.name(key) for key, _ in made}) == 2
    frames = []
    for key, file in made:
        path = tmp_path / form.name(key)
        write_foreign(path, file)
        assert classify(path.name, read_header(path)).tag == "USER_SOURCES"
        frames.append(read_raw(path, "USER_SOURCES"))
    with fits.open(path) as hdus:
        names = ["Id", "X", "Y", "Flux", "Sharpness", "Roundness", "RA", "DEC", "RA_CORR", "DEC_CORR"]
        assert hdus[1].columns.names == names
        assert hdus[0].header["DATE-OBS"] == DATES[1]
    seen = white(picture(RNG.normal(size=(6, 7)), np.zeros((6, 7), np.int32)))
    found, said = listed_sources(frames, [{"MJD-OBS": 58500.0}, {"MJD-OBS": 58500.01}], [seen, seen])
    assert [len(one) for one in found] == [3, 2]
    assert found[0][1, 0] - found[0][0, 0] == pytest.approx(-0.36 / 0.2, rel=1e-3)  # 1e-4 degree to the south
    assert said == []


def test_of_an_exposure_without_sources_there_is_no_list():
    form, found = form_of("SOURCE_LIST"), sources()
    alone = replace(found, exposure=np.full(5, 2, np.int32))
    [(key, file)] = form.arranged({"night": "n"}, {"lists": [alone], "offsets": [offsets()]})
    assert key["exposure"] == DATES[1]
    assert len(file.tables[0].columns[0].values) == 5


def test_sources_of_a_field_that_is_not_aligned_are_not_written():
    form = form_of("SOURCE_LIST")
    with pytest.raises(MissingInput, match="no OFFSETS"):
        list(form.arranged({"night": "n"}, {"lists": [sources()], "offsets": []}))


def test_pixels_of_every_kind_of_sky_exposure_are_written():
    tables = [one for one in FORMS if isinstance(one, Form) and one.noun is SliceExposure]
    tags = {one.tag: set(one.beside) for one in tables}
    kinds = ("OBJECT", "SKY", "STD", "ASTROMETRY")
    assert set(tags) == {f"CALIBRATED_{kind}" for kind in kinds}
    made = {tag for task in instrument.workflow.tasks for tag in task.output_tags().values()}
    assert set(tags) <= made
    for tag, beside in tags.items():  # of short exposures of stars no sky is fitted
        assert ("sky" in beside) == (tag.replace("CALIBRATED", "SKY") in made)
