"""Simulated nights of VIRUS: equal for equal seeds, read back in place, with light where the truth has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tracecube.cli.nights import simulator, write_night
from tracecube.core.errors import BadData
from tracecube.core.frame import RawFrame
from tracecube.instruments.virus.ccd import HALF, HALVES, read_ccd
from tracecube.instruments.virus.classify import classify
from tracecube.instruments.virus.simulate import simulate
from tracecube.instruments.virus.simulation import field, light, optics, readout
from tracecube.instruments.virus.simulation.geometry import AMPS, Pointing, amp_rows, bundle, in_plane
from tracecube.instruments.virus.simulation.headers import Unit
from tracecube.io.raw import read_raw, write_raw

U = optics.U


def unit(*, turned: bool = False) -> Unit:
    return Unit(47, 308, "024", "S/N 0087", 0.0, 0.0, turned, dict.fromkeys(AMPS, 1.2), dict.fromkeys(AMPS, 2.7))


def first_of_kind(frames: Iterator[RawFrame], tag: str) -> list[RawFrame]:
    """All amplifiers of the first exposure of a kind."""
    found: list[RawFrame] = []
    for frame in frames:
        if frame.tag == tag:
            found.append(frame)
        elif found:
            break
    return found


@pytest.mark.parametrize(
    "choices",
    [{"ifus": "79"}, {"exposures": "4"}, {"field": "full"}, {"files": "zip"}, {"faults": "fire"}, {"colour": "red"}],
)
def test_what_can_not_be_made_is_said(choices: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(BadData, match=next(iter(choices))):
        write_night(simulator("virus"), tmp_path, 1, choices)


def test_equal_seeds_give_equal_frames_that_are_what_they_say() -> None:
    one, two, other = (next(simulate(seed=seed, ifus=1)) for seed in (1, 1, 2))
    assert np.array_equal(one.data, two.data)
    assert not np.array_equal(one.data, other.data)
    assert one.data.dtype == np.uint16
    assert classify(one.name, one.meta).tag == one.tag == "TWILIGHT"


def test_frames_are_read_from_an_archive_as_from_loose_files(tmp_path: Path) -> None:
    for files in ("loose", "tar"):
        frames = simulate(ifus=1, exposures=0, files=files)  # type: ignore[arg-type]
        paths = [write_raw(tmp_path / files, next(frames)) for _ in range(2)]
        assert all((".tar::" in str(path)) == (files == "tar") for path in paths)
    loose = sorted((tmp_path / "loose").rglob("*.fits"))
    archive = next((tmp_path / "tar").rglob("*.tar"))
    for path in loose:
        inside = path.relative_to(tmp_path / "loose" / archive.parent.relative_to(tmp_path / "tar"))
        there = read_raw(f"{archive}::{inside}", "TWILIGHT")
        here = read_raw(path, "TWILIGHT")
        assert here.meta == there.meta
        assert np.array_equal(here.data, there.data)


def test_traces_lie_where_the_truth_has_them() -> None:
    frames = list(simulate(seed=3, ifus=1, exposures=0))
    flats = [frame for frame in frames if frame.tag == "FLAT"][:2]
    table = next(frame for frame in frames if frame.name == "truth/optics").tables["OPTICS"]
    image = read_ccd(flats)[0].data
    side = flats[0].meta["CCDPOS"]
    mine = (table["state"] == "flt") & np.char.startswith(table["amp"], str(side)) & ~table["dead"]
    column = 600
    centre = np.polynomial.polynomial.polyval(U[column], table["trace"][mine].T)
    centre += HALF * (table["amp"][mine] == HALVES[str(side)][1])
    near = np.rint(centre).astype(int)[:, None] + np.arange(-3, 4)
    values = image[near, column] - image[near, column].min(axis=1, keepdims=True)
    found = (values * near).sum(axis=1) / values.sum(axis=1) - centre
    assert mine.sum() > 215
    assert np.std(found) < 0.03
    assert abs(np.median(found)) < 0.05


def test_lines_lie_where_the_truth_has_them() -> None:
    spectrograph = optics.draw_spectrograph(np.random.default_rng(5))
    _, wave = spectrograph.places(-3.0)
    lamp = light.lamp_lines("Hg", np.random.default_rng(0)).at(wave, spectrograph.resolution())
    inside = np.abs(wave - 5460.750) < 15.0
    glow = lamp - 0.02
    centre = (glow * wave * inside).sum(axis=1) / (glow * inside).sum(axis=1)
    total = (glow * inside * spectrograph.dispersion()).sum(axis=1)
    assert np.abs(centre - 5460.750).max() < 0.02
    np.testing.assert_allclose(total, 1500.0, rtol=2e-3)


def test_a_warmer_spectrograph_moves_its_light_by_what_is_said() -> None:
    spectrograph = replace(optics.draw_spectrograph(np.random.default_rng(5)), warmth=(0.1, 0.2, 0.0))
    (trace, wave), (moved, shifted) = (spectrograph.places(kelvin) for kelvin in (0.0, 2.0))
    np.testing.assert_allclose(moved - trace, 0.2, atol=1e-9)
    np.testing.assert_allclose(shifted[:, 400], wave[:, 400] - 0.4 * spectrograph.dispersion()[:, 400], atol=1e-4)


def test_painting_loses_no_light() -> None:
    spectrograph = optics.draw_spectrograph(np.random.default_rng(6))
    trace, _ = spectrograph.places(0.0)
    one = np.zeros_like(trace)
    one[100] = 1000.0
    image = optics.paint(spectrograph, trace, one)
    assert image.sum() == pytest.approx(one.sum(), rel=2e-3)
    rows = np.rint(trace[100]).astype(int)
    assert image[rows[500] + 300, 500] > 0.0  # scattered over the CCD
    share = 1.0 - image[rows[:, None] + np.arange(-9, 10), np.arange(HALF)[:, None]].sum() / one.sum()
    assert 0.3 * spectrograph.scattered < share < spectrograph.scattered


@pytest.mark.parametrize("shift", [-30.0, 30.0])
def test_light_beyond_the_edge_of_the_chip_is_lost(shift: float) -> None:
    spectrograph = replace(optics.draw_spectrograph(np.random.default_rng(6)), scattered=0.0)
    trace, _ = spectrograph.places(0.0)
    light_of_all = np.ones_like(trace)
    here, there = (optics.paint(spectrograph, moved, light_of_all) for moved in (trace, trace + shift))
    assert there.sum() < here.sum() - HALF
    across = there[:20] if shift > 0.0 else there[-20:]
    assert across.max() < 0.1


@pytest.mark.parametrize("turned", [False, True])
def test_amplifiers_come_back_as_they_lie_on_the_chip(turned: bool) -> None:
    rng = np.random.default_rng(1)
    charge = (1000.0 * rng.random((2 * HALF, HALF))).astype(np.float32)
    hardware = unit(turned=turned)
    for side, amps in HALVES.items():
        frames = []
        for amp in amps:
            cards = {
                "CCDPOS": amp[0], "CCDHALF": amp[1], "AMPNAME": hardware.ampname(amp), "GAIN": 1.2, "IFUSLOT": 47
            }  # fmt: skip
            counts = readout.read_out(charge, amp, hardware, 0.0, 1100.0, rng)
            frames.append(RawFrame(f"x_{amp}", "FLAT", cards, {"": counts.astype(np.float32)}, {}))
        image, caveats = read_ccd(frames)
        assert not caveats
        assert np.abs(image.data - charge).max() < 30.0, side


def test_what_a_controller_picks_up_is_in_all_its_amplifiers() -> None:
    waves = readout.draw_waves(np.random.default_rng(3))
    assert waves[1, :2] == pytest.approx(2.0 * waves[0, :2])
    none, hardware = np.zeros((2 * HALF, HALF), np.float32), unit(turned=False)
    y, x = np.mgrid[0:HALF, 0 : HALF + 32]
    for amp in ("LL", "RU"):
        counts = readout.read_out(none, amp, hardware, 0.4, 1100.0, np.random.default_rng(4), waves=waves)
        for fy, fx, size in waves:
            part = np.mean((counts - counts.mean()) * np.exp(-2j * np.pi * (fy * y + fx * x)))
            assert 2.0 * abs(part) * hardware.gain[amp] == pytest.approx(size, abs=0.03)


def test_seeing_and_refraction_share_a_star_among_fibres() -> None:
    air = field.Air(1.6, 1.0, 1.0, 1.0, (0.0, 0.0), (0.0, 0.0))
    star = field.Star(47, 0.0, 0.0, 18.0, 5700.0, np.zeros(3), light.smeared(np.zeros(light.GRID.size)))
    total = np.zeros((448, field.NODES.size))
    for step in np.stack(np.meshgrid([0.0, 1.27, 1.27 * 2], [0.0, 0.73, 1.46]), axis=-1).reshape(-1, 2):
        [(_, near, share)] = field.fibre_light([star], replace(air, shift=(float(step[0]), float(step[1]))))
        total[near] += share
    covered = total.sum(axis=0).mean() / 9.0
    assert covered == pytest.approx(field.FIBRE_AREA / (2.5417 * 2.2036), rel=0.05)
    x, _ = air.refraction(field.NODES)
    assert x[0] < -0.7
    assert x[-1] > 0.2
    assert np.all(np.diff(x) > 0.0)


def test_a_star_has_the_magnitude_that_it_is_given() -> None:
    dim, bright = light.star_spectrum(5700.0, 20.0), light.star_spectrum(5700.0, 17.5)
    np.testing.assert_allclose(bright / dim, 10.0, rtol=1e-9)
    flat = 10.0 ** (-0.4 * (20.0 + 48.60)) * 2.99792458e18 / light.GRID**2
    band = (light.GRID > 4200.0) & (light.GRID < 5400.0)
    assert dim[band].mean() / flat[band].mean() == pytest.approx(1.0, abs=0.05)


def test_faults_are_where_they_were_asked_for() -> None:
    frames = list(simulate(seed=2, ifus=2, exposures=1, field="empty", faults="dead+swapped+controller+no_cd"))
    raw = [frame for frame in frames if frame.images]
    assert {frame.tag for frame in raw} == {"ZERO", "DARK", "FLAT", "ARC_HG", "TWILIGHT", "SCIENCE"}
    units = {tag: {classify(f.name, f.meta).setup["unit"] for f in raw if f.tag == tag} for tag in ("FLAT", "SCIENCE")}
    assert not units["FLAT"] & units["SCIENCE"]
    assert any(str(name).endswith("0199") for name in units["SCIENCE"])
    dead = [f for f in raw if f.tag == "FLAT" and f.data.min() == 65535]
    assert {f.meta["CCDPOS"] + f.meta["CCDHALF"] for f in dead} == {"LU"}


def test_the_middle_of_the_field_is_where_it_points() -> None:
    pointing = Pointing(214.8, 52.6, 71.0)
    ra, dec = pointing.sky(np.array([0.0, 100.0]), np.array([0.0, 0.0]))
    assert (ra[0], dec[0]) == pytest.approx((214.8, 52.6))
    apart = np.hypot((ra[1] - ra[0]) * np.cos(np.radians(52.6)), dec[1] - dec[0]) * 3600.0
    assert apart == pytest.approx(100.0, rel=1e-3)


def test_the_axes_of_a_bundle_are_exchanged_in_the_focal_plane() -> None:
    x, y = in_plane((100.0, -50.0), np.array([[3.0, 0.0], [0.0, 5.0]]))
    assert x.tolist() == [100.0, 105.0]
    assert y.tolist() == [-47.0, -50.0]


def test_every_fibre_of_a_bundle_belongs_to_one_amplifier() -> None:
    rows = np.concatenate([np.arange(448)[amp_rows(amp)] for amp in AMPS])
    assert sorted(rows) == list(range(448))
    assert bundle().shape == (448, 2)
