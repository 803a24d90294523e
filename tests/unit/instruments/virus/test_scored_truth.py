"""The truth by amplifier, as the score reads it, says what the tables of the truth say by row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tracecube.core.frame import RawFrame
from tracecube.instruments.virus.simulate import simulate
from tracecube.instruments.virus.simulation.detectability import Seen, line_signal_to_noise
from tracecube.instruments.virus.simulation.field import NODES, Air, Emitter, fibre_light
from tracecube.instruments.virus.simulation.geometry import AMPS, Pointing, in_plane
from tracecube.instruments.virus.simulation.light import GRID, electrons_of_flux, smeared
from tracecube.io.raw import write_raw

U = (np.arange(1032) - 515.5) / 515.5


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, RawFrame], Path]:
    """The truth of a night whose faults are known, as nouns and as files."""
    folder = tmp_path_factory.mktemp("night")
    made = {}
    for frame in simulate(seed=4, ifus=1, exposures=1, faults="dead+crossed"):
        if frame.name.startswith("truth/"):
            made[frame.name.removeprefix("truth/")] = frame
            write_raw(folder, frame)
    return made, folder / "truth"


def test_faults_units_and_places_are_told_by_name(night: tuple[dict[str, RawFrame], Path]) -> None:
    tables, folder = night
    facts = json.loads((folder / "truth.json").read_text())
    (unit,) = facts["units"]
    assert facts["faults"] == {
        "dead": [[unit["slot"], "LU"]],
        "dead_sci": [],
        "swapped": [[unit["slot"], "RL", "RU"]],
        "moved": [],
    }
    rows = tables["night"].tables["UNITS"]
    assert [unit["amps"][amp]["gain"] for amp in AMPS] == rows["gain"].tolist()
    pointing = Pointing(facts["ra0"], facts["dec0"], 0.0)
    pointing = Pointing(facts["ra0"], facts["dec0"], 0.0, offset=facts["rotation"] - pointing.rotation)
    with np.load(folder / "fibres.npz") as fibres, np.load(folder / "fibre_radec.npz") as radec:
        for amp in AMPS:
            key = unit["slot"] + amp
            places = fibres[f"xy_{key}"] + np.array(facts["dither"][0])
            expected = pointing.sky(*in_plane(tuple(unit["fp"]), places))
            np.testing.assert_allclose(radec[f"radec_{key}_1"], expected, rtol=0.0, atol=1e-9)
    lost = {star["id"] for star in facts["stars"] if not star["live"]}
    assert 0 < len(lost) < len(facts["stars"])


def test_traces_wavelengths_and_light_are_those_of_the_tables(night: tuple[dict[str, RawFrame], Path]) -> None:
    tables, folder = night
    optics, rows = tables["optics"].tables["OPTICS"], tables["night"].tables["FIBRES"]
    slot = int(rows["slot"][0])
    with np.load(folder / "fibres.npz") as fibres:
        for state in ("flt", "arc", "sci1"):
            mine = (optics["state"] == state) & (optics["amp"] == "RU")
            for name in ("trace", "wave"):
                here = np.polynomial.chebyshev.chebval(U, fibres[f"{name}_{state}_{slot:03d}RU"].T)
                there = np.polynomial.polynomial.polyval(U, optics[name][mine].T)
                np.testing.assert_allclose(here, there, rtol=0.0, atol=1e-9)
        assert "trace_twi_" + f"{slot:03d}LL" in fibres.files
        for i in (0, 70, 111):
            (row,) = np.flatnonzero((rows["amp"] == "LU") & (rows["fibre"] == i))
            np.testing.assert_array_equal(fibres[f"src_1_{slot:03d}LU"][i], rows["source"][row])
        hits = tables["night"].tables["HITS"]
        found = [fibres[f"cre_{slot:03d}{amp}_1"].sum() for amp in AMPS]
        assert sum(found) == pytest.approx(hits["electrons"].sum())
        bad = fibres[f"bad_{slot:03d}LL"]
        assert bad.size == np.unique(bad).size > 0


def test_stars_have_their_magnitude_and_the_sky_its_level(night: tuple[dict[str, RawFrame], Path]) -> None:
    _, folder = night
    facts = json.loads((folder / "truth.json").read_text())
    with np.load(folder / "spectra.npz") as spectra:
        assert spectra["id"].tolist() == [star["id"] for star in facts["stars"]]
        brightest = int(np.argmin([star["g"] for star in facts["stars"]]))
        near = np.abs(spectra["wave"] - 4866.0) < 300.0
        level = np.median(spectra["flux"][brightest][near] * spectra["wave"][near] ** 2) / 2.99792458e18
        assert -2.5 * np.log10(level) - 48.6 == pytest.approx(facts["stars"][brightest]["g"], abs=0.1)
        assert spectra["sky"][np.abs(spectra["wave"] - 5000.0) < 100.0].mean() == pytest.approx(5.2e-18, rel=0.05)


def test_signal_to_noise_of_a_line_against_noise_alone_is_that_of_a_matched_filter() -> None:
    wave, flux, sigma, noise = 4500.0, 1e-16, 2.4, 300.0
    source = Emitter(11, 0.0, 0.0, wave, flux, smeared(np.zeros(GRID.size), ((wave, flux),)))
    air = Air(1.8, 0.9, 0.8, 0.0, (0.0, 0.0), (0.0, 0.0))
    seen = Seen(np.ones(448), np.full(448, noise), np.full(448, sigma), np.full(448, 2.0), (0.0, 0.0))
    share = np.array([np.interp(wave, NODES, row) for row in fibre_light([source], air)[0][2]])
    electrons = share * flux * air.transparency * air.illumination * electrons_of_flux(np.array([wave]), 360.0)
    expected = np.sqrt(np.sum(electrons**2) / (noise**2 / 2.0 * 2.0 * np.sqrt(np.pi) * sigma))
    (found,) = line_signal_to_noise([source], seen, [(air, 360.0)])
    assert found == pytest.approx(expected, rel=2e-3)
    (twice,) = line_signal_to_noise([source], seen, [(air, 360.0)] * 2)
    assert twice == pytest.approx(found * np.sqrt(2.0))
