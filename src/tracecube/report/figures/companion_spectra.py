"""Spectra of the companions of a star, over that of the star."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracecube.core.companions import Companions, CompanionSpectrum
from tracecube.report.figures.style import BLUE, GREY, SKY, VERMILION, robust_limits, sheet, styled

__all__ = ["companion_spectra"]

_COLUMNS = 3


@styled
def companion_spectra(spectra: Sequence[CompanionSpectrum], found: Companions | None = None) -> Figure:
    """Draw the contrast of each companion in every channel with its error; flagged channels as crosses."""
    ordered = sorted(spectra, key=lambda one: one.object)
    columns = min(_COLUMNS, len(ordered))
    rows = -(-len(ordered) // columns)
    figure = sheet(4.0 * max(columns, 2) + 0.2, 2.9 * rows + 0.3)
    parts = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for ax, one in zip(parts, ordered, strict=False):
        _spectrum(ax, one)
        ax.set_title(_words(one, found))
    common = max((one.common_error for one in ordered), default=0.0)
    figure.suptitle(
        f"error common to all channels, not drawn: {100 * common:.1f} %", fontsize="medium", x=0.01, ha="left"
    )
    for ax in parts[len(ordered) :]:
        ax.set_visible(False)
    for ax in parts[max(0, len(ordered) - columns) : len(ordered)]:
        ax.set_xlabel("vacuum wavelength (µm)")
        ax.tick_params(labelbottom=True)
    return figure


def _spectrum(ax: Axes, one: CompanionSpectrum) -> None:
    """Draw one spectrum."""
    good = (one.flags == 0) & np.isfinite(one.contrast)
    top = np.nanmax(np.abs(one.contrast[good])) if good.any() else 1.0
    power = int(np.floor(np.log10(top))) if top > 0 else 0
    scale, wave = 10.0**power, one.wave * 1e-4
    value, error = one.contrast / scale, np.sqrt(one.variance) / scale
    shown = np.where(good, value, np.nan)
    ax.plot(wave, shown, color=SKY, lw=0.8)
    ax.errorbar(wave[good], value[good], error[good], fmt="o", ms=2.5, elinewidth=0.7, color=BLUE)
    ax.axhline(0.0, color=GREY, lw=0.5)
    low, high = robust_limits(np.concatenate([shown - error, shown + error]), 1.0, 99.0)
    low, high = min(low, 0.0) - 0.05 * (high - low), high + 0.1 * (high - low)
    bad = ~good & np.isfinite(value)
    ax.plot(wave[bad], np.clip(value[bad], low, high), "x", color=VERMILION, ms=3.5, mew=0.8)
    ax.set_ylim(low, high)
    ax.set_ylabel(f"contrast ($10^{{{power}}}$)")


def _words(one: CompanionSpectrum, found: Companions | None) -> str:
    """Write which companion it is."""
    rows = [] if found is None else np.flatnonzero(found.object == one.object).tolist()
    if found is None or not rows:
        return one.object
    row = rows[0]
    return f"{one.object}: {found.sep_mas[row]:.0f} mas, {found.pa_deg[row]:.1f}°, S/N {found.snr[row]:.1f}"
