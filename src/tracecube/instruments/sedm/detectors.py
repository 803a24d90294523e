"""Typed reader of ``detectors.toml``: which camera, at which speed, wrote a frame."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from tracecube.core.detector import Amplifier, Detector, Section
from tracecube.core.errors import BadData
from tracecube.core.fields import Meta
from tracecube.instruments.sedm.headers import readout_speed

__all__ = ["detector", "generation", "read_noise_range"]


@cache
def _table() -> dict[str, Any]:
    """Return the amplifier table as it stands in the file."""
    return tomllib.loads(resources.files(__package__).joinpath("detectors.toml").read_text())


def generation(header: Meta) -> str:
    """Return "andor" or "pixis": only the Andor writes where its prescan lies."""
    return "andor" if header.get("PSCANX0") is not None else "pixis"


def _speed(header: Meta, name: str) -> dict[str, Any]:
    """Return the row of the table that describes the readout speed of a frame."""
    camera, mhz = generation(header), readout_speed(header, name)
    rows: list[dict[str, Any]] = _table()[camera]["speed"]
    for row in rows:
        if row["mhz"] == mhz:
            return row
    known = ", ".join(str(row["mhz"]) for row in rows)
    raise BadData(
        f"{name}: ADCSPEED {mhz} MHz is no readout speed of the {camera} camera (known: {known})",
        hint="repair the card ADCSPEED, or add the speed to instruments/sedm/detectors.toml",
    )


def read_noise_range(header: Meta, name: str) -> tuple[float, float]:
    """Return the unremarkable range of the read noise (electron) at the speed of a frame."""
    low, high = _speed(header, name)["read_noise"]
    return float(low), float(high)


def detector(header: Meta, name: str) -> Detector:
    """Return the detector that wrote a frame of the spectrograph.

    Parameters
    ----------
    header : mapping
    name : str
        File name, for messages.

    Raises
    ------
    MissingInput
        No readout speed in the header.
    BadData
        A speed that the camera does not have.
    """
    camera = _table()[generation(header)]
    low, high = _speed(header, name)["read_noise"]
    rows, columns = camera["raw_shape"]
    first, last = camera["data_columns"]
    amplifier = Amplifier(
        name="1",
        data=Section(0, rows, first, last),
        level=tuple(Section(0, rows, a, b) for a, b in camera["level_columns"]),
        read_noise=0.5 * (low + high),
        linear=float(camera["linear"]),
        saturation=float(camera["saturation"]),
    )
    a, b = camera["illuminated_columns"]
    return Detector(camera["title"], (rows, columns), (amplifier,), illuminated=Section(0, rows, a, b))
