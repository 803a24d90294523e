"""Image of the star without mask: its core, its profile in some channels, and its spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from tracecube.core.star import StarPsf
from tracecube.report.figures.style import (
    BLUE,
    OWN_NAMES,
    SEQUENTIAL,
    SKY,
    hexagons,
    legend_above,
    scale_bar,
    sheet,
    styled,
)

__all__ = ["star_image"]

_DECADES = 3.0  # of light that are shown
_CURVES = 4  # channels whose profiles are drawn


@styled
def star_image(psf: StarPsf) -> Figure:
    """Draw the share of the light in each lenslet, profiles against radius in lambda / D, and the flux of the star."""
    figure = sheet(12.0, 4.2)
    field, profile, flux = figure.subplots(1, 3, width_ratios=[1.15, 1, 1])
    known = np.isfinite(psf.share) & (psf.flags == 0)[:, None]
    share = np.where(known, psf.share, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    share = np.where(share > 0.0, share, np.nan)
    top = float(np.nanmax(share, initial=1e-9))
    norm = LogNorm(top * 10.0**-_DECADES, top, clip=True)
    cells = hexagons(field, psf.x, psf.y, share, norm=norm, names=OWN_NAMES)
    scale_bar(cells, field, "share of the light, mean of the channels", shrink=0.8)
    field.set_title(f"Core {psf.width:.3f} times as wide as ideal")
    _profiles(profile, psf)
    good = psf.flags == 0
    level, error = np.where(good, psf.flux, np.nan), np.sqrt(psf.variance)
    wave = psf.wave * 1e-4
    flux.fill_between(wave, level - error, level + error, color=SKY, alpha=0.6, lw=0)
    flux.plot(wave, level, "o-", color=BLUE, ms=2.5, lw=0.9)
    flux.set(xlabel="wavelength (µm)", ylabel=f"flux in a DIT of {psf.dit:g} s (electron / Å)")
    flux.set_ylim(bottom=0.0)
    flux.set_title(f"Star without mask; {int((~good).sum())} channels flagged")
    return figure


def _profiles(ax: Axes, psf: StarPsf) -> None:
    """Draw profiles over their peak, with errors."""
    chosen = np.unique(np.linspace(0, len(psf.wave) - 1, min(_CURVES, len(psf.wave))).round().astype(int))
    colours: Any = colormaps[SEQUENTIAL](np.linspace(0.0, 0.85, len(chosen)))
    for channel, colour in zip(chosen, colours, strict=True):
        value, error = psf.profile[channel], np.sqrt(psf.profile_variance[channel])
        peak = float(np.nanmax(value, initial=1e-300))
        label = f"{psf.wave[channel] * 1e-4:.2f} µm"
        ax.errorbar(psf.radius, value / peak, error / peak, color=colour, lw=1.0, elinewidth=0.5, label=label)
    ax.set_yscale("log", nonpositive="mask")
    ax.set_ylim(1e-4, 1.5)
    legend_above(ax)
    ax.set(xlabel="radius ($\\lambda$ / D)", ylabel="density over its peak")
