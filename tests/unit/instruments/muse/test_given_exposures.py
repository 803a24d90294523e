"""Exposures, cubes and images of ESO's pipeline become ours."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.instruments.muse.small_products import LEVEL, META, RNG, SHAPE, frame, solution, traces
from tests.unit.instruments.muse.test_eso_fields import form_of, offsets
from tests.unit.instruments.muse.test_eso_reduced import LIGHT
from tests.unit.instruments.muse.test_eso_reduced import given as small_inputs
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.core.foreign import Form
from tracecube.core.frame import RawFrame
from tracecube.core.slices import SliceExposure
from tracecube.core.spectra import Cube, Image
from tracecube.instruments.muse import given_steps, instrument
from tracecube.instruments.muse.autocal_steps import user_factors
from tracecube.instruments.muse.classify import classify
from tracecube.instruments.muse.eso_layout import FORMS
from tracecube.instruments.muse.given_fields import given_cube, given_cube_aligned, given_image
from tracecube.instruments.muse.given_pixels import GivenPixelParams, given_pixels, scatter_over_error
from tracecube.instruments.muse.given_steps import GivenParams, given_response, given_telluric
from tracecube.instruments.muse.object_light import ObjectInputs, own_grid
from tracecube.instruments.muse.object_steps import AlignedParams, ObjectParams, _notes, exposure_light
from tracecube.instruments.muse.same_exposure import ESTIMATED, MAKER, each_once
from tracecube.io.foreign import write_foreign
from tracecube.io.headers import read_header
from tracecube.io.raw import read_raw
from tracecube.recipes.slices.cube import Grid, flat_cards

NO = GivenParams()
MORE = {"ESO DET READ CURID": 1, "ESO DET BINX": 1, "ESO PRO REC1 PIPE ID": "muse/2.8.7", "EXPTIME": 600.0,
        "RA": 53.0, "DEC": -27.0}  # fmt: skip
UNIT = "10**(-20)*erg/s/cm**2/Angstrom"


@pytest.fixture
def given(tmp_path):
    """A product of ours in ESO's layout, classified and read as a raw file."""

    def call(category: str, product, **beside: object) -> RawFrame:
        path = tmp_path / f"{category}.fits"
        write_foreign(path, form_of(category).arrange(product, **beside), cards=MORE)
        found = classify(path.name, read_header(path))
        assert found.tag == f"ESO_{category}"
        assert str(found.setup["exposure"]).endswith("_ESO")
        assert found.setup["night"] == "2019-01-17"
        assert (found.setup["ra"], found.setup["mode"]) == (53.0, "WFM-NOAO-N")
        return read_raw(path, found.tag)

    return call


def table() -> RawFrame:
    count = np.arange(48)
    rows = {"SubField": np.full(48, 7), "SliceCCD": count + 1, "x": np.where(count, -100.0, 100.0), "y": 5.0 + count,
            "angle": np.zeros(48), "width": np.full(48, 75.0)}  # fmt: skip
    return RawFrame("g", "GEOMETRY_TABLE", {}, {}, {"G": rows})


@pytest.fixture
def pixels(given):
    """An exposure, and its pixel table read as a raw file."""
    light = RNG.normal(1.0, 0.15, SHAPE).astype(np.float32)
    flags, two = np.zeros(SHAPE, np.int32), np.zeros(2)
    flags[200, 30] = Flag.COSMIC_RAY
    exposure = SliceExposure(light, np.full(SHAPE, 0.01, np.float32), flags, np.array([1, 2]), two, two + 1, two,
                             two.astype(np.int32), META)  # fmt: skip
    beside = {"traces": traces(), "wavelengths": solution(), "flat": frame(30000.0, 10.0), "geometry": table()}
    return exposure, given("PIXTABLE_STD", exposure, **beside)


def taken(raw: RawFrame, level: float | None = LEVEL):
    twilight = None if level is None else SimpleNamespace(level=np.full(2, level))
    return given_pixels(raw=raw, traces=traces(), wavelengths=solution(), geometry=table(), twilight=twilight,
                        params=GivenPixelParams())  # fmt: skip


