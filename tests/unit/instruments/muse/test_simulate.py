"""Simulated nights of MUSE: equal for equal seeds, what they say they are, with light where the truth has it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from scipy.optimize import curve_fit

from tracecube.cli.nights import simulator, write_night
from tracecube.core.errors import BadData
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.ccd import Channel
from tracecube.instruments.muse.classify import classify
from tracecube.instruments.muse.geometry import geometry_of
from tracecube.instruments.muse.pointing import pointing_of, refraction
from tracecube.instruments.muse.simulate import simulate
from tracecube.instruments.muse.simulation import exposing, field, light, lsf, readout
from tracecube.instruments.muse.simulation.airglow import airglow
from tracecube.instruments.muse.simulation.field import Source
from tracecube.instruments.muse.simulation.headers import channel_cards, primary_cards
from tracecube.instruments.muse.simulation.lamps import line_list
from tracecube.instruments.muse.simulation.observing import Aim
from tracecube.instruments.muse.simulation.optics import COLUMNS, ROWS, SLICES, State, draw_optics
from tracecube.instruments.muse.simulation.paint import ALONG, SHARE_WAVES, Beam, paint, smear, smear_lines
from tracecube.instruments.muse.simulation.schedule import schedule
from tracecube.io.headers import read_header
from tracecube.io.raw import read_raw, write_raw

DAY = State.of_day()
OPTICS = draw_optics(np.random.default_rng(4), 9)
SPREAD = lsf.line_spread(OPTICS)
CHIP = readout.make_chip(np.random.default_rng(8))
EVEN = np.ones((SLICES, 129))
MIDDLE = 24  # a slice


@pytest.mark.parametrize(
    "choices",
    [
        {"ifus": "25"},
        {"exposures": "5"},
        {"field": "full"},
        {"faults": "fire"},
        {"colour": "red"},
        {"faults": "missing_channel"},
    ],
)
def test_what_can_not_be_made_is_said(choices: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(BadData, match=next(iter(choices))):
        write_night(simulator("muse"), tmp_path, 1, choices)


@pytest.fixture(scope="module")
def bias() -> RawFrame:
    return next(simulate(seed=2, ifus="9"))


def test_equal_seeds_give_equal_frames_whichever_other_channels_are_made(bias: RawFrame) -> None:
    assert np.array_equal(next(simulate(seed=2, ifus="9-10")).images["CHAN09"], bias.data)


def test_frames_are_channels_of_the_instrument(bias: RawFrame) -> None:
    counts = bias.images["CHAN09"].astype(np.float32)
    channel = Channel.of(RawFrame("a", "BIAS", {**bias.meta, **bias.headers["CHAN09"]}, {"": counts}, {}))
    assert channel.shape == (ROWS, COLUMNS)
    assert [part.noise for part in channel.parts] == pytest.approx(channel.noise, rel=0.02)
    electrons, _ = channel.rows(0, 400)
    assert abs(electrons.mean()) < 0.05  # overscan and data have one level


def test_schedule_is_in_order_of_time_and_classifies() -> None:
    shots = schedule(58500.0, "small", 2, 600.0, frozenset({"Xe"}))
    assert [shot.mjd for shot in shots] == sorted(shot.mjd for shot in shots)
    assert len({shot.name for shot in shots}) == len(shots)
    aim = Aim(50.0, -20.0, 0.0, 58500.0, 1.0)
    for shot in shots:
        cards = {**primary_cards(shot, aim, "target", 0.8), "EXTENSIONS": "CHAN09"}
        found = classify(shot.name, cards)
        assert found.tag == shot.tag
        assert found.setup["night"] == "2019-01-17"
        assert found.setup["lamp"] == ("CONT" if shot.tag in {"FLAT", "ILLUM"} else shot.lamp)
    assert "Xe" not in {shot.lamp for shot in shots}


def test_line_spread_has_unit_integral_and_its_gaussian_at_zero() -> None:
    step = lsf.OFFSET[1] - lsf.OFFSET[0]
    assert np.allclose(SPREAD.value.sum(axis=2) * step, 1.0, atol=1e-6)
    assert np.abs(SPREAD.moment).max() > 0.02  # it leans
    law = 5.866e-8 * lsf.NODES**2 - 9.187e-4 * lsf.NODES + 6.040
    assert np.median(SPREAD.fwhm, axis=0) == pytest.approx(law, rel=0.05)
    one = SPREAD.value[3, 4]
    fit, _ = curve_fit(lambda x, h, c, s: h * np.exp(-0.5 * ((x - c) / s) ** 2), lsf.OFFSET, one, p0=(0.4, 0.0, 1.0))
    assert abs(fit[1]) < 1e-4


def test_light_that_fills_the_slices_is_spectrum_times_dispersion_and_width() -> None:
    smooth = np.broadcast_to(2.0 + light.GRID / 5000.0, (SLICES, light.GRID.size))
    image = paint(Beam.of(OPTICS, DAY), OPTICS, np.ones(SLICES), smooth, EVEN)
    y = np.array([300.0, 2000.0, 3900.0])
    middle = OPTICS.middle(y, DAY)[MIDDLE]
    for row, centre in zip(y.astype(int), middle, strict=True):
        x = np.arange(round(centre) - 41, round(centre) + 42)
        wave = OPTICS.places(np.array([row - 0.5, row, row + 0.5]), x - centre, DAY)[MIDDLE]
        edge = np.clip(OPTICS.width[MIDDLE] / 2 - np.abs(x - centre) + 0.5, 0, 1)
        expected = ((2.0 + wave[1] / 5000.0) * (wave[2] - wave[0]) * edge).sum()
        assert image[row, x].sum() == pytest.approx(expected, rel=2e-4)


def test_a_line_lies_where_the_truth_has_it() -> None:
    wave = 7023.456
    smooth = smear_lines(np.array([wave]), np.array([1000.0]), SPREAD)
    image = paint(Beam.of(OPTICS, DAY), OPTICS, np.ones(SLICES), smooth, EVEN)
    for s in (0, MIDDLE, 47):
        x = round(float(OPTICS.x0[s])) + 7
        row = int(np.argmax(image[:, x]))
        rows = np.arange(row - 12.0, row + 13.0)
        aside = x - OPTICS.middle(rows, DAY)[s]
        at = np.array([OPTICS.places(rows[i : i + 1], aside[i : i + 1], DAY)[s, 0, 0] for i in range(rows.size)])
        column = image[rows.astype(int), x]
        assert column.sum() == pytest.approx(1000.0, rel=1e-3)
        centroid = (column * at).sum() / column.sum() - wave
        moment = np.interp(wave, lsf.NODES, SPREAD.moment[s])
        assert centroid == pytest.approx(moment, abs=0.002)


def test_smearing_lines_and_spectra_is_the_same() -> None:
    narrow = np.exp(-0.5 * ((light.GRID - 6500.0) / 0.3) ** 2)
    wave, strength = light.GRID[np.abs(light.GRID - 6500) < 2], 0.2 * narrow[np.abs(light.GRID - 6500) < 2]
    one, two = smear(narrow, SPREAD), smear_lines(wave, strength, SPREAD)
    assert np.abs(one - two).max() < 3e-3 * one.max()


def test_moved_light_is_told_by_the_state() -> None:
    state = State(0.1, 0.3, 0.02, np.full(SLICES, 0.01), np.ones(SLICES))
    y = np.array([100.0, 3000.0])
    assert np.allclose(OPTICS.middle(y, state) - OPTICS.middle(y, DAY), 0.1)
    before = OPTICS.places(y, np.array([5.0]), DAY)
    assert np.allclose(OPTICS.places(y, np.array([5.0]), state) - before, 0.31 + 0.02 * (before - 7000) / 2300)


@pytest.mark.parametrize("mean", [2.5, 9.0, 30000.0])
def test_counts_have_the_mean_and_the_noise_of_photons_and_reading(mean: float) -> None:
    rng = np.random.default_rng(1)
    chip = replace(CHIP, response=np.zeros_like(CHIP.response))
    raw, _ = readout.expose(chip, np.full((ROWS, COLUMNS), mean, np.float32), 0.0, rng, steady=True)
    aim = Aim(50.0, -20.0, 0.0, 58500.0, 0.0)
    cards = primary_cards(schedule(58500.0, "small", 0, 0.0, frozenset())[0], aim, "", 0.8)
    frame = RawFrame("a", "BIAS", {**cards, **channel_cards(9, chip, live=True)}, {"": raw.astype(np.float32)}, {})
    electrons, _ = Channel.of(frame).rows(0, 2056)
    part = electrons[:, 100:2000]
    good = np.abs(part - np.median(part)) < 8 * part.std()
    assert part[good].mean() == pytest.approx(mean, abs=0.03 + 2e-4 * mean)
    rounding = chip.gain[0] ** 2 / 12
    assert part[good].var() == pytest.approx(mean + chip.noise[0] ** 2 + rounding, rel=0.01)
    if 0 < mean < 100:
        third = np.mean((part[good] - part[good].mean()) ** 3)
        assert third == pytest.approx(mean, rel=0.25)


def test_cosmic_rays_are_where_the_truth_has_them() -> None:
    chip = CHIP
    raw, hits = readout.expose(chip, None, 300.0, np.random.default_rng(1))
    assert hits.x.size > 1000
    bright = hits.electrons > 300
    y = hits.y[bright] + 32 + 64 * (hits.y[bright] >= ROWS // 2)
    x = hits.x[bright] + 32 + 64 * (hits.x[bright] >= COLUMNS // 2)
    assert np.all(raw[y, x] > chip.level.min() + 200)


def test_all_light_of_a_star_is_in_the_field() -> None:
    aim = Aim(50.0, -20.0, 33.0, 58500.1, 60.0)
    star = Source("star", -37.0, (12.5 - 9) * 12.03, 1e-15)
    east, north = (np.array([a]) for a in aim.sky(np.array(star.x), np.array(star.y)))
    narrow = np.full(SHARE_WAVES.size, 2.0)
    found = field.shares([star], np.full((1, SHARE_WAVES.size), 1.0), (east, north), aim, OPTICS, narrow)
    step = ALONG[1] - ALONG[0]
    inside = np.abs(ALONG) < 37.5
    total = found[:, :, inside].sum(axis=(0, 2)) * step
    node = int(np.argmin(np.abs(SHARE_WAVES - 7000.0)))
    assert total[node] == pytest.approx(1.0, abs=0.06)  # wings beyond the strip of a channel
    s, along = np.unravel_index(np.argmax(found[:, node]), found[:, node].shape)
    assert abs(OPTICS.x[s] + ALONG[along] - star.x) < 0.5
    assert abs(OPTICS.y[s] - star.y) < 0.6


def test_extended_sources_have_unit_total() -> None:
    aim = Aim(50.0, -20.0, 0.0, 58500.1, 60.0)
    y = (12.5 - 9) * 12.03
    for source in (
        Source("galaxy", 36.0, y, 1.0, long=1.5, short=1.0, turn=30.0),
        Source("gas", 36.0, y, 1.0, long=1.6, short=1.2, turn=70.0),
    ):
        place = tuple(np.array([a]) for a in aim.sky(np.array(source.x), np.array(source.y)))
        found = field.shares([source], np.ones((1, SHARE_WAVES.size)), place, aim, OPTICS, np.ones(SHARE_WAVES.size))
        node = int(np.argmin(np.abs(SHARE_WAVES - 7000.0)))
        total = found[:, node, np.abs(ALONG) < 37.5].sum() * (ALONG[1] - ALONG[0])
        assert total == pytest.approx(1.0, abs=0.03)


def test_directions_and_axes_are_undone() -> None:
    aim = Aim(53.0, -27.0, 125.0, 58500.1, 60.0)
    x, y = np.array([-100.0, 3.0]), np.array([50.0, -140.0])
    assert np.allclose(aim.field(*aim.offsets(*aim.directions(*aim.sky(x, y)))), (x, y))
    ra, _ = Aim(359.999, -27.0, 0.0, 58500.1, 60.0).directions(np.array([0.0, 100.0]), np.zeros(2))
    assert ra == pytest.approx([359.999, 0.00523], abs=1e-4)  # right ascensions go round
    turned = SkyCoord(*aim.directions(*aim.sky(np.array(0.0), np.array(100.0))), unit="deg")
    centre = SkyCoord(aim.ra, aim.dec, unit="deg")
    assert centre.position_angle(turned).deg == pytest.approx(125.0, abs=0.01)
    assert centre.separation(turned).arcsec == pytest.approx(20.0, abs=1e-3)


def test_the_sky_turns_as_astropy_has_it() -> None:
    aim = Aim(53.0, -27.0, 0.0, 58500.1, 600.0)
    airmass, parallactic, altitude, azimuth = aim.at(0.5)
    place = EarthLocation.from_geodetic(-70.404 * u.deg, -24.627 * u.deg, 2648 * u.m)
    frame = AltAz(obstime=Time(aim.mjd + 300.0 / 86400, format="mjd"), location=place)
    star = SkyCoord(aim.ra, aim.dec, unit="deg").transform_to(frame)
    assert altitude == pytest.approx(star.alt.deg, abs=0.3)  # precession since 2000
    assert azimuth == pytest.approx(star.az.deg, abs=0.6)
    zenith = SkyCoord(0 * u.deg, 90 * u.deg, frame=frame).transform_to("icrs")
    assert parallactic == pytest.approx(
        SkyCoord(aim.ra, aim.dec, unit="deg").position_angle(zenith).wrap_at("180d").deg, abs=0.6
    )
    assert airmass == pytest.approx(1.0 / np.sin(np.radians(altitude)))


def test_refraction_is_that_of_the_header() -> None:
    aim = Aim(53.0, -27.0, 70.0, 58500.15, 600.0)
    shot = next(shot for shot in schedule(58500.0, "small", 1, 600.0, frozenset()) if shot.tag == "OBJECT")
    told = pointing_of(primary_cards(shot, aim, "target", 0.8), "object0")
    wave = np.array([4800.0, 7000.0, 9200.0])
    assert np.allclose(0.2 * np.array(aim.field(*aim.refraction(wave))), refraction(told, wave), atol=0.002)


def test_airglow_has_the_known_lines_and_the_bands_of_hydroxyl() -> None:
    glow = airglow()
    assert {5577.339, 6300.304} <= set(glow.wave)
    assert 400 < glow.wave.size < 900
    band = (glow.group == 18) & (glow.wave > 9300) & (glow.wave < 9500)  # 8-4, Osterbrock et al. 1996
    assert glow.flux[band].sum() > 3.0
    assert np.abs(glow.wave[:, None] - np.array([7913.7, 8885.9, 9439.7])).min(axis=0).max() < 15.0


def test_lists_of_lamps_have_errors_and_lack_lines() -> None:
    lines = line_list(np.random.default_rng(2))
    assert np.std(lines.true - lines.wave) == pytest.approx(0.008, rel=0.2)
    assert np.all(np.diff(lines.wave) >= 0)
    for lamp, ion in (("Ne", "NeI"), ("Xe", "XeI")):
        assert lines.lamps[lamp].wave.size > (lines.ion == ion).sum() + 9


def test_a_night_has_its_truth_in_the_layout_of_the_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pixels, which take a second a frame."""
    blank = (np.zeros((4, 4), np.uint16), readout.Hits(np.array([3]), np.array([2]), np.array([10.0])))
    monkeypatch.setattr(readout, "expose", lambda *_, **__: blank)
    for name in ("flat_light", "arc_light", "twilight_light", "night_light"):
        monkeypatch.setattr(exposing, name, lambda *_: None)
    monkeypatch.setattr(readout, "make_chip", lambda _: CHIP)
    monkeypatch.setattr("tracecube.instruments.muse.simulation.night.line_spread", lambda _: SPREAD)
    for frame in simulate(seed=5, ifus="9,10", angle=40.0, faults="duplicate+missing_channel+no_illum"):
        write_raw(tmp_path, frame)
    night = json.loads((tmp_path / "truth" / "night.json").read_text())
    assert [one["name"] for one in night["exposures"]] == ["std", "object0", "object1", "sky"]
    assert night["ifus"] == [9, 10]
    assert night["night"]["variant"] == "simulated"
    assert "illum_09" in night["states"]  # of an exposure that was not made: light moved all the same
    slices = read_raw(tmp_path / "truth" / "ifu09.fits", "TRUTH").tables["SLICES"]
    assert np.std(slices["gain_illum"]) == pytest.approx(0.009, rel=0.35)
    y = np.array([17.0, 2500.0])
    nine = draw_optics(np.random.default_rng([5, *b"optics9"]), 9)
    u_ = (y - 2056.5) / 2056.0
    found = slices["x0"][7] + slices["c1"][7] * u_ + slices["c2"][7] * u_**2 + slices["c3"][7] * u_**3
    assert np.allclose(found, nine.middle(y - 1, DAY)[7] + 1)
    sources = json.loads((tmp_path / "truth" / "sources.json").read_text())
    assert sum(one["kind"] == "star" for one in sources) == 8
    header = read_header(tmp_path / "object0.fits")
    moved = read_header(tmp_path / "object1.fits")
    aim = Aim(header["RA"], header["DEC"], 0.0, 0.0, 0.0)
    assert 0.2 * np.array(aim.offsets(moved["RA"], moved["DEC"])) == pytest.approx((0.8, 0.5), abs=1e-3)  # the dither
    assert [one["transparency"] == 1.0 for one in night["exposures"]] == [True, True, False, True]
    assert header["ESO INS DROT POSANG"] == 40.0
    assert "CHAN10" in str(header["EXTENSIONS"])
    assert "CHAN10" not in str(moved["EXTENSIONS"])
    assert (tmp_path / "object0_copy.fits").read_bytes() == (tmp_path / "object0.fits").read_bytes()
    table = read_raw(tmp_path / "geometry_table.fits", "GEOMETRY_TABLE")
    places = geometry_of(table, 9, {"ESO INS MODE": "WFM-NOAO-N"})
    assert np.allclose(places.x, 0.2 * nine.x)
    assert classify("geometry_table", read_header(tmp_path / "geometry_table.fits")).tag == "GEOMETRY_TABLE"


