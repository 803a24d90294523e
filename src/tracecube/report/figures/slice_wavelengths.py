"""Wavelengths of a detector's slices: what every arc line leaves, slice by slice and line by line."""

from __future__ import annotations

from matplotlib.figure import Figure

from tracecube.core.slices import SliceWavelengths
from tracecube.report.figures.line_residuals import LineResiduals, line_residuals
from tracecube.report.figures.style import styled

__all__ = ["slice_wavelengths"]


@styled
def slice_wavelengths(solution: SliceWavelengths) -> Figure:
    """Draw residuals of slices and lines, mean and scatter of each line with its claimed error, and pulls."""
    columns = (solution.line_wave, solution.line_aperture, solution.line_residual, solution.line_error)
    lines = LineResiduals(*columns, solution.line_used)
    return line_residuals(lines, rows="slice", name=str(solution.meta.get("DETECTOR") or "slices"))
