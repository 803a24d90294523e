"""Typed reader of ``detectors.toml``: the detector, its limits, its lamps."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from tracecube.core.detector import Amplifier, Detector, Section
from tracecube.core.errors import BadData
from tracecube.core.fields import Meta
from tracecube.core.frame import RawFrame
from tracecube.core.pixels import Linearity
from tracecube.instruments.sphere_ifs.classify import LAMPS
from tracecube.instruments.sphere_ifs.headers import gain, integration_time, integrations, text
from tracecube.recipes.detector.array import Exposure

__all__ = ["detector", "exposure_of", "known_linearity", "lamp_wave", "read_noise_range"]


@cache
def _table() -> dict[str, Any]:
    """Return the table as it stands in the file."""
    return tomllib.loads(resources.files(__package__).joinpath("detectors.toml").read_text())


@cache
def detector() -> Detector:
    """Return the detector: strips of columns, each with reference pixels below and above."""
    table = _table()
    rows, columns = table["raw_shape"]
    border, width = int(table["border"]), columns // int(table["outputs"])
    low, high = table["read_noise"]
    amplifiers = tuple(
        Amplifier(
            name=str(number + 1),
            data=Section(0, rows, x, x + width),
            level=_level(x, width, rows, columns, border),
            read_noise=0.5 * (low + high),
            linear=float(table["linear"]),
            saturation=float(table["saturation"]),
        )
        for number, x in enumerate(range(0, columns, width))
    )
    lit = Section(border, rows - border, border, columns - border)
    return Detector(table["title"], (rows, columns), amplifiers, illuminated=lit, axis=0)


def _level(x: int, width: int, rows: int, columns: int, border: int) -> tuple[Section, ...]:
    """Return the reference pixels of the output that begins at column ``x``."""
    sections = [Section(0, border, x, x + width), Section(rows - border, rows, x, x + width)]
    if x == 0:
        sections.append(Section(border, rows - border, 0, border))
    if x + width == columns:
        sections.append(Section(border, rows - border, columns - border, columns))
    return tuple(sections)


def read_noise_range() -> tuple[float, float]:
    """Return the unremarkable range of the read noise, electron."""
    low, high = _table()["read_noise"]
    return float(low), float(high)


def lamp_wave(header: Meta, name: str) -> float:
    """Return the effective wavelength (Angstrom) of a detector-flat lamp.

    Raises
    ------
    BadData
        INS2 COMB IFS names no lamp.
    """
    comb = text(header, "ESO INS2 COMB IFS")
    lamp = next((lamp for lamp in LAMPS if comb.startswith(f"CAL_{lamp}")), None)
    if lamp is None:
        raise BadData(f"{name}: INS2 COMB IFS {comb!r} names no detector-flat lamp", hint="repair the card")
    return float(_table()["lamp_wave"][lamp])


def known_linearity() -> Linearity:
    """Return what is known of the linearity without gain frames: a loss that grows with the signal, and its error."""
    table = _table()
    full, loss, error = float(table["linear"]), float(table["non_linearity"]), float(table["non_linearity_error"])
    level = np.linspace(0.0, full, 31)
    share = level / full
    factor = 1.0 / (1.0 - loss * share)
    return Linearity(level, factor, (error * share * factor**2) ** 2)


def exposure_of(raw: RawFrame) -> tuple[Exposure, tuple[str, ...]]:
    """Return a raw frame with its integration time, gain and number of integrations, and caveats on them.

    A plane of a cube (card PLANE) is one integration, a frame without planes the mean of NDIT.

    Raises
    ------
    MissingInput
        No DIT or NDIT.
    BadData
        The file holds several planes of which none was chosen.
    """
    (key, image), *more = raw.images.items() if raw.images else [("", np.zeros(0))]
    if more or image.size == 0:
        raise BadData(f"{raw.name}: {len(raw.images)} images where one is expected", hint="leave the file out")
    if image.ndim > 2:
        if image.shape[0] > 1:
            raise BadData(
                f"{raw.name}: {image.shape[0]} planes where a mean of integrations is expected",
                hint="write ESO DET FRAM FORMAT = 'cube' into the header",
            )
        raw = RawFrame(raw.name, raw.tag, raw.meta, {key: image[0]}, raw.tables)
    known = gain(raw.meta)
    caveats: tuple[str, ...] = ()
    if known is None:
        known = float(_table()["gain"])
        caveats = (f"{raw.name}: no card ESO DET OUT1 GAIN: {known} electron/adu of the detector's description taken",)
    count = 1 if "PLANE" in raw.meta else integrations(raw.meta, raw.name)
    return Exposure(raw, integration_time(raw.meta, raw.name), count, known), caveats
