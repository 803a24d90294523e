"""Wavelengths of a CCD's fibres: what every arc line leaves, along the slit and line by line."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from tracecube.core.several import WavelengthSolutions
from tracecube.report.figures.line_residuals import LineResiduals, line_residuals
from tracecube.report.figures.style import styled

__all__ = ["fibre_wavelengths"]


@styled
def fibre_wavelengths(solutions: WavelengthSolutions) -> Figure:
    """Draw residuals of fibres and lines, mean and scatter of each line with its claimed error, and pulls."""
    return line_residuals(_together(solutions), rows="fibre", name=", ".join(solutions.parts))


def _together(solutions: WavelengthSolutions) -> LineResiduals:
    """Return the lines of all amplifiers, fibres counted along the CCD."""
    parts, first = [], 0
    for one in solutions.parts.values():
        parts.append((
            one.line_wave, first + one.line_aperture, one.line_residual, one.line_error, np.asarray(one.line_used, bool)
        ))  # fmt: skip
        first += one.aperture.size
    return LineResiduals(*(np.concatenate(column) for column in zip(*parts, strict=True)))
