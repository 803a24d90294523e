"""ESO's layouts: which planes, in which order and type, and that their values are those of our products."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from tracecube.core.errors import MissingInput
from tracecube.core.flags import Flag
from tracecube.core.optics import Layout, PixelMap, PointPattern, Throughput, TraceSet, WavelengthSolution
from tracecube.core.pixels import BadPixels, DetectorFlat, GainMap, Master
from tracecube.core.spectra import Cube
from tracecube.core.star import StarCentre
from tracecube.instruments.sphere_ifs import instrument
from tracecube.instruments.sphere_ifs.eso_layout import FORMS
from tracecube.io.foreign import write_foreign
from tracecube.recipes.optics.pinholes import lattice_plane

RNG = np.random.default_rng(5)
SHAPE = (12, 10)
RAW = {"RAW1": "SPHER.x", "RAW1TAG": "DARK", "RAW2": "SPHER.y", "RAW2TAG": "DARK", "OBJECT": "lamp"}
FLAGS = np.zeros(SHAPE, np.int32)
FLAGS[2, 3], FLAGS[4, 5], FLAGS[0], FLAGS[6, 6] = Flag.HOT_PIXEL, Flag.BAD_PIXEL, Flag.NOT_ILLUMINATED, Flag.NON_LINEAR
BAD = (FLAGS != 0) & (FLAGS != Flag.NON_LINEAR)
ANY = RNG.normal(10.0, 1.0, (4, *SHAPE)).astype(np.float32)
FOUR = ["IMAGE", "BADPIX", "RMS", "WEIGHT"]


def form(category: str, tag: str | None = None):
    [found] = [one for one in FORMS if one.category == category and tag in {None, one.tag}]
    return found


@pytest.fixture
def written(tmp_path):
    """Extensions of a file as astropy reads them."""

    def call(category: str, product, tag: str | None = None, **beside: object):
        path = tmp_path / "x.fits"
        write_foreign(path, form(category, tag).arrange(product, **beside))
        with fits.open(path) as hdus:
            found = [hdu.copy() for hdu in hdus]
        assert found[0].header["ESO PRO CATG"] == category
        return found

    return call


def kinds(hdus) -> list[str]:
    return [hdu.data.dtype.newbyteorder("=").str[1:] for hdu in hdus]


def master(unit: str, **meta: float) -> Master:
    return Master(ANY[0], FLAGS, ANY[1], ANY[2], ANY[3], {**RAW, "BUNIT": unit, **meta})


@pytest.mark.parametrize(
    ("category", "tag", "unit", "theirs"),
    [
        ("IFS_MASTER_DARK", "MASTER_DARK", "electron", "adu"),
        ("IFS_CAL_BACKGROUND", "INSTRUMENT_BACKGROUND", "electron/s", "adu/s"),
        ("IFS_CAL_BACKGROUND", "SKY_BACKGROUND", "electron/s", "adu/s"),
    ],
)
def test_masters_have_four_planes_in_adu(written, category, tag, unit, theirs):
    hdus = written(category, master(unit, **{"QC GAIN": 1.8}), tag)
    assert [hdu.name for hdu in hdus] == FOUR
    assert kinds(hdus) == ["f4", "i4", "f4", "f4"]
    assert [hdus[i].header["BUNIT"] for i in (0, 2)] == [theirs] * 2
    assert hdus[0].data * 1.8 == pytest.approx(ANY[0], rel=1e-6)
    assert hdus[2].data * 1.8 == pytest.approx(ANY[1], rel=1e-6)
    assert np.array_equal(hdus[1].data, BAD)
    assert np.array_equal(hdus[3].data, ANY[2])


def test_the_head_names_recipe_and_raw_frames(written):
    head = written("IFS_MASTER_DARK", master("electron", **{"QC GAIN": 1.8}))[0].header
    assert head["ESO PRO REC1 ID"] == "sph_ifs_master_dark"
    assert head["ESO PRO REC1 RAW2 NAME"] == "SPHER.y.fits"
    assert head["ESO PRO REC1 RAW2 CATG"] == "IFS_DARK_RAW"
    assert head["OBJECT"] == "lamp"


def test_without_a_gain_there_is_no_way_back_to_adu():
    with pytest.raises(MissingInput, match="QC GAIN"):
        form("IFS_MASTER_DARK").arrange(master("electron"))


@pytest.mark.parametrize("lamp", ["1", "2", "3", "4", "BB"])
def test_lamp_flats_are_pure_numbers(written, lamp):
    hdus = written(f"IFS_MASTER_DFF_LONG{lamp}", master(""))
    assert [hdu.name for hdu in hdus] == FOUR
    assert np.array_equal(hdus[0].data, ANY[0])


@pytest.mark.parametrize("category", ["IFS_STATIC_BADPIXELMAP", "IFS_NONLIN_BADPIX"])
def test_bad_pixels_are_one_plane(written, category):
    [plane] = written(category, BadPixels(FLAGS, RAW))
    assert kinds([plane]) == ["i4"]
    assert np.array_equal(plane.data, FLAGS != 0)


def test_the_gain_has_its_error_and_chi_square(written):
    hdus = written("IFS_GAIN", GainMap(ANY[0], FLAGS, ANY[1], ANY[2], {"RAW1": "SPHER.g", "RAW1TAG": "GAIN"}))
    assert [hdu.name for hdu in hdus] == ["IMAGE", "BADPIX", "RMS", "CHI2"]
    assert kinds(hdus) == ["f4", "i4", "f4", "f4"]
    assert hdus[0].header["BUNIT"] == "electron/adu"
    assert hdus[2].data == pytest.approx(np.sqrt(ANY[1]))
    assert np.array_equal(hdus[3].data, ANY[2])


START, LENGTH = np.array([2, 3]), 6
WAVE = 9500.0 + 100.0 * np.arange(LENGTH) + 5.0 * np.arange(LENGTH) ** 2 + np.array([[0.0], [7.0]])
WAVE[1, -1] = np.nan
SOLUTION = WavelengthSolution(
    np.array([0, 1]), START, np.array([0, 64], np.int32), WAVE, WAVE, WAVE, *[np.zeros(0)] * 6, "WAVE", RAW
)


def pixels() -> PixelMap:
    """Two spectra, at x = 2 and 7.2, three pixels wide."""
    wave, aperture, along = np.full(SHAPE, np.nan), np.full(SHAPE, -1, np.int32), np.full(SHAPE, np.nan, np.float32)
    for number, centre in enumerate((2.0, 7.2)):
        for j in np.flatnonzero(np.isfinite(WAVE[number])):
            row, near = START[number] + j, np.flatnonzero(np.abs(np.arange(SHAPE[1]) - centre) < 2.9)
            wave[row, near], aperture[row, near], along[row, near] = WAVE[number, j], number, near - centre
    return PixelMap(wave, aperture, along, "WAVE", {"RAW1": "L", "RAW1TAG": "LENSLETS"})


PIXELS = pixels()
LIT = PIXELS.aperture >= 0


def traces(q, r) -> TraceSet:
    none = np.zeros((q.size, 1))
    meta = {"RAW1": "SPHER.p", "RAW1TAG": "SPECPOS"}
    return TraceSet(np.arange(q.size), q, q, r, q * 0, none, none, none, none[0], none[0], meta=meta)


def test_pixel_tables_have_six_and_seven_planes(written):
    names = ["WAVELENGTH", "REGION", "LENSLET", "WIDTH", "SECOND", "ILLUMINATION"]
    six = written("IFS_SPECPOS", PIXELS, wavelength=SOLUTION, traces=traces(np.arange(2), np.arange(2)))
    assert [hdu.name for hdu in six] == names
    assert six[0].header["ESO PRO REC1 RAW1 CATG"] == "IFS_SPECPOS_RAW"
    seven = written("IFS_WAVECALIB", PIXELS, wavelength=SOLUTION)
    assert [hdu.name for hdu in seven] == [*names, "BADSPEC"]
    assert kinds(seven) == ["f8", "i4", "i4", "f8", "f8", "f4", "i4"]
    assert all(np.array_equal(a.data, b.data) for a, b in zip(six, seven, strict=False))
    assert np.array_equal(seven[6].data, PIXELS.aperture == 1)  # whose row is flagged


def test_a_pixel_table_says_what_the_pixel_map_says(written):
    wavelength, region, lenslet, width, second, share = (
        hdu.data
        for hdu in written("IFS_SPECPOS", PIXELS, wavelength=SOLUTION, traces=traces(np.arange(2), np.arange(2)))
    )
    assert np.array_equal(wavelength[LIT], PIXELS.wave[LIT] * 1e-4)
    assert not any(plane[~LIT].any() for plane in (wavelength, region, lenslet, width, second, share))
    assert np.array_equal(region - 1, PIXELS.aperture)
    assert np.array_equal(lenslet, region)
    assert second[LIT] == pytest.approx(10.0e-4)
    j = (np.nonzero(LIT)[0] - START[PIXELS.aperture[LIT]]).astype(float)
    last = np.isfinite(WAVE).sum(axis=1)[PIXELS.aperture[LIT]] - 1
    slope = np.where(j == 0, 105.0, np.where(j == last, 10.0 * j + 95.0, 10.0 * j + 100.0))
    assert width[LIT] == pytest.approx(slope * 1e-4)
    assert share[LIT] == pytest.approx(np.clip(3.1 - np.abs(PIXELS.along[LIT]), 0, 1), abs=1e-6)


def test_ends_of_the_spectra_stand_in_the_head(written):
    head = written("IFS_WAVECALIB", PIXELS, wavelength=SOLUTION)[0].header
    assert head["ESO DRS MEDIAN MIN WAVEL"] == pytest.approx(0.95 + 3.5e-4)
    assert head["ESO DRS IFS MAX LAMBDA"] == pytest.approx(np.nanmax(WAVE, axis=1).mean() * 1e-4)


CHANNELS = np.linspace(9400.0, 10100.0, 8)
FLAT = Throughput(
    np.array([0, 1]), np.array([0, int(Flag.LOW_THROUGHPUT)], np.int32), np.array([1.1, 0.2]),
    1.0 + 1e-4 * (CHANNELS - 9400.0) + np.array([[0.1], [-0.8]]), np.full((2, 8), 0.01), CHANNELS,
    {"RAW1": "SPHER.f", "RAW1TAG": "IFUFLAT"},
)  # fmt: skip


def test_the_lenslet_flat_is_drawn_on_the_detector_and_listed(written):
    hdus = written("IFS_IFU_FLAT_FIELD", FLAT, pixel_map=PIXELS)
    assert [hdu.name for hdu in hdus] == [*FOUR, "IFS_LENSLET_FLAT"]
    value = (
        1.0 + 1e-4 * (PIXELS.wave.clip(None, CHANNELS[-1]) - 9400.0) + np.choose(PIXELS.aperture.clip(0), (0.1, -0.8))
    )
    assert hdus[0].data[LIT] == pytest.approx(value[LIT], rel=1e-6)
    assert np.isnan(hdus[0].data[~LIT]).all()
    assert np.array_equal(hdus[1].data == 0, PIXELS.aperture == 0)
    assert np.array_equal(hdus[3].data, PIXELS.aperture == 0)
    table = hdus[4].data
    assert table["LENSLET"].tolist() == [1, 2]
    assert np.array_equal(table["VALUE"], FLAT.mean)
    assert table["RMS"] == pytest.approx(0.01 / np.sqrt(8))
    assert table["BADPIX"].tolist() == [0, 1]


def test_the_total_flat_has_the_pixels_too(written):
    response, slope = ANY[0] / 10.0, np.full(SHAPE, 1e-5, np.float32)
    flat = DetectorFlat(
        response, FLAGS, slope, ANY[1] * 0 + 1e-4, slope * 0, slope * 0, slope, slope, CHANNELS, CHANNELS, 9500.0
    )
    hdus = written("IFS_INSTRUMENT_FLAT_FIELD", FLAT, pixel_map=PIXELS, detector_flat=flat)
    assert [hdu.name for hdu in hdus] == FOUR
    lenslets = written("IFS_IFU_FLAT_FIELD", FLAT, pixel_map=PIXELS)
    own = response + 1e-5 * (PIXELS.wave - 9500.0)
    assert hdus[0].data[LIT] == pytest.approx((lenslets[0].data * own)[LIT], rel=1e-5)
    assert hdus[2].data[LIT] == pytest.approx(np.hypot(lenslets[2].data * own, 0.01 * lenslets[0].data)[LIT], rel=1e-5)
    assert np.array_equal(hdus[1].data == 0, LIT & ~BAD)


QUALITY = {"QC DISTMAP RESIDUAL": 0.02, "QC DISTMAP NPOINTS OBS": 98.0, "QC DISTMAP NREMOVED": 6.0}


def layout(**meta: float) -> tuple[Layout, TraceSet, np.ndarray, np.ndarray]:
    """A hexagonal field, stretched along x and bent along y."""
    q, r = (axis.ravel() for axis in np.meshgrid(np.arange(-60, 61), np.arange(-60, 61)))
    plane = lattice_plane(q, r)
    keep = np.hypot(*plane.T) < 60
    regular = (plane[keep] - plane[keep].mean(axis=0)) * 0.01295
    moved = regular * [0.005, 0.0] + np.stack([0 * regular[:, 0], 0.002 * regular[:, 0] ** 3], axis=1)
    x, y = (regular + moved).T
    sky = Layout(np.arange(x.size), x, y, np.zeros(x.size, np.int32), 0.01295, -90.0, {**RAW, **meta})
    return sky, traces(q[keep], r[keep]), regular, moved


def test_the_distortion_map_has_eight_planes_that_hold_what_the_layout_does(written):
    sky, lattice, regular, moved = layout(**QUALITY)
    hdus = written("IFS_DISTORTION_MAP", sky, traces=lattice)
    assert [hdu.name for hdu in hdus] == [f"{axis}_{name}" for axis in ("DX", "DY") for name in FOUR]
    assert kinds(hdus) == ["f4", "i4", "f4", "f4"] * 2
    assert {hdu.data.shape for hdu in hdus} == {(291, 291)}
    step = hdus[0].header["CDELT1"]
    column, row = (np.rint(regular[:, k] / step + hdus[0].header[f"CRPIX{k + 1}"] - 1).astype(int) for k in range(2))
    for k in range(2):
        image, bad, rms, weight = (hdu.data for hdu in hdus[4 * k : 4 * k + 4])
        assert (bad[row, column] == 0).all()
        assert image[row, column] * step == pytest.approx(moved[:, k], abs=3e-5)  # half a pixel of slope 0.005
        assert np.nanmean(rms) == pytest.approx(0.02e-3 / np.sqrt(2) / step)
        assert np.unique(weight).tolist() == [0.0, 92.0]
        assert np.array_equal(bad == 1, np.isnan(image))


def test_a_layout_that_tells_no_residual_is_refused():
    sky, lattice, _, _ = layout()
    with pytest.raises(MissingInput, match="DISTMAP RESIDUAL"):
        form("IFS_DISTORTION_MAP").arrange(sky, traces=lattice)


def test_cubes_keep_values_axes_and_unit(written):
    data = RNG.normal(size=(39, 6, 5)).astype(np.float32)
    data[:, 0, 0] = np.nan
    flags = np.zeros(data.shape, np.int32)
    flags[:, 0, 0], flags[3, 2, 2] = Flag.NOT_ILLUMINATED, Flag.NOT_MEASURED
    axes = {"CTYPE3": "WAVE", "CUNIT3": "Angstrom", "CRVAL3": 9565.0, "CRPIX3": 1.0, "CD3_3": 186.447368, "CRPIX1": 3.0}
    meta = {"RAW1": "SPHER.s", "RAW1TAG": "OBJECT", "BUNIT": "electron/Angstrom", **axes}
    cube = Cube(data, np.abs(data), flags, np.zeros((1, 3), int), np.zeros(1), meta)
    hdus = written("IFS_SCIENCE_DR", cube, "CUBE")
    assert [hdu.name for hdu in hdus] == FOUR
    assert np.array_equal(hdus[0].data, data, equal_nan=True)
    assert np.array_equal(hdus[2].data, np.sqrt(np.abs(data)), equal_nan=True)
    assert np.array_equal(hdus[1].data, flags != 0)
    assert np.array_equal(hdus[3].data, flags == 0)
    assert all({key: hdu.header[key] for key in axes} == axes for hdu in hdus)
    assert hdus[0].header["BUNIT"] == "electron/Angstrom"
    assert hdus[0].header["ESO DRS IFS MIN LAMBDA"] == pytest.approx(0.9565)
    assert hdus[0].header["ESO DRS IFS MAX LAMBDA"] == pytest.approx(1.665)
    linear = {**{key: value for key, value in meta.items() if key != "CD3_3"}, "CDELT3": axes["CD3_3"]}
    [lasers, *_] = written("IFS_WAVECALIB_CUBE", replace(cube, meta=linear), "LASER_CUBE")
    assert lasers.header["ESO DRS IFS MAX LAMBDA"] == pytest.approx(1.665)
    assert lasers.header["CDELT3"] == axes["CD3_3"]


def test_the_star_centre_is_a_row_of_a_table_in_pixels_of_the_cubes(written):
    wave, none = np.array([9600.0, 12000.0]), np.zeros((2, 0))
    place = {"centre_x": 0.0746, "centre_y": -0.0373, "centre_x_error": 7.46e-5, "centre_y_error": 7.46e-5}
    track = [np.full(2, value) for value in (0.0746, -0.0373, 7.46e-5, 7.46e-5)]
    cards = {"RAW1": "SPHER.c", "RAW1TAG": "CENTER", "DATE-OBS": "2018-11-18T03:37:32.740", "ESO INS2 DITH POSX": 1.5}
    centre = StarCentre(
        np.array(["SPHER.c"] * 2), np.full(2, 3), wave, *track, np.zeros(2, np.int32), none, none,
        reference_wave=12500.0, **place, refraction_x=0.0, refraction_y=0.0, method="spots", meta=cards,
    )  # fmt: skip
    _, table = written("IFS_STAR_CENTER", centre)
    [row] = table.data
    assert (row["TIME_UT"], row["PLANE"]) == ("2018-11-18T03:37:32.740", 3)
    assert (row["CENTRE_X"], row["CENTRE_Y"]) == pytest.approx((156.0, 141.0))
    assert row["CENTRE_X_ERR"] == pytest.approx(0.01)
    assert row["DMS_POS_X"] == 1.5
    assert np.isnan(row["DMS_POS_Y"])


def test_the_point_pattern_says_where_pinholes_are_seen_and_belong(written):
    points = PointPattern(
        np.array([0.0, 0.0746]), np.zeros(2), np.full(2, 7.46e-5), np.array([0.0, 0.0753]), np.zeros(2),
        np.array([1, 0]), {"RAW1": "SPHER.d", "RAW1TAG": "DISTORT"},
    )  # fmt: skip
    head, table = written("IFS_POINT_PATTERN", points)
    assert head.header["ESO PRO REC1 RAW1 CATG"] == "IFS_DISTORTION_MAP_RAW"
    assert table.data["X"] == pytest.approx([146.0, 156.0])
    assert table.data["X_GRID"][1] == pytest.approx(146.0 + 0.0753 / 7.46e-3)
    assert table.data["ERROR"] == pytest.approx(0.01)
    assert table.data["USED"].tolist() == [1, 0]


def test_every_form_starts_from_a_product_of_the_workflow():
    made = {
        (tag, output.noun)
        for task in instrument.workflow.tasks
        for output in task.recipe.outputs
        for tag in (task.output_tags()[output.name],)
    }
    assert {(one.tag, one.noun) for one in FORMS} <= made
    assert {pair for one in FORMS for pair in one.beside.values()} <= made
    assert all(one.numbers_of in {"", *one.beside} for one in FORMS)
