"""The templates that fit best: redshift, age, and the fit with a host galaxy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from tracecube.core.fields import FloatArray, IntArray
from tracecube.kernels.log_spectrum import BINS, STEP, Flattened
from tracecube.kernels.template_match import Library, rlap, weights
from tracecube.recipes.classify.library import Templates

__all__ = ["Candidate", "best_rows", "fitted", "peak"]

_NEAR = 3  # steps about the redshift in which a template's best place is sought


@dataclass(frozen=True)
class Candidate:
    """One template fitted together with a host galaxy.

    Parameters
    ----------
    row : int
    z : float
    score : float
    rlap : float
    correlation : float
        Of spectrum and fit, both without what the continuum can take.
    amplitude : float
        Of the template's features; 1 where it is as strong as in the library.
    host : float
        Share of the galaxy: amplitude over the sum of both.
    model : array (bins,)
        The fit to the flattened spectrum, continuum's part in it.
    """

    row: int
    z: float
    score: float
    rlap: float
    correlation: float
    amplitude: float
    host: float
    model: FloatArray


def peak(score: FloatArray, at: int) -> float:
    """Return the shift, in fractions of a step, at which a parabola through three scores is highest."""
    if at in {0, score.size - 1}:
        return float(at)
    a, b, c = (float(x) for x in score[at - 1 : at + 2])
    bend = a - 2.0 * b + c
    return at + (0.5 * (a - c) / bend if bend < 0.0 else 0.0)


def best_rows(score: FloatArray, held: Templates, rows: IntArray, at: int, most: int) -> list[tuple[int, int]]:
    """Return (row, shift) of the best templates near a shift, one of an object, best first.

    Parameters
    ----------
    score : array (n, m)
    rows : int array
        Templates looked at.
    """
    low, high = max(0, at - _NEAR), min(score.shape[1], at + _NEAR + 1)
    window = score[rows, low:high]
    order = np.argsort(-window.max(1), kind="stable")
    found: dict[int, tuple[int, int]] = {}
    for k in order:
        row = int(rows[k])
        if window[k].max() <= 0.0 or len(found) == most:
            break
        found.setdefault(int(held.object[row]), (row, low + int(window[k].argmax())))
    return list(found.values())


def _moved(template: FloatArray, shift: int) -> FloatArray:
    made = np.zeros(BINS)
    made[shift:] = template[: BINS - shift]
    return made


def fitted(
    flat: Flattened,
    library: Library,
    row: int,
    shift: int,
    *,
    score: FloatArray,
    overlap: float,
    galaxies: IntArray,
) -> Candidate:
    """Fit one template and the galaxy that goes best with it, amplitudes not negative, the continuum free.

    The continuum takes any reddening with it: templates have none of their own, so reddening cannot be told.

    Parameters
    ----------
    score : array (m,)
        Of the template.
    galaxies : int array
        Rows of galaxies.
    """
    root = np.sqrt(weights(flat))
    used = flat.used & (root > 0.0)
    base, _ = np.linalg.qr(root[used, None] * flat.basis[used])

    def without(column: FloatArray) -> FloatArray:
        y = root[used] * column[used]
        return np.asarray(y - base @ (base.T @ y))

    data, star = without(flat.value), _moved(library.flux[row].astype(np.float64), shift)
    own = without(star)
    best: tuple[float, FloatArray, FloatArray] | None = None
    for galaxy in galaxies:
        light = _moved(library.flux[galaxy].astype(np.float64), shift)
        shares, rest = nnls(np.column_stack([own, without(light)]), data)
        if best is None or rest < best[0]:
            best = (rest, shares, light)
    assert best is not None
    rest, (amplitude, host), light = best
    fit = amplitude * star + host * light
    smooth = np.linalg.lstsq(root[used, None] * flat.basis[used], root[used] * (flat.value - fit)[used], rcond=None)[0]
    energy = float(data @ data)
    return Candidate(
        row=row,
        z=float(np.expm1(peak(score, shift) * STEP)),
        score=float(score[shift]),
        rlap=rlap(library.flux[row], flat, shift, overlap),
        correlation=float(np.sqrt(max(0.0, 1.0 - rest**2 / energy))),
        amplitude=float(amplitude),
        host=float(host / (amplitude + host)) if amplitude + host > 0.0 else 0.0,
        model=np.where(flat.used, fit + flat.basis @ smooth, 0.0),
    )
