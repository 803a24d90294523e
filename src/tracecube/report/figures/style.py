"""What all pictures share: colours, sizes, scales, and spaxels drawn in their true shape.

Figures are made without pyplot: no window, no list of open figures.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, cast

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import AsinhNorm, Colormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tracecube.core.flags import Flag

__all__ = [
    "BLUE",
    "DIVERGING",
    "FIELD_NAMES",
    "GREEN",
    "GREY",
    "NOTHING",
    "ORANGE",
    "OWN_NAMES",
    "PURPLE",
    "SEQUENTIAL",
    "SKY",
    "SKY_NAMES",
    "VERMILION",
    "cells_of",
    "hexagons",
    "lamp_behind",
    "legend_above",
    "names_of_flags",
    "outline",
    "png",
    "robust_limits",
    "scale_bar",
    "sheet",
    "sky_axes",
    "styled",
]

# Okabe & Ito (2008), distinguishable with all common kinds of colour blindness
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#6E6E6E"
SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"
NOTHING = "#D0D0D0"  # where there is no value

SKY_NAMES = ("east (arcsec)", "north (arcsec)")
FIELD_NAMES = ("field x (arcsec)", "field y (arcsec)")
"""Places of a `Layout`, which may turn on the sky from exposure to exposure."""
OWN_NAMES = ("x (arcsec)", "y (arcsec)")
"""Axes of an instrument that follows its pupil: the sky turns in them."""

_STYLE: dict[str, Any] = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "image.origin": "lower",
    "image.interpolation": "nearest",
    "figure.dpi": 110,
    "savefig.dpi": 130,
    "mathtext.default": "regular",
}

Given = ParamSpec("Given")

_MARGIN = 0.025  # around a field, of its diagonal
_MANY = 3000  # spaxels from which each is but a few pixels wide
_NEIGHBOURS = 6  # of a hexagonal lattice
_ORDERED = 0.6  # share of sixfold order from which a lattice counts as hexagonal


def styled(draw: Callable[Given, Figure]) -> Callable[Given, Figure]:
    """Give a figure function the style of the report."""

    @functools.wraps(draw)
    def drawn(*args: Given.args, **kwargs: Given.kwargs) -> Figure:
        with rc_context(cast("Any", _STYLE)):
            return draw(*args, **kwargs)

    return drawn


def sheet(width: float, height: float) -> Figure:
    """Return an empty figure (inch) whose parts arrange themselves."""
    return Figure(figsize=(width, height), layout="constrained")


def png(figure: Figure, comment: str = "") -> bytes:
    """Render a figure; ``comment`` stands in the file, near its beginning."""
    file = io.BytesIO()
    with rc_context(cast("Any", _STYLE)):
        figure.savefig(file, format="png", metadata={"Comment": comment} if comment else None)
    return file.getvalue()


def robust_limits(values: NDArray[Any], low: float = 1.0, high: float = 99.0) -> tuple[float, float]:
    """Return two percentiles of the finite values, never equal."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    a, b = (float(limit) for limit in np.percentile(finite, [low, high]))
    return (a, b) if b > a else (a, a + max(abs(a), 1.0) * 1e-3)


def sky_axes(ax: Axes, x: NDArray[Any], y: NDArray[Any], names: tuple[str, str] = SKY_NAMES) -> None:
    """Make an axis a piece of sky plane in arcsec: north up, east left; other axes (``names``) as they are."""
    margin = _MARGIN * float(np.hypot(np.ptp(x), np.ptp(y))) or 1.0
    left, right = float(x.min()) - margin, float(x.max()) + margin
    ax.set_xlim(*((right, left) if names in {SKY_NAMES, FIELD_NAMES} else (left, right)))
    ax.set_ylim(float(y.min()) - margin, float(y.max()) + margin)
    ax.set_aspect("equal")
    ax.set(xlabel=names[0], ylabel=names[1])


def hexagons(
    ax: Axes,
    x: NDArray[Any],
    y: NDArray[Any],
    values: NDArray[Any],
    *,
    norm: Normalize | None = None,
    cmap: str | Colormap = SEQUENTIAL,
    names: tuple[str, str] = SKY_NAMES,
) -> PolyCollection:
    """Draw spaxels (n,) as the cells of their lattice, coloured by ``values`` (n,); grey where NaN.

    ``names`` are those of the axes; east is left in `SKY_NAMES`, and x in `FIELD_NAMES`.
    """
    colours = (colormaps[cmap] if isinstance(cmap, str) else cmap).with_extremes(bad=NOTHING)
    cells = PolyCollection(
        list(cells_of(x, y)),
        array=np.ma.masked_invalid(values),
        cmap=colours,
        norm=norm,
        linewidths=0,
        antialiaseds=len(x) < _MANY,  # smooth edges of cells as small as pixels let the paper shine through
    )
    ax.add_collection(cells)
    sky_axes(ax, x, y, names)
    return cells


