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

_SHOWN = 4  # lines: a few more would be too small
_NEAR = 37  # lenslets: three rings of a hexagonal lattice
_SAME = 0.5  # Angstrom: the same line, in the table of every aperture


@styled
def line_maps(solution: WavelengthSolution, layout: Layout) -> Figure:
    """Draw measured minus solution of some lines over the field, and what neighbours have in common below."""
    used = (solution.line_used != 0) & np.isfinite(solution.line_residual) & (solution.line_error > 0)
    lines = _lines(solution.line_wave[used], solution.line_error[used])
    columns = max(len(lines), 1)
    figure = sheet(2.8 * columns + 0.9, 5.9)
    parts = figure.subplots(2, columns, squeeze=False, sharex=True, sharey=True)
    near = cKDTree(np.column_stack([layout.x, layout.y])).query(
        np.column_stack([layout.x, layout.y]), k=min(_NEAR, len(layout.x))
    )[1]
    found = [_residuals(solution, layout, used & (np.abs(solution.line_wave - line) < _SAME)) for line in lines]
    maps = [residual for residual, _ in found]
    smooth = [_mean(residual[near], error[near]) for residual, error in found]
    for row, shown, label in ((0, maps, "measured − solution (Å)"), (1, smooth, f"weighted mean of {_NEAR} (Å)")):
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


def _lines(wave: NDArray[Any], error: NDArray[Any]) -> list[float]:
    """Return the best known lines of equal pieces of the spectrum, of those that most apertures have."""
    rounded = np.round(wave, 1)
    lines, count = np.unique(rounded, return_counts=True)
    often = lines[count > 0.5 * count.max(initial=0)]
    if often.size <= _SHOWN:
        return [float(line) for line in often]
    noise = np.array([np.median(error[rounded == line]) for line in often])
    piece = np.searchsorted(np.linspace(often[0], often[-1], _SHOWN + 1)[1:-1], often)
    return [float(often[piece == i][np.argmin(noise[piece == i])]) for i in range(_SHOWN) if (piece == i).any()]


def _residuals(
    solution: WavelengthSolution, layout: Layout, mine: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return residual and error of one line in each aperture of the layout, NaN where there is none."""
    size = int(max(layout.aperture.max(initial=0), solution.line_aperture.max(initial=0))) + 1
    residual, error = np.full(size, np.nan), np.full(size, np.nan)
    residual[solution.line_aperture[mine]] = solution.line_residual[mine]
    error[solution.line_aperture[mine]] = solution.line_error[mine]
    return residual[layout.aperture], error[layout.aperture]


def _mean(values: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means (n,) of the finite of (n, k), weighted by their errors; NaN where few are."""
    known = np.isfinite(values)
    weight = np.where(known, error, np.inf) ** -2.0
    enough = known.sum(axis=1) > 0.5 * values.shape[1]
    total = np.sum(weight * np.where(known, values, 0.0), axis=1)
    return np.where(enough, total / np.maximum(weight.sum(axis=1), 1e-300), np.nan)
