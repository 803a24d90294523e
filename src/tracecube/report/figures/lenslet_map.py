"""Lenslet map: every lenslet at its place, with its quality code, and how much light it passes on the detector."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from tracecube.core.optics import Layout, Lenslets, Throughput
from tracecube.report.figures.style import (
    BLUE,
    FIELD_NAMES,
    GREEN,
    NOTHING,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    hexagons,
    names_of_flags,
    robust_limits,
    scale_bar,
    sheet,
    styled,
)

__all__ = ["lenslet_map"]

_COLOURS = (VERMILION, ORANGE, PURPLE, GREEN, SKY, BLUE)  # of the most frequent codes; the rest share one
_REST = "#000000"
_DETECTOR = ("detector x (pixel)", "detector y (pixel)")


@styled
def lenslet_map(layout: Layout, flat: Throughput, lenslets: Lenslets | None = None) -> Figure:
    """Draw the quality code of every lenslet in the field, and throughput, on the detector where that is known."""
    figure = sheet(10.6, 5.5)
    left, right = figure.subplots(1, 2)
    codes = layout.dq | _of(layout.aperture, flat.aperture, flat.dq, 0)
    if lenslets is not None:
        codes = codes | _of(layout.aperture, lenslets.aperture, lenslets.dq, 0)
    _quality(left, layout, codes)
    mean = np.asarray(flat.mean, np.float64)
    if lenslets is None:
        seen, x, y, names = _of(layout.aperture, flat.aperture, mean, np.nan), layout.x, layout.y, FIELD_NAMES
    else:
        seen, names = _of(lenslets.aperture, flat.aperture, mean, np.nan), _DETECTOR
        x, y = np.mean(lenslets.x, axis=1), np.mean(lenslets.y, axis=1)
    light = hexagons(right, x, y, seen, norm=Normalize(*robust_limits(seen, 1.0, 99.5)), names=names)
    scale_bar(light, right, "relative throughput, mean over wavelength", shrink=0.8)
    right.set_title("Throughput" if lenslets is None else "Throughput, at the mean place of its laser spots")
    return figure


def _of(wanted: NDArray[Any], known: NDArray[Any], values: NDArray[Any], absent: float) -> NDArray[Any]:
    """Return the values (n,) of the apertures that are wanted, ``absent`` where unknown."""
    order = np.argsort(known)
    at = np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)
    return np.where(known[order[at]] == wanted, values[order[at]], absent)


def _quality(ax: Axes, layout: Layout, codes: NDArray[Any]) -> None:
    """Draw quality codes as colours, the most frequent ones told apart."""
    found, count = np.unique(codes[codes != 0], return_counts=True)
    ranked = found[np.argsort(-count)]
    shown = ranked[: len(_COLOURS)].tolist()
    rank = np.full(codes.size, len(shown) + 1)
    for i, code in enumerate([0, *shown]):
        rank[codes == code] = i
    colours = [NOTHING, *_COLOURS[: len(shown)], _REST]
    norm = BoundaryNorm(np.arange(len(colours) + 1) - 0.5, len(colours))
    hexagons(ax, layout.x, layout.y, rank, norm=norm, cmap=ListedColormap(colours), names=FIELD_NAMES)
    words = [*(names_of_flags(code) for code in [0, *shown]), "other"]
    numbers = np.bincount(rank, minlength=len(colours))
    handles = [
        Patch(color=colour, label=f"{word}: {number}")
        for colour, word, number in zip(colours, words, numbers.tolist(), strict=True)
        if number
    ]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.0, -0.12), borderaxespad=0.0, ncols=2)
    ax.set_title(f"Quality: {int(numbers[0])} of {codes.size} lenslets good")
