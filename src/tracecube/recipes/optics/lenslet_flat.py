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

__all__ = ["check_white", "lenslet_throughput"]

_LOW = 0.3  # throughput below which a lenslet is flagged
_ON_TRACES = 0.5  # share of a lamp's light on the spectra; nearly all, where lenslets and prism were in


def check_white(lamp: Extraction, name: str) -> None:
    """Refuse a frame whose light does not lie on the spectra: of another mode, or taken without lenslets.

    Parameters
    ----------
    lamp : Extraction
    name : str
        Of the frame, for the message.

    Raises
    ------
    BadData
    """
    on = float(np.nansum(lamp.flux))
    beside = float(np.nansum(np.maximum(lamp.scattered, 0.0)))
    share = on / (on + beside) if on > 0.0 else 0.0
    if share < _ON_TRACES:
        raise BadData(
            f"{name}: {100.0 * share:.0f} per cent of its light lies on the lenslets' spectra, "
            f"white light through lenslets and prism has more than {100.0 * _ON_TRACES:.0f}",
            hint="is the lamp on, is it of this mode, is it a detector flat? Leave it out, or repair its DPR cards",
        )


def lenslet_throughput(
    lamp: Extraction, solution: WavelengthSolution, wave: FloatArray, *, least: float, name: str = "IFU flat"
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
    name : str
        Of the frame, for messages.

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
        raise BadData(
            f"{name}: S/N {signal:.1f} a channel and lenslet, {least:g} are needed",
            hint="is the white lamp on? take it longer, or lower least_signal",
        )
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
