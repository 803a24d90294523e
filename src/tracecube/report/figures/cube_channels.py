"""Channels of a cube side by side, with the star's place in each."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure

from tracecube.core.fields import Meta
from tracecube.core.spectra import Cube
from tracecube.core.star import StarCentre
from tracecube.report.figures.cube_axes import spaxel, wavelengths
from tracecube.report.figures.style import (
    NOTHING,
    OWN_NAMES,
    SEQUENTIAL,
    VERMILION,
    robust_limits,
    scale_bar,
    sheet,
    styled,
)

__all__ = ["cube_channels"]

_SHOWN = 5  # channels: first, last, and some between


@styled
def cube_channels(cube: Cube, centre: StarCentre) -> Figure:
    """Draw some channels of a cube, each on its own scale of colours; the cross is the star."""
    chosen = np.unique(np.linspace(0, len(cube.data) - 1, min(_SHOWN, len(cube.data))).round().astype(int))
    figure = sheet(2.6 * len(chosen) + 0.4, 3.9)
    parts = figure.subplots(1, len(chosen), squeeze=False, sharex=True, sharey=True)[0]
    step, extent = _extent(cube)
    colours = colormaps[SEQUENTIAL].with_extremes(bad=NOTHING)
    for ax, channel in zip(parts, chosen, strict=True):
        flux = cube.data[channel]
        low, high = robust_limits(flux, 1.0, 99.9)
        quarter, three = robust_limits(flux, 15.87, 84.13)  # one sigma of a Gaussian on either side
        norm = AsinhNorm(linear_width=max(three - quarter, (high - low) / 200.0, 1e-9), vmin=low, vmax=high)
        picture = ax.imshow(flux, norm=norm, cmap=colours, extent=extent)
        scale_bar(picture, ax, location="bottom", shrink=0.9, aspect=25)
        place = int(np.argmin(np.abs(centre.wave - wavelengths(cube)[channel])))
        ax.plot(centre.x[place], centre.y[place], "+", color=VERMILION, ms=11, mew=1.1)
        ax.set_title(f"{wavelengths(cube)[channel] * 1e-4:.3f} µm")
        ax.set(xlabel=OWN_NAMES[0], ylabel=OWN_NAMES[1])
        ax.label_outer()
    _compass(parts[0], cube.meta, step)
    figure.supxlabel("flux (electron / Å a pixel), each channel by its own scale", fontsize="medium")
    return figure


def _extent(cube: Cube) -> tuple[float, tuple[float, float, float, float]]:
    """Size of a pixel and the edges of a cube, arcsec from the field centre: that is the middle of the cube."""
    step = spaxel(cube)
    height, width = cube.data.shape[1:]
    x0, y0 = (-(length // 2 + 0.5) * step for length in (width, height))
    return step, (x0, x0 + width * step, y0, y0 + height * step)


def _compass(ax: Axes, meta: Meta, step: float) -> None:
    """Draw where north and east are, if the cube knows."""
    keys = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
    if not all(isinstance(meta.get(key), float) for key in keys):
        return
    turn = np.linalg.inv(np.array([float(meta[key] or 0.0) for key in keys]).reshape(2, 2) * 3600.0 / step)
    for name, way in (("E", turn[:, 0]), ("N", turn[:, 1])):
        tip = np.array([0.15, 0.16]) + 0.11 * way / np.hypot(*way)
        arrow = {"arrowstyle": "<-", "color": "white", "lw": 0.9, "shrinkA": 0, "shrinkB": 0}
        ax.annotate(
            name,
            (0.15, 0.16),
            tip,
            "axes fraction",
            "axes fraction",
            arrowprops=arrow,
            color="white",
            ha="center",
            va="center",
        )
