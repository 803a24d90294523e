"""Brightness of a laser's scattered lines over the field, from what the sky leaves in pieces of slices."""

from __future__ import annotations

import numpy as np

from tracecube.core.errors import MissingInput
from tracecube.core.fields import FloatArray
from tracecube.core.scattered_lines import ScatteredLines

__all__ = ["field_of_lines", "piece_strengths"]

_GROUND = 15.0  # Angstrom beyond the lines that tell the continuum
_CLIP = 4.0
_LEAST = 20  # samples of a piece


def piece_strengths(
    lines: ScatteredLines, number: int, wave: FloatArray, left: FloatArray, variance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the strength of a group in every piece, and its variance; NaN where it is not seen.

    Parameters
    ----------
    lines : ScatteredLines
        Of which the polynomial does not count.
    number : int
        Of the group.
    wave, left, variance : array (n, m)
        What is left of pieces without the sky: light relative to the lamp; NaN where nothing is known.
    """
    low, high = lines.band(number)
    strength, noise = np.full(len(wave), np.nan), np.full(len(wave), np.nan)
    for piece in range(len(wave)):
        own = np.flatnonzero((wave[piece] > low - _GROUND) & (wave[piece] < high + _GROUND) & np.isfinite(left[piece]))
        if own.size < _LEAST:
            continue
        at, value, root = wave[piece, own], left[piece, own], 1.0 / np.sqrt(variance[piece, own])
        z = (at - 0.5 * (low + high)) / (high - low)
        design = np.stack([lines.density(number, at), np.ones(own.size), z, z * z], axis=1)
        kept = np.ones(own.size, bool)
        for _ in range(3):
            weighted = design * (root * kept)[:, None]
            normal = weighted.T @ weighted
            if np.linalg.matrix_rank(normal) < normal.shape[0]:
                break
            covariance = np.linalg.inv(normal)
            fit = covariance @ (weighted.T @ (value * root * kept))
            pull = np.abs((value - design @ fit) * root)
            kept = pull < _CLIP * max(1.4826 * float(np.median(pull)), 1.0)
            strength[piece], noise[piece] = fit[0], covariance[0, 0]
    return strength, noise


def field_of_lines(
    lines: ScatteredLines, strength: FloatArray, noise: FloatArray, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Return the polynomial of a group over the field (6,), its covariance, and chi-square a degree of freedom.

    Raises
    ------
    MissingInput
        Fewer pieces see the lines than the polynomial has terms.
    """
    design = lines.terms(x, y)
    kept = np.isfinite(strength) & (noise > 0)
    safe, root = np.where(kept, strength, 0.0), 1.0 / np.sqrt(np.where(kept, noise, 1.0))
    for _ in range(6):
        if kept.sum() < 2 * design.shape[1]:
            raise MissingInput("too few pieces of slices see the scattered lines", hint="look at the exposure")
        weighted = design * (root * kept)[:, None]
        # a field of one channel is a strip: terms that it does not tell stay at zero
        inverse = np.linalg.pinv(weighted.T @ weighted, rcond=1e-8, hermitian=True)
        fit = inverse @ (weighted.T @ (safe * root * kept))
        pull = np.abs((safe - design @ fit) * root)
        now = np.isfinite(strength) & (pull < _CLIP * max(1.4826 * float(np.median(pull[kept])), 1.0))
        if (now == kept).all():
            break
        kept = now
    chi2 = float(np.sum(pull[kept] ** 2)) / max(int(kept.sum()) - design.shape[1], 1)
    return fit, inverse * max(chi2, 1.0), chi2
