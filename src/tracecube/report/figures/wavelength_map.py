"""Dispersion map: how well the wavelength solution says where the arc lines are."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.optics import Layout, WavelengthSolution
from tracecube.report.figures.style import (
    BLUE,
    FIELD_NAMES,
    GREY,
    VERMILION,
    hexagons,
    robust_limits,
    scale_bar,
    sheet,
    styled,
)

__all__ = ["wavelength_map"]

_PULLS = 5.0  # range of the histogram, in errors


@styled
def wavelength_map(solution: WavelengthSolution, layout: Layout) -> Figure:
    """Draw the residual of every aperture over the field, all residuals over their errors, and every line."""
    figure = sheet(9.6, 4.9)
    parts = figure.subplot_mosaic([["field", "all"], ["field", "lines"]], width_ratios=[1.1, 1.25])
    used = (solution.line_used != 0) & np.isfinite(solution.line_residual) & (solution.line_error > 0)
    residual, error = solution.line_residual[used], solution.line_error[used]
    rms = _rms_by_aperture(solution.line_aperture[used], residual, error, layout)
    cells = hexagons(
        parts["field"],
        layout.x,
        layout.y,
        rms,
        norm=Normalize(0.0, robust_limits(rms, 0.0, 95.0)[1]),
        names=FIELD_NAMES,
    )
    parts["field"].set_title("Residual of each aperture")
    scale_bar(cells, parts["field"], "rms of its arc lines, weighted by their errors (Å)", shrink=0.8)
    _histogram(parts["all"], residual, error, int((~used).sum()))
    _by_line(parts["lines"], solution.line_wave[used], residual, error)
    parts["lines"].set_xlabel(f"{'air' if solution.medium == 'AWAV' else 'vacuum'} wavelength (Å)")
    return figure


def _rms_by_aperture(
    number: NDArray[Any], residual: NDArray[Any], error: NDArray[Any], layout: Layout
) -> NDArray[np.float64]:
    """Return the weighted rms of the lines of each aperture of the layout, NaN where it has none."""
    size = int(max(layout.aperture.max(initial=0), number.max(initial=0))) + 1
    weight = np.bincount(number, error**-2.0, minlength=size)
    total = np.bincount(number, (residual / error) ** 2, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        rms: NDArray[np.float64] = np.sqrt(total / weight)[layout.aperture]
    return rms


def _histogram(ax: Axes, residual: NDArray[Any], error: NDArray[Any], left_out: int) -> None:
    """Draw residuals over errors, and what they would be if the errors said all."""
    pull = residual / error
    bins = np.linspace(-_PULLS, _PULLS, 81)
    ax.hist(np.clip(pull, -_PULLS, _PULLS), bins=bins.tolist(), color=BLUE)
    normal = np.exp(-0.5 * bins**2) / np.sqrt(2 * np.pi) * pull.size * (bins[1] - bins[0])
    ax.plot(bins, normal, color=VERMILION, lw=1.0, label="Gaussian of width 1")
    ax.legend(loc="upper right")
    title = f"{pull.size} arc lines, {left_out} not used"
    if pull.size:
        rms = np.sqrt(np.sum(pull**2) / np.sum(error**-2.0))
        title += f"\nweighted rms {rms:.2f} Å, pull width {np.std(np.clip(pull, -_PULLS, _PULLS)):.2f}"
    ax.set(xlabel="(measured − solution) / error", ylabel="lines", title=title)


def _by_line(ax: Axes, wave: NDArray[Any], residual: NDArray[Any], error: NDArray[Any]) -> None:
    """Draw the weighted mean residual of every line, and the spread of its apertures (68 per cent) in grey."""
    spreads = [0.1]
    for line in np.unique(np.round(wave, 1)):
        mine = np.abs(wave - line) < 0.06  # Å: the rounding above
        low, high = np.percentile(residual[mine], [15.87, 84.13])  # one standard deviation of a Gaussian
        mean = np.average(residual[mine], weights=error[mine] ** -2.0)
        ax.vlines(line, low, high, color="#BBBBBB", lw=4)
        ax.errorbar(line, mean, np.sum(error[mine] ** -2.0) ** -0.5, fmt="o", ms=3, color=VERMILION, lw=1.2)
        spreads.append(max(-low, high))
    ax.axhline(0.0, color=GREY, lw=0.6)
    reach = 1.2 * float(np.median(spreads[1:] or spreads))
    ax.set_ylim(-reach, reach)
    ax.set(ylabel="residual (Å)", title="Each line: weighted mean, and spread of the apertures (grey)")
