"""A PIXTABLE_REDUCED among the raw files: the samples of a cube are those that it was written from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.muse.test_eso_reduced import SHAPE, given
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.foreign import JobForm
from tracecube.instruments.muse.classify import classify
from tracecube.instruments.muse.eso_layout import FORMS
from tracecube.instruments.muse.eso_reduced import native_places
from tracecube.instruments.muse.given_reduced import given_reduced
from tracecube.instruments.muse.object_light import ObjectInputs
from tracecube.instruments.muse.object_steps import ObjectParams, exposure_light
from tracecube.instruments.muse.reduced_light import ReducedLight, places_of
from tracecube.instruments.muse.same_exposure import each_once
from tracecube.io.foreign import write_foreign
from tracecube.io.headers import read_header
from tracecube.io.raw import read_raw
from tracecube.recipes.slices.cube import Grid

PARAMS = ObjectParams(lowest=6800.0, highest=7200.0)
GRID = Grid(6800.0, 1.25, -2.4, 0.0, 0.0252, (321, 12, 190))
MORE = {"ESO DET READ CURID": 1, "ESO DET BINX": 1}


@pytest.fixture
def path(tmp_path):
    form = next(one for one in FORMS if (one.category, one.tag) == ("PIXTABLE_REDUCED", "CUBE"))
    assert isinstance(form, JobForm)
    write_foreign(tmp_path / "table.fits", form.arrange(ObjectParams(), **given()), cards=MORE)
    return tmp_path / "table.fits"


@pytest.fixture
def table(path):
    return read_raw(path, "ESO_PIXTABLE_REDUCED")


def changed(table, meta=None, **columns: np.ndarray):
    return replace(table, meta={**table.meta, **(meta or {})}, images={**table.images, **columns})


def test_places_come_back() -> None:
    rng = np.random.default_rng(1)
    west, north = rng.uniform(-40.0, 40.0, (2, 50))
    assert places_of(*native_places(west, north)) == pytest.approx(np.array([west, north]), abs=1e-6)


def test_samples_are_those_of_the_exposure_itself(table) -> None:
    inputs = ObjectInputs(**given())
    [ours] = exposure_light(inputs, PARAMS).source(GRID, lambda x, y: (x, y))(40.0, 200.0)
    light = ReducedLight(table, limit=6.0, theirs=False)
    [back] = light.source(GRID, lambda x, y: (x, y))(40.0, 200.0)
    assert (light.channels, light.hits, light.wrong) == (1, 0, 1.0)
    assert back.value.size == ours.value.size
    orders = [np.lexsort((np.rint(one.place[:, 2] * 10), np.rint(one.place[:, 1]), one.value)) for one in (ours, back)]
    a, b = (replace(one, **{name: getattr(one, name)[order] for name in vars(one)})
            for one, order in zip((ours, back), orders, strict=True))  # fmt: skip
    assert b.value == pytest.approx(a.value, rel=1e-6)
    assert b.place == pytest.approx(a.place, abs=2e-3)
    assert b.weight == pytest.approx(a.weight, rel=2e-3)
    assert b.excess / b.weight == pytest.approx(a.excess / a.weight, rel=1e-4)


def test_it_becomes_a_cube_and_an_image(path, table) -> None:
    head = {**read_header(path), "INSTRUME": "MUSE"}
    found = classify(path.name, head)
    assert (found.tag, found.setup["night"]) == ("ESO_PIXTABLE_REDUCED", "2019-01-17")
    assert "detector" not in found.setup
    made = given_reduced(raw=table, params=PARAMS)
    assert made.cube.data.shape[0] == 321
    assert made.cube.meta["CRVAL1"] == pytest.approx(53.0)
    numbers = {one.name: one.value for one in made.quality}
    assert numbers["NUM CHANNELS"] == 1.0
    assert "sky, flux and refraction are as it has them" in made.caveats[0]
    assert each_once([made.image_fov, made.image_fov])[0] == [0]
    plain = replace(made.image_fov, meta={key: one for key, one in made.image_fov.meta.items() if key != "RESAMPLE"})
    kept, said = each_once([plain, made.image_fov])
    assert kept == [1]  # of a cube of theirs and of its pixels these count
    assert "twice" in said[0]


def test_hits_bad_pixels_and_errors_of_theirs(table) -> None:
    data, dq = table.images["data"].copy(), table.images["dq"].copy()
    at = data.size // 3
    data[at] *= 30.0
    dq[:50] = 1 << 5
    light = ReducedLight(changed(table, data=data, dq=dq), limit=6.0, theirs=True)
    assert light.wrong == pytest.approx(0.1 / np.sqrt(12.0) / 0.1, rel=0.2)  # noise even from 0 to 0.1, of an error 0.1
    assert light.hits >= 1
    assert light.pixels <= data.size - 51
    assert light.pixels > 0.98 * data.size
    assert light.pixels < 2 * SHAPE[0] * SHAPE[1]


@pytest.mark.parametrize(
    ("card", "value", "error", "words"),
    [
        ("ESO DRS MUSE PIXTABLE WCS", "positioned (final)", BadData, "its places are positioned"),
        ("ESO DRS MUSE PIXTABLE FLUXCAL", False, BadData, "not in flux"),
        ("ESO DRS MUSE PIXTABLE EXP0 IFU07 SLICE02 XOFFSET", None, MissingInput, "SLICE02 XOFFSET"),
    ],
)
def test_what_can_not_be_taken_is_said(table, card, value, error, words) -> None:
    with pytest.raises(error, match=words):
        given_reduced(raw=changed(table, {card: value}), params=PARAMS)


def test_a_table_without_its_columns_is_told(table) -> None:
    with pytest.raises(BadData, match="no images xpos"):
        given_reduced(raw=replace(table, images={}), params=PARAMS)


def test_another_frame_than_that_of_the_table_is_said(table) -> None:
    made = given_reduced(raw=table, params=PARAMS.model_copy(update={"frame": "none"}))
    assert "rvcorr=bary" in made.caveats[1]
