"""All templates at all redshifts against one spectrum, as one matrix product.

A spectrum y over its continuum has weights w = 1 / (noise + scatter of the model). With P the projection that takes out
what splines of the continuum can take, template t shifted by s bins gets amplitude and correlation coefficient

    a = <P y, t_s> / <t_s, P t_s>,    rho^2 = e / (e + r),    e = <P y, t_s>^2 / <t_s, P t_s>,

where e is the part of <P y, P y> that the template explains, r what it leaves of it where it covers the spectrum, and
a tenth of what lies elsewhere, lest a template fit by covering little. <P y, t_s> needs one vector per shift,
<t_s, P t_s> one more for each spline, and the squares of the templates: two products of the library with matrices of
shifted vectors. Turin (1960, IRE Trans. Inf. Theory 6, 311) for the filter; Tonry and Davis (1979, AJ 84, 1511) for r,
of which `rlap` is made.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from tracecube.kernels.log_spectrum import STEP, Flattened, grid

__all__ = ["SCATTER", "Library", "Match", "correlate", "rlap", "score", "weights"]

F8 = NDArray[np.float64]
F4 = NDArray[np.float32]

SCATTER = 0.08
"""Scatter of objects of one kind about each other, over the continuum: a floor of the noise."""
TELLURIC = ((6860.0, 6930.0), (7570.0, 7700.0))
"""Bands of oxygen, of which the correction leaves something (Angstrom)."""

_TELLURIC_WEIGHT = 0.05
_LARGEST = 0.999  # correlation coefficient
_FEWEST = 150  # bins of overlap, of 512: 0.4 in log wavelength (Blondin and Tonry 2007)
_UNSEEN = 0.1  # of the energy that a template does not cover counts as not explained
_ELEMENT = 4.0  # bins of a resolution element


class Library(NamedTuple):
    """Templates (n, bins) with their squares, and where (0 or 1) each one is known."""

    flux: F4
    square: F4
    known: F4


class Match(NamedTuple):
    """How well each template fits at each shift: arrays (n, m).

    Parameters
    ----------
    correlation : array
        0 where it is negative or the overlap too small.
    amplitude : array
        Of the template's features, over those of the spectrum.
    overlap : array
        Bins.
    """

    correlation: F4
    amplitude: F4
    overlap: F4


def weights(flat: Flattened) -> F8:
    """Return the weight (bins,) of each bin of a spectrum."""
    made = np.where(flat.used, 1.0 / (np.where(flat.used, flat.variance, 1.0) + SCATTER**2), 0.0)
    wave = grid()
    for low, high in TELLURIC:
        made[(wave > low) & (wave < high)] *= _TELLURIC_WEIGHT
    return made


def _vectors(flat: Flattened, weight: F8) -> tuple[F8, F8, F8]:
    """Return W P y (bins,), the splines (k, bins) as W Q of orthonormal Q, and the energy (bins,) of P y."""
    root = np.sqrt(weight)
    base, _ = np.linalg.qr(root[flat.used, None] * flat.basis[flat.used])
    q = np.zeros((base.shape[1], weight.size))
    q[:, flat.used] = base.T * root[flat.used]
    rest = np.zeros(weight.size)
    y = root[flat.used] * flat.value[flat.used]
    rest[flat.used] = y - base @ (base.T @ y)
    return rest * root, q, rest**2


def correlate(library: Library, flat: Flattened, shifts: NDArray[np.int64]) -> Match:
    """Match a spectrum with all templates.

    Parameters
    ----------
    library : Library
    flat : Flattened
    shifts : int array (m,)
        Bin i of a template falls on bin i + shift of the spectrum.

    Returns
    -------
    Match
    """
    weight = weights(flat)
    data, q, energy = _vectors(flat, weight)
    bins, m, k = weight.size, len(shifts), len(q)
    right = np.zeros((bins, (k + 1) * m), np.float32)
    squares = np.zeros((bins, m), np.float32)
    cover = np.zeros((bins, 2 * m), np.float32)
    for j, shift in enumerate(shifts):
        n = bins - int(shift)
        right[:n, j] = data[shift:]
        right[:n, m + j :: m] = q[:, shift:].T
        squares[:n, j] = weight[shift:]
        cover[:n, j] = energy[shift:]
        cover[:n, m + j] = weight[shift:] > 0.0
    product = library.flux @ right
    cross, taken = product[:, :m], product[:, m:].reshape(-1, k, m)
    norm = library.square @ squares - np.einsum("ikj,ikj->ij", taken, taken)
    covered = library.known @ cover
    overlap = covered[:, m:]
    usable = (norm > 0.0) & (overlap >= _FEWEST) & (cross > 0.0)
    safe = np.where(usable, norm, 1.0)
    taken_off = np.where(usable, cross**2 / safe, 0.0)  # energy of the spectrum that the template explains
    total = np.float32(energy.sum())
    left = np.maximum(covered[:, :m] - taken_off, 0.0) + np.float32(_UNSEEN) * (total - covered[:, :m])
    rho = np.sqrt(taken_off / np.maximum(taken_off + left, np.float32(1e-6) * total + np.float32(1e-12)))
    return Match(np.minimum(rho, np.float32(_LARGEST)), np.where(usable, cross / safe, 0.0), overlap)


def score(match: Match) -> F4:
    """Return the log likelihood (n, m) of each template over that of no template, the noise's level unknown."""
    elements = match.overlap / np.float32(2.0 * _ELEMENT)
    return np.asarray(-elements * np.log1p(-(match.correlation**2)), np.float32)


def rlap(template: F4, flat: Flattened, shift: int, overlap: float, lsf: float = 1.57) -> float:
    """Return r times the overlap of one template (bins,) at one shift.

    r is the height of the correlation over sqrt(2) times its part that is antisymmetric about that shift (Tonry and
    Davis 1979, eq. 25); the overlap (bins) counts in log wavelength. The band pass is that of the data: below, what the
    continuum's splines leave, above, what the line-spread function (``lsf`` bins, standard deviation) lets through.
    """
    data = gaussian_filter1d(_vectors(flat, weights(flat))[0], lsf, mode="constant")
    size = 2 * data.size
    found = np.fft.irfft(np.fft.rfft(data, size) * np.conj(np.fft.rfft(template.astype(np.float64), size)), size)
    turned = np.roll(found, -shift)
    odd = float(np.sqrt(np.mean((turned - np.roll(turned[::-1], 1)) ** 2) / 2.0))
    return float(found[shift] / (np.sqrt(2.0) * max(odd, 1e-12)) * overlap * STEP)
