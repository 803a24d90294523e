"""Alignment: the exposures of a field together, what was found in them, and how they lie to each other."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure

from tracecube.core.alignment import Offsets, SourceList
from tracecube.core.spectra import Image
from tracecube.report.figures.style import BLUE, VERMILION, robust_limits, scale_bar, sheet, styled

__all__ = ["alignment"]

_ARCSEC = 3600.0


@styled
def alignment(preview: Image, offsets: Offsets, sources: SourceList | None = None) -> Figure:
    """Draw the preview with all sources in their corrected places, and the offsets with their errors."""
    tall = preview.data.shape[0] > 0.6 * preview.data.shape[1]
    figure = sheet(9.0, 4.4 if tall else 5.4)
    left, right = (
        figure.subplots(1, 2, width_ratios=(1.6, 1)) if tall else figure.subplots(2, 1, height_ratios=(1, 1.6))
    )
    _field(left, preview, offsets, sources)
    _offsets(right, offsets)
    return figure


def _field(ax: Axes, preview: Image, offsets: Offsets, sources: SourceList | None) -> None:
    low, high = robust_limits(preview.data, 1.0, 99.7)
    quarter, three = robust_limits(preview.data, 15.87, 84.13)
    norm = AsinhNorm(linear_width=max(three - quarter, (high - low) / 100.0, 1e-9), vmin=low, vmax=high)
    rows, columns = preview.data.shape
    west = np.array([-0.5, columns - 0.5]) * offsets.grid_side + offsets.grid_x
    north = np.array([-0.5, rows - 0.5]) * offsets.grid_side + offsets.grid_y
    cells = ax.imshow(
        preview.data, origin="lower", extent=(-west[0], -west[1], north[0], north[1]), norm=norm, cmap="Greys"
    )
    scale_bar(cells, ax, "mean of all exposures", shrink=0.8)
    if sources is not None and len(sources.ra):
        cosine = np.cos(np.radians(offsets.grid_dec))
        east = (np.asarray(sources.ra_corrected) - offsets.grid_ra) * cosine * _ARCSEC
        up = (np.asarray(sources.dec_corrected) - offsets.grid_dec) * _ARCSEC
        shared = np.asarray(sources.matches) > 0
        ax.plot(east[shared], up[shared], "o", mfc="none", color=BLUE, ms=7, label="in several exposures")
        ax.plot(east[~shared], up[~shared], "x", color=VERMILION, ms=5, label="in one alone")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=2, frameon=False)
    ax.set_xlabel("east (″)")
    ax.set_ylabel("north (″)")


def _offsets(ax: Axes, offsets: Offsets) -> None:
    cosine = np.cos(np.radians(offsets.grid_dec))
    east, north = np.asarray(offsets.ra) * cosine * _ARCSEC, np.asarray(offsets.dec) * _ARCSEC
    errors = np.asarray(offsets.ra_error) * cosine * _ARCSEC, np.asarray(offsets.dec_error) * _ARCSEC
    known = [np.where(np.isfinite(one), one, 0.0) for one in errors]
    lost = np.asarray(offsets.dq) != 0
    ax.errorbar(
        east[~lost], north[~lost], known[1][~lost], known[0][~lost], fmt="o", ms=4, color=BLUE, label="measured"
    )
    if lost.any():
        ax.plot(east[lost], north[lost], "x", color=VERMILION, label="not measured")
    for number, (x, y) in enumerate(zip(east, north, strict=True), start=1):
        ax.annotate(str(number), (x, y), textcoords="offset points", xytext=(5, 4))
    ax.axhline(0.0, lw=0.5, color="0.7")
    ax.axvline(0.0, lw=0.5, color="0.7")
    ax.invert_xaxis()
    ax.set_xlabel("offset to the east (″)")
    ax.set_ylabel("offset to the north (″)")
    ax.margins(0.25)
