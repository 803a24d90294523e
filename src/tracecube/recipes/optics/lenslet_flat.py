"""Throughput of lenslets against wavelength: their white-lamp spectra over the median of all."""

from __future__ import annotations

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray
from tracecube.core.flags import Flag
from tracecube.core.optics import Throughput, WavelengthSolution
from tracecube.core.quality import QualityNumber
from tracecube.kernels.resample import rebin
from tracecube.recipes.extract.grid import bin_edges
from tracecube.recipes.extract.joint import Extraction

__all__ = ["lenslet_throughput"]

_LOW = 0.3  # throughput below which a lenslet is flagged


def lenslet_throughput(
    lamp: Extraction, solution: WavelengthSolution, wave: FloatArray, *, least: float
) -> tuple[Throughput, tuple[QualityNumber, ...]]:
    """Measure every lenslet's throughput relative to the median of all, channel by channel.

    Parameters
    ----------
    lamp : Extraction
    solution : WavelengthSolution
    wave : array (k,), Angstrom
        Channels, evenly spaced.
    least : float
        S/N that the median lenslet needs in the median channel.

    Raises
    ------
    BadData
        The lamp gave too little light.
    """
    step = wave[1] - wave[0]
    edges = bin_edges(solution.wave, np.concatenate([wave - 0.5 * step, [wave[-1] + 0.5 * step]]))
    flux, variance, _, _ = rebin(lamp.flux, lamp.variance, edges)
    signal = float(np.nanmedian(flux / np.sqrt(variance)))
    if not signal > least:
        raise BadData(f"IFU flat: S/N {signal:.1f} a channel, {least:g} are needed", hint="is the white lamp on?")
    typical = np.nanmedian(flux, axis=0)
    value, error = flux / typical, np.sqrt(variance) / typical
    known = np.isfinite(value)
    weight = np.where(known, typical, 0.0)
    total = weight.sum(axis=1)
    mean = np.where(total > 0, np.nansum(flux, axis=1) / np.where(total > 0, total, 1.0), np.nan)
    dq = np.where(known.mean(axis=1) < 0.9, int(Flag.NOT_MEASURED), 0)  # noqa: PLR2004 - cut by the detector's edge
    dq |= np.where(~(mean > _LOW), int(Flag.LOW_THROUGHPUT), 0)
    flat = Throughput(solution.aperture, dq.astype(np.int32), mean, value, error, wave)
    scatter = 1.4826 * float(np.nanmedian(np.abs(mean - 1.0)))
    return flat, (
        QualityNumber("LAMP FLUX AVG", float(np.nanmedian(np.nansum(lamp.flux, axis=1))), "electron"),
        QualityNumber("FLAT SIGNAL TO NOISE", signal, "", low=least),
        QualityNumber("FLAT SCATTER", scatter, "", high=0.2),
    )
