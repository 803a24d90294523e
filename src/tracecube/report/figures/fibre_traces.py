"""Traces of a slit of fibres: over the lamp they were learnt from, with their places in the slit and their profile."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.core.several import TraceSets
from tracecube.report.figures.style import BLUE, GREY, ORANGE, VERMILION, lamp_behind, legend_above, sheet, styled

__all__ = ["fibre_traces"]

_EVERY = 8  # samples a drawn vertex
_FAINTEST = 3e-6  # 1 / px: of the profile that is drawn
_WINDOW = (260, 100)  # px along and across of the close-up


@styled
def fibre_traces(traces: TraceSets, flat: Frame | None = None) -> Figure:
    """Draw the traces of a CCD's amplifiers as they lie on the chip, a close-up, the slit and the profile."""
    figure = sheet(9.6, 6.2)
    panels = figure.subplot_mosaic(
        [["all", "near"], ["all", "slit"], ["all", "profile"]], width_ratios=[1.05, 1.0], height_ratios=[1.2, 1.0, 1.0]
    )
    half = flat.data.shape[0] // 2 if flat is not None else _half(traces)
    lower = _lower(traces)
    for name, one in traces.parts.items():
        above = 0 if name == lower else half
        for ax, every in ((panels["all"], _EVERY), (panels["near"], 1)):
            _draw(ax, one, above, every, ORANGE if flat is not None else BLUE)
        _slit(panels["slit"], one, name, BLUE if name == lower else ORANGE)
        _profile(panels["profile"], one, name, BLUE if name == lower else ORANGE)
    columns = next(iter(traces.parts.values())).centre.shape[1]
    panels["all"].set(xlim=(0, columns), ylim=(0, 2 * half), xlabel="x (pixel), dispersion", ylabel="row of the CCD")
    middles = (columns / 2, half / 2)
    x, y = (np.array([-0.5, 0.5]) * size + at for size, at in zip(_WINDOW, middles, strict=True))
    panels["near"].set(xlim=x, ylim=y, title="Close-up of the lower amplifier", xlabel="x (pixel)", ylabel="row")
    dead = ", ".join(f"{name}: {int((one.dq != 0).sum())}" for name, one in traces.parts.items())
    panels["all"].set_title(f"Traces; without light (red) {dead}")
    for ax in (panels["all"], panels["near"]):
        if flat is not None:
            lamp_behind(ax, flat.data)
    for name in ("slit", "profile"):
        legend_above(panels[name], columns=2)
    return figure


def _lower(traces: TraceSets) -> str:
    """Name of the amplifier at the bottom of the chip, by the card that says so, else the first."""
    names = list(traces.parts)
    side = str(traces.meta.get("CCDPOS") or "").strip()
    first = {"L": "LL", "R": "RU"}.get(side, names[0][-2:])
    return next((name for name in names if name.endswith(first)), names[0])


def _half(traces: TraceSets) -> int:
    top = max(float(np.nanmax(one.centre)) for one in traces.parts.values())
    return int(np.ceil(top / 16.0) * 16)


def _draw(ax: Axes, one: TraceSet, above: float, every: int, colour: str) -> None:
    along = np.arange(one.centre.shape[1])[::every]
    good = one.dq == 0
    ax.plot(along, above + one.centre[good, ::every].T, color=colour, lw=0.5, alpha=0.9)
    if (~good).any():
        ax.plot(along, above + one.centre[~good, ::every].T, color=VERMILION, lw=0.9, ls="--")


def _slit(ax: Axes, one: TraceSet, name: str, colour: str) -> None:
    """Distances of neighbours in the slit."""
    middle = one.centre[:, one.centre.shape[1] // 2]
    ax.plot(np.arange(1, middle.size), np.diff(middle), ".", ms=3, color=colour, label=name)
    ax.set(xlabel="fibre from the bottom", ylabel="to the last (pixel)", title="Slit")


def _profile(ax: Axes, one: TraceSet, name: str, colour: str) -> None:
    """Mean profile on a logarithmic scale."""
    density = one.profile if one.profile.ndim == 1 else one.profile[:, 0]
    shown = density > _FAINTEST
    ax.semilogy(one.profile_u[shown], density[shown], color=colour, lw=1.2, label=name)
    ax.axvline(0.0, color=GREY, lw=0.5)
    ax.set(xlabel="distance from the trace (pixel)", ylabel="light (1 / pixel)", title="Profile")
