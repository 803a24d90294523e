"""Where the wavelengths of an exposure's sky lie, from lines of the sky whose wavelengths are known.

A sky and the shifts of the detectors that saw it are found together, so what all shifts have in common is the sky's,
and wanders. Lines of known wavelength tell it: each is fitted to the samples of all fibres at once, as one Gaussian
through their line-spread functions with a place, a flux and a width of its own, over a parabola. The error holds that
of the sky's structure, which counts where a line is faint, and is widened where lines disagree, which errors of the
arcs make them do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray

__all__ = ["SkyAnchor", "find_anchor"]

F8 = NDArray[np.float64]
Samples = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]

_HALF = 14.0  # Angstrom on either side of a line that its fit sees
# Angstrom**2: offset times equivalent width of a faint line on the dark sky, whose continuum has structure (5461 with
# 1.4 Angstrom on the dark sky over Paranal, as PypeIt has it, lies 0.09 Angstrom off, without noise)
_STRUCTURE = 0.13
_SEEN = 8.0  # errors by which a line stands out that tells a place
_ROUNDS, _AT_REST = 8, 1e-4  # of the fit, and its last step (Angstrom)
_REACH = 3.0  # Angstrom: a line farther off is another


class SkyAnchor(NamedTuple):
    """By how much wavelengths are too high.

    Parameters
    ----------
    offset, error : float, Angstrom
    lines : tuple of (float, float, float)
        Wavelength, offset and error (Angstrom) of each line that was seen.
    """

    offset: float
    error: float
    lines: tuple[tuple[float, float, float], ...]


def find_anchor(samples: Iterable[Samples], lines: tuple[float, ...]) -> SkyAnchor | None:
    """Measure where lines of the sky lie; None if none stands out.

    Parameters
    ----------
    samples : iterable of (wave, scale, sigma, flux, weight), arrays (n, m)
        One a detector: wavelength (Angstrom), what a sky of 1 gives, width of the line-spread function (Angstrom),
        flux and inverse variance.
    lines : tuple of float, Angstrom
        In the medium of ``wave``.
    """
    windows: list[list[F8]] = [[] for _ in lines]
    for wave, *rest in samples:
        for k, line in enumerate(lines):
            near = (np.abs(wave - line) < _HALF) & (rest[-1] > 0)
            windows[k].append(np.stack([np.asarray(part, np.float64)[near] for part in (wave, *rest)]))
    found = []
    for line, parts in zip(lines, windows, strict=True):
        one = _line_offset(line, *np.concatenate(parts, axis=1)) if parts else None
        if one is not None:
            found.append((line, *one))
    if not found:
        return None
    _, value, error = np.array(found).T
    weight = 1.0 / error**2
    mean = float((weight * value).sum() / weight.sum())
    chi2 = float((weight * (value - mean) ** 2).sum()) / max(value.size - 1, 1)
    return SkyAnchor(mean, float(np.sqrt(max(chi2, 1.0) / weight.sum())), tuple(found))


def _line_offset(line: float, wave: F8, scale: F8, sigma: F8, flux: F8, weight: F8) -> tuple[float, float] | None:
    """Offset (Angstrom) of one line from its wavelength, with its error; samples are arrays (k,)."""
    away = (wave - line) / _HALF
    beneath = [scale, scale * away, scale * away**2]
    offset = step = level = strength = 0.0
    for _ in range(_ROUNDS):
        z = (wave - line - offset) / sigma
        image = scale * np.exp(-0.5 * z**2) / (np.sqrt(2.0 * np.pi) * sigma)
        design = np.stack([image, image * z / sigma, image * (z**2 - 1.0) / sigma**2, *beneath])
        covariance = np.linalg.pinv((design * weight) @ design.T, hermitian=True)
        strength, moved, _, level, *_ = covariance @ (design @ (weight * flux))
        if not strength > _SEEN * np.sqrt(covariance[0, 0]):  # nor where no sample weighs: both are 0
            return None
        step = float(np.clip(moved / strength, -1.0, 1.0))
        offset += step
        if abs(step) < _AT_REST:
            break
    # what is beneath moves a line by as much as its own width is of the line's equivalent width
    structure = _STRUCTURE * max(float(level), 0.0) / float(strength)
    error = float(np.hypot(np.sqrt(covariance[1, 1]) / strength, structure))
    return (offset, error) if abs(step) < max(0.1 * error, _AT_REST) and abs(offset) < _REACH else None
