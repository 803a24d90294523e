"""From spectra on detector columns to spectra of all apertures on one wavelength grid."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from tracecube.core.fields import FloatArray, IntArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.optics import Layout, Throughput, TraceSet, WavelengthSolution
from tracecube.core.params import Params
from tracecube.core.spectra import Spectra
from tracecube.kernels.resample import rebin
from tracecube.recipes.extract.blend import blended_bins
from tracecube.recipes.extract.joint import Extraction
from tracecube.recipes.extract.trace_flags import flags_in_bins

__all__ = ["GridParams", "bin_edges", "on_grid", "throughput_at"]

# Apertures this much fainter than the median carry a low-throughput flag.
LOW_THROUGHPUT = 0.3


class GridParams(Params):
    """The common wavelength grid."""

    wave_low: float = Field(3700.0, gt=0, description="first sample, Angstrom")
    wave_high: float = Field(9300.0, gt=0, description="last sample, Angstrom")
    n_wave: int = Field(220, ge=10, le=20000, description="samples")

    @property
    def wave(self) -> FloatArray:
        """Centres of the samples, Angstrom."""
        return np.linspace(self.wave_low, self.wave_high, self.n_wave)


def on_grid(
    extraction: Extraction,
    traces: TraceSet,
    solution: WavelengthSolution,
    throughput: Throughput,
    layout: Layout,
    params: GridParams,
    *,
    shift: float,
    meta: Meta,
    sample_flags: IntArray | None = None,
    beside: tuple[IntArray, IntArray] | None = None,
) -> Spectra:
    """Rebin to the common grid, conserving flux, and divide by the relative throughput.

    Parameters
    ----------
    extraction : Extraction
        Made with traces shifted by the exposure's flexure.
    traces, solution, throughput, layout
        The night's calibrations, rows alike.
    params : GridParams
    shift : float, px
        Flexure along dispersion.
    meta : mapping
        Header the product carries.
    sample_flags : int array (n, m), optional
        Flags of the samples, which the channels made of them inherit.
    beside : (int array (n, m), int array (n, m)), optional
        Row and sample of the light next across (`tracecube.recipes.extract.joint.TraceMatrix.beside`); with it
        the spectra tell their correlation with those.
    """
    wave = params.wave
    step = wave[1] - wave[0]
    bins = np.concatenate([wave - 0.5 * step, [wave[-1] + 0.5 * step]])
    edges = bin_edges(solution.wave, bins) + shift
    flux, variance, covariance, _ = rebin(extraction.flux, extraction.variance, edges)
    relative = throughput_at(throughput, wave)
    flags = np.where(np.isfinite(flux), 0, int(Flag.NOT_MEASURED))
    flags |= np.where(np.isfinite(relative), 0, int(Flag.NOT_MEASURED))
    flags |= np.where(relative < LOW_THROUGHPUT, int(Flag.LOW_THROUGHPUT), 0)
    if sample_flags is not None:
        flags |= flags_in_bins(sample_flags, edges)
    scale = np.where(np.isfinite(relative) & (relative > 0), relative, np.nan) * step
    next_scale = np.concatenate([scale[:, 1:], scale[:, -1:]], axis=1)
    dq = traces.dq | solution.dq | throughput.dq | layout.dq
    blended = {} if beside is None else blended_bins(extraction, beside, edges, variance)
    return Spectra(
        flux=(flux / scale).astype(np.float32),
        variance=(variance / scale**2).astype(np.float32),
        flags=flags.astype(np.int32),
        covariance=np.nan_to_num(covariance / (scale * next_scale)).astype(np.float32),
        wave=wave,
        lsf_sigma=_lsf(solution, wave),
        aperture=traces.aperture,
        x=layout.x,
        y=layout.y,
        dq=dq.astype(np.int32),
        medium=solution.medium,
        meta=meta,
        **blended,
    )


def bin_edges(solution_wave: FloatArray, bins: FloatArray) -> FloatArray:
    """Sample number, within each spectrum, of the edges of the bins: array (n, k + 1)."""
    edges = np.full((solution_wave.shape[0], bins.size), np.nan)
    for a, row in enumerate(solution_wave):
        on = np.nonzero(np.isfinite(row))[0]
        if on.size > 1:
            order = np.argsort(row[on])
            edges[a] = np.interp(bins, row[on][order], on[order].astype(float), left=-np.inf, right=np.inf)
    finite = np.isfinite(edges)
    return np.where(finite, edges, -1e6)


def throughput_at(throughput: Throughput, wave: FloatArray) -> FloatArray:
    """Relative throughput (n, k) at wavelengths; constant beyond the table's ends."""
    position = np.clip(np.interp(wave, throughput.wave, np.arange(throughput.wave.size)), 0, throughput.wave.size - 1)
    low = np.minimum(position.astype(int), max(throughput.wave.size - 2, 0))
    part = position - low
    return np.asarray(throughput.value[:, low] * (1 - part) + throughput.value[:, low + 1] * part)


def _lsf(solution: WavelengthSolution, wave: FloatArray) -> FloatArray:
    """Typical width of the line-spread function at wavelengths, Angstrom."""
    width = solution.lsf_sigma * np.abs(np.gradient(solution.wave, axis=1))
    good = np.isfinite(width) & np.isfinite(solution.wave)
    edges = np.linspace(wave[0], wave[-1], 41)
    index = np.digitize(solution.wave[good], edges)
    typical = np.array(
        [np.median(width[good][index == b]) if (index == b).any() else np.nan for b in range(1, edges.size)]
    )
    centre = 0.5 * (edges[1:] + edges[:-1])
    known = np.isfinite(typical)
    return np.asarray(np.interp(wave, centre[known], typical[known]))
