"""Slices of a detector: over the lamp that they were found in, with their widths and the gaps between them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracecube.core.frame import Frame
from tracecube.core.slices import SliceTraces
from tracecube.report.figures.style import BLUE, GREY, ORANGE, VERMILION, lamp_behind, legend_above, sheet, styled

__all__ = ["slice_traces"]

_EVERY = 16  # pixels a drawn vertex
_ACROSS, _ALONG = 230, 700  # px of the close-ups


@styled
def slice_traces(traces: SliceTraces, flat: Frame | None = None) -> Figure:
    """Draw the slices of a detector (dispersion upwards), both of its upper corners near by, widths and gaps."""
    figure = sheet(9.6, 6.4)
    panels = figure.subplot_mosaic(
        [["all", "first", "last"], ["all", "width", "width"], ["all", "bow", "bow"]],
        width_ratios=[1.5, 1.0, 1.0],
        height_ratios=[1.5, 1.0, 1.0],
    )
    rows = np.arange(traces.centre.shape[1])
    right = float(np.nanmax(traces.right)) + 40.0
    for name, every in (("all", _EVERY), ("first", 4), ("last", 4)):
        _edges(panels[name], traces, rows, every)
    top = rows[-1] + 0.5
    panels["all"].set(xlim=(0, right), ylim=(-0.5, top), xlabel="x (pixel)", ylabel="y (pixel), dispersion")
    panels["first"].set(xlim=(0, _ACROSS), ylim=(top - _ALONG, top), title="Red end, first slices")
    panels["last"].set(xlim=(right - _ACROSS, right), ylim=(top - _ALONG, top), title="Red end, last slices")
    bad = int((traces.dq != 0).sum())
    detector = str(traces.meta.get("DETECTOR") or "")
    panels["all"].set_title(f"{detector}: {len(traces.aperture)} slices, {bad} not good (red)")
    if flat is not None:
        for name in ("all", "first", "last"):
            lamp_behind(panels[name], flat.data, faintest=2.0)
    _widths(panels["width"], traces)
    bow = (traces.centre - traces.centre[:, [rows.size // 2]])[:, ::_EVERY]
    panels["bow"].plot(rows[::_EVERY], bow.T, color=BLUE, lw=0.5)
    panels["bow"].set(xlabel="y (pixel)", ylabel="centre − in the middle (pixel)", title="Shape of the slices")
    return figure


def _edges(ax: Axes, traces: SliceTraces, rows: np.ndarray, every: int) -> None:
    for edge in (traces.left, traces.right):
        for bad, colour, line in ((False, ORANGE, "-"), (True, VERMILION, "--")):
            chosen = (traces.dq != 0) == bad
            if chosen.any():
                ax.plot(edge[chosen, ::every].T, rows[::every], color=colour, lw=0.7, ls=line)


def _widths(ax: Axes, traces: SliceTraces) -> None:
    """Width of each slice and the gap to the next, in the middle of the detector."""
    middle = traces.centre.shape[1] // 2
    left, right = traces.left[:, middle], traces.right[:, middle]
    ax.plot(traces.aperture, right - left, ".", color=BLUE, label="width")
    ax.set(xlabel="slice", ylabel="width (pixel)", title="Widths and gaps")
    gaps = ax.twinx()
    gaps.plot(traces.aperture[:-1] + 0.5, left[1:] - right[:-1], "_", color=GREY, label="gap to the next")
    gaps.set_ylabel("gap (pixel)")
    legend_above(ax, [*ax.lines, *gaps.lines], columns=2)
