"""Transmission of the neutral density filters of the common path."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import MissingInput
from tracecube.core.fields import Meta
from tracecube.recipes.optics.night_shift import Transmission

__all__ = ["neutral_density", "passed_by"]

F8 = NDArray[np.float64]


@cache
def _curves() -> dict[str, F8]:
    text = files("tracecube.instruments.sphere_ifs").joinpath("static", "neutral_density.csv").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    names = lines[0].split(",")
    table = np.array([[float(v) for v in line.split(",")] for line in lines[1:]])
    return dict(zip(names, table.T, strict=True))


def neutral_density(meta: Meta, name: str) -> tuple[F8, F8]:
    """Return wavelength (Angstrom) and transmission of the filter that a frame was taken through.

    Raises
    ------
    MissingInput
        No card ESO INS4 FILT2 NAME, or a filter without curve: a flux without it would be wrong a hundredfold.
    """
    filter_name = str(meta.get("ESO INS4 FILT2 NAME") or "").strip().upper()
    curves = _curves()
    if filter_name in {"OPEN", "ND_0.0"}:
        return curves["wave"], np.ones(curves["wave"].size)
    if filter_name not in curves:
        raise MissingInput(
            f"{name}: neutral density filter ESO INS4 FILT2 NAME = {meta.get('ESO INS4 FILT2 NAME')!r} is not known",
            hint=f"filters with a curve: OPEN, {', '.join(key for key in curves if key != 'wave')}",
        )
    return curves["wave"], curves[filter_name]


def passed_by(meta: Meta, name: str) -> tuple[Transmission | None, tuple[str, ...]]:
    """Return what the filter of a frame lets through, None without one; a caveat where that is not known."""
    try:
        curve = Transmission(*neutral_density(meta, name))
    except MissingInput as failure:
        return None, (f"the shift along dispersion is measured as if no filter had been in: {failure}",)
    return (None if np.ptp(curve.transmission) == 0.0 else curve), ()
