"""Contrast curve: how faint a companion would still be found, against distance from the star."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.companions import Companions, ContrastCurve
from tracecube.core.flags import NOT_USABLE
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.report.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, legend_above, sheet, styled

__all__ = ["contrast", "raw_halo"]


@styled
def contrast(
    curve: ContrastCurve,
    found: Companions | None = None,
    psf: StarPsf | None = None,
    dit: Spectra | None = None,
    centre: StarCentre | None = None,
) -> Figure:
    """Draw the limit and the companions against distance, the halo of one DIT over it, and the throughput under it."""
    figure = sheet(9.0, 5.4)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    top.set_yscale("log")
    if psf is not None and dit is not None and centre is not None and dit.wave.ndim == 1:
        level, scatter = raw_halo(curve.separation, psf, dit, centre)
        top.plot(curve.separation, level, ":", color=GREY, lw=1.2, label="halo of one DIT")
        top.plot(curve.separation, 5.0 * scatter, "--", color=GREY, lw=1.2, label="5 $\\sigma$ in one DIT")
    top.plot(curve.separation, 5.0 * curve.sigma, color=ORANGE, lw=1.0, label="5 × scatter")
    top.plot(
        curve.separation, curve.contrast, "o-", color=BLUE, lw=1.5, ms=3, label="5 $\\sigma$ limit for few samples"
    )
    if found is not None and len(found.object):
        _companions(top, found)
    legend_above(top, columns=5)
    top.set_ylabel("contrast (flux over that of the star)")
    top.grid(visible=True, which="both", axis="y", color="#EEEEEE", lw=0.5)
    bottom.axhline(1.0, color=GREY, lw=0.6)
    bottom.plot(curve.separation, curve.throughput, "o-", color=GREEN, lw=1.0, ms=3, label="found of what was injected")
    bottom.plot(curve.separation, curve.signal, color=GREY, lw=1.0, label="weight left by the speckle model")
    bottom.set_ylim(0.0, max(1.3, 1.1 * float(np.nanmax(curve.throughput, initial=1.0))))
    bottom.legend(loc="lower right", ncols=2)
    bottom.set(xlabel="distance from the star (arcsec)", ylabel="share")
    return figure


def _companions(ax: Axes, found: Companions) -> None:
    """Draw companions with errors and letters."""
    place = 1e-3 * found.sep_mas
    style: dict[str, Any] = {"fmt": "D", "ms": 4.5, "color": VERMILION, "lw": 1.0, "zorder": 5}
    ax.errorbar(place, found.contrast, found.contrast_err, label="companions", **style)
    for name, x, y in zip(found.object, place, found.contrast, strict=True):
        ax.annotate(
            str(name), (x, y), (7, 3), textcoords="offset points", color=VERMILION, fontweight="bold", fontsize=10
        )


def raw_halo(
    separation: NDArray[Any], psf: StarPsf, dit: Spectra, centre: StarCentre
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return light and its scatter around the star in one DIT, over the peak of the star without mask.

    A DIT of another integration time than the star's flux is for is brought to that.

    Parameters
    ----------
    separation : array (n,), arcsec
        Middles of the rings.

    Returns
    -------
    level, scatter : array (n,)
        Mean and standard deviation (robust) of the lenslets of a ring, medians of the channels.
    """
    good = ((dit.flags & NOT_USABLE) == 0) & ((dit.dq & NOT_USABLE) == 0)[:, None] & np.isfinite(dit.flux)
    peak = psf.flux * np.nanmax(psf.share, axis=1)
    own = dit.meta.get("EXPTIME")
    if isinstance(own, int | float) and own > 0:
        peak = peak * own / psf.dit
    order = [int(np.argmin(np.abs(psf.wave - wave))) for wave in dit.wave]
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.where(good, dit.flux / peak[order], np.nan)
    at = [int(np.argmin(np.abs(centre.wave - wave))) for wave in dit.wave]
    radius = np.hypot(dit.x[:, None] - centre.x[at], dit.y[:, None] - centre.y[at])
    half = 0.5 * float(np.median(np.diff(separation))) if separation.size > 1 else 0.02
    found = np.full((2, separation.size), np.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)  # a channel without light, or no ring
        for i, middle in enumerate(separation):
            low, mid, high = np.nanpercentile(
                np.where(np.abs(radius - middle) < half, seen, np.nan), [15.87, 50.0, 84.13], axis=0
            )
            found[:, i] = np.nanmedian(mid), np.nanmedian(high - low) / 2.0
    return found[0], found[1]
