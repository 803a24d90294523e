"""Find every lenslet of an evenly lit frame, and its place in the lattice.

All lenslets see the same lamp, so their spectra on the detector have one shape. That shape is learnt
from the frame itself and matched to every place: a short streak or a hot pixel does not look like
it, however bright. The lattice is then fitted to all places found; it names the lenslets, rejects
what stands on no node, and says where those must be that were too faint or too near an edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tracecube.core.errors import BadData
from tracecube.kernels.lattice import hexagon_basis, index_lattice, invert_field
from tracecube.kernels.peaks import Match, bin_along, filter_across, isolated_maxima, match_along, vertex

__all__ = ["Lenslets", "TraceGuess", "find_lenslets"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
B1 = NDArray[np.bool_]

# Pixels binned along dispersion for the search; lamp spectra are smooth over this many.
_BIN = 4
# The lamp's spectrum begins where it reaches this share of its peak. Below it the last lenslet of
# the row still shines.
FOOT = 0.03
# Places count as lenslets when the shape on their trace correlates with the lamp's at least so well,
# and when so much of the shape (by its squares) lies on good pixels.
_LIKENESS, _WHOLE = 0.8, 0.5
# Light this faint against the typical lenslet is looked for in the search; fainter ones are left to
# the lattice.
_FAINT = 0.1
# Fewer lenslets than this fix no lattice.
_FEWEST = 20
# Candidate nodes are looked for this many pitches beyond the lenslets found: a trace whose bright
# part lies off the detector reaches about so far (trace length 6, half of it bright).
_BEYOND = 5.0
# A node is worth a closer look when it seems to shine with this share of the typical light.
_GLIMMER = 0.002


@dataclass(frozen=True)
class TraceGuess:
    """First guess of an instrument's traces: lenslet spectra, staggered, of one length.

    Places are (along, across): along dispersion first.

    Parameters
    ----------
    sigma : float, px
        Core width across dispersion.
    spacing : float, px
        Distance across dispersion of neighbouring traces.
    tilt : float
        Mean slope of the traces, px across per px along.
    length : float, px
        Length of a trace.
    reference : float, px
        Distance of the reference point of a trace from the sharp end of the lamp's spectrum, which
        lies at low pixel numbers.
    pitch : float, px
        Distance of neighbouring lenslets on the detector.
    angle : float, degree
        Direction of the first lattice vector, from along towards across.
    centre : (float, float), px
        Detector place (along, across) where the node (0, 0) is nearest.
    axis : int
        Image axis of dispersion.
    """

    sigma: float
    spacing: float
    tilt: float
    length: float
    reference: float
    pitch: float
    angle: float
    centre: tuple[float, float]
    axis: int = 1


class Lenslets(NamedTuple):
    """What the search found, one row a lattice node.

    ``place`` (n, 2) is the reference point (along, across) in pixels, ``node`` (n, 2) its indices,
    ``seen`` (n,) whether the lenslet was found by itself or only expected by the lattice.
    ``spurious`` counts traces that stand on no node; ``lamp`` (k,) is the shape of the lamp's
    spectrum from ``lamp_start`` on, one sample a pixel, its peak 1.
    """

    place: F8
    node: I8
    seen: B1
    spurious: int
    lamp: F8
    lamp_start: float


class _Lamp(NamedTuple):
    """Shape of the lamp's spectrum in bins; sample ``before`` is its reference, ``foot`` its first."""

    shape: F8
    before: int


def find_lenslets(data: F8, weight: F8, guess: TraceGuess) -> Lenslets:
    """Find all lenslets of a lamp frame and name them by their node.

    Parameters
    ----------
    data, weight : array (across, along)
        Pixels of weight 0 count for nothing.
    guess : TraceGuess

    Raises
    ------
    BadData
        Fewer than 20 traces look like spectra of one lamp.
    """
    binned, mean_weight = bin_along(data, weight, size=_BIN)
    flux, power = filter_across(binned, mean_weight, sigma=guess.sigma, half_width=max(2, round(0.5 * guess.spacing)))
    lamp, match, places = _learn_lamp(flux, power, guess)
    score = match.amplitude * np.sqrt(match.power)
    along = (places[:, 1] + vertex(score, places, axis=1)) * _BIN + 0.5 * (_BIN - 1)
    across = places[:, 0] + vertex(score, places, axis=0)
    # The reference of the matched shape is its first sample; a trace's is so far from the foot.
    offset = guess.reference - lamp.before * _BIN
    points = np.stack([along + offset, across + guess.tilt * offset], axis=1)
    nodes, index, seen = _complete_lattice(points, score[tuple(places.T)], guess, data.shape)
    lit = seen | (_seen_light(match, nodes, offset, guess) > _GLIMMER)
    fine = np.interp(np.arange(0, lamp.shape.size * _BIN) / _BIN, np.arange(lamp.shape.size), lamp.shape)
    spurious = int(len(points) - seen.sum())
    return Lenslets(nodes[lit], index[lit], seen[lit], spurious, fine, -guess.reference)