def test_pixels_come_back_on_the_detector_as_light_relative_to_the_lamp(pixels):
    ours, raw = pixels
    found = taken(raw)
    back = found.preprocessed
    lit = back.flags & Flag.NOT_ILLUMINATED == 0
    assert lit.sum() > 0.9 * 2 * 30 * SHAPE[0]
    assert back.data[lit] == pytest.approx(ours.data[lit], rel=1e-5)
    wrong = next(one.value for one in found.quality if one.name == "ERROR SCALE")
    assert wrong == pytest.approx(1.5, rel=0.05)  # it scatters by 0.15, and 0.1 is claimed
    assert back.variance[lit] == pytest.approx(0.15**2, rel=0.2)
    assert np.median(back.variance[lit]) == pytest.approx(0.15**2, rel=0.05)
    assert np.array_equal(back.flags[lit], ours.flags[lit])
    assert not np.isfinite(back.variance[~lit]).any()
    assert back.meta["DETECTOR"] == "CHAN07"
    assert back.meta["SKYLIGHT"] == LEVEL
    other = taken(raw, level=0.4).preprocessed  # the twilight that the response was made with goes first
    assert other.data[lit] == pytest.approx(ours.data[lit] * LEVEL / 0.4, rel=1e-5)
    assert back.meta[MAKER] == "muse/2.8.7"
    assert not [key for key in back.meta if key.startswith(("ESO PRO", "ESO DRS MUSE PIXTABLE"))]
    assert np.nanmedian(found.segments.flux) == pytest.approx(1.0, abs=0.02)
    assert len(found.caveats) == 1


def test_errors_are_held_against_the_scatter_of_neighbours_row_by_row():
    noise = np.where(np.arange(1024) < 512, 2.0, 1.0)[:, None]
    smooth = 50.0 + 0.5 * np.arange(300) + np.where(np.arange(300) % 60 < 8, 40.0, 0.0)  # objects in every slice
    data = np.random.default_rng(4).normal(smooth, noise, (1024, 300)).astype(np.float32)
    good = np.ones(data.shape, bool)
    good[700] = False
    data[700] = 1e6
    found = scatter_over_error(data, np.ones_like(data), good)
    assert found[:470] == pytest.approx(2.0, rel=0.05)
    assert found[554:] == pytest.approx(1.0, rel=0.05)
    assert np.mean(found[554:]) == pytest.approx(1.0, rel=0.02)  # a block alone scatters by 0.012
    assert scatter_over_error(data[:5, :20], np.ones((5, 20), np.float32), good[:5, :20]) == pytest.approx(1.0)


def test_without_a_twilight_channels_are_as_bright_as_their_lamps(pixels):
    ours, raw = pixels
    assert taken(raw, level=None).preprocessed.meta["SKYLIGHT"] == LEVEL  # of the table itself
    del raw.meta["ESO DRS MUSE FLAT FLUX SKY"]
    found = taken(raw, level=None)
    lit = found.preprocessed.flags & Flag.NOT_ILLUMINATED == 0
    assert found.preprocessed.data[lit] == pytest.approx(ours.data[lit] * LEVEL, rel=1e-5)
    assert "no twilight" in found.caveats[1]


def test_pixels_that_are_no_longer_those_of_the_detector_are_refused(pixels):
    _, raw = pixels
    raw.meta["ESO DRS MUSE PIXTABLE FLUXCAL"] = True
    with pytest.raises(BadData, match="FLUXCAL"):
        taken(raw)
    raw.meta["ESO DRS MUSE PIXTABLE FLUXCAL"] = False
    lamp = raw.meta.pop("ESO DRS MUSE FLAT FLUX LAMP")
    with pytest.raises(MissingInput, match="FLUX LAMP"):
        taken(raw)
    raw.meta["ESO DRS MUSE FLAT FLUX LAMP"] = lamp
    del raw.meta["ESO DRS MUSE PIXTABLE EXP0 IFU07 SLICE02 XOFFSET"]
    with pytest.raises(MissingInput, match="SLICE02 XOFFSET"):
        taken(raw)


SEEING = 0.25  # arcsec, sigma
GRID = Grid(4750.0, 1.25, -2.0, -1.0, 0.2, (40, 21, 26))


def star_cube() -> tuple[Cube, Image]:
    """A star 0.4 arcsec west and 0.6 north of the pointing."""
    meta = {**META, **GRID.cards(53.0, -27.0), "BUNIT": UNIT, "EXPTIME": 600.0}
    north, west = (GRID.y0 + 0.2 * np.arange(21))[:, None], GRID.x0 + 0.2 * np.arange(26)
    star = 100.0 * np.exp(-0.5 * ((west - 0.4) ** 2 + (north - 0.6) ** 2) / SEEING**2)
    data = np.broadcast_to(star, GRID.shape).astype(np.float32) + RNG.normal(size=GRID.shape).astype(np.float32)
    flags = np.zeros(GRID.shape, np.int32)
    flags[3, 4, 5] = Flag.NOT_MEASURED
    cube = Cube(data, np.ones_like(data), flags, np.zeros((0, 3), np.int32), np.zeros(0), meta)
    flat = flat_cards(meta)
    return cube, Image(data[5], np.ones_like(data[5]), np.zeros(star.shape, np.int32), flat)


