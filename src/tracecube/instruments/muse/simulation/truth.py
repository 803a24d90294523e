"""What was put into a simulated night, in the layout that the score of a reduction reads; pixels count from 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.geometry import SKY_SLICES
from tracecube.instruments.muse.simulation import light
from tracecube.instruments.muse.simulation.airglow import Airglow
from tracecube.instruments.muse.simulation.field import BETA, GAS_LINES, SEEING_POWER, Source
from tracecube.instruments.muse.simulation.lsf import NODES, LineSpread
from tracecube.instruments.muse.simulation.observing import REFERENCE, SPAXEL
from tracecube.instruments.muse.simulation.optics import SLICES, Optics, State
from tracecube.instruments.muse.simulation.readout import Chip
from tracecube.simulate.detector import Hits
from tracecube.simulate.night import truth_arrays, truth_json

__all__ = ["WAVE", "channel_file", "hits_file", "night_file", "sky_file", "source_rows", "sources_files"]

WAVE = np.arange(4600.0, 9500.0, 1.25)
"""Wavelengths (Angstrom, air) of the spectra of the truth."""


def channel_file(optics: Optics, spread: LineSpread, chip: Chip, states: Mapping[str, State]) -> RawFrame:
    """Slices, line-spread functions and flaws of one channel."""
    columns: dict[str, Any] = {
        "slice": np.arange(1, SLICES + 1),
        "sky_slice": np.array(SKY_SLICES),
        "x0": optics.x0 + 1.0,
    }
    columns |= {key: getattr(optics, key) for key in ("c1", "c2", "c3", "width")}
    names = {"dl": "offset", "tilt": "tilt", "curv": "curve", "wig_a": "wave", "wig_p": "phase", "gx": "x", "gy": "y"}
    names |= {"throughput": "throughput", "edge_l": "left", "edge_r": "right", "angle": "angle", "gwidth": "length"}
    columns |= {key: getattr(optics, name) for key, name in names.items()} | {"lsf_asym": optics.lean}
    for name, state in states.items():
        columns |= {f"gain_{name}": state.gain, f"dl_{name}": state.slices}
    bad = {
        "x": np.append(chip.columns[:, 0], chip.hot_column) + 1,
        "y1": np.append(chip.columns[:, 1], 1028) + 1,
        "y2": np.append(chip.columns[:, 2], 2055) + 1,
        "hot": np.append(np.zeros(len(chip.columns), bool), True),
    }
    cards = {f"GAIN{i + 1}": float(chip.gain[i]) for i in range(4)} | {
        f"RON{i + 1}": float(chip.noise[i]) for i in range(4)
    }
    cards |= {f"BIAS{i + 1}": float(chip.level[i]) for i in range(4)}
    images = {
        "LSF": spread.value.astype(np.float32),
        "LSF_FWHM": spread.fwhm,
        "LSF_MOMENT1": spread.moment,
        "LSF_NODES": NODES,
    }
    return RawFrame(
        f"truth/ifu{optics.number:02d}.fits", "TRUTH", cards, images, {"SLICES": columns, "BAD_COLUMNS": bad}
    )


def hits_file(name: str, number: int, hits: Hits) -> RawFrame:
    """Pixels hit by cosmic rays: index y * 4096 + x from 0 on the trimmed image, and electrons."""
    found = {
        "index": hits.y.astype(np.uint32) * np.uint32(4096) + hits.x.astype(np.uint32),
        "electrons": hits.electrons,
    }
    return truth_arrays(f"cr/{name}_{number:02d}", found)


def source_rows(
    sources: Sequence[Source], radec: tuple[FloatArray, FloatArray], fields: Mapping[str, Any]
) -> list[Any]:
    """One entry a source; ``fields`` are the places in the field by exposure."""
    rows = []
    for i, source in enumerate(sources):
        row: dict[str, Any] = {"id": f"{source.kind}{i + 1}", "kind": source.kind}
        row |= {"ra": float(radec[0][i]), "dec": float(radec[1][i])}
        row |= {"x_field": source.x, "y_field": source.y, "flux6000": source.flux, "slope": source.slope}
        row |= {f"xy_{name}": [float(x[i]), float(y[i])] for name, (x, y) in fields.items()}
        if source.kind != "star":
            row |= {"sx": source.long, "sy": source.short, "pa": source.turn, "re": source.long}
            row |= {"q": source.short / source.long, "norm": source.norm, "halpha": source.halpha, "z": source.redshift}
        rows.append(row)
    return rows


def sources_files(rows: list[Any], sources: Sequence[Source], standard: FloatArray) -> list[RawFrame]:
    """Sources, and their spectra above the air (erg/s/cm2/Angstrom), barycentric; the standard's is given on `WAVE`."""
    spectra: dict[str, FloatArray] = {"wave": WAVE}
    for row, source in zip(rows, sources, strict=True):
        lines = 1.0 if source.lines == "none" else np.interp(WAVE, light.GRID, light.star_lines(source.lines))
        spectra[row["id"]] = source.continuum(WAVE) * lines
    spectra["std"] = standard
    table = RawFrame("truth/spectra.fits", "TRUTH", {}, {}, {"SPECTRA": spectra})
    return [truth_json("sources", rows), table]


def sky_file(
    glow: Airglow, listed: tuple[BoolArray, FloatArray], flux: Mapping[str, FloatArray], moon: float
) -> RawFrame:
    """Lines and continuum of the sky; flux of lines by exposure, erg/s/cm2/spaxel."""
    lines: dict[str, NDArray[Any]] = {
        "wave": glow.wave,
        "listed": listed[0],
        "listed_wave": listed[1],
        "group": glow.group,
    }
    lines |= {f"flux_{name}": values for name, values in flux.items()}
    continuum = {
        "wave": WAVE,
        "continuum": np.interp(WAVE, light.GRID, light.dark_sky(moon)),
        "transmission_zenith": np.interp(WAVE, light.GRID, light.absorption(1.0)),
        "throughput": light.throughput(WAVE),
    }
    return RawFrame("truth/sky.fits", "TRUTH", {}, {}, {"SKY_LINES": lines, "SKY_CONTINUUM": continuum})


def night_file(facts: Mapping[str, Any], states: Mapping[str, Mapping[int, State]], exposures: list[Any]) -> RawFrame:
    """What held all night, how far optics had moved, and the exposures on the sky."""
    moved = {
        f"{name}_{number:02d}": {"dx": state.dx, "dl": state.shift, "dl_scale": state.stretch}
        for name, channels in states.items()
        for number, state in channels.items()
    }
    night = {"variant": "simulated", "seeing_power": SEEING_POWER, "beta": BETA, **facts.get("night", {})}
    rest = {key: value for key, value in facts.items() if key != "night"}
    lines = [list(line) for line in GAS_LINES]
    value = {"night": night, **rest, "pixel_arcsec": SPAXEL, "lambda_ref": REFERENCE, "states": moved}
    return truth_json("night", {**value, "gas_lines": lines, "exposures": exposures})
