"""Cube: white light, its ground in units of the error, and the spectrum that the sky leaves in faint spaxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.spectra import Cube
from tracecube.report.figures.cube_axes import spaxel, wavelengths
from tracecube.report.figures.style import (
    BLUE,
    DIVERGING,
    NOTHING,
    ORANGE,
    SEQUENTIAL,
    SKY_NAMES,
    robust_limits,
    sheet,
    styled,
)

__all__ = ["cube_images", "mean_planes", "sky_image", "white_light"]

Corners = tuple[float, float, float, float]
_STRIP = 3.0  # times as wide as high, from which images lie above one another
_FAINT = 40.0  # per cent of the spaxels, the faintest, are ground


@styled
def cube_images(cube: Cube) -> Figure:
    """Draw the mean over all wavelengths, the same in units of its error, and the spectrum of the faint spaxels."""
    figure = sheet(9.6, 7.4)
    rows, columns = cube.data.shape[1:]
    above: list[Any] = [["white"], ["pull"], ["ground"]]
    across: list[Any] = [["white", "pull"], ["ground", "ground"]]
    wide = columns > _STRIP * rows
    panels = figure.subplot_mosaic(above if wide else across, height_ratios=[1, 1, 1.6] if wide else [1.6, 1])
    halves = [mean_planes(cube, slice(first, None, 2)) for first in (0, 1)]
    mean, error = _both(halves)
    white_light(panels["white"], cube, mean)
    # faint by one half of the planes, shown in the other: noise that makes a spaxel faint is not shown as ground
    faint = [half < np.nanpercentile(half, _FAINT) for half, _ in halves]
    level = 0.5 * sum(float(np.nanmedian(halves[1 - k][0][faint[k]])) for k in (0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = (mean - level) / error
    sky_image(panels["pull"], cube, pull, Normalize(-10.0, 10.0), DIVERGING, "above the faint part, errors")
    panels["pull"].set_title("The ground, in units of its error")
    _ground(panels["ground"], cube, faint)
    return figure


def _both(halves: list[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean of two means, and its error."""
    (one, of_one), (other, of_other) = halves
    return 0.5 * (one + other), 0.5 * np.hypot(of_one, of_other)


def white_light(ax: Axes, cube: Cube, mean: NDArray[Any]) -> None:
    """Draw the mean (y, x) over wavelength, in the cube's unit."""
    low, high = robust_limits(mean, 2.0, 99.5)
    norm = AsinhNorm(linear_width=max((high - low) / 20.0, 1e-12), vmin=low, vmax=high)
    sky_image(ax, cube, mean, norm, SEQUENTIAL, str(cube.meta.get("BUNIT") or ""))
    ax.set_title("Mean over wavelength")


def mean_planes(cube: Cube, planes: slice) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean (y, x) of the good samples of some planes, and its error."""
    total, variance, count = (np.zeros(cube.data.shape[1:]) for _ in range(3))
    for plane in range(cube.data.shape[0])[planes]:
        good = (cube.flags[plane] == 0) & np.isfinite(cube.data[plane])
        total += np.where(good, cube.data[plane], 0.0)
        variance += np.where(good, cube.variance[plane], 0.0)
        count += good
    count[count == 0] = np.nan
    return total / count, np.sqrt(variance) / count


def _extent(cube: Cube) -> Corners:
    """Corners in arcsec from the middle: east, west, south, north edge."""
    ny, nx = cube.data.shape[1:]
    scale = spaxel(cube)
    return (nx / 2 * scale, -nx / 2 * scale, -ny / 2 * scale, ny / 2 * scale)


def sky_image(ax: Axes, cube: Cube, value: NDArray[Any], norm: Normalize, cmap: str, label: str) -> None:
    """Draw an image (y, x) on the sky of a cube, with its scale."""
    colours = colormaps[cmap].with_extremes(bad=NOTHING)
    shown = ax.imshow(value, extent=_extent(cube), norm=norm, cmap=colours)
    ax.set(xlabel=SKY_NAMES[0], ylabel=SKY_NAMES[1])
    ax.figure.colorbar(shown, ax=ax, label=label, pad=0.02)


def _ground(ax: Axes, cube: Cube, faint: list[NDArray[Any]]) -> None:
    """Mean spectrum of the faint spaxels with its error: what the sky leaves."""
    wave = wavelengths(cube)
    mean, error = np.full(wave.size, np.nan), np.full(wave.size, np.nan)
    for plane in range(wave.size):
        ground = faint[1 - plane % 2] & (cube.flags[plane] == 0) & np.isfinite(cube.data[plane])
        if ground.any():
            mean[plane] = cube.data[plane][ground].mean()
            error[plane] = np.sqrt(cube.variance[plane][ground].sum()) / ground.sum()
    ax.plot(wave, mean, color=BLUE, lw=0.5)
    ax.plot(wave, 3.0 * error, color=ORANGE, lw=0.7)
    ax.plot(wave, -3.0 * error, color=ORANGE, lw=0.7)
    low, high = robust_limits(mean, 0.3, 99.7)
    reach = max(abs(low), abs(high)) * 1.5
    ax.set(xlim=(wave[0], wave[-1]), ylim=(-reach, reach), xlabel="wavelength (Å)")
    ax.set_ylabel(str(cube.meta.get("BUNIT") or ""))
    ax.set_title(f"Mean of the faintest {_FAINT:.0f} % of the spaxels; orange: 3 errors")
