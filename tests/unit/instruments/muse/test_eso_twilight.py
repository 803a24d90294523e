"""The twilight by wavelength in ESO's layout, and back: what exposures are divided by stays the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from tests.unit.instruments.muse.long_term_products import field
from tests.unit.instruments.muse.small_products import META as CARDS
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.frame import Frame
from tracecube.core.slice_colour import SliceColours
from tracecube.core.slice_light import SliceIllumination
from tracecube.core.slices import SliceTraces
from tracecube.instruments.muse import instrument
from tracecube.instruments.muse.eso_layout import FORMS
from tracecube.instruments.muse.given_steps import GivenParams
from tracecube.instruments.muse.given_twilight import given_field_colours, given_twilight
from tracecube.instruments.muse.twilight_steps import ImageParams, twilight_image
from tracecube.io.foreign import write_foreign
from tracecube.io.headers import read_header
from tracecube.io.products import write_product
from tracecube.io.raw import read_raw

NO = GivenParams()
LAMP, LEVEL = 20000.0, {7: 0.25, 8: 0.24}
ACROSS = np.arange(-46.0, 47.0)
WAVE = np.arange(5000.0, 9001.0, 250.0)
MORE = {"MJD-OBS": 58500.0, "ESO DET READ CURID": 1, "ESO DET BINX": 1, "ESO TPL START": "2019-01-16T23:31:12"}
SLOPE, TINT = 0.02, 0.015


def west(channel: int) -> np.ndarray:
    """Places (48, 93) along slices, arcsec."""
    return 0.2 * (field(channel).x[:, None] - np.clip(ACROSS, -37.6, 37.6))


def light(channel: int) -> tuple[SliceIllumination, SliceColours]:
    """A twilight that grows to the west, the more the redder."""
    meta = {**CARDS, "DETECTOR": f"CHAN{channel:02d}", "LAMPMEAN": LAMP}
    count, dq = np.arange(1, 49, dtype=np.int32), np.zeros(48, np.int32)
    level = np.full(48, LEVEL[channel])
    x = west(channel)
    ratio = LEVEL[channel] * (1.0 + SLOPE * x / 30.0)
    u = (WAVE - 7000.0) / 2000.0
    colour = 1.0 + TINT * x[:, None, :] / 30.0 * u[None, :, None]
    colour += np.random.default_rng(channel).normal(0.0, 1e-4, colour.shape)
    error = np.where(np.abs(ACROSS) < 37.6, 1e-4, np.inf) + 0.0 * colour
    spectrum = 1.0 - 0.3 * u
    return (
        SliceIllumination(ratio, 0.0 * ratio + 1e-4, ACROSS[None], count, level, level, dq, meta),
        SliceColours(colour, error, ACROSS[None], count, dq, WAVE, spectrum, 0.0 * spectrum, meta),
    )


@pytest.fixture
def table(tmp_path):
    both = [field(7), field(8)]
    names = [name for name in vars(both[0]) if isinstance(getattr(both[0], name), np.ndarray)]
    joined = replace(both[0], **{name: np.concatenate([getattr(one, name) for one in both]) for name in names})
    write_product(tmp_path / "geometry.fits", joined)
    return read_raw(tmp_path / "geometry.fits", "GEOMETRY")


@pytest.fixture
def written(tmp_path, table):
    def call(category: str):
        [form] = [one for one in FORMS if one.category == category]
        parts = [light(channel) for channel in (8, 7)]
        given = {"twilights": [one for one, _ in parts], "colours": [one for _, one in parts], "geometry": table}
        path = tmp_path / f"{category}.fits"
        write_foreign(path, form.arrange(ImageParams(), vignetting=None, **given), cards=MORE)
        return path

    return call


def test_the_cube_is_one_on_average_at_each_wavelength_and_channels_have_their_light_in_cards(written):
    path = written("TWILIGHT_CUBE")
    with fits.open(path) as hdus:
        cube, head, own = hdus["DATA"].data, hdus["DATA"].header, hdus[0].header
    assert cube.shape == (17, 24, 301)
    assert cube.mean(axis=(1, 2)) == pytest.approx(1.0, abs=1e-5)
    assert [head[f"CTYPE{axis}"] for axis in (1, 2, 3)] == ["PIXEL", "PIXEL", "AWAV"]
    assert (head["CRVAL3"], head["CD3_3"], head["BUNIT"]) == (5000.0, 250.0, "count")
    size = 120 * 400
    assert own["ESO DRS MUSE FLAT FLUX LAMP"] == pytest.approx(LAMP * size)
    for channel in (7, 8):
        assert own[f"ESO DRS MUSE FLAT FLUX SKY{channel}"] == pytest.approx(LAMP * size * LEVEL[channel])
    place = 0.2 * (head["CRVAL1"] + np.arange(301.0)) / 30.0
    for k in (0, 8, 16):
        expected = (1.0 + SLOPE * place) * (1.0 + TINT * place * (WAVE[k] - 7000.0) / 2000.0)
        assert np.abs(cube[k] / expected - 1.0)[:, 3:-3].max() < 1e-3


def test_the_measured_cube_has_electrons_and_their_errors(written):
    with fits.open(written("DATACUBE_SKYFLAT")) as hdus:
        assert [hdu.name for hdu in hdus[1:]] == ["DATA", "STAT", "white"]
        data, stat = hdus["DATA"].data, hdus["STAT"].data
        white = hdus["white"].data
    assert np.nanmedian(data[0]) == pytest.approx(1.3 * LAMP, rel=0.02)
    assert np.nanmedian(np.sqrt(stat[8])) == pytest.approx(1e-4 * LAMP, rel=0.1)
    assert np.nanmedian(white) == pytest.approx(LAMP, rel=0.02)


def test_a_cube_of_theirs_becomes_light_along_slices_and_colours(written, table):
    path = written("TWILIGHT_CUBE")
    found = instrument.classify(path.name, {**read_header(path), "INSTRUME": "MUSE"})
    assert found.tag == "ESO_TWILIGHT_CUBE"
    assert found.setup["detectors"] == "CHAN07 CHAN08"
    raw = read_raw(path, found.tag)
    flat = Frame(*(np.full((400, 120), LAMP, np.float32) for _ in range(2)), np.zeros((400, 120), np.int32),
                 {"DETECTOR": "CHAN08"})  # fmt: skip
    middle, zero = np.zeros((48, 10)), np.zeros(48, np.int32)
    traces = SliceTraces(zero + np.arange(1, 49, dtype=np.int32), zero, zero, np.ones(48), middle, middle - 37.6,
                         middle + 37.6, middle, middle.astype(np.int32), 0, {"DETECTOR": "CHAN08"})  # fmt: skip
    back = given_twilight(raw=raw, flat=flat, traces=traces, geometry=table, params=NO)
    ours = light(8)[0]
    inner = np.abs(ACROSS) < 36.0
    # half a spaxel aside at most
    assert np.abs(back.twilight.ratio / ours.ratio - 1.0)[:, inner].max() < 1e-3
    assert np.abs(back.twilight.level / ours.ratio[:, inner].mean(axis=1) - 1.0).max() < 1e-3
    assert back.twilight.meta["DETECTOR"] == "CHAN08"
    assert np.isnan(back.twilight.error).all()
    assert "takes the place" in back.caveats[0]

    colours = given_field_colours(raw=[raw, raw], params=NO)
    x, y = west(8)[:, ::10], np.full((48, 10), 9.0)
    for wave in (5000.0, 7000.0, 9000.0):
        change = colours.field_colours.at(x, y, np.full_like(x, wave)) - 1.0
        assert change - change.mean() == pytest.approx(
            TINT * (x - x.mean()) / 30.0 * (wave - 7000.0) / 2000.0, abs=3e-4
        )
    numbers = {one.name: one.value for one in colours.quality}
    assert numbers["COLOUR LEFT"] < 1e-4 < numbers["COLOUR RMS"]

    short = replace(raw, meta={key: card for key, card in raw.meta.items() if not key.endswith("SKY8")})
    with pytest.raises(MissingInput, match="FLAT FLUX SKY8"):
        given_twilight(raw=short, flat=flat, traces=traces, geometry=table, params=NO)
    with pytest.raises(BadData, match="axes"):
        given_field_colours(raw=[replace(raw, images={})], params=NO)


def test_a_twilight_cube_of_no_channel_is_told():
    head = {"ESO PRO CATG": "TWILIGHT_CUBE", "INSTRUME": "MUSE", "ESO INS MODE": "WFM-NOAO-N", **MORE}
    with pytest.raises(BadData, match="of which channels"):
        instrument.classify("x.fits", head)


def test_the_field_says_how_its_light_changes(table):
    parts = [light(channel) for channel in (7, 8)]
    made = twilight_image(
        twilights=[one for one, _ in parts], colours=[one for _, one in parts], geometry=table, vignetting=None,
        params=ImageParams(),
    )  # fmt: skip
    colours = made.field_colours
    assert colours.used.tolist() == [1, 0]
    assert colours.coefficient[0] == pytest.approx([0.0, TINT, 0.0], abs=4.0 * float(colours.error[0].max()) + 1e-5)
    numbers = {one.name: one.value for one in made.quality}
    assert numbers["COLOUR SIGNIFICANCE"] > 10.0
    assert numbers["COLOUR CHANGE"] == pytest.approx(2.0 * TINT * 0.9, rel=0.05)
    assert "LAMPMEAN" not in made.twilight_image.meta
