"""Which lamp an arc exposure shows, by the pattern of its lines: headers can be wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.signal import fftconvolve

from tracecube.core.fields import FloatArray
from tracecube.recipes.optics.slice_lines import LampLines

__all__ = ["alike", "column_spectra", "likeness"]

_COLUMNS = 24  # that stand for a detector: a lamp is told from another by one of them
_SLOW = 101  # px of the running median that takes continuous light off
_LEAST = 5.0  # noises above which light is that of a line
_SCALES = np.linspace(0.98, 1.02, 11)  # of the nominal dispersion
_BLUR = 2.5  # px, sigma of an expected line: as wide as the nominal law is off between two scales


def column_spectra(counts: NDArray[Any]) -> FloatArray:
    """Return the lines in some columns of a raw image (k, y): square roots of counts above what changes slowly.

    Parameters
    ----------
    counts : array (y, x), adu
        Dispersed upwards.
    """
    some = np.linspace(0, counts.shape[1], _COLUMNS + 2)[1:-1].astype(int)
    spectra = np.asarray(counts[:, some], np.float64).T
    spectra -= median_filter(spectra, (1, _SLOW), mode="nearest")
    noise = 1.4826 * np.median(np.abs(spectra), axis=1, keepdims=True) + 1e-3
    return np.asarray(np.sqrt(np.maximum(spectra - _LEAST * noise, 0.0)))


def alike(one: FloatArray, other: FloatArray) -> float:
    """Return how alike the lines of two exposures are: 1 of one lamp, near 0 of two; 0 where there are none.

    Examples
    --------
    >>> lines = np.array([[0.0, 3.0, 0.0, 5.0]])
    >>> round(alike(lines, 2.0 * lines), 6), alike(lines, 0.0 * lines)
    (1.0, 0.0)
    """
    norm = float(np.sqrt(np.sum(one**2) * np.sum(other**2)))
    return float(np.sum(one * other)) / norm if norm > 0.0 else 0.0


def likeness(
    spectra: FloatArray, lines: Sequence[LampLines], law: Callable[[FloatArray], FloatArray], *, shift: float
) -> FloatArray:
    """Return how well the lines of each lamp explain an exposure, 0 to 1 (n,).

    The best correlation of each column with the list over shifts and scales of the nominal law; the mean of the
    columns that hold lines.

    Parameters
    ----------
    spectra : array (k, y)
        Of `column_spectra`.
    lines : sequence of LampLines
    law : callable
        Nominal wavelength (Angstrom) at u, -1 to 1 along the detector.
    shift : float, Angstrom
        Largest departure from it.
    """
    rows = spectra.shape[1]
    lit = spectra[(spectra > 0.0).sum(axis=1) > 0]
    if not lit.size:
        return np.zeros(len(lines))
    u = np.linspace(-1.0, 1.0, rows)
    most = int(shift / float(np.median(np.diff(law(u)))))
    norm = np.sqrt((lit**2).sum(axis=1))
    found = np.zeros((len(lines), len(lit)))
    for row, one in enumerate(lines):
        for scale in _SCALES:
            model = _model(one, law, float(scale), rows)
            size = float(np.sqrt(np.sum(model**2)))
            if size == 0.0:
                continue
            lags = fftconvolve(lit, model[None, ::-1], axes=1)[:, rows - 1 - most : rows + most]
            found[row] = np.maximum(found[row], lags.max(axis=1) / (norm * size))
    return np.asarray(found.mean(axis=1))


def _model(lines: LampLines, law: Callable[[FloatArray], FloatArray], scale: float, rows: int) -> FloatArray:
    """Return the square roots of the light that a lamp has in a column under the nominal law (y,)."""
    fine = np.linspace(-1.3, 1.3, 2 * rows)
    middle = float(law(np.zeros(1))[0])
    at = (np.interp(lines.wave, middle + scale * (law(fine) - middle), fine) + 1.0) * 0.5 * (rows - 1)
    y, model = np.arange(rows), np.zeros(rows)
    for place, strength in zip(at, lines.strength, strict=True):
        low, high = max(int(place) - 9, 0), min(int(place) + 10, rows)
        model[low:high] += np.sqrt(max(float(strength), 0.0)) * np.exp(-0.5 * ((y[low:high] - place) / _BLUR) ** 2)
    return model
