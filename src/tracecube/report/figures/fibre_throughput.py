"""Relative throughput of fibres: in their bundles, and along the spectra by amplifier."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.polynomial.chebyshev import chebval
from numpy.typing import NDArray

from tracecube.core.fibre_light import FibreThroughput
from tracecube.report.figures.style import BLUE, GREEN, ORANGE, OWN_NAMES, VERMILION, hexagons, scale_bar, sheet, styled

__all__ = ["fibre_throughput"]

_STEPS = 65  # places along a spectrum
MOST = 6
"""Bundles that are drawn; of more, these many evenly among them."""


@styled
def fibre_throughput(flat: FibreThroughput) -> Figure:
    """Draw the mean throughput of every fibre in its bundle, and the median curve of each amplifier."""
    slots = np.unique(flat.ifuslot)
    chosen = slots[np.unique(np.linspace(0, slots.size - 1, MOST).astype(int))]
    figure = sheet(9.6, 6.2 if chosen.size > 2 else 5.6)
    grid = figure.add_gridspec(2, chosen.size, height_ratios=[1.35, 1.0])
    axes = [figure.add_subplot(grid[0, i]) for i in range(chosen.size)]
    along = np.linspace(-1.0, 1.0, _STEPS)
    value = np.where((flat.dq == 0)[:, None], chebval(along, np.asarray(flat.coefficients, float).T), np.nan)
    lit: NDArray[np.bool_] = np.asarray(np.isfinite(value).any(axis=1))
    mean = np.full(len(value), np.nan)
    mean[lit] = np.nanmedian(value[lit], axis=1)
    spread = 1.4826 * float(np.nanmedian(np.abs(mean - np.nanmedian(mean))))
    norm = Normalize(1.0 - 4.0 * spread, 1.0 + 4.0 * spread)
    for ax, slot in zip(axes, chosen, strict=True):
        rows = np.flatnonzero(flat.ifuslot == slot)
        cells = hexagons(ax, flat.x[rows], flat.y[rows], mean[rows], norm=norm, names=OWN_NAMES)
        ax.set_title(f"{slot:03d}: {int((~lit[rows]).sum())} dark")
    scale_bar(cells, axes, "relative throughput")
    curve = [figure.add_subplot(grid[1, i]) for i in range(chosen.size)]
    for ax, slot in zip(curve, chosen, strict=True):
        for amp, colour in zip(("LL", "LU", "RL", "RU"), (BLUE, GREEN, ORANGE, VERMILION), strict=True):
            mine = (flat.ifuslot == slot) & (np.asarray(flat.amp).astype(str) == amp) & lit
            if mine.any():
                shape = np.nanmedian(value[mine] / mean[mine, None], axis=0)
                ax.plot(along, shape, color=colour, lw=0.8, label=amp)
        ax.axhline(1.0, color="k", lw=0.4)
        ax.set(xlabel="along the spectrum, blue to red")
    drawn = np.concatenate([np.ravel(np.asarray(line.get_ydata(), float)) for ax in curve for line in ax.lines])
    reach = max(0.005, float(np.abs(drawn - 1.0).max()))
    for ax in curve:
        ax.set_ylim(1.0 - 1.2 * reach, 1.0 + 1.4 * reach)
    curve[0].set(ylabel="median over own mean")
    curve[-1].legend(ncols=4, loc="upper right")
    return figure
