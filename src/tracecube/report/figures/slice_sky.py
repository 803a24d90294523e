"""Sky of an exposure: its spectrum, and brightness, shift and width of lines in every slice."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.slice_light import SkySpectrum, SliceSky
from tracecube.report.figures.style import BLUE, GREY, ORANGE, robust_limits, sheet, styled

__all__ = ["slice_sky"]

_TRUSTED = 2  # lines from which shift and stretch of the list can be told apart


@styled
def slice_sky(sky: SliceSky, common: SkySpectrum) -> Figure:
    """Draw the common spectrum, and over all slices of all channels what each has of its own."""
    figure = sheet(9.6, 6.6)
    spectrum, gain, shift, width = figure.subplots(4, 1, height_ratios=[1.5, 1.0, 1.0, 1.0])
    spectrum.plot(common.wave, common.light, color=BLUE, lw=0.6)
    high = robust_limits(common.light, 1.0, 99.7)[1]
    spectrum.set(ylim=(0.0, 1.2 * high), xlabel="wavelength (Å)", ylabel="light over the lamp's")
    spectrum.set_title(f"Sky that all slices share; its zero rests on {_lines(sky)}")
    _panel(gain, sky, 100.0 * (sky.gain - 1.0), 100.0 * sky.gain_error, "brightness (%)")
    _panel(shift, sky, 1000.0 * sky.shift, 1000.0 * sky.shift_error, "shift (mÅ)")
    _panel(width, sky, sky.excess[:, 0], None, "variance of lines (Å²)")
    width.set_xlabel("slice, channel by channel")
    return figure


def _lines(sky: SliceSky) -> str:
    """Say how many lines of the list were found, and how far they scatter about a shift and a stretch."""
    wave, offset = (np.asarray(one, np.float64) for one in (sky.line_wave, sky.line_offset))
    if wave.size <= _TRUSTED:
        return f"{wave.size} lines of the list"
    left = offset - np.polynomial.Polynomial.fit(wave, offset, 1)(wave)
    return f"{wave.size} lines of the list, rms {1000.0 * np.sqrt(np.mean(left**2)):.0f} mÅ"


def _panel(ax: Axes, sky: SliceSky, value: NDArray[Any], error: NDArray[Any] | None, name: str) -> None:
    """Draw a number of every slice, channels side by side."""
    channels = sorted({str(one) for one in sky.detector})
    number = {channel: k for k, channel in enumerate(channels)}
    slices = int(np.max(sky.aperture))
    at = np.array([number[str(one)] for one in sky.detector]) * slices + np.asarray(sky.aperture)
    good = sky.dq == 0
    bars = None if error is None else error[good]
    ax.errorbar(at[good], value[good], bars, fmt=".", ms=3, lw=0.6, color=BLUE)
    low, high = robust_limits(value[good], 0.5, 99.5) if good.any() else (-1.0, 1.0)
    ax.plot(at[~good], np.full(int((~good).sum()), low), "x", ms=3, color=ORANGE)
    margin = 0.3 * (high - low)
    ax.set(xlim=(0, len(channels) * slices + 1), ylim=(low - margin, high + margin), ylabel=name)
    for k in range(1, len(channels)):
        ax.axvline(k * slices + 0.5, color=GREY, lw=0.5)
    ticks = (np.arange(len(channels)) + 0.5) * slices
    ax.set_xticks(ticks, channels, rotation=90 if len(channels) > 8 else 0)  # noqa: PLR2004 - room for names
