"""The truth about a night as the score of a reduction reads it: one JSON text, and arrays by amplifier.

All of it stands in the tables of `simulation.truth` too, by row instead of by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import poly2cheb

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.frame import RawFrame
from tracecube.instruments.virus.ccd import HALF
from tracecube.instruments.virus.simulation.field import BETA, NODES
from tracecube.instruments.virus.simulation.geometry import AMPS, amp_rows, bundle
from tracecube.instruments.virus.simulation.light import GRID, smeared, throughput
from tracecube.simulate.night import truth_arrays, truth_json

__all__ = ["scored_files"]

_WAVE = 3470.0 + 2.0 * np.arange(1036)
_SIGMA = np.full(_WAVE.size, 5.6 / np.sqrt(8.0 * np.log(2.0)))  # Angstrom
_AIR = ("seeing", "illumination", "transparency", "sky", "dither_x", "dither_y", "celsius")
_FAULTS = ("slot", "amp", "reads", "dead", "moved")  # columns of the units
_INSIDE = 1.47  # arcsec: no place between three fibres of a bundle is farther from all of them

Table = Mapping[str, Any]


def scored_files(optics: RawFrame, night: RawFrame, sources: RawFrame) -> list[RawFrame]:
    """Return truth.json, fibres.npz, fibre_radec.npz and spectra.npz.

    Parameters
    ----------
    optics, night, sources : RawFrame
        The tables of the truth.
    """
    tables = night.tables
    amplifiers = _amplifiers(tables["UNITS"])
    fibres: dict[str, Any] = {"node": NODES, **_optics(optics.tables["OPTICS"], amplifiers)}
    places: dict[str, Any] = {}
    for key, (slot, amp) in amplifiers.items():
        fibres[f"xy_{key}"] = bundle()[amp_rows(amp)]
        fibres[f"bad_{key}"] = _pixels(tables["DEFECTS"], slot, amp)[0]
        for state in tables["EXPOSURES"]["state"] if "EXPOSURES" in tables else ():
            number = str(state).removeprefix("sci")
            table = tables["FIBRES"]
            mine = np.flatnonzero((table["state"] == state) & (table["slot"] == slot) & (table["amp"] == amp))
            mine = mine[np.argsort(table["fibre"][mine])]
            for name, column in (("src", "source"), ("lin", "lines"), ("ill", "illumination")):
                fibres[f"{name}_{number}_{key}"] = table[column][mine]
            hits = tables["HITS"]
            at, electrons = _pixels({n: v[hits["state"] == state] for n, v in hits.items()}, slot, amp)
            fibres[f"crpix_{key}_{number}"], fibres[f"cre_{key}_{number}"] = at, electrons
            places[f"radec_{key}_{number}"] = np.stack([table["ra"][mine], table["dec"][mine]])
    return [
        truth_json("truth", _facts(night, sources)),
        truth_arrays("fibres", fibres),
        truth_arrays("fibre_radec", places),
        truth_arrays("spectra", _spectra(sources.tables)),
    ]


def _amplifiers(units: Table) -> dict[str, tuple[int, str]]:
    """Slot and amplifier by key, such as 047LL."""
    return {f"{slot:03d}{amp}": (int(slot), str(amp)) for slot, amp in zip(units["slot"], units["amp"], strict=True)}


def _optics(table: Table, amplifiers: Mapping[str, tuple[int, str]]) -> dict[str, FloatArray]:
    """Traces and wavelengths of all states; throughput and dead fibres as the lamps found them."""
    made: dict[str, FloatArray] = {}
    states = sorted({str(state) for state in table["state"]})
    for key, (slot, amp) in amplifiers.items():
        here = (table["slot"] == slot) & (table["amp"] == amp)
        for state in (one for one in states if not one.startswith("twi")):
            mine = here & (table["state"] == state)
            for name in ("trace", "wave"):
                made[f"{name}_{state}_{key}"] = _chebyshev(table[name][mine])
        twilights = [here & (table["state"] == state) for state in states if state.startswith("twi")]
        for name in ("trace", "wave") if twilights else ():
            mean = np.mean([table[name][mine] for mine in twilights], axis=0)
            made[f"{name}_twi_{key}"] = _chebyshev(mean)
        lamps = here & (table["state"] == "flt")
        made[f"thr_{key}"] = np.where(table["dead"][lamps], 0.0, table["throughput"][lamps])
        made[f"dead_{key}"] = table["dead"][lamps]
    return made


def _chebyshev(series: FloatArray) -> FloatArray:
    """Power series (n, k) as Chebyshev series."""
    return np.stack([poly2cheb(row) for row in series])


def _pixels(table: Table, slot: int, amp: str) -> tuple[IntArray, FloatArray]:
    """Pixels of an amplifier, row * 1032 + column, each once; and the electrons in them, where there are any."""
    upper = HALF * (amp in {"LU", "RL"})
    mine = (table["slot"] == slot) & (table["side"] == amp[0]) & (table["y"] // HALF * HALF == upper)
    pixel = (table["y"][mine] - upper).astype(np.int64) * HALF + table["x"][mine]
    electrons = table["electrons"][mine] if "electrons" in table else np.zeros(pixel.size)
    each, row = np.unique(pixel, return_inverse=True)
    return each.astype(np.uint32), np.asarray(np.bincount(row, electrons, each.size), np.float64)


def _facts(night: RawFrame, sources: RawFrame) -> dict[str, Any]:
    """What truth.json says."""
    units, air = night.tables["UNITS"], night.tables.get("EXPOSURES", {})
    listed = {name: np.asarray(air[name]).tolist() if air else [] for name in _AIR}
    return {
        "ra0": night.meta["RA0"],
        "dec0": night.meta["DEC0"],
        "rotation": night.meta["ROTATION"],
        "dither": [list(pair) for pair in zip(listed.pop("dither_x"), listed.pop("dither_y"), strict=True)],
        "skylevel": listed.pop("sky"),
        **listed,
        "moffat_beta": BETA,
        "units": [_unit(units, slot) for slot in sorted(set(units["slot"].tolist()))],
        "faults": _faults(units),
        **_sources(sources.tables, units),
        "trace_basis": "Chebyshev in u=(x-515.5)/515.5, oriented amplifier, 0-based pixels; centroid of the profile",
        "wave_basis": "same; air wavelength (Angstrom) of the pixel's centre",
    }


def _unit(units: Table, slot: int) -> dict[str, Any]:
    """Hardware of a slot, as the calibrations have it."""
    rows = np.flatnonzero(units["slot"] == slot)
    one = rows[0]
    amps = {
        str(units["amp"][row]): {
            "gain": float(units["gain"][row]),
            "rn": float(units["read_noise"][row]),
            "ampname": str(units["ampname"][row]),
        }
        for row in rows
    }
    names = {key: str(units[key][one]) for key in ("specid", "ifuid", "contid")}
    return {"slot": f"{slot:03d}", **names, "fp": [float(units["x"][one]), float(units["y"][one])], "amps": amps}


def _faults(units: Table) -> dict[str, Any]:
    """Dead amplifiers, pairs that were exchanged, and slots whose unit was another one."""
    found: dict[str, Any] = {"dead": [], "dead_sci": [], "swapped": [], "moved": []}
    for slot, amp, reads, dead, moved in zip(*(units[key] for key in _FAULTS), strict=True):
        name = f"{slot:03d}"
        if dead:
            found["dead"].append([name, str(amp)])
        if str(amp) < str(reads):
            found["swapped"].append([name, str(amp), str(reads)])
        if moved and name not in found["moved"]:
            found["moved"].append(name)
    return found


def _sources(tables: Mapping[str, Table], units: Table) -> dict[str, Any]:
    """Stars, lines and discs, brightest first within their bundle as they were drawn."""
    made: dict[str, Any] = {}
    for letter, name, table, keys in (
        ("S", "stars", "STARS", {"g": "g"}),
        ("E", "lines", "LINES", {"wave": "wave", "flux": "flux", "sn": "sn"}),
        ("X", "extended", "DISCS", {"radius": "re", "flux": "flux"}),
    ):
        rows: list[dict[str, Any]] = []
        columns = tables.get(table, {"slot": ()})
        for i, slot in enumerate(columns["slot"]):
            here = {key: float(columns[key][i]) for key in ("x", "y", "ra", "dec")}
            rows.append({"id": f"{letter}{i:02d}", "slot": f"{slot:03d}", **here})
            rows[-1] |= {new: float(columns[key][i]) for key, new in keys.items()}
            rows[-1]["live"] = _live(units, int(slot), here["x"], here["y"])
        made[name] = rows
    return made


def _live(units: Table, slot: int, x: float, y: float) -> bool:
    """Whether a place lies within the bundle, and next to a fibre that was read by the amplifier it belongs to."""
    here = units["slot"] == slot
    sound = {
        str(amp): not (dead or moved or reads != amp)
        for amp, reads, dead, moved in zip(*(units[key][here] for key in _FAULTS[1:]), strict=True)
    }
    away = np.hypot(*(bundle() - (x, y)).T)
    nearest = int(np.argmin(away))
    amp = next(amp for amp in AMPS if nearest in np.arange(448)[amp_rows(amp)])
    return bool(away[nearest] < _INSIDE and sound[amp])


def _spectra(tables: Mapping[str, Table]) -> dict[str, Any]:
    """Sky (erg/s/cm2/Angstrom/arcsec2) and stars (erg/s/cm2/Angstrom), seen with 5.6 Angstrom, and the throughput."""
    sky = tables["SKY"]
    stars = tables.get("STARS", {"spectrum": np.zeros((0, GRID.size))})["spectrum"]
    return {
        "wave": _WAVE,
        "thr": throughput(_WAVE),
        "sky": np.interp(_WAVE, sky["wave"], sky["sky"]),
        "id": np.array([f"S{i:02d}" for i in range(len(stars))], "U8"),
        "flux": np.array([smeared(star).at(_WAVE, _SIGMA) for star in stars]).reshape(-1, _WAVE.size),
    }