def test_a_cube_comes_back(given):
    cube, image = star_cube()
    found = given_cube(raw=given("DATACUBE_FINAL", cube, image=image), params=NO)
    good = cube.flags == 0
    assert np.array_equal(found.cube.flags == 0, good)
    assert np.array_equal(found.cube.data[good], cube.data[good])
    assert {key: found.cube.meta[key] for key in GRID.cards(53.0, -27.0)} == GRID.cards(53.0, -27.0)
    assert found.cube.meta[MAKER] == "muse/2.8.7"
    assert found.image_fov.data.shape == image.data.shape
    assert any("shared by neighbours" in one for one in found.caveats)


def test_a_cube_of_another_unit_is_refused(given):
    cube, image = star_cube()
    raw = given("DATACUBE_FINAL", replace(cube, meta={**cube.meta, "BUNIT": "count"}), image=image)
    with pytest.raises(BadData, match="count"):
        given_cube(raw=raw, params=NO)


def test_an_image_without_errors_gets_those_of_its_scatter(given):
    _, image = star_cube()
    image = replace(image, data=RNG.normal(size=image.data.shape).astype(np.float32))
    raw = given("IMAGE_FOV", image)
    whole = given_image(raw=raw, params=NO).image_fov
    assert np.array_equal(whole.data, image.data)
    assert whole.variance == pytest.approx(1.0)
    assert ESTIMATED not in whole.meta
    alone = RawFrame(raw.name, raw.tag, raw.meta, {"DATA": raw.images["DATA"]}, {})
    found = given_image(raw=alone, params=NO)
    assert found.image_fov.variance == pytest.approx(1.0, rel=0.25)
    assert found.image_fov.meta[ESTIMATED] is True
    assert "tells no errors" in found.caveats[1]


def test_a_cube_lies_on_the_grid_of_its_field_less_its_offset():
    cube, _ = star_cube()
    moved = replace(cube, meta={**cube.meta, "MJD-OBS": 58500.01})
    field = replace(offsets(), grid_x=-2.5, grid_y=-1.3, grid_columns=30, grid_rows=22)
    found = given_cube_aligned(cube=moved, offsets=field, params=AlignedParams(flux_scale="measured")).cube
    assert found.data.shape == (40, 22, 30)
    plane = np.nan_to_num(found.data.mean(axis=0))
    assert plane.sum() == pytest.approx(0.9 * 100.0 * 2 * np.pi * (SEEING / 0.2) ** 2, rel=0.03)
    plane[plane < 5.0] = 0.0
    north, west = np.mgrid[:22, :30]
    at = [field.grid_y + 0.2 * float((plane * north).sum() / plane.sum()),
          field.grid_x + 0.2 * float((plane * west).sum() / plane.sum())]  # fmt: skip
    # an offset is where sources appear less where they do in the first: 1e-4 degree in right ascension, -2e-4 in dec
    assert at[1] == pytest.approx(0.4 + 0.36 * np.cos(np.radians(27.0)), abs=0.02)
    assert at[0] == pytest.approx(0.6 + 0.72, abs=0.02)
    known = np.isfinite(found.data)
    assert np.nanmedian(found.variance) < 0.81  # scaled, and a mean of several
    assert (found.flags == 0).tolist() == known.tolist()


def test_of_an_exposure_that_is_given_twice_ours_counts():
    def one(mjd: float, **cards: object) -> SimpleNamespace:
        return SimpleNamespace(meta={"MJD-OBS": mjd, **cards})

    estimated = one(58500.0, **{MAKER: "muse/2.8.7", ESTIMATED: True})
    theirs, ours, later = one(58500.0, **{MAKER: "muse/2.8.7"}), one(58500.0 + 1e-6), one(58500.1)
    assert each_once([later, theirs, ours]) == ([2, 0], (each_once([theirs, ours])[1][0],))
    assert each_once([estimated, theirs])[0] == [1]
    green, white = (one(58500.0, **{MAKER: "m", "ESO DRS MUSE FILTER NAME": name}) for name in ("Johnson_V", "white"))
    assert each_once([green, white])[0] == [1]
    kept, said = each_once([ours, later])
    assert (kept, said) == ([0, 1], ())
    assert "muse/2.8.7 is left out" in each_once([theirs, ours])[1][0]


def factors(**cards: object) -> RawFrame:
    """Factors of 1.02 for slice 1 of channel 7, in two ranges."""
    two = np.array([1, 2])
    rows = {"ifu": two * 0 + 7, "sli": two * 0 + 1, "quad": two, "corr": np.array([1.0 / 0.9, 1.0 / 0.9])}
    return RawFrame("factors", "AUTOCAL_FACTORS", cards, {}, {"AUTOCAL_FACTORS": rows})


