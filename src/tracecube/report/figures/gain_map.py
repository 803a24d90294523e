"""Gain of the outputs that read a detector, and how well pairs of exposures follow it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.pixels import GainMap
from tracecube.report.figures.style import BLUE, GREY, ORANGE, sheet, styled

__all__ = ["gain_map"]


@styled
def gain_map(gain: GainMap) -> Figure:
    """Draw the gain of each output with its error, in order across the detector, and the chi-square of its pairs."""
    figure = sheet(9.0, 4.8)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    column, value, error, chi2 = _outputs(gain)
    middle, scatter = (
        (float(np.average(value, weights=error**-2.0)), float(np.std(value))) if value.size else 2 * (np.nan,)
    )
    top.axhline(middle, color=GREY, lw=0.6)
    top.errorbar(column, value, error, fmt="o", ms=3.5, lw=0.8, color=BLUE)
    top.set_ylabel("gain (electron/adu)")
    top.set_title(f"{value.size} outputs, weighted mean {middle:.4f}, scatter {scatter:.4f} electron/adu")
    bottom.axhline(1.0, color=GREY, lw=0.6)
    bottom.plot(column, chi2, "o", ms=3.5, color=ORANGE)
    bottom.set(xlabel="middle of the output (column, pixel)", ylabel="reduced $\\chi^2$")
    bottom.set_ylim(0.0, max(2.0, 1.1 * float(np.max(chi2, initial=0.0))))
    return figure


def _outputs(gain: GainMap) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Middle column, gain, error and chi-square of each output: runs of columns of one gain."""
    known = np.isfinite(gain.data) & (gain.variance > 0)
    row = int(np.argmax(known.sum(axis=1)))  # one that every output reads
    at = np.flatnonzero(known[row])
    value, error = gain.data[row, at], np.sqrt(gain.variance[row, at])
    ends = np.flatnonzero((np.diff(value) != 0) | (np.diff(error) != 0)) + 1
    runs = [run for run in np.split(np.arange(at.size), ends) if run.size]
    first = np.array([run[0] for run in runs], int)
    middle = np.array([at[run].mean() for run in runs])
    return middle, value[first], error[first], gain.chi2[row, at][first]
