"""How well lamps tell the response of a detector on large scales.

A lamp's light times the response is all that a flat without dispersion shows. What is smooth is taken for the lamp's,
for a lamp lights the detector smoothly and never evenly; a response that is smooth, too, goes with it and stays in
every spectrum. Lamps have light of their own: as far as they agree, what they have in common can be the response, and
that is known no better than they agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray, FloatArray

__all__ = ["open_response"]

_DEGREE = 4  # of the polynomials over the field: lamps agree to 1e-4 on what is finer
_SIDE = 64  # places a side of the detector: surfaces are smooth
_LEAST = 3  # places a coefficient
_FIELD = 0.95  # of half a side: in the corners, where polynomials are largest, an instrument has hardly any light
_FEW = 2  # lamps


def open_response(surfaces: Sequence[FloatArray], lit: BoolArray) -> NDArray[np.float64] | None:
    """Response of a detector that its lamps leave open, r.m.s. over the field, by degree 1, 2, ... of polynomials.

    Parameters
    ----------
    surfaces : sequence of array (y, x)
        Smooth light of each lamp, one exposure a lamp.
    lit : bool array (y, x)
        Where lamps light the detector.

    Returns
    -------
    array (4,) or None
        None for less than two lamps, or where too little is lit.
    """
    if len(surfaces) < _FEW:
        return None
    every = max(1, max(lit.shape) // _SIDE)
    seen = [np.asarray(one[::every, ::every], float) for one in surfaces]
    y, x = np.meshgrid(*(np.linspace(-1.0, 1.0, size) for size in seen[0].shape), indexing="ij")
    inside = lit[::every, ::every] & (np.hypot(x, y) < _FIELD)
    inside &= np.all([np.isfinite(one) & (one > 0.0) for one in seen], axis=0)
    powers = sorted(((i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)), key=sum)
    if inside.sum() < _LEAST * len(powers):
        return None
    columns = [(x**i * y**j)[inside] for i, j in powers]
    basis = np.linalg.qr(np.stack(columns, axis=1))[0] * np.sqrt(inside.sum())  # of rms 1 over the field
    found = [basis.T @ (one[inside] / one[inside].mean()) / inside.sum() for one in seen]
    doubt = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    degree = np.array([sum(power) for power in powers])
    return np.array([np.sqrt(np.sum(doubt[degree == one] ** 2)) for one in range(1, _DEGREE + 1)])
