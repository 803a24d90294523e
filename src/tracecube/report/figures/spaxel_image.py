"""Spaxel image: the field of an exposure in broad-band light, with what was extracted."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre
from tracecube.core.target import PointSourceFit, Target
from tracecube.report.figures.style import (
    OWN_NAMES,
    SKY_NAMES,
    VERMILION,
    hexagons,
    outline,
    robust_limits,
    scale_bar,
    sheet,
    styled,
)

__all__ = ["band_image", "spaxel_image"]

_GOOD_SHARE = 0.25  # of the band that must be measured for a spaxel to have a colour


@styled
def spaxel_image(
    spectra: Spectra,
    target: Target | None = None,
    fit: PointSourceFit | None = None,
    centre: StarCentre | None = None,
) -> Figure:
    """Draw every spaxel in its place, coloured by its median flux; centroid, PSF and region over it, or the star.

    Where a `StarCentre` is given, places are those of an instrument that the sky turns in: no east and north.
    """
    figure = sheet(5.2, 5.0)
    ax = figure.subplots()
    flux = band_image(spectra)
    low, high = robust_limits(flux, 1.0, 99.9)
    quarter, three = robust_limits(flux, 15.87, 84.13)  # one sigma of a Gaussian on either side
    norm = AsinhNorm(linear_width=max(three - quarter, (high - low) / 100.0, 1e-9), vmin=low, vmax=high)
    names = SKY_NAMES if centre is None else OWN_NAMES
    cells = hexagons(ax, spectra.x, spectra.y, flux, norm=norm, names=names)
    scale_bar(cells, ax, "median of flux − typical flux of the field (electron / Å)", shrink=0.85)
    marks = []
    if fit is not None:
        outline(ax, fit.x, fit.y, fit.used != 0, blank=np.isnan(fit.data).all(axis=0), colors="white", linewidths=1.0)
        marks.append("extraction region (white)")
        if len(fit.wave):
            half = len(fit.wave) // 2
            seat = (float(fit.centre_x[half]), float(fit.centre_y[half]))
            ax.add_patch(Circle(seat, float(fit.fwhm[half]) / 2, fill=False, color=VERMILION, lw=1.2))
            marks.append("FWHM (circle)")
    if target is not None and np.isfinite([target.x, target.y]).all():
        ax.plot(target.x, target.y, "+", color=VERMILION, ms=14, mew=1.2)
        marks.insert(0, f"target, {target.source_position} (+)")
    if centre is not None:
        ax.plot(centre.centre_x, centre.centre_y, "+", color=VERMILION, ms=14, mew=1.2)
        marks.append(f"star, by {centre.method} (+)")
    ax.set_title("\n".join([str(spectra.meta.get("OBJECT") or ""), ", ".join(marks)]).strip())
    return figure


def band_image(spectra: Spectra) -> NDArray[np.float64]:
    """Return the median over wavelength (n,) of what each spaxel has over the field's typical spectrum.

    A spaxel whose spectrum is cut off by the detector's edge is so compared with the others at its own
    wavelengths; NaN where few samples are good.
    """
    good: NDArray[Any] = (spectra.flags == 0) & np.isfinite(spectra.flux)
    flux = np.where(good, spectra.flux, np.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)  # a dead spaxel: NaN is the answer
        typical = np.nanmedian(flux, axis=0)
        middle = np.nanmedian(flux - typical, axis=1)
    return np.where(good.mean(1) >= _GOOD_SHARE, middle, np.nan)
