"""Products of ESO's pipeline become ours: what is written in its layout comes back as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from tests.unit.instruments.muse.small_products import META, SHAPE, Y, frame, solution, traces
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.instruments.muse import given_steps, instrument
from tracecube.instruments.muse.ccd import described_quadrants
from tracecube.instruments.muse.eso_layout import FORMS
from tracecube.instruments.muse.given_steps import (
    GivenParams,
    given_bias,
    given_dark,
    given_flat,
    given_response,
    given_telluric,
    given_traces,
    given_waves,
)
from tracecube.io.foreign import write_foreign
from tracecube.io.headers import read_header
from tracecube.io.raw import read_raw
from tracecube.recipes.optics.slice_traces import TraceParams, Tracing
from tracecube.workflow.choices import opened
from tracecube.workflow.discover import Found

NO = GivenParams()
MORE = {"MJD-OBS": 58500.0, "ESO DET READ CURID": 1, "ESO DET BINX": 1}


@pytest.fixture
def given(tmp_path):
    """A product of ours, in ESO's layout, read as a raw file."""

    def call(category: str, product, **beside: object):
        [form] = [one for one in FORMS if one.category == category]
        path = tmp_path / f"{category}.fits"
        write_foreign(path, form.arrange(product, **beside), cards=MORE)
        return read_raw(path, f"ESO_{category}")

    return call


def test_bias_comes_back_in_electrons_with_its_noise(given):
    ours = frame(1.0)
    back = given_bias(raw=given("MASTER_BIAS", ours), params=NO)
    assert back.frame.data == pytest.approx(ours.data, rel=1e-6)
    assert back.frame.variance == pytest.approx(ours.variance, rel=1e-6)
    assert np.array_equal(back.frame.flags, ours.flags)
    assert [back.frame.meta[f"RDNOISE{k}"] for k in (1, 2, 3, 4)] == pytest.approx([3.0, 4.0, 5.0, 6.0])
    assert back.frame.meta["DETECTOR"] == "CHAN07"
    assert "in place of" in back.caveats[0].replace("takes the place", "in place")


def test_dark_and_flat_come_back(given):
    dark, flat = frame(3.0), frame(30000.0)
    assert given_dark(raw=given("MASTER_DARK", dark), params=NO).frame.data == pytest.approx(dark.data, rel=1e-6)
    back = given_flat(raw=given("MASTER_FLAT", flat, traces=traces()), params=NO).frame
    assert back.data == pytest.approx(flat.data, rel=1e-5)
    assert back.variance == pytest.approx(flat.variance, rel=1e-5)


def test_what_a_product_must_tell_is_not_made_up(given):
    raw = given("MASTER_FLAT", frame(30000.0), traces=traces())
    del raw.meta["ESO QC FLAT MASTER MEAN"]
    with pytest.raises(MissingInput, match="MASTER MEAN"):
        given_flat(raw=raw, params=NO)
    with pytest.raises(BadData, match="DATA, DQ and STAT"):
        given_dark(raw=given("TRACE_TABLE", traces()), params=NO)


def test_traces_come_back_with_edges_of_the_flat(given, monkeypatch):
    ours = traces()
    seen = []

    def traced(flat, **_: object):
        seen.append(flat)
        return Tracing(ours, np.zeros(2), np.zeros(2), ())

    monkeypatch.setattr(given_steps, "trace_slices", traced)
    flat = frame(30000.0)
    back = given_traces(raw=given("TRACE_TABLE", ours), flat=flat, params=TraceParams()).traces
    assert seen == [flat]
    for name in ("centre", "left", "right"):
        assert getattr(back, name) == pytest.approx(getattr(ours, name), abs=1e-8)
    assert back.edge.tolist() == [0.8, 0.8]
    assert back.dq.tolist() == [0, 0]


def test_wavelengths_come_back(given):
    ours, where = solution(), traces()
    back = given_waves(raw=given("WAVECAL_TABLE", ours, traces=where), traces=where, params=NO).wavelengths
    for across in (-14.0, 0.0, 9.0):
        for row in (0, 1):
            assert back.wave(row, Y, across) == pytest.approx(ours.wave(row, Y, across), abs=1e-6)
    assert back.rms == pytest.approx(ours.rms, rel=1e-3)


