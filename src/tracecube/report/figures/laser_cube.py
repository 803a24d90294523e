"""Lasers as a cube: where their light stands in wavelength, and how it lies over the field."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.spectra import Cube
from tracecube.report.figures.cube_axes import wavelengths
from tracecube.report.figures.cube_images import sky_image
from tracecube.report.figures.style import BLUE, GREY, SEQUENTIAL, VERMILION, robust_limits, sheet, styled

__all__ = ["laser_cube"]

_LINES = 4  # a few more would be too small
_STANDS_OUT = 3.0  # times the median channel
_FAINTEST = 0.05  # of the brightest line
_APART = 2  # channels between which there is one line


@styled
def laser_cube(cube: Cube) -> Figure:
    """Draw the median spectrum of the spaxels with their scatter, and an image of each line's brightest channel."""
    light = np.where((cube.flags == 0) & np.isfinite(cube.data), cube.data, np.nan)
    flat = light.reshape(light.shape[0], -1)
    seen = np.isfinite(flat).any(axis=1)
    low, middle, high = np.full((3, len(flat)), np.nan)
    if seen.any():
        low[seen], middle[seen], high[seen] = np.nanpercentile(flat[seen], [15.87, 50.0, 84.13], axis=1)
    peaks = _peaks(middle)
    columns = max(len(peaks), 1)
    figure = sheet(2.6 * columns + 1.4, 5.6)
    panels = figure.subplot_mosaic([["spectrum"] * columns, list(range(columns))], height_ratios=[1, 1.2])
    wave = wavelengths(cube)
    ax = panels["spectrum"]
    ax.fill_between(1e-4 * wave, low, high, color=BLUE, alpha=0.25, lw=0, label="68 % of the spaxels")
    ax.plot(1e-4 * wave, middle, "o-", ms=3, lw=1.0, color=BLUE, label="median")
    ax.axhline(0.0, color=GREY, lw=0.6)
    ax.plot(1e-4 * wave[peaks], middle[peaks], "v", ms=5, color=VERMILION)
    ax.set(xlabel="wavelength (µm)", ylabel=str(cube.meta.get("BUNIT") or ""))
    ax.legend(loc="upper right")
    if not peaks:
        panels[0].set_axis_off()
    for number, peak in enumerate(peaks):
        share = light[peak] / middle[peak]
        part: Any = panels[number]
        sky_image(part, cube, share, Normalize(*robust_limits(share, 1.0, 99.0)), SEQUENTIAL, "over the median")
        part.set_title(f"{1e-4 * wave[peak]:.3f} µm")
    return figure


def _peaks(light: NDArray[Any]) -> list[int]:
    """Channels that are brighter than their neighbours and stand out, the brightest of few, in order."""
    value = np.nan_to_num(light, nan=0.0)
    around = [value[max(0, k - _APART) : k + _APART + 1].max() for k in range(value.size)]
    least = max(_STANDS_OUT * float(np.median(value)), _FAINTEST * float(value.max()), 0.0)
    found = [k for k in range(value.size) if value[k] == around[k] and value[k] > least]
    return sorted(sorted(found, key=lambda k: -value[k])[:_LINES])
