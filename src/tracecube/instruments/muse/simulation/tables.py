"""Static calibrations beside the frames, as the observatory delivers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tracecube.core.fields import BoolArray, FloatArray, Scalar
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.geometry import SKY_SLICES
from tracecube.instruments.muse.simulation import light
from tracecube.instruments.muse.simulation.airglow import GROUPS, Airglow
from tracecube.instruments.muse.simulation.headers import static_cards
from tracecube.instruments.muse.simulation.lamps import LineList
from tracecube.instruments.muse.simulation.optics import SLICES, Optics
from tracecube.instruments.muse.simulation.readout import COVERED, Chip

__all__ = ["bad_pixels", "extinction", "filters", "geometry", "line_catalogue", "sky_lines", "standard"]


def _table(kind: str, units: Mapping[str, Mapping[str, str]], tables: Mapping[str, Any], **cards: Scalar) -> RawFrame:
    """A static calibration; units by extension and column."""
    own = {
        name: {**cards, **{f"TUNIT{i}": units.get(name, {}).get(key, "") for i, key in enumerate(columns, start=1)}}
        for name, columns in tables.items()
    }
    own = {name: {key: value for key, value in headers.items() if value != ""} for name, headers in own.items()}
    made = {name: {key: np.asarray(value) for key, value in columns.items()} for name, columns in tables.items()}
    return RawFrame(f"{kind.lower()}.fits", kind, static_cards(kind), {}, made, own)


def line_catalogue(lines: LineList) -> RawFrame:
    """LINE_CATALOG of the arc lamps, in the columns that ESO's recipes ask for: four bytes a number."""
    columns = {
        "lambda": lines.wave.astype(np.float32),
        "flux": lines.flux.astype(np.float32),
        "ion": lines.ion,
        "quality": lines.quality,
        "comment": np.full(lines.wave.size, "simulated"),
    }
    made = _table("LINE_CATALOG", {"LINE_CATALOG": {"lambda": "Angstrom"}}, {"LINE_CATALOG": columns})
    return RawFrame(made.name, made.tag, {**made.meta, "VERSION": 3}, {}, made.tables, made.headers)


def geometry(optics: list[Optics]) -> RawFrame:
    """GEOMETRY_TABLE of some channels."""
    columns = {
        "SubField": np.concatenate([np.full(SLICES, one.number) for one in optics]),
        "SliceCCD": np.tile(np.arange(1, SLICES + 1), len(optics)),
        "SliceSky": np.tile(SKY_SLICES, len(optics)),
        "x": np.concatenate([one.x for one in optics]),
        "y": np.concatenate([one.y for one in optics]),
        "angle": np.concatenate([one.angle for one in optics]),
        "width": np.concatenate([one.length for one in optics]),
    }
    units = {"GEOMETRY_TABLE": {"x": "pix", "y": "pix", "angle": "deg", "width": "pix"}}
    return _table("GEOMETRY_TABLE", units, {"GEOMETRY_TABLE": columns})


def extinction() -> RawFrame:
    """EXTINCT_TABLE."""
    wave = np.arange(4000.0, 10001.0, 50.0)
    units = {"EXTINCT_TABLE": {"lambda": "Angstrom", "extinction": "mag/airmass"}}
    return _table("EXTINCT_TABLE", units, {"EXTINCT_TABLE": {"lambda": wave, "extinction": light.extinction(wave)}})


def standard(name: str, ra: float, dec: float, wave: FloatArray, flux: FloatArray) -> RawFrame:
    """STD_FLUX_TABLE of one star."""
    unit = "erg/s/cm**2/Angstrom"
    columns = {"lambda": wave, "flux": flux, "fluxerr": 0.01 * flux}
    units = {name: {"lambda": "Angstrom", "flux": unit, "fluxerr": unit}}
    return _table("STD_FLUX_TABLE", units, {name: columns}, OBJECT=name, RA=ra, DEC=dec)


def sky_lines(glow: Airglow, wave: FloatArray, flux: FloatArray, listed: BoolArray) -> RawFrame:
    """SKY_LINES: those that are listed, where and as bright as the list has them (1e-16 erg/s/cm2/arcsec2)."""
    group = glow.group[listed]
    names = np.array([GROUPS.get(int(one), f"OH {one - 10}") for one in group])
    columns = {
        "name": names,
        "group": group.astype(np.int32),
        "lambda": wave[listed],
        "flux": 1.0e4 * flux[listed],
        "dq": np.zeros(group.size, np.int32),
    }
    units = {"LINES": {"lambda": "Angstrom", "flux": "10**(-20)*erg/(s cm^2 arcsec^2)"}}
    return _table("SKY_LINES", units, {"LINES": columns})


def filters() -> RawFrame:
    """FILTER_LIST: three broad bands (Bessell 1990, PASP 102, 1181, in outline)."""
    bands = {
        "Johnson_V": ((4750, 5000, 5300, 5700, 6200, 6800), (0.0, 0.75, 1.0, 0.75, 0.2, 0.0)),
        "Cousins_R": ((5500, 5900, 6400, 7000, 7800, 8800), (0.0, 0.95, 1.0, 0.75, 0.3, 0.0)),
        "Cousins_I": ((7000, 7600, 8200, 8700, 9200), (0.0, 0.95, 1.0, 0.9, 0.0)),
    }
    columns = {name: {"lambda": np.array(w, float), "throughput": np.array(t)} for name, (w, t) in bands.items()}
    return _table("FILTER_LIST", {name: {"lambda": "Angstrom"} for name in bands}, columns)


def bad_pixels(chips: Mapping[int, Chip]) -> RawFrame:
    """BADPIX_TABLE: three of four bad columns of each channel, in pixels of the raw image from 1."""
    tables = {}
    for number, chip in chips.items():
        rows = [np.arange(first, last + 1) for _, first, last in chip.columns[:3]]
        x = np.concatenate([np.full(y.size, column) for y, column in zip(rows, chip.columns[:3, 0], strict=True)])
        y = np.concatenate(rows)
        tables[f"CHAN{number:02d}"] = {
            "xpos": (x + 1 + COVERED + 2 * COVERED * (x >= 2048)).astype(np.int32),
            "ypos": (y + 1 + COVERED + 2 * COVERED * (y >= 2056)).astype(np.int32),
            "status": np.full(x.size, 1 << 14, np.int32),  # bad, other (Euro3D)
            "value": np.zeros(x.size),
        }
    units = {name: {"xpos": "pix", "ypos": "pix", "value": "count"} for name in tables}
    return _table("BADPIX_TABLE", units, tables)