def test_slices_lie_on_the_ccd_as_those_of_the_instrument_do() -> None:
    """Widths and gaps (px) of 24 channels: quality-control numbers of three nights, QC TRACE WIDTHS and GAPS."""
    drawn = [draw_optics(np.random.default_rng([3, n]), n) for n in range(1, 25)]
    widths = np.array([one.width for one in drawn])
    assert (widths.min(axis=1) > 74.5).all()
    assert (widths.min(axis=1) < 75.3).all()
    assert (widths.max(axis=1) > 78.7).all()
    assert (widths.max(axis=1) < 79.8).all()
    assert widths.mean(axis=1) == pytest.approx(np.full(24, 76.5), abs=0.3)
    assert widths.std(axis=1) == pytest.approx(np.full(24, 1.29), abs=0.15)
    gaps = np.array([np.diff(one.x0) - 0.5 * (one.width[1:] + one.width[:-1]) for one in drawn])
    assert gaps.mean() == pytest.approx(7.18, abs=0.15)
    assert gaps.min(axis=1).mean() == pytest.approx(5.5, abs=0.4)
    assert gaps.max(axis=1).mean() == pytest.approx(8.6, abs=0.4)


def test_the_filter_against_the_laser_takes_its_light_away_and_no_other():
    open_, shut = (exposing.Hardware(OPTICS, SPREAD, CHIP, gap) for gap in (None, (5805.0, 5966.0)))
    plain, dark = (exposing.flat_light(one, DAY, 1.0) for one in (open_, shut))
    y = np.arange(ROWS, dtype=np.float64)
    wave, x = OPTICS.places(y, np.zeros(1), DAY)[20, :, 0], np.rint(OPTICS.middle(y, DAY)[20]).astype(int)
    share = dark[np.arange(ROWS), x] / np.maximum(plain[np.arange(ROWS), x], 1e-9)
    assert share[(wave > 5825.0) & (wave < 5946.0)].max() < 0.01
    beyond = (plain[np.arange(ROWS), x] > 1.0) & ((wave < 5805.0) | (wave > 5966.0))
    assert share[beyond] == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(ValueError, match="NFM"):
        next(iter(simulate(mode="NFM-AO-N")))
