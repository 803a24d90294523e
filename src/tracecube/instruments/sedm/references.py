"""Packed reference data of this instrument: standard stars, telluric templates, extinction (static/SOURCES.txt)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from tracecube.recipes.flux.standards import StandardTable
from tracecube.recipes.flux.telluric import Absorbers

__all__ = ["ABSORBERS", "absorbers", "extinction", "standards"]

ABSORBERS = ("oxygen", "water")

# Exponents of airmass that the observatory's own reduction uses; the widths cover what real nights gave it.
_EXPONENT = np.array([0.58, 0.40])
_EXPONENT_ERROR = np.array([0.10, 0.20])

_STATIC = files("tracecube.instruments.sedm") / "static"


@cache
def standards() -> StandardTable:
    """Spectra of the standard stars."""
    with (_STATIC / "standards.npz").open("rb") as file, np.load(file) as packed:
        return StandardTable(packed["wave"], packed["name"], packed["library"], packed["flux"].astype(float))


@cache
def absorbers() -> Absorbers:
    """Telluric oxygen and water."""
    with (_STATIC / "telluric.npz").open("rb") as file, np.load(file) as packed:
        rows = np.array([packed[name] for name in ABSORBERS], dtype=float)
        return Absorbers(packed["wave"], rows, _EXPONENT, _EXPONENT_ERROR)


@cache
def extinction() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wavelength (Angstrom) and extinction (magnitudes per airmass)."""
    rows = [
        line.split(",") for line in (_STATIC / "extinction.csv").read_text("utf-8").splitlines() if line[0].isdigit()
    ]
    table = np.array(rows, dtype=float)
    return table[:, 0], table[:, 1]
