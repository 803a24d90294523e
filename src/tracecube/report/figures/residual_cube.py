"""A star's surroundings without speckles: what is left, in units of its error, and how much of a source is left."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from tracecube.core.companions import ResidualCube
from tracecube.report.figures.cube_axes import wavelengths
from tracecube.report.figures.cube_images import mean_planes, sky_image, white_light
from tracecube.report.figures.style import DIVERGING, SEQUENTIAL, legend_above, sheet, styled

__all__ = ["residual_cube"]

_SHOWN = 5  # wavelengths


@styled
def residual_cube(cube: ResidualCube) -> Figure:
    """Draw the mean over wavelength, the same in units of its error, and the share of a source's light that is left."""
    figure = sheet(9.6, 7.4)
    panels = figure.subplot_mosaic([["white", "pull"], ["left", "left"]], height_ratios=[1.6, 1])
    mean, error = mean_planes(cube, slice(None))
    white_light(panels["white"], cube, mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = mean / error
    sky_image(panels["pull"], cube, pull, Normalize(-10.0, 10.0), DIVERGING, "mean over its error")
    panels["pull"].set_title("In units of its error, were channels independent")
    _throughput(panels["left"], cube)
    return figure


def _throughput(ax: Axes, cube: ResidualCube) -> None:
    """Draw how much of a source's middle is left at each distance, in some channels."""
    ax.set(xlabel="distance from the star (arcsec)", ylim=(0.0, 1.0))
    ax.set_ylabel("throughput: share that is left\nof a source of the star's colour")
    if cube.throughput is None or cube.separation is None:
        ax.text(0.5, 0.5, "not stated", ha="center", va="center", transform=ax.transAxes)
        return
    known = np.flatnonzero(np.isfinite(cube.throughput).any(axis=0))
    chosen = known[np.unique(np.linspace(0, known.size - 1, min(_SHOWN, known.size)).round().astype(int))]
    wave = wavelengths(cube)
    for number, plane in enumerate(chosen):
        colour = colormaps[SEQUENTIAL](number / max(chosen.size - 1, 1) * 0.9)
        label = f"{1e-4 * wave[plane]:.2f} µm"
        ax.plot(cube.separation, cube.throughput[:, plane], "o-", ms=2.5, lw=1.0, color=colour, label=label)
    ax.grid(visible=True, axis="y", color="#EEEEEE", lw=0.5)
    legend_above(ax, columns=_SHOWN)