def test_ranges_of_factors_are_those_of_the_header():
    cards = {f"ESO DRS MUSE LAMBDA{k} {end}": 5000.0 * (k - (end == "MIN")) for k in (1, 2) for end in ("MIN", "MAX")}
    found = user_factors(factors(**cards))
    assert (found.low.tolist(), found.high.tolist()) == ([0.0, 5000.0], [5000.0, 10000.0])
    assert user_factors(factors()).high.tolist() == [5000.0, 5265.0]


@pytest.mark.parametrize("recipe", ["muse_scipost", None])
def test_factors_of_the_observatorys_recipe_are_all_that_slices_are_multiplied_with(recipe):
    """Slice 1 is 0.9 times as bright, which the sky tells, and so does its factor of 1 / 0.9."""
    inputs = ObjectInputs(**{**small_inputs(), "user_factors": factors(**{"ESO PRO REC1 ID": recipe})})
    light = exposure_light(inputs, ObjectParams())
    grid = own_grid(light, 0.02519, (6900.0, 7100.0), 1.25)
    one = next(light.slices(inputs.exposures[0], grid, lambda x, y: (x, y)))
    worth = np.interp(7000.0, *light.worth)
    twice = 1.0 if recipe else 1.0 / 0.9  # its own brightness, and the factor besides
    assert one.aperture == 1
    assert np.median(one.samples.value) / worth == pytest.approx(twice * float(np.median(LIGHT)) / 0.9, rel=2e-3)
    said = [text for text in _notes(light) if "AUTOCAL_FACTORS of the observatory" in text]
    assert len(said) == (recipe is not None)


def test_without_a_twilight_the_response_is_for_the_level_that_exposures_tell(monkeypatch):
    """Both are over the same light: a pixel table has the level of the twilight that it was divided by."""
    wave = np.linspace(6800.0, 7200.0, 9)
    monkeypatch.setattr(given_steps, "lamp_spectrum", lambda *_: (wave, wave * 4.0))
    raw = RawFrame("r", "ESO_STD_RESPONSE", {**META, "ESO DRS MUSE FLUX FFCORR": True}, {}, {
        "": {"lambda": wave, "response": wave * 0 + 40.0, "resperr": wave * 0},
    })  # fmt: skip
    calibrations = {"flats": [frame(30000.0)], "traces": [traces()], "wavelengths": [solution()]}
    told = SimpleNamespace(meta={**META, "SKYLIGHT": LEVEL})
    alone, with_level = (
        given_response(raw=raw, **calibrations, exposures=some, params=NO).response for some in ([], [told])
    )
    assert with_level.ratio == pytest.approx(alone.ratio / LEVEL)
    other = SimpleNamespace(meta={**META, "DETECTOR": "CHAN08", "SKYLIGHT": 0.5})
    assert given_response(raw=raw, **calibrations, exposures=[other], params=NO).response.ratio == pytest.approx(
        alone.ratio
    )


def test_every_kind_of_pixel_table_that_is_written_is_taken():
    written = {f"ESO_{one.category}" for one in FORMS if isinstance(one, Form) and one.noun is SliceExposure}
    taken_by = {tag: task for task in instrument.workflow.tasks for tag in task.main.tags}
    assert written <= set(taken_by)
    for tag in written:
        kind = tag.removeprefix("ESO_PIXTABLE_")
        assert set(taken_by[tag].output_tags().values()) == {f"CALIBRATED_{kind}", f"SEGMENTS_{kind}"}
        assert tag in instrument.raw_tags


def test_between_and_beyond_the_bands_that_are_told_nothing_is_absorbed():
    """ESO's table holds its bands alone: flux in the blue was that of the first band's edge."""
    wave = np.concatenate([np.arange(6863.75, 6966.3, 1.25), np.arange(7588.75, 7705.1, 1.25)])
    rows = {"lambda": wave, "ftelluric": 0.7 + 1e-3 * (wave - 7600.0), "ftellerr": wave * 0 + 0.01}
    found = given_telluric(raw=RawFrame("t", "ESO_STD_TELLURIC", META, {}, {"": rows}), params=NO).telluric
    at = np.array([5000.0, 6850.0, 6900.0, 7200.0, 7600.0, 7710.0, 9300.0])
    value, error = (np.interp(at, found.wave, one) for one in (found.transmission, found.error))
    assert value == pytest.approx([1.0, 1.0, 0.0, 1.0, 0.7, 1.0, 1.0], abs=2e-3)
    assert error == pytest.approx([0.0, 0.0, 0.01, 0.0, 0.01, 0.0, 0.0])
