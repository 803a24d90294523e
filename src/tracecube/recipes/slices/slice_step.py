"""One step of the parameters of a slice, and where all slices together stand."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray

__all__ = ["centre", "stepped"]


def stepped(matrix: FloatArray, rhs: FloatArray, own: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the parameters of one slice a step better, and their errors."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    prior = np.diag(1.0 / (_PRIOR / scale) ** 2)  # in scaled units: a slice without bright lines stays at the mean
    inverse = np.linalg.inv(matrix * scale[:, None] * scale[None, :] + prior)
    pull = rhs * scale - prior @ ((own - _MEAN) / scale)
    change = (inverse @ pull) * scale
    limit = np.array([0.3, 0.6, 0.3, 0.4, 0.4, 1.0, 1.0, 1.0])
    return own + np.clip(change, -limit, limit), np.sqrt(np.diag(inverse)) * scale


_MEAN = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
_PRIOR = np.array([0.2, 1.0, 0.3, 0.5, 0.5, 1.0, 1.0, 1.0])
"""Widths of what parameters may be: brightness; Angstrom, to its second, third and fourth power."""


def centre(value: FloatArray, error: FloatArray) -> None:
    """Make the typical slice the one the spectrum belongs to: mean brightness 1, medians of all else 0 (in place)."""
    known = np.isfinite(error[:, 0])
    value[known, 0] /= np.mean(value[known, 0])
    value[known, 1:] -= np.median(value[known, 1:], axis=0)
