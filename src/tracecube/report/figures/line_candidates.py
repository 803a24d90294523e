"""Emission lines as the search found them: image in the line, and spectrum at the place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.headers import needed
from tracecube.core.lines import Lines
from tracecube.core.spectra import Cube
from tracecube.report.figures.bundle_images import seen_in
from tracecube.report.figures.cube_axes import spaxel, wavelengths
from tracecube.report.figures.style import BLUE, GREY, ORANGE, SEQUENTIAL, VERMILION, robust_limits, sheet, styled

__all__ = ["line_candidates"]

_MOST = 12  # candidates that are drawn, brightest first
_ROW = 3  # candidates a row
_RADIUS = 2.0  # arcsec: light that is summed
_AROUND = 90.0  # Angstrom either side
_STAMP = 8.0  # arcsec either side
_IN_LINE = 5.0  # Angstrom either side: the line
_BESIDE = (15.0, 45.0)  # Angstrom: what lies beneath it


@styled
def line_candidates(lines: Lines, cubes: Sequence[Cube]) -> Figure:
    """Draw the brightest candidates that lie in these bundles."""
    by_slot = {int(needed(cube.meta, "cube", "IFUSLOT")): cube for cube in cubes}
    order = [i for i in np.argsort(-np.asarray(lines.sn)) if int(lines.ifuslot[i]) in by_slot]
    shown = order[:_MOST]
    rows = max(1, -(-len(shown) // _ROW))
    figure = sheet(10.5, 0.4 + 1.9 * rows)
    figure.suptitle(f"{len(lines.ra)} candidates, the {len(shown)} of highest signal-to-noise", fontsize=9)
    ratios = [1.0, 2.1] * _ROW
    figure.supxlabel("east (arcsec), and wavelength (Angstrom)", fontsize=8.5)
    axes = figure.subplots(rows, 2 * _ROW, width_ratios=ratios, squeeze=False)
    pairs = axes.reshape(-1, 2)
    for pair, i in zip(pairs, shown, strict=False):
        _stamp(pair[0], lines, int(i), by_slot[int(lines.ifuslot[i])])
        _spectrum(pair[1], lines, int(i), by_slot[int(lines.ifuslot[i])])
    for pair in pairs[len(shown) :]:
        for ax in pair:
            ax.axis("off")
    return figure


def _place(lines: Lines, i: int, cube: Cube) -> tuple[float, float]:
    x, y = seen_in(cube, np.asarray(lines.ra)[i : i + 1], np.asarray(lines.dec)[i : i + 1])
    return float(x[0]), float(y[0])


def _stamp(ax: Axes, lines: Lines, i: int, cube: Cube) -> None:
    """Light in the line less that beside it."""
    away = np.abs(wavelengths(cube) - float(lines.wave[i]))
    inside, beside = away < _IN_LINE, (away > _BESIDE[0]) & (away < _BESIDE[1])
    image = _mean(cube.data[inside]) - _mean(cube.data[beside])
    x, y = _place(lines, i, cube)
    step = spaxel(cube)
    reach = int(np.ceil(_STAMP / step))
    rows, columns = (slice(max(round(at) - reach, 0), round(at) + reach + 1) for at in (y, x))
    low, high = robust_limits(image[rows, columns], 2.0, 99.7)
    extent = ((x + 0.5) * step, (x + 0.5 - image.shape[1]) * step, -(y + 0.5) * step, (image.shape[0] - y - 0.5) * step)
    ax.imshow(image, cmap=SEQUENTIAL, vmin=low, vmax=high, extent=extent)
    ax.plot(0.0, 0.0, "o", ms=16, mfc="none", mec=VERMILION, mew=0.9)
    ax.set(xlim=(_STAMP, -_STAMP), ylim=(-_STAMP, _STAMP), xticks=[-5, 0, 5], yticks=[-5, 0, 5])
    ax.set(title=f"{int(lines.ifuslot[i]):03d}", ylabel="arcsec")


def _mean(planes: NDArray[np.floating]) -> NDArray[np.float64]:
    known = np.isfinite(planes)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, planes, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _spectrum(ax: Axes, lines: Lines, i: int, cube: Cube) -> None:
    """Spectrum summed about the place, with its error, and the line's wavelength."""
    wave, (x, y) = wavelengths(cube), _place(lines, i, cube)
    step = spaxel(cube)
    rows, columns = np.indices(cube.data.shape[1:])
    near = np.hypot(rows - y, columns - x) * step < _RADIUS
    window = np.abs(wave - float(lines.wave[i])) < _AROUND
    light = np.nansum(cube.data[window][:, near], axis=1)
    error = np.sqrt(np.nansum(cube.variance[window][:, near], axis=1))
    scale = 10.0 ** np.floor(np.log10(max(float(np.nanmax(np.abs(light))), 1e-300)))
    ax.fill_between(wave[window], (light - error) / scale, (light + error) / scale, color=ORANGE, alpha=0.35, lw=0)
    ax.step(wave[window], light / scale, where="mid", color=BLUE, lw=0.8)
    ax.axhline(0.0, color=GREY, lw=0.5)
    ax.axvline(float(lines.wave[i]), color=VERMILION, lw=0.8, ls=":")
    ax.set(yticks=[], xlim=(wave[window][0], wave[window][-1]))
    ax.set_title(
        f"{float(lines.wave[i]):.1f} Å, S/N {float(lines.sn[i]):.1f}, {float(lines.flux[i]):.2g} erg/s/cm²",
        fontsize=7.5,
    )
    low, high = float(np.nanpercentile(light, 2)), float(np.nanmax(light))
    ax.set_ylim((low - 0.15 * (high - low)) / scale, (high + 0.1 * (high - low)) / scale)
