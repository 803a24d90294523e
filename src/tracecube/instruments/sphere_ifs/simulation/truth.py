"""What was put into a simulated night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracecube.core.fields import FloatArray, Scalar
from tracecube.core.frame import RawFrame
from tracecube.instruments.sphere_ifs.guess import Mode
from tracecube.instruments.sphere_ifs.simulation.light import star_light
from tracecube.instruments.sphere_ifs.simulation.optics import PITCH, Optics
from tracecube.instruments.sphere_ifs.simulation.schedule import Shot
from tracecube.instruments.sphere_ifs.simulation.sky import COMPANIONS, Air
from tracecube.simulate.infrared import InfraredArray
from tracecube.simulate.night import truth_table

__all__ = ["detector_table", "lenslet_table", "plane_row", "planes_table", "star_table"]

NODES = 9
"""Wavelengths at which places are told."""


def lenslet_table(optics: Optics, flexure: tuple[float, ...]) -> RawFrame:
    """Places (n, 9) of nine wavelengths by day, places on the sky, throughput; the shift of the night in the header."""
    low, high = optics.mode.band
    nodes = np.linspace(low + 100.0, high - 100.0, NODES)
    places = [optics.place(float(wave)) for wave in nodes]
    columns = {
        "q": optics.q,
        "r": optics.r,
        "wave": np.broadcast_to(nodes, (optics.q.size, NODES)).copy(),
        "x": np.stack([x for x, _ in places], axis=1),
        "y": np.stack([y for _, y in places], axis=1),
        "sky_x": optics.sky_x,
        "sky_y": optics.sky_y,
        "throughput": optics.throughput,
    }
    header: dict[str, Scalar] = {"MODE": optics.mode.name, "PITCH": PITCH, "FLEXDX": flexure[0], "FLEXDY": flexure[1]}
    return truth_table("lenslets", header, {"LENSLETS": columns})


def plane_row(shot: Shot, number: int, hours: float, air: Air, angles: tuple[float, float]) -> dict[str, Any]:
    """What one integration on the sky was like."""
    return {
        "file": shot.name,
        "plane": number,
        "kind": shot.kind,
        "hours": hours,
        "wavefront": air.wavefront,
        "transmission": air.transmission,
        "x": air.x,
        "y": air.y,
        "parallactic": angles[0],
        "angle": angles[1],
    }


def planes_table(rows: Sequence[Mapping[str, Any]]) -> RawFrame:
    """All integrations on the sky."""
    return truth_table("planes", {}, {"PLANES": {key: np.array([row[key] for row in rows]) for key in rows[0]}})


def star_table(wave: FloatArray, mode: Mode) -> RawFrame:
    """Spectrum of the star and contrasts of its companions, and where these are."""
    spectra = {"wave": wave, "star": star_light(wave, mode)}
    spectra |= {f"contrast_{one.name}": one.spectrum(wave) for one in COMPANIONS}
    places = {
        "name": np.array([one.name for one in COMPANIONS]),
        "separation": np.array([one.separation for one in COMPANIONS]),
        "angle": np.array([one.angle for one in COMPANIONS]),
    }
    return truth_table("star", {}, {"SPECTRA": spectra, "COMPANIONS": places})


def detector_table(array: InfraredArray) -> RawFrame:
    """Bad pixels: place and bits, 1 dead, 2 hot, 4 noisy."""
    y, x = np.nonzero(array.bad)
    return truth_table("detector", {}, {"BADPIX": {"x": x, "y": y, "bits": array.bad[y, x]}})
