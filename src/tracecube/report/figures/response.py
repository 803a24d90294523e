"""Response: what the standard stars say, each by itself and together."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from tracecube.core.spectra import Response
from tracecube.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    robust_limits,
    sheet,
    styled,
)

__all__ = ["response"]

_COLOURS = (VERMILION, GREEN, ORANGE, PURPLE, SKY)


@styled
def response(night: Response) -> Figure:
    """Draw the common response with its error, and each star against it."""
    figure = sheet(8.6, 4.3)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    good = (night.flags == 0) & np.isfinite(night.response)
    common = np.where(good, night.response, np.nan)
    sigma = np.sqrt(night.variance)
    scale = 10.0 ** np.floor(np.log10(np.nanmax(np.abs(common)))) if good.any() else 1.0
    band = {"step": "mid", "color": BLUE, "alpha": 0.25, "lw": 0}
    top.fill_between(night.wave, (common - sigma) / scale, (common + sigma) / scale, **band)
    top.plot(night.wave, common / scale, color=BLUE, lw=1.4, label="together")
    with np.errstate(invalid="ignore", divide="ignore"):
        bottom.fill_between(night.wave, -100 * sigma / common, 100 * sigma / common, **band)
    shown = []
    for row, name in enumerate(night.star):
        own = np.where(
            np.isfinite(night.star_response[row]) & (night.star_dq[row] == 0), night.star_response[row], np.nan
        )
        line = {"color": _COLOURS[row % len(_COLOURS)], "lw": 0.9, "ls": "-" if night.used[row] else ":"}
        label = f"{name}, grey {night.grey[row]:.3f}, airmass {night.airmass[row]:.2f}"
        label += "" if night.used[row] else ", not used"
        top.plot(night.wave, own / scale, label=label, **line)
        with np.errstate(invalid="ignore", divide="ignore"):
            shown.append(100 * (own / common - 1.0))
        bottom.plot(night.wave, shown[-1], **line)
    top.set_ylabel(f"response ($10^{{{np.log10(scale):.0f}}}$ electron cm$^2$ erg$^{{-1}}$)")
    top.legend(loc="lower center")
    bottom.axhline(0.0, color=GREY, lw=0.5)
    low, high = robust_limits(np.array(shown) if shown else np.zeros(1))
    bottom.set_ylim(min(low, -1.0) * 1.3, max(high, 1.0) * 1.3)
    bottom.set(xlabel="vacuum wavelength (Å)", ylabel="star − common (%)")
    return figure
