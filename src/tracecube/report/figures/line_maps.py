"""Calibration lines one by one: where in the field the solution misses them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tracecube.core.optics import Layout, WavelengthSolution
from tracecube.report.figures.style import DIVERGING, FIELD_NAMES, hexagons, robust_limits, scale_bar, sheet, styled

__all__ = ["line_maps"]

_SHOWN = 4  # lines; evenly over the spectrum where there are more
_NEAR = 37  # lenslets: three rings of a hexagonal lattice
_SAME = 0.5  # Angstrom: the same line, in the table of every aperture


@styled
def line_maps(solution: WavelengthSolution, layout: Layout) -> Figure:
    """Draw measured minus solution of some lines over the field, and what neighbours have in common below."""
    used = (solution.line_used != 0) & np.isfinite(solution.line_residual) & (solution.line_error > 0)
    lines = _lines(solution.line_wave[used])
    columns = max(len(lines), 1)
    figure = sheet(2.8 * columns + 0.9, 5.9)
    parts = figure.subplots(2, columns, squeeze=False, sharex=True, sharey=True)
    near = cKDTree(np.column_stack([layout.x, layout.y])).query(
        np.column_stack([layout.x, layout.y]), k=min(_NEAR, len(layout.x))
    )[1]
    maps = [_residuals(solution, layout, used & (np.abs(solution.line_wave - line) < _SAME)) for line in lines]
    smooth = [_mean(values[near]) for values in maps]
    for row, shown, label in ((0, maps, "measured − solution (Å)"), (1, smooth, f"mean of {_NEAR} neighbours (Å)")):
        reach = max((abs(v) for one in shown for v in robust_limits(one, 2.28, 97.72)), default=1.0)  # 2 sigma
        for ax, values in zip(parts[row], shown, strict=False):
            norm = Normalize(-reach, reach)
            cells = hexagons(ax, layout.x, layout.y, values, norm=norm, cmap=DIVERGING, names=FIELD_NAMES)
            ax.label_outer()
        if shown:
            scale_bar(cells, list(parts[row]), label, shrink=0.85)
    for column, line in enumerate(lines):
        mine = used & (np.abs(solution.line_wave - line) < _SAME)
        spread, error = np.std(solution.line_residual[mine]), np.sqrt(np.mean(solution.line_error[mine] ** 2))
        parts[0, column].set_title(f"{line:.1f} Å: rms {spread:.2f} Å\nclaimed error {error:.2f} Å")
        parts[1, column].set_title(f"rms {np.nanstd(smooth[column]):.2f} Å")
    return figure


def _lines(wave: NDArray[Any]) -> list[float]:
    """Return some lines that most apertures have, evenly over the spectrum."""
    lines, count = np.unique(np.round(wave, 1), return_counts=True)
    often = lines[count > 0.5 * count.max(initial=0)]
    chosen = np.unique(np.linspace(0, len(often) - 1, min(_SHOWN, len(often))).round().astype(int))
    return [float(line) for line in often[chosen]]


def _residuals(solution: WavelengthSolution, layout: Layout, mine: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the residual of one line in each aperture of the layout, NaN where there is none."""
    values = np.full(int(max(layout.aperture.max(initial=0), solution.line_aperture.max(initial=0))) + 1, np.nan)
    values[solution.line_aperture[mine]] = solution.line_residual[mine]
    found: NDArray[np.float64] = values[layout.aperture]
    return found


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means (n,) of the finite of (n, k); NaN where few are."""
    count = np.isfinite(values).sum(axis=1)
    enough = count > 0.5 * values.shape[1]
    return np.where(enough, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan)
