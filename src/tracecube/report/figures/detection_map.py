"""Detection map: how significant a source at each place would be, and the companions that were found."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from tracecube.core.companions import Companions
from tracecube.core.spectra import Image
from tracecube.report.figures.style import (
    DIVERGING,
    NOTHING,
    SEQUENTIAL,
    SKY_NAMES,
    VERMILION,
    scale_bar,
    sheet,
    styled,
)

__all__ = ["detection_map", "offsets"]

_SIGMAS = 5.0  # range of the significance
_AROUND = 0.045  # arcsec: radius of the circle around a companion


@styled
def detection_map(significance: Image, found: Companions | None = None, contrast: Image | None = None) -> Figure:
    """Draw significance, and contrast if given, around the star (+), north up and east left; companions by letter."""
    figure = sheet(5.6 if contrast is None else 11.2, 4.9)
    parts = figure.subplots(1, 1 if contrast is None else 2, squeeze=False)[0]
    colours = colormaps[DIVERGING].with_extremes(bad=NOTHING)
    norm = Normalize(-_SIGMAS, _SIGMAS)
    picture = parts[0].imshow(significance.data, norm=norm, cmap=colours, extent=_extent(significance))
    scale_bar(picture, parts[0], "significance of a source ($\\sigma$)", shrink=0.8, extend="both")
    parts[0].set_title(f"Significance; {0 if found is None else len(found.object)} found")
    if contrast is not None:
        values = contrast.data[np.isfinite(contrast.data)]
        scatter = float(np.median(np.abs(values))) * 1.4826 if values.size else 1.0
        high = max(float(values.max()) if values.size else 1.0, 5.0 * scatter)
        scaled = AsinhNorm(linear_width=2.0 * scatter, vmin=-3.0 * scatter, vmax=high)
        colours = colormaps[SEQUENTIAL].with_extremes(bad=NOTHING)
        picture = parts[1].imshow(contrast.data, norm=scaled, cmap=colours, extent=_extent(contrast))
        scale_bar(picture, parts[1], "contrast of a source (flux over that of the star)", shrink=0.8)
        parts[1].set_title("Contrast")
    for ax, ink in zip(parts, ("black", "white"), strict=False):
        ax.plot(0.0, 0.0, "+", color=ink, ms=10, mew=1.1)
        ax.set(xlabel=SKY_NAMES[0], ylabel=SKY_NAMES[1])
        if found is not None:
            _letters(ax, found, ink)
    return figure


def offsets(found: Companions) -> tuple[NDArray[Any], NDArray[Any]]:
    """Place of the companions east and north of the star, arcsec."""
    angle = np.radians(found.pa_deg)
    return 1e-3 * found.sep_mas * np.sin(angle), 1e-3 * found.sep_mas * np.cos(angle)


def _extent(picture: Image) -> tuple[float, float, float, float]:
    """Edges of a map, arcsec from its reference pixel."""
    meta = picture.meta

    def edges(axis: int, length: int) -> tuple[float, float]:
        in_degree = meta.get(f"CD{axis}_{axis}")
        step = 3600.0 * float(in_degree) if in_degree is not None else float(meta.get(f"CDELT{axis}") or 1.0)
        first = (0.5 - float(meta.get(f"CRPIX{axis}") or 1.0)) * step
        return first, first + length * step

    return (*edges(1, picture.data.shape[1]), *edges(2, picture.data.shape[0]))


def _letters(ax: Axes, found: Companions, ink: str) -> None:
    """Mark the companions."""
    paper = "white" if ink == "black" else "black"
    left, right = ax.get_xlim()
    for name, east, north in zip(found.object, *offsets(found), strict=True):
        ax.add_patch(Circle((east, north), _AROUND, fill=False, color=VERMILION if ink == "white" else ink, lw=1.1))
        way = -1.0 if east > right + 0.1 * (left - right) else 1.0  # to the right, unless it is at the edge
        place = (east + way * 1.7 * _AROUND, north + 1.7 * _AROUND)
        text = ax.text(*place, str(name), color=ink, fontsize=12, fontweight="bold", ha="center", va="center")
        text.set_path_effects([withStroke(linewidth=2.0, foreground=paper)])