def test_how_well_wavelengths_are_known_follows_from_the_lines_of_each_slice(given):
    where = traces()
    raw = given("WAVECAL_TABLE", solution(), traces=where)
    raw.meta["ESO QC WAVECAL SLICE1 FIT NLINES"] = 40
    raw.meta["ESO QC WAVECAL SLICE2 FIT NLINES"] = 20
    back = given_waves(raw=raw, traces=where, params=NO)
    few = back.wavelengths.covariance[1] / back.wavelengths.covariance[0]
    assert few[0, 0] == pytest.approx(2.0, rel=0.2)
    assert len(back.caveats) == 1
    del raw.meta["ESO QC WAVECAL SLICE2 FIT NLINES"]
    back = given_waves(raw=raw, traces=where, params=NO)
    assert np.isfinite(back.wavelengths.covariance).all(axis=(1, 2)).tolist() == [True, False]
    assert back.wavelengths.dq.tolist() == [0, 0]
    assert back.caveats[1].startswith("errors of the wavelengths of 1 slices are unknown")


def test_a_slice_that_the_table_does_not_have_is_flagged(given):
    lost = solution()
    lost.dq[1] = 1
    raw = given("WAVECAL_TABLE", lost, traces=traces())
    assert (given_waves(raw=raw, traces=traces(), params=NO).wavelengths.dq != 0).tolist() == [False, True]


@pytest.mark.parametrize("with_lamp", [True, False])
def test_response_comes_back_for_light_relative_to_the_lamp(given, with_lamp, monkeypatch):
    """Without the lamp's spectrum in it, counts are over a flat of mean 1."""
    wave = np.linspace(6800.0, 7200.0, 9)
    lamp, flat = wave * 4.0, frame(30000.0)
    monkeypatch.setattr(given_steps, "lamp_spectrum", lambda *_: (wave, lamp))
    ratio = 1e15 * (1.0 + 1e-4 * (wave - 7000.0))
    magnitude = 2.5 * np.log10(ratio * lamp)
    ours = SliceResponse(wave, magnitude, wave * 0 + 0.01, ratio, ratio * 0.01, lamp, ratio, wave * 0, 0.8, META)
    raw = given("STD_RESPONSE", ours, traces=traces(), wavelengths=solution())
    if not with_lamp:
        del raw.meta["ESO DRS MUSE FLUX FFCORR"]
        mean = float(np.mean(flat.data, dtype=float))
        raw.tables["STD_RESPONSE"]["response"] = 2.5 * np.log10(ratio * mean / 1.25)
    back = given_response(raw=raw, flats=[flat], traces=[traces()], wavelengths=[solution()], twilights=[], params=NO)
    assert back.response.ratio == pytest.approx(ratio, rel=1e-6)
    assert back.response.lamp == pytest.approx(lamp)


def test_the_lamp_of_a_response_is_the_closest_in_time(given, monkeypatch):
    wave = np.linspace(6800.0, 7200.0, 9)
    monkeypatch.setattr(given_steps, "lamp_spectrum", lambda flat, *_: (wave, wave * 0 + np.mean(flat.data)))
    ours = SliceResponse(wave, wave * 0 + 40.0, *[wave * 0 + 1.0] * 6, 0.8, META)
    raw = given("STD_RESPONSE", ours, traces=traces(), wavelengths=solution())
    flats = [replace(frame(level), meta={**META, "MJD-OBS": 58500.0 + day}) for level, day in ((1e4, 0.3), (3e4, 1.2))]
    for offered in (flats, flats[::-1]):
        back = given_response(
            raw=raw, flats=offered, traces=[traces()], wavelengths=[solution()], twilights=[], params=NO
        )
        assert back.response.lamp == pytest.approx(1e4, rel=1e-3)
        assert "lamp of 2019-01-17" in back.caveats[1]


@pytest.mark.parametrize(("choice", "there"), [("yes", True), ("no", False)])
def test_the_lamp_has_the_level_of_the_twilight_only_where_exposures_are_divided_by_it(choice, there):
    found, _ = opened({"muse": Found("muse", instrument)}, {"muse": {"use_skyflats": choice}})
    [task] = [task for task in found["muse"].instrument.workflow.tasks if task.name == "given_response"]
    assert ("twilights" in {rule.argument for rule in task.associations}) is there


