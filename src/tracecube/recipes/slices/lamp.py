"""Spectrum of the lamp in a flat."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.core.slices import SliceTraces, SliceWavelengths
from tracecube.kernels.combine import typical

__all__ = ["lamp_spectrum"]

_STEP = 10.0  # Angstrom
_BORDERS = (4600.0, 9400.0)
_CENTRAL = 15  # columns on either side of the middle of each slice


def lamp_spectrum(flat: Frame, traces: SliceTraces, solution: SliceWavelengths) -> tuple[FloatArray, FloatArray]:
    """Return wavelengths (Angstrom) and the typical slice's light of a pixel (electron / Angstrom)."""
    grid = np.arange(_BORDERS[0], _BORDERS[1] + _STEP, _STEP)
    rows = np.arange(flat.data.shape[0])
    good = flat.flags & NOT_USABLE == 0
    spectra = []
    for row in np.flatnonzero((traces.dq | solution.dq) == 0):
        x = np.rint(traces.centre[row]).astype(int)[:, None] + np.arange(-_CENTRAL, _CENTRAL + 1)
        x = np.clip(x, 0, flat.data.shape[1] - 1)
        mean = typical(flat.data[rows[:, None], x].T, good[rows[:, None], x].T)
        wave = solution.wave(int(row), rows.astype(np.float64), np.zeros(rows.size))
        speed = np.gradient(wave)
        known = np.isfinite(mean)
        spectra.append(np.interp(grid, wave[known], (mean / speed)[known], left=np.nan, right=np.nan))
    middle = typical(np.array(spectra), np.isfinite(spectra))
    known = np.isfinite(middle)
    return grid[known], middle[known].astype(np.float64)
