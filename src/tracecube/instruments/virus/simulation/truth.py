"""What was put into a simulated night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.frame import RawFrame
from tracecube.instruments.virus.ccd import HALF, HALVES
from tracecube.instruments.virus.simulation.field import Air, Disc, Emitter, Star
from tracecube.instruments.virus.simulation.geometry import AMPS, FIBRES, Pointing
from tracecube.instruments.virus.simulation.headers import Unit
from tracecube.instruments.virus.simulation.light import GRID, throughput
from tracecube.instruments.virus.simulation.optics import Spectrograph
from tracecube.instruments.virus.simulation.schedule import Shot
from tracecube.simulate.night import truth_table

__all__ = [
    "Columns",
    "defect_columns",
    "exposure_row",
    "night_file",
    "optics_columns",
    "optics_file",
    "profile_columns",
    "sources_file",
    "unit_rows",
]

Columns = dict[str, Any]


def _stacked(parts: Sequence[Mapping[str, Any]]) -> Columns:
    """Put columns of one kind of table under each other."""
    return {key: np.concatenate([np.atleast_1d(part[key]) for part in parts]) for key in parts[0]} if parts else {}


def optics_columns(state: str, unit: Unit, side: str, optics: Spectrograph, kelvin: float) -> Columns:
    """Traces and wavelengths of one CCD in one state: 224 rows, power series in u = (x - 515.5) / 515.5.

    ``trace`` is the centre of light in rows of the oriented amplifier, fibre 0 at its bottom.
    """
    trace, wave = optics.series(kelvin)
    trace[FIBRES:, 0] -= HALF
    amps = HALVES[side]
    return {
        "state": np.full(2 * FIBRES, state),
        "slot": np.full(2 * FIBRES, unit.slot),
        "amp": np.repeat(amps, FIBRES),
        "fibre": np.tile(np.arange(FIBRES), 2),
        "trace": trace,
        "wave": wave,
        "lsf": optics.lsf,
        "width": optics.width,
        "throughput": optics.throughput,
        "dead": optics.dead,
    }


def profile_columns(unit: Unit, side: str, optics: Spectrograph) -> Columns:
    """Profile of one CCD (its integral, in steps of 0.02 px from -low) and its scattered light: one row."""
    return {
        "slot": np.array([unit.slot]),
        "side": np.array([side]),
        "low": np.array([optics.low]),
        "integral": np.asarray(optics.cumulative, float)[None],
        "scattered": np.array([optics.scattered]),
        "warmth": np.array([optics.warmth]),
    }


def defect_columns(unit: Unit, side: str, y: IntArray, x: IntArray) -> Columns:
    """Pixels of one CCD that lose charge or leak current."""
    return {"slot": np.full(y.size, unit.slot), "side": np.full(y.size, side), "y": y, "x": x}


def unit_rows(unit: Unit, dead: tuple[str, ...], reads: Mapping[str, str], *, moved: bool, fault: str) -> Columns:
    """What stood in a slot when the calibrations were taken: one row an amplifier.

    ``reads`` is the amplifier whose counts the observation's files of this one hold, ``moved`` whether another unit,
    or another controller, stood in the slot during the observation.
    """
    return {
        "slot": np.full(4, unit.slot),
        "amp": np.array(AMPS),
        "specid": np.full(4, unit.specid),
        "ifuid": np.full(4, unit.ifuid),
        "contid": np.full(4, unit.contid),
        "x": np.full(4, unit.x),
        "y": np.full(4, unit.y),
        "ampname": np.array([unit.ampname(amp) for amp in AMPS]),
        "gain": np.array([unit.gain[amp] for amp in AMPS]),
        "read_noise": np.array([unit.noise[amp] for amp in AMPS]),
        "dead": np.array([amp in dead for amp in AMPS]),
        "reads": np.array([reads.get(amp, amp) for amp in AMPS]),
        "moved": np.full(4, moved),
        "fault": np.full(4, fault or "none"),
    }


def exposure_row(shot: Shot, air: Air) -> Columns:
    """What one exposure on the sky was like."""
    values = {
        "state": shot.state,
        "stamp": shot.stamp,
        "seeing": air.fwhm,
        "transparency": air.transparency,
        "illumination": air.illumination,
        "sky": air.sky,
        "gradient_x": air.gradient[0],
        "gradient_y": air.gradient[1],
        "dither_x": air.shift[0],
        "dither_y": air.shift[1],
        "skew": air.skew,
        "celsius": shot.celsius,
    }
    return {key: np.array([value]) for key, value in values.items()}


def optics_file(optics: Sequence[Columns], profiles: Sequence[Columns]) -> RawFrame:
    """Optics of all CCDs and states."""
    return truth_table("optics", {}, {"OPTICS": _stacked(optics), "PROFILES": _stacked(profiles)})


def night_file(
    pointing: Pointing,
    units: Sequence[Columns],
    exposures: Sequence[Columns],
    fibres: Sequence[Columns],
    hits: Sequence[Columns],
    defects: Sequence[Columns],
) -> RawFrame:
    """Units, exposures, fibres on the sky with the light of sources in them, cosmic rays, bad pixels."""
    header = {"RA0": pointing.ra, "DEC0": pointing.dec, "ROTATION": pointing.rotation, "PARANGLE": pointing.parallactic}
    tables = {"UNITS": units, "EXPOSURES": exposures, "FIBRES": fibres, "HITS": hits, "DEFECTS": defects}
    return truth_table("night", header, {name: _stacked(parts) for name, parts in tables.items() if parts})


def sources_file(
    sources: Sequence[Star | Emitter | Disc],
    places: tuple[FloatArray, FloatArray],
    sky: FloatArray,
    signal: Sequence[float],
) -> RawFrame:
    """Stars with spectra, lines, discs (places in the bundle in arcsec, and on the sky), and the dark sky.

    ``signal`` is the best signal-to-noise that a line can be measured with, one a source.
    """
    tables: dict[str, Columns] = {"SKY": {"wave": GRID, "sky": sky, "throughput": throughput(GRID)}}
    for name, kind, keys in (
        ("STARS", Star, ("g", "temperature", "spectrum")),
        ("LINES", Emitter, ("wave", "flux")),
        ("DISCS", Disc, ("radius", "flux")),
    ):
        chosen = [i for i, source in enumerate(sources) if isinstance(source, kind)]
        if chosen:
            columns = {key: np.array([getattr(sources[i], key) for i in chosen]) for key in ("slot", "x", "y", *keys)}
            tables[name] = {**columns, "ra": places[0][chosen], "dec": places[1][chosen]}
            if kind is Emitter:
                tables[name]["sn"] = np.array(signal)[chosen]
    return truth_table("sources", {}, tables)