def _learn_lamp(flux: F8, power: F8, guess: TraceGuess) -> tuple[_Lamp, Match, I8]:
    """Learn the lamp's spectrum by stacking what a first box finds; four rounds settle it."""
    length = int(guess.length // _BIN)
    tilt = guess.tilt * _BIN
    apart = (max(1, round(0.6 * guess.spacing)), length // 3)
    lamp = _Lamp(np.ones(length // 3), length // 6)
    for _ in range(4):
        match = match_along(flux, power, lamp.shape, before=lamp.before, tilt=tilt)
        whole = match.power > _WHOLE * match.power.max()
        score = np.where(whole & (match.likeness > _LIKENESS), match.amplitude * np.sqrt(match.power), 0.0)
        places = isolated_maxima(score, half_size=apart, floor=1e-3 * float(score.max()))
        level = score[tuple(places.T)]
        places = places[level > _FAINT * np.median(level)] if level.size else places
        if len(places) < _FEWEST:
            raise BadData(
                f"lamp frame: {len(places)} traces look like spectra of one lamp, {_FEWEST} are needed",
                hint="check that the lamp was on and that the frame is a dome flat",
            )
        lamp = _stack(flux, power, match, places, length, tilt)
    return lamp, match, places


def _stack(flux: F8, power: F8, match: Match, places: I8, length: int, tilt: float) -> _Lamp:
    """Median spectrum of the brighter half of the traces, from its foot to where it is lost again."""
    amplitude = match.amplitude[tuple(places.T)]
    bright = places[amplitude >= np.median(amplitude)]
    steps = np.arange(-length, length + 1)
    rows, cols = bright[:, :1] + np.rint(tilt * steps).astype(int), bright[:, 1:] + steps
    inside = (rows >= 0) & (rows < flux.shape[0]) & (cols >= 0) & (cols < flux.shape[1])
    at = (np.where(inside, rows, 0), np.where(inside, cols, 0))
    values = np.where(inside & (power[at] > 0.0), flux[at], np.nan) / match.amplitude[tuple(bright.T)][:, None]
    enough = np.isfinite(values).sum(axis=0) >= 0.2 * len(bright)
    shape = np.interp(steps, steps[enough], np.nanmedian(values[:, enough], axis=0))
    top = int(np.argmax(np.where(np.abs(steps) <= length // 2, shape, 0.0)))
    low = shape < FOOT * shape[top]
    first = int(np.flatnonzero(low[:top])[-1]) + 1 if low[:top].any() else 0
    end = top + int(np.argmax(low[top:])) if low[top:].any() else steps.size
    return _Lamp(shape[first:end] / shape[top], length - first)


def _complete_lattice(points: F8, trust: F8, guess: TraceGuess, shape: tuple[int, int]) -> tuple[F8, I8, B1]:
    """Places, nodes and whether seen, of all nodes whose traces touch the detector."""
    basis = hexagon_basis(points, pitch=guess.pitch, angle=guess.angle)
    index, on_node, field = index_lattice(points, basis, weight=trust)
    origin = np.rint(field(np.array([guess.centre]))).astype(np.int64)
    reach = np.ceil(np.abs(index[on_node]).max(axis=0) + _BEYOND + 1).astype(int)
    q, r = np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij")
    every = np.stack([q.ravel(), r.ravel()], axis=1)
    anchor = points[on_node], index[on_node]
    nearest = cKDTree(anchor[1] @ basis).query(every @ basis)[1]
    jump = (every - anchor[1][nearest]) @ basis
    close = np.linalg.norm(jump, axis=1) < _BEYOND * guess.pitch
    every, start = every[close], (anchor[0][nearest] + jump)[close]
    nodes = invert_field(field, every.astype(float), start)
    near = np.linalg.norm(nodes - start, axis=1) < guess.pitch
    near &= (nodes[:, 0] + guess.length - guess.reference > 0) & (nodes[:, 0] - guess.reference < shape[1] - 1)
    near &= (nodes[:, 1] > 0) & (nodes[:, 1] < shape[0] - 1)
    nodes, every = nodes[near], every[near]
    seen = _merge(nodes, every, *anchor)
    return nodes, every - origin, seen


def _merge(nodes: F8, every: I8, places: F8, index: I8) -> B1:
    """Put measured places at their nodes (in place); return which nodes have one."""
    where = {(int(q), int(r)): i for i, (q, r) in enumerate(every)}
    seen = np.zeros(len(nodes), dtype=bool)
    for place, (q, r) in zip(places, index, strict=True):
        i = where.get((int(q), int(r)))
        if i is not None:
            nodes[i], seen[i] = place, True
    return seen


def _seen_light(match: Match, nodes: F8, offset: float, guess: TraceGuess) -> F8:
    """Light at each node against the typical one: the largest amplitude within a pixel across."""
    col = np.rint((nodes[:, 0] - offset - 0.5 * (_BIN - 1)) / _BIN).astype(int)
    row = np.rint(nodes[:, 1] - guess.tilt * offset).astype(int)
    best = np.zeros(len(nodes))
    n_c, n_s = match.amplitude.shape
    for step in (-1, 0, 1):
        inside = (row + step >= 0) & (row + step < n_c) & (col >= 0) & (col < n_s)
        value = match.amplitude[np.clip(row + step, 0, n_c - 1), np.clip(col, 0, n_s - 1)]
        best = np.maximum(best, np.where(inside, value, 0.0))
    off = (col < 0) | (col >= n_s)
    typical = float(np.median(best[best > _FAINT * best.max()]))
    return np.where(off, 1.0, best / typical)
