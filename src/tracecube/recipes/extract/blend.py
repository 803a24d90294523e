"""What spectra that were solved for together share: variances of sums over samples of many of them.

On one detector column the light of neighbouring spectra overlaps, and what noise gives to one it takes
from the other. The correlation is of samples beside each other on the detector, which in a tilted lattice
are of different wavelengths: sums over wavelength and over neighbours feel it, images of one channel hardly.

The spectrum next across is stored. Those beyond follow from it: where light reaches no farther than the next trace,
the normal matrix of a column is tridiagonal, and correlations multiply along the chain (a Markov chain).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.spectra import Spectra
from tracecube.kernels.beside import bins_beside
from tracecube.recipes.extract.joint import Extraction

__all__ = ["blended", "blended_bins", "variance_of_sum"]

CHAIN = 4
"""Spectra across that a sum's variance reaches: the next but three shares less than 5 per cent in any blend."""

REACH = 1
"""Channels on either side of the one beside that a sample's correlation is told with: a channel is a pixel or two."""


def blended(extraction: Extraction, beside: tuple[IntArray, IntArray]) -> dict[str, Any]:
    """Fields of `Spectra` on the correlation with spectra beside, on the detector's own columns.

    Parameters
    ----------
    extraction : Extraction
    beside : (int array (n, m), int array (n, m))
        Row and sample of the light next across (`tracecube.recipes.extract.joint.TraceMatrix.beside`).
    """
    row, sample = beside
    variance = extraction.variance
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = extraction.blend / np.sqrt(variance * variance[np.maximum(row, 0), np.maximum(sample, 0)])
    return _fields(row, sample, np.where(row >= 0, correlation, 0.0)[:, :, None])


def blended_bins(
    extraction: Extraction, beside: tuple[IntArray, IntArray], edges: FloatArray, variance: FloatArray
) -> dict[str, Any]:
    """Fields of `Spectra` on the correlation with spectra beside, on the common grid whose bins have these edges."""
    row, place, covariance = bins_beside(extraction.flux, extraction.blend, *beside, edges, REACH)
    near = np.clip(place[..., None] + np.arange(-REACH, REACH + 1), 0, variance.shape[1] - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = covariance / np.sqrt(variance[..., None] * variance[np.maximum(row, 0)[..., None], near])
    return _fields(row, place, correlation)


def _fields(row: IntArray, sample: IntArray, correlation: FloatArray) -> dict[str, Any]:
    return {
        "beside": row.astype(np.int32),
        "beside_sample": sample.astype(np.int16),
        "beside_correlation": np.nan_to_num(correlation).astype(np.float32),
    }


def variance_of_sum(spectra: Spectra, weight: FloatArray) -> float:
    """Variance of a weighted sum of samples, with the covariance along and between the spectra.

    Parameters
    ----------
    spectra : Spectra
    weight : array (n, n_wave)
        0 for samples that do not count; those that are NaN may not.

    Returns
    -------
    float
        In the square of the spectra's unit times the weight's.
    """
    used = weight != 0.0
    w = np.where(used, weight, 0.0).astype(float)
    scaled = w * np.where(used, np.sqrt(np.where(used, spectra.variance, 0.0)), 0.0).astype(float)
    total = float((scaled**2).sum())
    total += 2.0 * float((w[:, :-1] * w[:, 1:] * spectra.covariance[:, :-1]).sum())
    beyond = scaled
    for _ in range(CHAIN):
        beyond = _from_beside(spectra, beyond)
        total += 2.0 * float((scaled * beyond).sum())
    return total


def _from_beside(spectra: Spectra, samples: FloatArray) -> FloatArray:
    """What the samples beside each one hold, times the correlation with them: array (n, n_wave)."""
    row, sample, correlation = spectra.beside, spectra.beside_sample, spectra.beside_correlation
    found = np.zeros_like(samples)
    if row is None or sample is None or correlation is None:
        return found
    half = correlation.shape[2] // 2
    for d in range(-half, half + 1):
        at = sample.astype(int) + d
        there = (row >= 0) & (sample >= 0) & (at >= 0) & (at < samples.shape[1])
        other = samples[np.maximum(row, 0), np.clip(at, 0, samples.shape[1] - 1)]
        found += np.where(there, other, 0.0) * correlation[:, :, d + half]
    return found
