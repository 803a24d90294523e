"""Bundles of a field: their light, north up, with the stars of the catalogue and the lines that were found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.wcs import WCS
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.headers import needed
from tracecube.core.lines import Lines
from tracecube.core.sources import Sources
from tracecube.core.spectra import Cube
from tracecube.report.figures.cube_axes import spaxel, wavelengths
from tracecube.report.figures.style import NOTHING, ORANGE, VERMILION, robust_limits, sheet, styled

__all__ = ["bundle_images", "celestial", "seen_in"]

_BAND = (4200.0, 5400.0)  # Angstrom: where fibres see most
_ROW = 4  # images a row


@styled
def bundle_images(cubes: Sequence[Cube], sources: Sources | None = None, lines: Lines | None = None) -> Figure:
    """Draw the mean light of every bundle from 4200 to 5400 Angstrom."""
    columns = min(_ROW, len(cubes))
    rows = -(-len(cubes) // columns)
    figure = sheet(max(2.6, 9.6 / max(columns, 2)) * columns, max(2.6, 9.6 / max(columns, 2)) * rows + 0.3)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for ax in axes[len(cubes) :]:
        ax.axis("off")
    for ax, cube in zip(axes, cubes, strict=False):
        _bundle(ax, cube, sources, lines)
    return figure


def celestial(cube: Cube) -> WCS:
    """Axes on the sky."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    for key in ("crval", "crpix", "cdelt"):
        setattr(wcs.wcs, key, [needed(cube.meta, "cube", f"{key.upper()}{axis}") for axis in (1, 2)])
    return wcs


def seen_in(cube: Cube, ra: NDArray[Any], dec: NDArray[Any]) -> tuple[NDArray[np.float64], ...]:
    """Pixels (x, y) of places, NaN for those outside the cube."""
    x, y = celestial(cube).all_world2pix(np.asarray(ra), np.asarray(dec), 0)
    inside = (x > -0.5) & (x < cube.data.shape[2] - 0.5) & (y > -0.5) & (y < cube.data.shape[1] - 0.5)
    return np.where(inside, x, np.nan), np.where(inside, y, np.nan)


def _bundle(ax: Axes, cube: Cube, sources: Sources | None, lines: Lines | None) -> None:
    wave = wavelengths(cube)
    planes = cube.data[(wave > _BAND[0]) & (wave < _BAND[1])]
    known = np.isfinite(planes)
    count = known.sum(axis=0)
    mean = np.where(count > 0, np.where(known, planes, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    step = spaxel(cube)
    across, up = mean.shape[1] * step, mean.shape[0] * step
    extent = (0.5 * across, -0.5 * across, -0.5 * up, 0.5 * up)
    ax.set_facecolor(NOTHING)
    if count.any():
        noise = 1.4826 * float(np.nanmedian(np.abs(mean - np.nanmedian(mean))))
        low, high = robust_limits(mean, 5.0, 99.5)
        norm = AsinhNorm(linear_width=max(3.0 * noise, 1e-30), vmin=low, vmax=high)
        ax.imshow(mean, cmap="Greys", norm=norm, extent=extent, interpolation="nearest")
    for found, colour, marker, size in ((sources, ORANGE, "o", 10), (lines, VERMILION, "s", 5)):
        if found is not None and len(found.ra):
            x, y = seen_in(cube, np.asarray(found.ra), np.asarray(found.dec))
            east, north = extent[0] - (x + 0.5) * step, extent[2] + (y + 0.5) * step
            ax.plot(east, north, marker, ms=size, mfc="none", mec=colour, mew=0.8)
    ax.set(xlim=extent[:2], ylim=extent[2:], xlabel="east (arcsec)", ylabel="north (arcsec)")
    ax.set_title(f"IFU {cube.meta.get('IFUSLOT', 0):03d}")
