"""ESO's layouts: names, order and type of extensions, and that their values are those of our products."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from numpy.polynomial import polynomial

from tests.unit.instruments.muse.small_products import LEVEL, META, RNG, SHAPE, Y, frame, solution, traces
from tracecube.core.alignment import Offsets
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.outputs import OutputLinearity
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.core.slice_light import SliceSky
from tracecube.core.slices import SliceExposure, SliceLsf
from tracecube.core.spectra import Cube, Image
from tracecube.instruments.muse import instrument
from tracecube.instruments.muse.eso_layout import FORMS
from tracecube.instruments.muse.eso_planes import EURO3D, euro3d_of, flags_of
from tracecube.instruments.muse.user_files import listed_offsets
from tracecube.io.foreign import write_foreign
from tracecube.io.raw import read_raw
from tracecube.recipes.slices.cube import Grid


@pytest.fixture
def written(tmp_path):
    """Extensions of a file as astropy reads them."""

    def call(category: str, product, **beside: object):
        form = next(one for one in FORMS if one.category == category)
        write_foreign(tmp_path / "x.fits", form.arrange(product, **beside))
        with fits.open(tmp_path / "x.fits") as hdus:
            found = [hdu.copy() for hdu in hdus]
        assert found[0].header["ESO PRO CATG"] == category
        assert found[0].data is None
        return found

    return call


def test_bits_there_and_back():
    flags = np.array([0, *(int(flag) for flag in EURO3D), Flag.HOT_PIXEL | Flag.SATURATED])
    bits = euro3d_of(flags)
    assert bits[0] == 0
    assert bits[-1] == (1 << 8) | (1 << 12)
    assert np.array_equal(flags_of(bits), flags)
    assert flags_of(np.array([1 << 9, 1 << 13, 1 << 31])).tolist() == [
        Flag.BAD_PIXEL,
        Flag.BAD_PIXEL,
        Flag.EXTRAPOLATED,
    ]
    assert euro3d_of(np.array([Flag.NOT_ILLUMINATED]))[0] == 0


def test_bias_is_in_adu_with_the_gain_of_each_output(written):
    product = frame(1.0)
    hdus = written("MASTER_BIAS", product)
    assert [hdu.name for hdu in hdus] == ["CHAN07", "DATA", "DQ", "STAT"]
    assert [hdu.header.get("BUNIT") for hdu in hdus[1:]] == ["adu", None, "(adu)**2"]
    for gain, y, x in ((1.1, 0, 0), (1.2, 0, -1), (1.3, -1, -1), (1.4, -1, 0)):
        assert hdus[1].data[y, x] * gain == pytest.approx(product.data[y, x], rel=1e-6)
        assert hdus[3].data[y, x] * gain**2 == pytest.approx(0.25, rel=1e-6)
    assert hdus[2].data[3, 4] == 1 << 8
    head = hdus[0].header
    assert head["ESO DRS MUSE OVSC2 MEAN"] == 1002.0
    assert head["ESO DRS MUSE OVSC2 STDEV"] == pytest.approx(4.0 / 1.2)
    assert head["ESO QC BIAS MASTER3 RON"] == 5.0
    assert (head["ESO PRO REC1 ID"], head["ESO PRO REC1 RAW2 NAME"]) == ("muse_bias", "MUSE.y.fits")
    assert product.data.dtype == np.float32  # the product itself is as it was
    assert np.median(product.data) == pytest.approx(1.0, abs=0.05)


def test_of_which_detector_it_is_must_be_known():
    [form] = [one for one in FORMS if one.category == "MASTER_BIAS"]
    with pytest.raises(MissingInput, match="detector"):
        form.arrange(Frame(*[np.zeros(SHAPE, np.float32)] * 2, np.zeros(SHAPE, np.int32), {**META, "DETECTOR": None}))


def test_flat_has_mean_one_and_tells_what_it_was(written):
    product = frame(30000.0, 1000.0)
    hdus = written("MASTER_FLAT", product, traces=traces())
    assert np.mean(hdus[1].data, dtype=float) == pytest.approx(1.0, abs=1e-6)
    head = hdus[0].header
    assert hdus[1].data * head["ESO QC FLAT MASTER MEAN"] == pytest.approx(product.data, rel=1e-5)
    assert head["ESO QC FLAT MASTER INTFLUX"] == pytest.approx(product.data.sum(dtype=float), rel=1e-6)
    assert head["ESO QC FLAT MASTER SLICE2 MEAN"] == pytest.approx(30000.0, abs=200.0)


def test_dark_is_of_an_hour(written):
    hdus = written("MASTER_DARK", frame(3.0))
    assert hdus[0].header["EXPTIME"] == 3600.0
    assert hdus[1].header["BUNIT"] == "count"
    assert hdus[0].header["ESO QC DARK MASTER MEDIAN"] == pytest.approx(3.0, abs=0.1)
    assert hdus[0].header["ESO QC DARK MASTER NBADPIX"] == 2


def test_traces_are_polynomials_of_pixels_from_one(written):
    ours = traces()
    rows = written("TRACE_TABLE", ours)[1].data
    assert rows.names[:3] == ["SliceNo", "Width", "tc0_00"]
    assert len(rows.names) == 2 + 3 * 7
    for number, curve in enumerate((ours.centre, ours.left, ours.right)):
        for k, row in enumerate(rows):
            value = polynomial.polyval(Y + 1.0, [row[f"tc{number}_{i:02d}"] for i in range(6)])
            assert value == pytest.approx(curve[k] + 1.0, abs=1e-9)
    assert rows["Width"] == pytest.approx([30.25, 30.25])


def test_wavelengths_are_polynomials_of_both_pixels_from_one(written):
    ours, where = solution(), traces()
    hdus = written("WAVECAL_TABLE", ours, traces=where)
    head, rows = hdus[0].header, hdus[1].data
    assert head["ESO QC WAVECAL SLICE2 FIT RMS"] == 0.01
    assert head["ESO QC WAVECAL SLICE2 WLEN"] == pytest.approx(float(ours.wave(1, np.array(199.5), np.array(0.0))))
    assert head["ESO QC WAVECAL SLICE1 DWLEN TOP"] == pytest.approx(2 * 1.6 * 15.125 / 15.0, rel=1e-3)
    for k, row in enumerate(rows):
        matrix = np.array([[row[f"wlc{i}{j}"] for j in range(7)] for i in range(3)])
        for across in (-15.0, 0.0, 12.3):
            x = where.centre[k] + across
            assert polynomial.polyval2d(x + 1.0, Y + 1.0, matrix) == pytest.approx(ours.wave(k, Y, across), abs=1e-6)
    assert rows["MSE"] == pytest.approx([1e-4, 1e-4], rel=1e-3)


def test_a_slice_that_is_lost_is_not_a_number(written):
    lost = solution()
    lost.dq[1] = 1
    rows = written("WAVECAL_TABLE", lost, traces=traces())[1].data
    assert np.isfinite(rows["wlc00"]).tolist() == [True, False]


def sky(shift: float) -> SliceSky:
    two = np.zeros(2)
    return SliceSky(np.zeros(8), np.array(["CHAN07"] * 2), np.array([1, 2]), two + 1, two, two + shift, two, two,
                    np.zeros((2, 2)), np.zeros((2, 2)), two, two.astype(np.int32), *[np.zeros(0)] * 3,
                    0.0, 0.0, 1.0, 4600.0, 1.0, META)  # fmt: skip


@pytest.fixture
def pixels(written):
    """A pixel table, its exposure and its flat; slice 1 lies 20 arcsec to the west, slice 2 to the east."""
    light = RNG.uniform(0.5, 1.5, SHAPE).astype(np.float32)
    flags = np.zeros(SHAPE, np.int32)
    flags[200, 30] = Flag.COSMIC_RAY
    two = np.zeros(2)
    exposure = SliceExposure(light, np.full(SHAPE, 0.01, np.float32), flags, np.array([1, 2]), two + 0.5, two + 1, two,
                             two.astype(np.int32), META)  # fmt: skip
    flat = frame(30000.0, 10.0)
    count = np.arange(48)
    table = {"SubField": np.full(48, 7), "SliceCCD": count + 1, "x": np.where(count, -100.0, 100.0), "y": 5.0 + count,
             "angle": np.zeros(48), "width": np.full(48, 75.0)}  # fmt: skip
    geometry = RawFrame("g", "GEOMETRY_TABLE", {}, {}, {"G": table})
    beside = {"traces": traces(), "wavelengths": solution(), "flat": flat, "geometry": geometry, "sky": sky(0.3)}
    return written("PIXTABLE_OBJECT", exposure, **beside), exposure, flat


def test_pixel_table_has_its_columns_as_images(pixels):
    hdus = pixels[0]
    names = ["xpos", "ypos", "lambda", "data", "dq", "stat", "origin", "PIXTABLE_FLAT_FIELD"]
    assert [hdu.header["EXTNAME"] for hdu in hdus] == ["CHAN07", *names]
    assert {hdu.data.dtype.newbyteorder("=").str[1:] for hdu in hdus[1:8]} == {"f4", "i4"}
    assert len({hdu.data.shape for hdu in hdus[1:8]}) == 1
    assert hdus[1].data.shape[1] == 1


def test_each_row_tells_its_pixel_and_what_it_holds(pixels):
    hdus, exposure, flat = pixels
    x, y, wave, data, dq, stat, origin = (hdu.data[:, 0] for hdu in hdus[1:8])
    number, channel, row, column = origin & 63, origin >> 6 & 31, (origin >> 11 & 8191) - 1, origin >> 24 & 127
    assert set(channel.tolist()) == {7}
    first = {k: hdus[0].header[f"ESO DRS MUSE PIXTABLE EXP0 IFU07 SLICE{k:02d} XOFFSET"] for k in (1, 2)}
    column = column + np.vectorize(first.get)(number) - 1
    scale = float(np.mean(flat.data, dtype=float)) * LEVEL
    assert data == pytest.approx(exposure.data[row, column] * scale, rel=1e-5)
    assert stat == pytest.approx(0.01 * scale**2, rel=1e-5)
    assert dq[(row == 200) & (column == 30)].tolist() == [1 << 5]
    assert np.count_nonzero(dq) == 1
    ours, where = solution(), traces()
    across = column - where.centre[number - 1, row] - 0.5
    assert wave == pytest.approx([ours.wave(k - 1, j, a) + 0.3 for k, j, a in zip(number, row, across, strict=True)],
                                 abs=1e-3)  # fmt: skip
    assert x == pytest.approx(np.where(number == 1, 100.0, -100.0) - across / 30.25 * 75.0, abs=1e-3)
    assert y == pytest.approx(4.0 + number)


def test_the_lamp_comes_back_with_its_own_spectrum(pixels):
    hdus, _, flat = pixels
    lamp = hdus[8].data
    assert np.diff(lamp["lambda"]).min() > 0
    assert lamp["data"] == pytest.approx(1.0, abs=0.01)
    mean = float(np.mean(flat.data, dtype=float))
    assert hdus[0].header["ESO DRS MUSE FLAT FLUX LAMP"] == pytest.approx(mean * flat.data.size)
    assert hdus[0].header["ESO DRS MUSE FLAT FLUX SKY"] == pytest.approx(mean * flat.data.size * LEVEL)


def test_line_profile_has_unit_area_on_esos_grid(written):
    offset, wave = np.arange(-10.0, 10.01, 0.05), np.linspace(4600.0, 9400.0, 13)
    density = np.exp(-0.5 * ((offset - 0.2) / 1.1) ** 2)[None, None].repeat(13, axis=1)
    zero = np.zeros(1, np.int32)
    product = SliceLsf(density, density, wave[None], offset[None], zero + 4, np.full((1, 13), 2.59), zero, META)
    _, profile = written("LSF_PROFILE", product)
    assert profile.data.shape == (1, 30, 150)
    at = profile.header["CRVAL1"] + profile.header["CD1_1"] * np.arange(150)
    assert (at[0], at[-1]) == pytest.approx((-7.5, 7.5))
    assert profile.data.sum(axis=2) * profile.header["CD1_1"] == pytest.approx(1.0, abs=1e-5)
    assert profile.data[0, 10] @ at * profile.header["CD1_1"] == pytest.approx(0.2, abs=1e-3)


def test_response_is_for_counts_of_a_pixel_that_counts_as_five_quarters_of_an_angstrom(written):
    wave = np.linspace(6800.0, 7200.0, 9)
    many = [wave * 0.0] * 5
    product = SliceResponse(wave, wave * 0.0 + 25.0, wave * 0.0 + 0.01, *many[:4], many[4], 0.8, META)
    product.response[0] = np.nan
    rows = written("STD_RESPONSE", product, traces=traces(), wavelengths=solution())[1].data
    assert rows.names == ["lambda", "response", "resperr"]
    assert len(rows) == 8
    width = np.gradient(solution().wave(0, Y * 1.0, 0.0))[200]
    assert np.interp(7000.0, rows["lambda"], rows["response"]) == pytest.approx(
        25.0 + 2.5 * np.log10(width / 1.25), abs=0.01
    )


def test_bands_of_the_atmosphere(written):
    wave = np.linspace(7600.0, 7700.0, 5)
    rows = written("STD_TELLURIC", Telluric(wave, wave / 8000.0, wave * 1e-6, 1.2, META))[1].data
    assert rows.names == ["lambda", "ftelluric", "ftellerr"]
    assert rows["ftelluric"] == pytest.approx(wave / 8000.0)


def test_cube_keeps_its_axes_and_what_was_not_measured_is_nan(written):
    grid = Grid(4750.0, 1.25, -2.0, -1.0, 0.2, (5, 6, 7))
    meta = {**META, **grid.cards(53.0, -27.0), "BUNIT": "10**(-20)*erg/s/cm**2/Angstrom"}
    data = RNG.normal(size=grid.shape).astype(np.float32)
    flags = np.zeros(grid.shape, np.int32)
    flags[0, 0, 0] = Flag.NOT_MEASURED
    cube = Cube(data, data**2, flags, np.zeros((0, 3), np.int32), np.zeros(0), meta)
    flat = {key: value for key, value in meta.items() if "3" not in key}
    image = Image(data[0], data[0] ** 2, flags[0], flat)
    hdus = written("DATACUBE_FINAL", cube, image=image)
    assert [hdu.name for hdu in hdus[1:]] == ["DATA", "STAT", "white", "white_STAT"]
    assert np.isnan(hdus[1].data[0, 0, 0])
    assert np.array_equal(hdus[2].data[1], data[1] ** 2)
    assert hdus[1].header["BUNIT"] == meta["BUNIT"]
    ra, dec, wave = WCS(hdus[1].header).wcs_pix2world(grid.cards(0, 0)["CRPIX1"], grid.cards(0, 0)["CRPIX2"], 3, 1)
    assert (ra, dec) == pytest.approx((53.0, -27.0))
    assert wave * 1e10 == pytest.approx(4752.5)
    assert [hdu.name for hdu in written("IMAGE_FOV", image)] == ["PRIMARY", "DATA", "DQ", "STAT"]
    with pytest.raises(BadData, match="and its image of"):
        written("DATACUBE_FINAL", cube, image=Image(data[0, 1:], data[0, 1:], flags[0, 1:], flat))


def test_each_cube_has_the_image_of_its_own_task():
    form = next(one for one in FORMS if one.tag == "CUBE")
    makers = [set(task.output_tags().values()) for task in instrument.workflow.tasks]
    beside = [tags & set(form.tags("image")) for tags in makers if "CUBE" in tags]
    assert beside == [{"IMAGE_FOV"}, {"IMAGE"}, {"IMAGE_FOV"}]  # the last of pixels that ESO's recipe calibrated
    assert {tag for tags in beside for tag in tags} <= {one.tag for one in FORMS if one.category == "IMAGE_FOV"}


def test_offsets_can_be_given_back_as_a_list(written, tmp_path):
    two, none = np.array([58500.0, 58500.01]), np.zeros(0)
    offsets = Offsets(
        np.array(["2019-01-17T00:00:00", "2019-01-17T00:14:24"]), two, np.array([0.0, 1e-4]), np.array([0.0, -2e-4]),
        np.array([1.0, 0.9]), *[two] * 5, np.zeros(2, np.int32), np.array(["reference", "images"]),
        np.zeros(2, np.int32), np.array(["a", "b"]), *[none.astype(np.int32)] * 2, *[none] * 7,
        none.astype(np.int32), 53.0, -27.0, 0.0, 0.0, 0.2, 5, 6, 0.0, 0.0, 0, META,
    )  # fmt: skip
    assert written("OFFSET_LIST", offsets)[1].data["DATE_OBS"][1] == "2019-01-17T00:14:24"
    given = read_raw(tmp_path / "x.fits", "OFFSET_LIST")
    assert listed_offsets(given, [{"MJD-OBS": 58500.01}, {"MJD-OBS": 58502.0}]) == [(1e-4, -2e-4, 0.9), None]


def test_the_layout_is_known_by_its_name():
    assert instrument.exports["eso"] is FORMS
    assert len({(form.category, form.tag) for form in FORMS}) == len(FORMS)


def test_long_term_calibrations_have_the_observatorys_columns_and_cards(tmp_path):
    from tests.unit.instruments.muse.test_long_term import field, wcs

    forms = {form.category: form for form in FORMS}
    path = tmp_path / "one.fits"
    write_foreign(path, forms["GEOMETRY_TABLE"].arrange(field()))
    with fits.open(path) as hdus:
        assert hdus[0].header["ESO PRO CATG"] == "GEOMETRY_TABLE"
        names = ["SubField", "SliceCCD", "SliceSky", "x", "y", "angle", "width"]
        assert hdus[1].columns.names[:7] == names
        assert len(hdus[1].data) == 48
    write_foreign(path, forms["ASTROMETRY_WCS"].arrange(wcs()))
    header = fits.getheader(path)
    assert (header["ESO PRO CATG"], header["CRPIX1"]) == ("ASTROMETRY_WCS", 2.0)
    assert header["CD2_2"] == pytest.approx(0.2002 / 3600.0)
    four, unit = np.arange(1, 5), np.full(4, 1.0)
    gain = OutputLinearity(four, unit, unit, unit, unit, np.full((4, 1), 0.01), np.zeros((4, 1, 1)), unit, unit[:1],
                           unit[:1], 1e4, META)  # fmt: skip
    write_foreign(path, forms["NONLINEARITY_GAIN"].arrange(gain))
    with fits.open(path) as hdus:
        assert hdus[1].data["C1"][0] == pytest.approx(1e-6)