def names_of_flags(bits: int) -> str:
    """Write a quality code in words: ``low throughput + not measured``; ``good`` for 0."""
    words = [flag.name.lower().replace("_", " ") for flag in Flag if bits & flag and flag.name]
    return " + ".join(words) or "good"


def outline(
    ax: Axes, x: NDArray[Any], y: NDArray[Any], chosen: NDArray[Any], *, blank: Any = None, **line: Any
) -> None:
    """Draw the edge of the region that the chosen spaxels (n,) of a lattice make.

    Those that are ``blank`` (array (n,), optional), for they have no light to show, are no holes in it.
    """
    cells = cells_of(x, y)
    if blank is not None and len(x) > _NEIGHBOURS:
        places = np.column_stack([x, y])
        around = cKDTree(places).query(places, k=_NEIGHBOURS + 1)[1][:, 1:]
        chosen = chosen | (np.asarray(blank) & (chosen[around].sum(axis=1) > _NEIGHBOURS // 2))
    edges = np.stack([cells, np.roll(cells, -1, axis=1)], axis=2)[chosen].reshape(-1, 2, 2)
    if len(edges) < 2:
        return
    # two cells side by side share an edge: its middle is there twice, to within the lattice's distortion
    apart = cKDTree(edges.mean(1)).query(edges.mean(1), k=2)[0][:, 1]
    length = np.hypot(*(edges[0, 1] - edges[0, 0]))
    ax.add_collection(LineCollection(list(edges[apart > 0.4 * length]), **line))


def scale_bar(cells: ScalarMappable, axes: Any, label: str = "", **place: Any) -> None:
    """Draw the colour scale of spaxels; where it is no linear one, with values evenly along the bar."""
    beside = list(np.atleast_1d(np.asarray(axes, dtype=object)).ravel())
    bar = beside[0].figure.colorbar(cells, ax=beside, label=label, pad=0.02, **place)
    if isinstance(cells.norm, AsinhNorm):
        ticks = _even_ticks(cells.norm)
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.ax.minorticks_off()


def _even_ticks(norm: AsinhNorm) -> list[float]:
    """Return values evenly along a bar, each rounded as far as it stays apart from its neighbours."""
    places = np.asarray(norm.inverse(np.linspace(0.0, 1.0, 6)), np.float64)
    gaps = np.diff(places)
    apart = np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf))
    digits = -np.floor(np.log10(np.maximum(apart, 1e-300))).astype(int)
    rounded = {round(float(place), int(digit)) for place, digit in zip(places, digits, strict=True)}
    return sorted(tick + 0.0 for tick in rounded if places[0] <= tick <= places[-1])  # + 0.0: no minus zero


def cells_of(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the corners (n, 6 or 24, 2) of lattice cells: hexagons, or circles where there is no such order."""
    places = np.column_stack([x, y]).astype(np.float64)
    if len(places) < 2:
        return places[:, None] + _corners(0.5, 0.0, _NEIGHBOURS)
    distance, neighbour = cKDTree(places).query(places, k=2)
    pitch = float(np.median(distance[:, 1]))
    step = places[neighbour[:, 1]] - places
    sixfold = np.exp(1j * _NEIGHBOURS * np.arctan2(step[:, 1], step[:, 0])).mean()
    if abs(sixfold) < _ORDERED:
        return places[:, None] + _corners(pitch / 2.0, 0.0, 24)
    return places[:, None] + _corners(
        pitch / np.sqrt(3.0), float(np.angle(sixfold)) / _NEIGHBOURS + np.pi / 6, _NEIGHBOURS
    )


def _corners(radius: float, angle: float, count: int) -> NDArray[np.float64]:
    turn = angle + np.arange(count) * 2.0 * np.pi / count
    return radius * np.column_stack([np.cos(turn), np.sin(turn)])


def legend_above(ax: Axes, handles: Sequence[Any] | None = None, columns: int = 4) -> None:
    """Put the legend over the axes, where it hides nothing."""
    given = {} if handles is None else {"handles": list(handles)}
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, borderaxespad=0.2, **given)


def lamp_behind(ax: Axes, pixels: NDArray[Any], *, faintest: float = 5.0) -> None:
    """Show what the axes hold of a lamp's image (y, x) in grey, dark where there is light, under all else.

    ``faintest`` is the percentile that is white.
    """
    (x0, x1), (y0, y1) = ((int(max(a, 0)), int(b) + 1) for a, b in (ax.get_xlim(), ax.get_ylim()))
    piece = pixels[y0:y1, x0:x1]
    low, high = robust_limits(piece, faintest, 99.5)
    norm = AsinhNorm(linear_width=max((high - low) / 10.0, 1e-6), vmin=low, vmax=high)
    extent = (x0 - 0.5, x0 + piece.shape[1] - 0.5, y0 - 0.5, y0 + piece.shape[0] - 0.5)
    limits = ax.get_xlim(), ax.get_ylim()
    ax.imshow(piece, cmap="Greys", norm=norm, extent=extent, aspect="auto", zorder=0, interpolation="antialiased")
    ax.set(xlim=limits[0], ylim=limits[1])
