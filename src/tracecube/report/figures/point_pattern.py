"""Points of a regular grid that tell the lenslets' places: the distortion they show, and how smooth it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.optics import PointPattern
from tracecube.report.figures.style import BLUE, GREY, ORANGE, VERMILION, sheet, styled

__all__ = ["point_pattern", "roughness"]

_DEGREE = 3  # of the surface that distortion is smooth in
_DRAWN = 0.12  # arcsec: length of the longest arrows but for a tenth
_TERMS = (_DEGREE + 1) * (_DEGREE + 2) // 2


@styled
def point_pattern(pattern: PointPattern) -> Figure:
    """Draw by how much each point is seen off its place, and what no cubic surface explains."""
    figure = sheet(9.6, 5.0)
    panels = figure.subplot_mosaic([["field", "left"]], width_ratios=[1.5, 1])
    used = pattern.used != 0
    dx, dy = 1e3 * (pattern.grid_x - pattern.x), 1e3 * (pattern.grid_y - pattern.y)
    ax = panels["field"]
    size = max(float(np.percentile(np.hypot(dx, dy), 90)), 1e-9) if dx.size else 1.0
    for some, colour in ((used, BLUE), (~used, VERMILION)):
        if some.any():
            ax.quiver(
                pattern.x[some], pattern.y[some], dx[some], dy[some], color=colour, angles="xy", scale_units="xy",
                scale=size / _DRAWN, width=0.003,
            )  # fmt: skip
    ax.plot(pattern.x, pattern.y, ".", ms=3, color=GREY)
    ax.plot(pattern.x + dx * _DRAWN / size, pattern.y + dy * _DRAWN / size, ",", alpha=0.0)  # room for the arrows
    told = f"{int(used.sum())} points, {int((~used).sum())} left out (red)"
    ax.set(xlabel="x (arcsec)", ylabel="y (arcsec)", title=f"{told}; an arrow of {_DRAWN} arcsec: {size:.1f} mas")
    ax.set_aspect("equal")
    _left(panels["left"], pattern)
    return figure


def _left(ax: Any, pattern: PointPattern) -> None:
    """Histogram of what is not smooth, and the Gaussian of the errors by noise."""
    rough = 1e3 * roughness(pattern)
    ax.set(xlabel="off a cubic surface (mas)", ylabel="points, x and y")
    if not rough.size:
        ax.set_title("too few points for a cubic surface")
        return
    error = 1e3 * float(np.median(pattern.error[pattern.used != 0]))
    reach = max(float(np.abs(rough).max()), 4.0 * error)
    count, edges, _ = ax.hist(rough.ravel(), bins=np.linspace(-reach, reach, 31).tolist(), color=BLUE)
    grid = np.linspace(-reach, reach, 301)
    width = float(edges[1] - edges[0])
    noise = rough.size * width * np.exp(-0.5 * (grid / error) ** 2) / (error * np.sqrt(2.0 * np.pi))
    ax.plot(grid, noise, color=ORANGE, lw=0.8, label=f"noise alone, {error:.3f} mas")
    ax.set_ylim(0.0, 1.4 * float(np.max(count)))
    ax.legend(loc="upper right")
    ax.set_title(f"rms {np.sqrt(np.mean(rough**2)):.3f} mas")


def roughness(pattern: PointPattern) -> NDArray[np.float64]:
    """Distortion of the points used that no cubic surface explains, array (2, n), arcsec; empty of too few points.

    Scaled up by what the fit of the surface takes.
    """
    used = pattern.used != 0
    count = int(used.sum())
    if count <= 2 * _TERMS:
        return np.empty((2, 0))
    x, y = pattern.x[used], pattern.y[used]
    scale = max(float(np.abs(np.stack([x, y])).max()), 1e-12)
    columns = np.stack(
        [(x / scale) ** i * (y / scale) ** j for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)], axis=1
    )
    off = np.stack([pattern.grid_x[used] - x, pattern.grid_y[used] - y], axis=1)
    left = off - columns @ np.linalg.lstsq(columns, off, rcond=None)[0]
    return np.asarray(left.T * np.sqrt(count / (count - _TERMS)))
