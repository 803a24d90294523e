"""Dispersion map: how well the wavelength solution says where the arc lines are."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.optics import Layout, WavelengthSolution
from tracecube.report.figures.style import BLUE, GREY, VERMILION, hexagons, robust_limits, scale_bar, sheet, styled

__all__ = ["wavelength_map"]

_SHOWN = 6000  # points of a scatter plot; more only makes a slab of ink


@styled
def wavelength_map(solution: WavelengthSolution, layout: Layout) -> Figure:
    """Draw the rms residual of every aperture over the field, all residuals, and residuals by line."""
    figure = sheet(9.6, 4.9)
    parts = figure.subplot_mosaic([["field", "all"], ["field", "lines"]], width_ratios=[1.1, 1.25])
    used = (solution.line_used != 0) & np.isfinite(solution.line_residual)
    rms = _rms_by_aperture(solution, layout, used)
    cells = hexagons(parts["field"], layout.x, layout.y, rms, norm=Normalize(0.0, robust_limits(rms, 0.0, 99.0)[1]))
    parts["field"].set_title("Residual of each aperture")
    scale_bar(cells, parts["field"], "rms of its arc lines (Å)", shrink=0.8)
    _histogram(parts["all"], solution.line_residual, used)
    _by_line(parts["lines"], solution, used)
    return figure


def _rms_by_aperture(solution: WavelengthSolution, layout: Layout, used: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rms of the used lines of each aperture of the layout, NaN where it has none."""
    number = solution.line_aperture[used]
    size = int(max(layout.aperture.max(initial=0), number.max(initial=0))) + 1
    count = np.bincount(number, minlength=size)
    total = np.bincount(number, solution.line_residual[used] ** 2, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        rms: NDArray[np.float64] = np.sqrt(total / count)[layout.aperture]
    return rms


def _histogram(ax: Axes, residual: NDArray[Any], used: NDArray[Any]) -> None:
    kept = residual[used]
    rms = float(np.sqrt(np.mean(kept**2))) if kept.size else float("nan")
    reach = max(4.0 * rms, 1e-3) if np.isfinite(rms) else 1.0
    bins = np.linspace(-reach, reach, 81).tolist()
    ax.hist(np.clip(kept, -reach, reach), bins=bins, color=BLUE)
    ax.axvline(0.0, color=GREY, lw=0.6)
    title = f"{kept.size} arc lines, rms {rms:.2f} Å, median {np.median(kept) if kept.size else np.nan:+.3f} Å"
    ax.set(xlabel="measured − solution (Å)", ylabel="lines", title=f"{title}; {int((~used).sum())} not used")


def _by_line(ax: Axes, solution: WavelengthSolution, used: NDArray[Any]) -> None:
    """Draw residuals against wavelength: points, and the median with the central 68 per cent of each line."""
    where = np.flatnonzero(used)
    some = where[:: max(1, where.size // _SHOWN)]
    ax.plot(
        solution.line_wave[some], solution.line_residual[some], ".", color=GREY, ms=1.0, alpha=0.35, rasterized=True
    )
    for wave in np.unique(np.round(solution.line_wave[used], 1)):
        mine = solution.line_residual[used & (np.abs(solution.line_wave - wave) < 0.06)]  # Å: the rounding above
        low, middle, high = np.percentile(mine, [15.87, 50.0, 84.13])  # one standard deviation of a Gaussian
        ax.errorbar(wave, middle, [[middle - low], [high - middle]], fmt="o", ms=3, color=VERMILION, lw=1.2)
    ax.axhline(0.0, color=GREY, lw=0.6)
    ax.set_ylim(*robust_limits(solution.line_residual[used], 0.5, 99.5))
    ax.set(
        xlabel=f"{'air' if solution.medium == 'AWAV' else 'vacuum'} wavelength (Å)",
        ylabel="residual (Å)",
        title="Each line",
    )