def test_bands_of_the_atmosphere_come_back(given):
    wave = np.linspace(7600.0, 7700.0, 5)
    back = given_telluric(raw=given("STD_TELLURIC", Telluric(wave, wave / 8000.0, wave * 1e-6, 1.2, META)), params=NO)
    assert np.interp(wave, back.telluric.wave, back.telluric.transmission) == pytest.approx(wave / 8000.0)
    assert back.telluric.airmass == 1.0


def test_each_is_known_by_its_category_and_channel(given, tmp_path):
    given("MASTER_BIAS", frame())
    header = {**read_header(tmp_path / "MASTER_BIAS.fits"), "INSTRUME": "MUSE"}
    found = instrument.classify("x", header)
    assert (found.tag, found.setup["detector"], found.setup["mode"]) == ("ESO_MASTER_BIAS", "CHAN07", "WFM-NOAO-N")
    with pytest.raises(BadData, match="which channel"):
        instrument.classify("x", {**header, "UNITNAME": None})


def test_of_a_file_of_many_channels_each_is_an_input(tmp_path):
    units = [fits.PrimaryHDU(header=fits.Header([("INSTRUME", "MUSE"), ("MJD-OBS", 58500.0)]))]
    units[0].header["HIERARCH ESO PRO CATG"] = "MASTER_DARK"
    pixels = {channel: np.full((4, 6), float(channel), np.float32) for channel in (3, 5)}
    names = [(channel, f"CHAN{channel:02d}.{name}") for channel in pixels for name in ("DATA", "DQ", "STAT")]
    units += [fits.ImageHDU(pixels[channel], name=name) for channel, name in names]
    fits.HDUList(units).writeto(tmp_path / "merged.fits")
    found = instrument.classify("merged", read_header(tmp_path / "merged.fits"))
    assert found.setup["extensions"] == "CHAN03 CHAN05"
    back = given_dark(raw=read_raw(tmp_path / "merged.fits", found.tag, extension="CHAN05"), params=NO).frame
    assert back.data.tolist() == np.full((4, 6), 5.0).tolist()
    assert back.meta["DETECTOR"] == "CHAN05"


def test_what_is_given_goes_before_our_own_in_every_task():
    rules = [rule for task in instrument.workflow.tasks for rule in task.associations]
    for tag in ("MASTER_BIAS", "MASTER_FLAT", "TRACES", "WAVELENGTHS", "RESPONSE", "TELLURIC"):
        taking = [rule for rule in rules if tag in rule.tags]
        assert taking
        assert all(rule.instead is not None and rule.instead.tags == (f"GIVEN_{tag}",) for rule in taking)


def test_a_bias_that_is_given_carries_bad_pixels_and_linearity_too(given, monkeypatch):
    raw = given("MASTER_BIAS", frame(0.0))
    listed = np.zeros(SHAPE, np.int32)
    listed[7, 9] = int(Flag.BAD_PIXEL)
    monkeypatch.setattr(given_steps, "listed_flags", lambda table, detector, parts, shape: listed)
    monkeypatch.setattr(given_steps, "described_quadrants", lambda raw: ())
    monkeypatch.setattr(given_steps, "linearity_cards", lambda found: {"LINGAIN1": found})
    back = given_bias(raw=raw, bad_pixels="a table", linearity=1.25, params=NO).frame
    assert back.flags[7, 9] & int(Flag.BAD_PIXEL)
    assert back.meta["LINGAIN1"] == 1.25


def test_a_bias_of_esos_has_lost_the_cards_of_the_covered_pixels(given):
    """A list of bad pixels counts those of the raw image: 32 before the first of light, 64 between the halves."""
    raw = given("MASTER_BIAS", frame(0.0))
    bare = replace(raw, meta={key: value for key, value in raw.meta.items() if "PRSC" not in key and "OVSC" not in key})
    starts = {one.output: (one.data.y0 - one.chip.y0, one.data.x0 - one.chip.x0) for one in described_quadrants(bare)}
    assert starts == {1: (32, 32), 2: (32, 96), 3: (96, 96), 4: (96, 32)}
