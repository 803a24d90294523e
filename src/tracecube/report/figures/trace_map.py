"""Trace map: where the light goes, over the frame it was learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.report.figures.style import BLUE, SEQUENTIAL, VERMILION, robust_limits, sheet, styled

__all__ = ["trace_map"]

_EVERY = 8  # samples a drawn vertex: traces are smooth
_WINDOW = (220, 90)  # pixels along and across of the close-up


@styled
def trace_map(traces: TraceSet, frame: Frame | None = None) -> Figure:
    """Draw all traces coloured by their width over the flat, a close-up, and the widths."""
    figure = sheet(9.6, 4.9)
    parts = figure.subplot_mosaic([["all", "near"], ["all", "widths"]], width_ratios=[1.35, 1])
    width = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in traces.sigma])
    norm = Normalize(*robust_limits(width))
    lines = _draw(parts["all"], traces, width, norm, _EVERY, 0.7)
    _draw(parts["near"], traces, width, norm, 1, 0.9)
    parts["all"].autoscale_view()
    parts["all"].set_aspect("equal")
    _close_up(parts["near"], traces)
    if frame is not None:
        _frame_behind(parts["all"], frame, 2)
        _frame_behind(parts["near"], frame, 1)
    parts["all"].set_title(f"{len(width)} traces, {int((traces.dq != 0).sum())} flagged (dashed)")
    for ax in (parts["all"], parts["near"]):
        names = ("x (pixel), dispersion", "y (pixel)") if traces.axis == 1 else ("x (pixel)", "y (pixel), dispersion")
        ax.set(xlabel=names[0], ylabel=names[1])
    if np.ptp(width[np.isfinite(width)]) if np.isfinite(width).any() else 0.0:
        figure.colorbar(lines, ax=parts["all"], label="width of the core, $\\sigma$ (pixel)", shrink=0.8, pad=0.01)
        parts["widths"].hist(width[np.isfinite(width)], bins=60, color=BLUE)
        parts["widths"].set(xlabel="width of the core, $\\sigma$ (pixel)", ylabel="traces", title="Widths")
    else:
        _profile(parts["widths"], traces)
    return figure


def _profile(ax: Axes, traces: TraceSet) -> None:
    """Draw the mean profile, where all traces have one unit of width."""
    density = traces.profile if traces.profile.ndim == 1 else traces.profile[:, 0]
    ax.plot(traces.profile_u, density, color=BLUE, lw=1.2)
    ax.set(xlabel="distance from the trace (pixel)", ylabel="share of the light (1 / pixel)", title="Mean profile")


def _frame_behind(ax: Axes, frame: Frame, every: int) -> None:
    """Show what of the frame lies within the axes in grey, dark where there is light."""
    (x0, x1), (y0, y1) = ((max(int(low), 0), max(int(high) + 1, 0)) for low, high in (ax.get_xlim(), ax.get_ylim()))
    piece = frame.data[y0:y1:every, x0:x1:every]
    low, high = robust_limits(piece, 5.0, 99.5)
    norm = AsinhNorm(linear_width=max((high - low) / 20.0, 1e-6), vmin=low, vmax=high)
    height, width = np.array(piece.shape) * every
    extent = (x0 - 0.5, x0 - 0.5 + width, y0 - 0.5, y0 - 0.5 + height)
    limits, aspect = (ax.get_xlim(), ax.get_ylim()), ax.get_aspect()
    ax.imshow(piece, cmap="Greys", norm=norm, alpha=0.8, extent=extent, aspect=aspect, zorder=0)
    ax.set(xlim=limits[0], ylim=limits[1])


def _draw(ax: Axes, traces: TraceSet, width: NDArray[Any], norm: Normalize, every: int, thick: float) -> LineCollection:
    """Draw one line a trace: solid and coloured, or dashed where flagged."""
    good: list[NDArray[Any]] = []
    bad: list[NDArray[Any]] = []
    for row, start, dq in zip(traces.centre, traces.start, traces.dq, strict=True):
        along = start + np.arange(row.size)[::every]
        places = np.column_stack([along, row[::every]])[np.isfinite(row[::every])]
        (bad if dq else good).append(places if traces.axis == 1 else places[:, ::-1])
    lines = LineCollection(good, array=width[traces.dq == 0], cmap=SEQUENTIAL, norm=norm, linewidths=thick)
    ax.add_collection(lines)
    ax.add_collection(LineCollection(bad, colors=VERMILION, linewidths=thick, linestyles="dashed"))
    return lines


def _close_up(ax: Axes, traces: TraceSet) -> None:
    """Look at a window around the middle of the field."""
    middle = traces.centre.shape[1] // 2
    across = float(np.nanmedian(traces.centre[:, middle]))
    along = float(np.median(traces.start)) + middle
    limits = [(along - _WINDOW[0] / 2, along + _WINDOW[0] / 2), (across - _WINDOW[1] / 2, across + _WINDOW[1] / 2)]
    ax.set_xlim(*limits[0 if traces.axis == 1 else 1])
    ax.set_ylim(*limits[1 if traces.axis == 1 else 0])
    ax.set_title("Close-up")
    ax.set_aspect("auto")
