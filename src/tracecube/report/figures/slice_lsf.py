"""Line-spread function of a detector's slices: its width over slices and wavelengths, and its shapes."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from tracecube.core.slices import SliceLsf
from tracecube.report.figures.style import GREY, NOTHING, SEQUENTIAL, robust_limits, sheet, styled

__all__ = ["slice_lsf"]

_SHOWN = (0.1, 0.5, 0.9)  # of the range of wavelengths: the shapes drawn
_REACH = 6.0  # Angstrom from the line
_FAINTEST = 3e-4  # 1 / Angstrom


@styled
def slice_lsf(lsf: SliceLsf) -> Figure:
    """Draw the full width at half maximum of every slice and wavelength, and the profiles of all slices."""
    figure = sheet(9.6, 4.6)
    widths, *shapes = figure.subplots(1, 1 + len(_SHOWN), width_ratios=[1.6, *[1.0] * len(_SHOWN)])
    wave, offset = np.ravel(lsf.wave), np.ravel(lsf.offset)
    good = lsf.dq == 0
    shown = np.where(good[:, None], lsf.fwhm, np.nan)
    low, high = robust_limits(shown)
    cmap = colormaps[SEQUENTIAL].with_extremes(bad=NOTHING)
    cells = widths.pcolormesh(wave, lsf.aperture, shown, cmap=cmap, vmin=low, vmax=high, shading="nearest")
    figure.colorbar(cells, ax=widths, label="FWHM (Å)", pad=0.02)
    median = float(np.nanmedian(shown)) if good.any() else np.nan
    name = str(lsf.meta.get("DETECTOR") or "")
    widths.set(xlabel="wavelength (Å)", ylabel="slice", title=f"{name}: FWHM, median {median:.3f} Å")
    for ax, share in zip(shapes, _SHOWN, strict=True):
        plane = round(share * (wave.size - 1))
        density = lsf.density[good, plane]
        near = np.abs(offset) < _REACH
        ax.semilogy(offset[near], np.where(density > _FAINTEST, density, np.nan)[:, near].T, color=GREY, lw=0.4)
        if good.any():
            ax.semilogy(offset[near], np.maximum(np.median(density, axis=0), _FAINTEST)[near], color="k", lw=1.2)
        ax.set(ylim=(_FAINTEST, None), xlabel="from the line (Å)", title=f"{wave[plane]:.0f} Å")
    shapes[0].set_ylabel("light (1 / Å)")
    return figure
