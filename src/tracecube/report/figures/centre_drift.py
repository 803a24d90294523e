"""Where the star stood in every integration of a sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tracecube.core.star import StarCentre
from tracecube.report.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, legend_above, sheet, styled

__all__ = ["centre_drift"]

_COLOURS = {"spots": BLUE, "halo": GREEN, "core": PURPLE, "carried": ORANGE, "given": GREY}


@styled
def centre_drift(centres: Sequence[StarCentre]) -> Figure:
    """Draw x and y of the star from its mean in every integration, by file name, coloured by how it was found."""
    ordered = sorted(centres, key=lambda one: (str(one.file[0]), int(one.plane[0])))
    number = np.arange(1, len(ordered) + 1)
    how = np.array([one.method for one in ordered])
    figure = sheet(9.0, 4.0)
    parts = figure.subplots(2, 1, sharex=True)
    for ax, axis in zip(parts, ("x", "y"), strict=True):
        place = 1e3 * np.array([getattr(one, f"centre_{axis}") for one in ordered])
        error = 1e3 * np.array([getattr(one, f"centre_{axis}_error") for one in ordered])
        for method in dict.fromkeys(how.tolist()):
            mine = how == method
            colour = _COLOURS.get(method, VERMILION)
            ax.errorbar(
                number[mine],
                (place - place.mean())[mine],
                error[mine],
                fmt="o",
                ms=3.5,
                lw=0.9,
                color=colour,
                label=method,
            )
        ax.axhline(0.0, color=GREY, lw=0.5)
        ax.set_ylabel(f"{axis} − mean (mas)")
        ax.set_title(
            f"{axis}: mean {place.mean():.2f} mas, rms {place.std():.2f} mas; error {np.median(error):.2f} mas"
        )
    legend_above(parts[0])
    parts[1].set_xlabel("integration, by time")
    parts[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
