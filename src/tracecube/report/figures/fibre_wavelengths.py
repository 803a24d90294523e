"""Wavelengths of a CCD's fibres: what every arc line leaves, along the slit and line by line."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from tracecube.core.several import WavelengthSolutions
from tracecube.report.figures.style import BLUE, DIVERGING, GREY, ORANGE, legend_above, sheet, styled

__all__ = ["fibre_wavelengths"]

_SHOWN = 5.0  # typical errors at which scales end


@styled
def fibre_wavelengths(solutions: WavelengthSolutions) -> Figure:
    """Draw residuals of fibres and lines, mean and scatter of each line with its claimed error, and pulls."""
    figure = sheet(9.6, 5.4)
    panels = figure.subplot_mosaic([["map", "map"], ["lines", "pulls"]], width_ratios=[1.8, 1.0])
    wave, fibre, residual, error, used = _together(solutions)
    size = _SHOWN * float(np.median(error[used]))
    points = panels["map"].scatter(
        wave[used], fibre[used], c=residual[used], s=7, marker="s", cmap=DIVERGING, norm=Normalize(-size, size), lw=0
    )
    panels["map"].plot(wave[~used], fibre[~used], "x", ms=2.5, color=GREY, alpha=0.5)
    figure.colorbar(points, ax=panels["map"], label="residual (Angstrom)", pad=0.01)
    rms = float(np.sqrt(np.mean(residual[used] ** 2)))
    told = f"{int(used.sum())} lines, rms {rms:.4f} Å; {int((~used).sum())} left out (x)"
    panels["map"].set(xlabel="wavelength (Angstrom)", ylabel="fibre", title=f"{', '.join(solutions.parts)}: {told}")
    lines = np.unique(np.round(wave[used], 2))
    mean, spread, claimed, count = (np.zeros(lines.size) for _ in range(4))
    for i, one in enumerate(lines):
        mine = used & (np.abs(wave - one) < 0.02)
        mean[i], spread[i], count[i] = residual[mine].mean(), residual[mine].std(), mine.sum()
        claimed[i] = np.sqrt(np.mean(error[mine] ** 2))
    at = np.arange(lines.size)
    panels["lines"].axhline(0.0, color=GREY, lw=0.6)
    panels["lines"].errorbar(at, mean, spread / np.sqrt(count), fmt="o", ms=4, color=BLUE, label="mean")
    panels["lines"].plot(at, spread, "_", ms=12, color=ORANGE, label="scatter")
    panels["lines"].plot(at, claimed, "_", ms=12, color=GREY, label="claimed error")
    panels["lines"].set_xticks(at, [f"{one:.1f}" for one in lines], rotation=45, ha="right")
    top = 2.0 * float(np.percentile(spread, 75))
    panels["lines"].set(ylabel="Angstrom", title="Line by line", ylim=(-0.4 * top, top))
    for place, size in zip(at[spread > top], spread[spread > top], strict=True):
        panels["lines"].annotate(f"{size:.2f}", (place, top), ha="center", va="top", color=ORANGE)
    legend_above(panels["lines"], columns=3)
    pull = residual[used] / error[used]
    grid = np.linspace(-5.0, 5.0, 61)
    panels["pulls"].hist(np.clip(pull, -5.0, 5.0), bins=list(grid), density=True, color=BLUE)
    panels["pulls"].plot(grid, np.exp(-0.5 * grid**2) / np.sqrt(2.0 * np.pi), color=ORANGE)
    panels["pulls"].set(xlabel="residual / error", title=f"Pulls: {np.std(np.clip(pull, -6, 6)):.2f} wide")
    return figure


def _together(solutions: WavelengthSolutions) -> tuple[np.ndarray, ...]:
    """Line wavelength, fibre along the CCD, residual, error and whether it was used, of all amplifiers."""
    parts, first = [], 0
    for one in solutions.parts.values():
        parts.append((
            one.line_wave, first + one.line_aperture, one.line_residual, one.line_error, np.asarray(one.line_used, bool)
        ))  # fmt: skip
        first += one.aperture.size
    wave, fibre, residual, error, used = (np.concatenate(column) for column in zip(*parts, strict=True))
    known = np.isfinite(residual) & np.isfinite(error) & (error > 0)
    return wave[known], fibre[known], residual[known], error[known], used[known]
