"""What every arc line leaves, aperture by aperture and line by line; the same panels for fibres and slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.report.figures.style import BLUE, DIVERGING, GREY, ORANGE, legend_above, sheet

__all__ = ["LineResiduals", "line_residuals"]

_SHOWN = 5.0  # typical errors at which scales end
_NAMED = 28  # lines of which there is room for the wavelength


@dataclass(frozen=True)
class LineResiduals:
    """Lines of an arc: wavelength (Angstrom), row in the picture, residual and error (Angstrom), whether used; (n,)."""

    wave: NDArray[Any]
    row: NDArray[Any]
    residual: NDArray[Any]
    error: NDArray[Any]
    used: NDArray[Any]

    def known(self) -> LineResiduals:
        """Return those that were measured."""
        fit = np.isfinite(self.residual) & np.isfinite(self.error) & (self.error > 0)
        columns = (self.wave, self.row, self.residual, self.error, np.asarray(self.used, bool))
        return LineResiduals(*(column[fit] for column in columns))


def line_residuals(lines: LineResiduals, *, rows: str, name: str) -> Figure:
    """Draw residuals over ``rows`` and lines, mean and scatter of each line with its claimed error, and pulls.

    Parameters
    ----------
    lines : LineResiduals
    rows : str
        What a row is: fibre, slice.
    name : str
        Whose solution it is.
    """
    lines = lines.known()
    figure = sheet(9.6, 5.4)
    panels = figure.subplot_mosaic([["map", "map"], ["lines", "pulls"]], width_ratios=[1.8, 1.0])
    used = lines.used
    size = _SHOWN * float(np.median(lines.error[used])) if used.any() else 1.0
    style: dict[str, Any] = {"s": 7, "marker": "s", "cmap": DIVERGING, "norm": Normalize(-size, size), "lw": 0}
    points = panels["map"].scatter(lines.wave[used], lines.row[used], c=lines.residual[used], **style)
    panels["map"].plot(lines.wave[~used], lines.row[~used], "x", ms=2.5, color=GREY, alpha=0.5)
    figure.colorbar(points, ax=panels["map"], label="residual (Angstrom)", pad=0.01)
    rms = float(np.sqrt(np.mean(lines.residual[used] ** 2))) if used.any() else np.nan
    told = f"{int(used.sum())} lines, rms {rms:.4f} Å; {int((~used).sum())} left out (x)"
    panels["map"].set(xlabel="wavelength (Angstrom)", ylabel=rows, title=f"{name}: {told}")
    _line_by_line(panels["lines"], lines)
    _pulls(panels["pulls"], lines.residual[used] / lines.error[used])
    return figure


def _line_by_line(ax: Axes, lines: LineResiduals) -> None:
    """Mean, scatter and claimed error of every line of the list."""
    used = lines.used
    waves = np.unique(np.round(lines.wave[used], 2))
    members = [used & (np.abs(lines.wave - one) < 0.02) for one in waves]
    mean, spread = (np.array([f(lines.residual[mine]) for mine in members]) for f in (np.mean, np.std))
    claimed = np.array([np.sqrt(np.mean(lines.error[mine] ** 2)) for mine in members])
    count = np.array([mine.sum() for mine in members])
    at = np.arange(waves.size)
    ax.axhline(0.0, color=GREY, lw=0.6)
    ax.errorbar(at, mean, spread / np.sqrt(count), fmt="o", ms=4, color=BLUE, label="mean")
    ax.plot(at, spread, "_", ms=12, color=ORANGE, label="scatter")
    ax.plot(at, claimed, "_", ms=12, color=GREY, label="claimed error")
    named = at[:: max(1, int(np.ceil(waves.size / _NAMED)))]
    ax.set_xticks(named, [f"{one:.1f}" for one in waves[named]], rotation=45, ha="right")
    top = 2.0 * float(np.percentile(spread, 75)) if waves.size else 1.0
    ax.set(ylabel="Angstrom", title="Line by line", ylim=(-0.4 * top, top))
    for place, high in zip(at[spread > top], spread[spread > top], strict=True):
        ax.annotate(f"{high:.2f}", (place, top), ha="center", va="top", color=ORANGE)
    legend_above(ax, columns=3)


def _pulls(ax: Axes, pull: NDArray[Any]) -> None:
    """Histogram of residual over error, with the Gaussian it should be."""
    grid = np.linspace(-5.0, 5.0, 61)
    if pull.size:
        ax.hist(np.clip(pull, -5.0, 5.0), bins=list(grid), density=True, color=BLUE)
    ax.plot(grid, np.exp(-0.5 * grid**2) / np.sqrt(2.0 * np.pi), color=ORANGE)
    width = float(np.std(np.clip(pull, -6, 6))) if pull.size else np.nan
    ax.set(xlabel="residual / error", title=f"Pulls: {width:.2f} wide")
