"""Spectrum of a source with its error and its flags."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.spectra import Spectrum
from tracecube.report.figures.style import BLUE, GREY, SKY, VERMILION, legend_above, robust_limits, sheet, styled

__all__ = ["draw_spectrum", "spectrum"]


@styled
def spectrum(source: Spectrum) -> Figure:
    """Draw flux with its one-sigma band, flagged samples and signal to noise."""
    figure = sheet(8.6, 4.3)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    unit = draw_spectrum(top, source)[1]
    top.set_ylabel(f"flux ({unit})")
    legend_above(top)
    top.set_title(str(source.meta.get("OBJECT") or ""))
    flux, variance = _shown(source)
    good = (source.flags == 0) & np.isfinite(flux)
    with np.errstate(invalid="ignore", divide="ignore"):
        noise_ratio = np.where(good, flux / np.sqrt(variance), np.nan)
    bottom.step(source.wave, noise_ratio, where="mid", color=GREY, lw=0.8)
    bottom.set_ylim(0.0, robust_limits(noise_ratio, 0.0, 99.5)[1] * 1.1)
    medium = "air" if source.medium == "AWAV" else "vacuum"
    bottom.set(xlabel=f"{medium} wavelength (Å)", ylabel="S/N a sample")
    return figure


def draw_spectrum(ax: Axes, source: Spectrum) -> tuple[float, str]:
    """Draw flux with its one-sigma band and flagged samples; return what flux was divided by, and the unit."""
    calibrated = np.isfinite(source.flux).any()
    flux, variance = _shown(source)
    unit = "erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$" if calibrated else "electron s$^{-1}$ Å$^{-1}$"
    scale = float(10.0 ** np.floor(np.log10(np.nanmax(np.abs(flux))))) if calibrated else 1.0
    power = f"$10^{{{np.log10(scale):.0f}}}$ " if calibrated else ""
    good = (source.flags == 0) & np.isfinite(flux)
    _draw(ax, source.wave, flux / scale, np.sqrt(variance) / scale, good)
    return scale, f"{power}{unit}"


def _shown(source: Spectrum) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return flux and variance, calibrated if there is such."""
    calibrated = np.isfinite(source.flux).any()
    return (source.flux, source.variance) if calibrated else (source.flux_uncal, source.variance_uncal)


def _draw(ax: Axes, wave: NDArray[Any], flux: NDArray[Any], sigma: NDArray[Any], good: NDArray[Any]) -> None:
    """Draw the good samples as a line in its error band, the flagged ones as crosses."""
    shown = np.where(good, flux, np.nan)
    ax.fill_between(wave, shown - sigma, shown + sigma, step="mid", color=SKY, alpha=0.6, lw=0, label="1 $\\sigma$")
    ax.step(wave, shown, where="mid", color=BLUE, lw=0.9, label="flux")
    low, high = robust_limits(np.concatenate([shown - sigma, shown + sigma]), 0.5, 99.8)
    low, high = min(low, 0.0) - 0.04 * (high - low), high + 0.06 * (high - low)
    bad = ~good & np.isfinite(flux)
    ax.plot(wave[bad], np.clip(flux[bad], low, high), "x", color=VERMILION, ms=3.5, mew=0.8, label="flagged")
    ax.axhline(0.0, color=GREY, lw=0.5)
    ax.set_ylim(low, high)
