"""Flat map: how much light each aperture passes, and how that changes with wavelength."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.optics import Layout, Throughput
from tracecube.report.figures.style import (
    BLUE,
    FIELD_NAMES,
    GREY,
    SKY,
    hexagons,
    legend_above,
    robust_limits,
    scale_bar,
    sheet,
    styled,
)

__all__ = ["flat_map"]

_BRIGHT = 0.5  # of the median throughput; the colour of cut-off apertures says nothing of the others


@styled
def flat_map(flat: Throughput, layout: Layout) -> Figure:
    """Draw the mean throughput over the field, its distribution, and the colour of the apertures."""
    figure = sheet(9.6, 4.9)
    parts = figure.subplot_mosaic([["field", "all"], ["field", "colour"]], width_ratios=[1.1, 1.25])
    mean = _in_field(flat, layout)
    cells = hexagons(
        parts["field"], layout.x, layout.y, mean, norm=Normalize(*robust_limits(mean, 0.5, 99.5)), names=FIELD_NAMES
    )
    parts["field"].set_title(f"{int((flat.dq != 0).sum())} of {len(flat.aperture)} apertures flagged")
    scale_bar(cells, parts["field"], "relative throughput, mean over wavelength", shrink=0.8)
    seen = mean[np.isfinite(mean)]
    parts["all"].hist(seen, bins=60, color=BLUE)
    low, high = np.percentile(seen, [15.87, 84.13]) if seen.size else (0.0, 0.0)  # one sigma of a Gaussian
    title = f"68 % of them within ± {50 * (high - low):.1f} %"
    parts["all"].set(xlabel="relative throughput, mean over wavelength", ylabel="apertures", title=title)
    _colour(parts["colour"], flat)
    return figure


def _in_field(flat: Throughput, layout: Layout) -> NDArray[np.float64]:
    """Return the mean throughput of every aperture of the layout, NaN where it was not measured."""
    known = {
        int(number): float(mean) for number, mean, dq in zip(flat.aperture, flat.mean, flat.dq, strict=True) if dq == 0
    }
    return np.array([known.get(number, np.nan) for number in layout.aperture.tolist()])


def _colour(ax: Axes, flat: Throughput) -> None:
    """Draw how throughput over its mean spreads with wavelength: median, 68 and 95 per cent of the bright apertures."""
    good = (flat.dq == 0) & (flat.mean > _BRIGHT * np.median(flat.mean[flat.dq == 0]))
    if good.any():
        ratio = flat.value[good] / flat.mean[good, None]
        limits = np.nanpercentile(ratio, [2.28, 15.87, 50.0, 84.13, 97.72], axis=0)  # 1 and 2 sigma of a Gaussian
        ax.fill_between(flat.wave, limits[0], limits[4], color=SKY, alpha=0.35, lw=0, label="95 %")
        ax.fill_between(flat.wave, limits[1], limits[3], color=SKY, alpha=0.8, lw=0, label="68 %")
        ax.plot(flat.wave, limits[2], color=BLUE, lw=1.2, label="median")
        legend_above(ax)
        reach = 4.0 * max(float(np.nanmax(limits[3] - limits[1])) / 2, 0.005)
        ax.set_ylim(1.0 - reach, 1.0 + reach)
    ax.axhline(1.0, color=GREY, lw=0.5)
    ax.set(xlabel="wavelength (Å)", ylabel="throughput / its mean", title="Colour")
