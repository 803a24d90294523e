"""Wings of lines along dispersion: where the extraction finds the light of a line beyond its core."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tracecube.core.optics import LineWings
from tracecube.report.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, legend_above, sheet, styled

__all__ = ["line_wings"]

_COLOURS = (BLUE, GREEN, ORANGE, VERMILION, PURPLE)


@styled
def line_wings(wings: LineWings) -> Figure:
    """Draw the share of each line's light at every distance from it, with errors; sums and widths in the legend."""
    figure = sheet(9.0, 4.2)
    ax = figure.subplots()
    ax.axhline(0.0, color=GREY, lw=0.6)
    order = np.argsort(wings.offset)
    apart = 0.5 / max(len(wings.wave), 1)
    for number, wave in enumerate(wings.wave):
        share, error = 100.0 * wings.share[number][order], 100.0 * wings.error[number][order]
        total = f"{share.sum():.1f} ± {np.sqrt((error**2).sum()):.1f} %"
        label = f"{1e-4 * wave:.3f} µm: {total}, core {wings.core[number]:.2f} px"
        at = wings.offset[order] + apart * (number - 0.5 * (len(wings.wave) - 1))
        style: dict[str, Any] = {"fmt": "o-", "ms": 3, "lw": 0.8, "color": _COLOURS[number % len(_COLOURS)]}
        red = wings.offset[order] > 0
        ax.errorbar(at[red], share[red], error[red], label=label, **style)
        ax.errorbar(at[~red], share[~red], error[~red], **style)
    ax.set(xlabel="distance from the line along dispersion (pixel, red to the right)", ylabel="share of its light (%)")
    legend_above(ax, columns=2)
    return figure
