"""A small network that says of a spectrum, moved to any redshift, how like it is to each kind of source there.

It sees the rest frame: at the right redshift a kind's features stand where they always stand, at a wrong one they do
not. One energy a kind and redshift comes out; probabilities are their exponentials over the sum of all (Bishop 2006,
Pattern Recognition and Machine Learning, section 5.2), so that kind and redshift are told together. Several networks
are averaged.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.log_spectrum import BINS, Flattened

__all__ = ["FIRST", "LAST", "Networks", "energies", "inputs"]

F8 = NDArray[np.float64]
F4 = NDArray[np.float32]

FIRST, LAST = 36, 492
"""Bins of the rest frame that the network sees: 2756 to 9470 Angstrom."""

_PAIR = 2  # bins to one input
_SCATTER = 0.02  # variance added to the noise
_FULL = 100.0  # weight of a pair of bins without noise
_FAINT = 0.03  # strength of features below which noise is not blown up


class Networks(NamedTuple):
    """Perceptrons of two hidden layers: weights (networks, in, out) and biases (networks, out) of each layer."""

    weight_1: F4
    bias_1: F4
    weight_2: F4
    bias_2: F4
    weight_3: F4
    bias_3: F4

    def chosen(self, rows: NDArray[np.int64]) -> Networks:
        """Return some of them."""
        return Networks(*(part[rows] for part in self))


def inputs(flat: Flattened, shifts: NDArray[np.int64]) -> F4:
    """Return what the network sees of a spectrum at each shift (m,), array (m, LAST - FIRST + 2).

    Values in units of their scatter, then how well each is known, then the scatter and the share that is known.
    """
    places = np.arange(FIRST, LAST) + shifts[:, None]
    inside = places < BINS
    places = np.minimum(places, BINS - 1)
    weight = np.where(flat.used, 1.0 / (np.where(flat.used, flat.variance, 1.0) + _SCATTER), 0.0)
    weight = weight[places] * inside
    shape = (len(shifts), (LAST - FIRST) // _PAIR, _PAIR)
    total = weight.reshape(shape).sum(2)
    value = (weight * flat.value[places]).reshape(shape).sum(2) / np.maximum(total, 1e-6)
    known = np.minimum(total / _FULL, 1.0)
    scatter = np.sqrt((value**2 * known).sum(1) / np.maximum(known.sum(1), 1.0))
    parts = [
        value * np.sqrt(known) / (scatter[:, None] + _FAINT),
        known,
        np.log(scatter + _FAINT)[:, None],
        known.mean(1)[:, None],
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def energies(networks: Networks, seen: F4) -> F8:
    """Return the mean energy of each kind at each shift, array (m, kinds)."""
    hidden = np.maximum(seen @ networks.weight_1 + networks.bias_1[:, None], 0.0)
    hidden = np.maximum(hidden @ networks.weight_2 + networks.bias_2[:, None], 0.0)
    told = hidden @ networks.weight_3 + networks.bias_3[:, None]
    return np.asarray(told.mean(0), np.float64)
