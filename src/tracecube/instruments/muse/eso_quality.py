"""Quality numbers under the names that ESO's pipeline gives them (its dictionary ESO-DFS-DIC.MUSE_QC)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.foreign import Cards, CardValue
from tracecube.core.frame import Frame
from tracecube.core.slice_flux import SliceResponse
from tracecube.core.slice_light import SliceSky
from tracecube.core.slices import SliceLsf, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.flux_steps import throughput

__all__ = [
    "dark_quality",
    "flat_quality",
    "lsf_quality",
    "response_quality",
    "shift_quality",
    "trace_quality",
    "wavelength_quality",
]

_WORDS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "MEDIAN": np.nanmedian,
    "MEAN": np.nanmean,
    "STDEV": np.nanstd,
    "MIN": np.nanmin,
    "MAX": np.nanmax,
}
_CURVE = 15  # rows on either side of the middle over which a slice of the flat is averaged


def _moments(prefix: str, values: FloatArray, unit: str = "", *, without: str = "") -> dict[str, CardValue]:
    return {f"{prefix} {word}": (float(find(values)), unit) for word, find in _WORDS.items() if word != without}


def dark_quality(dark: Frame) -> Cards:
    """Return statistics of a master dark, and its bad pixels."""
    good = dark.data[::3][dark.flags[::3] & NOT_USABLE == 0]
    bad = int(np.count_nonzero(dark.flags & NOT_USABLE))
    return {**_moments("ESO QC DARK MASTER", good, "[count]"), "ESO QC DARK MASTER NBADPIX": bad}


def flat_quality(flat: Frame, traces: SliceTraces) -> Cards:
    """Return what a flat was before its mean was made 1, and the light of its slices."""
    mean = float(np.mean(flat.data, dtype=np.float64))
    cards: dict[str, CardValue] = {
        "ESO QC FLAT MASTER MEDIAN": (float(np.median(flat.data[::3])), "before normalisation"),
        "ESO QC FLAT MASTER MEAN": (mean, "before normalisation"),
        "ESO QC FLAT MASTER INTFLUX": (mean * flat.data.size, "sum before normalisation"),
    }
    middle = flat.data.shape[0] // 2
    for row in np.flatnonzero(traces.dq == 0):
        x = slice(*(round(float(edge[row, middle])) for edge in (traces.left, traces.right)))
        light = flat.data[middle - _CURVE : middle + _CURVE + 1, x]
        cards[f"ESO QC FLAT MASTER SLICE{traces.aperture[row]} MEAN"] = float(np.mean(light))
        cards[f"ESO QC FLAT MASTER SLICE{traces.aperture[row]} STDEV"] = float(np.std(light))
    return cards


def trace_quality(traces: SliceTraces) -> Cards:
    """Return widths, gaps and slopes of the slices."""
    width = np.nanmean(traces.right - traces.left, axis=1)
    gap = (traces.left[1:] - traces.right[:-1])[:, traces.left.shape[1] // 2]
    cards = {**_moments("ESO QC TRACE GAPS", gap, "[pix]"), **_moments("ESO QC TRACE WIDTHS", width, "[pix]")}
    slope = np.gradient(traces.centre, axis=1)
    for row in np.flatnonzero(traces.dq == 0):
        steepest = slope[row, np.nanargmax(np.abs(slope[row]))]
        cards[f"ESO QC TRACE SLICE{traces.aperture[row]} MAXSLOPE"] = float(steepest)
    return cards


def wavelength_quality(traces: SliceTraces, solution: SliceWavelengths) -> Cards:
    """Return lines and their scatter, central wavelength and tilt of every slice."""
    cards: dict[str, CardValue] = {}
    rows = traces.centre.shape[1]
    for row in np.flatnonzero((solution.dq | traces.dq) == 0):
        name = f"ESO QC WAVECAL SLICE{solution.aperture[row]}"
        mine = (solution.line_aperture == solution.aperture[row]) & (solution.line_used != 0)
        half = 0.5 * (traces.right[row] - traces.left[row])
        cards[f"{name} FIT NLINES"] = len(np.unique(solution.line_wave[mine]))
        cards[f"{name} FIT RMS"] = (float(solution.rms[row]), "[Angstrom]")
        cards[f"{name} WLPOS"] = (0.5 * (rows + 1), "[pix]")
        middle = solution.wave(int(row), np.array(0.5 * (rows - 1)), np.array(0.0))
        cards[f"{name} WLEN"] = (float(middle), "[Angstrom]")
        for word, y in (("BOTTOM", 0), ("TOP", rows - 1)):
            ends = solution.wave(int(row), np.array(float(y)), np.array([-half[y], half[y]]))
            cards[f"{name} DWLEN {word}"] = (float(ends[1] - ends[0]), "[Angstrom]")
    return cards


def lsf_quality(lsf: SliceLsf) -> Cards:
    """Return widths of the line-spread function of every slice."""
    cards: dict[str, CardValue] = {}
    for number, values in zip(lsf.aperture, lsf.fwhm, strict=True):
        cards |= _moments(f"ESO QC LSF SLICE{number} FWHM", values, "[Angstrom]", without="MEDIAN")
    return cards


def response_quality(response: SliceResponse) -> Cards:
    """Return throughputs."""
    known = np.isfinite(response.response)
    return {
        f"ESO QC STANDARD THRU{wave:.0f}": (throughput(response.wave[known], response.response[known], wave), "")
        for wave in (5000.0, 7000.0, 8000.0, 9000.0)
    }


def shift_quality(sky: SliceSky) -> Cards:
    """Return by how much the wavelengths of the day had to be moved in the mean of the slices."""
    good = sky.dq == 0
    return {"ESO QC SCIBASIC LAMBDA SHIFT": (float(np.median(sky.shift[good])), "[Angstrom]")}
