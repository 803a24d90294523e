"""From pairs to exposures: least squares over all pairs, with what pairs share.

Two pairs with an exposure in common share its noise, as far as they look at the same part of it. With B the matrix of
differences and C the covariance of all pairs, offsets are (B^T C^-1 B)^-1 B^T C^-1 d, the reference's left out, and
that inverse is their covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray

__all__ = ["Link", "Network", "solve_network"]

F8 = NDArray[np.float64]

_FAR = 5.0  # errors from what the others say beyond which a pair is left out
_OWN = 0.1  # of a pair's variance that it shares with no other: pixels and fits differ a little


class Link(NamedTuple):
    """What one pair says.

    Parameters
    ----------
    first, second : int
    value : array (k,)
        Of the second less that of the first.
    of_first, of_second : array (k, k)
        Covariance: noise of either exposure.
    map_first, map_second : array (m,)
        How much each part of either exposure tells.
    """

    first: int
    second: int
    value: F8
    of_first: F8
    of_second: F8
    map_first: F8
    map_second: F8


class Network(NamedTuple):
    """Solution.

    ``value`` (n, k) and ``covariance`` (n, k, k), NaN and infinite where no pair leads; which pairs were ``used`` (p,),
    how far each is off (p, k), reduced ``chi2``, NaN where no more pairs lead to the exposures than are needed.
    """

    value: F8
    covariance: F8
    used: BoolArray
    left: F8
    chi2: float


def solve_network(links: Sequence[Link], count: int, reference: int, *, size: int) -> Network:
    """Return values of all exposures against the reference.

    Parameters
    ----------
    links : sequence of Link
    count : int
        Exposures.
    reference : int
    size : int
        Numbers that a pair measures, k.
    """
    used = np.ones(len(links), bool)
    while True:
        value, covariance, left, chi2 = _solved(links, used, count, reference, size)
        worst = _worst(links, used, left, count, reference)
        if worst is None:
            return Network(value, covariance, used, left, chi2)
        used[worst] = False


def _reached(links: Sequence[Link], used: BoolArray, count: int, reference: int) -> BoolArray:
    """Return which exposures pairs connect with the reference."""
    there = np.zeros(count, bool)
    there[reference] = True
    for _ in range(count):
        for link, own in zip(links, used, strict=True):
            if own and there[link.first] != there[link.second]:
                there[[link.first, link.second]] = True
    return there


def _solved(links: Sequence[Link], used: BoolArray, count: int, reference: int, size: int) -> tuple[F8, F8, F8, float]:
    there = _reached(links, used, count, reference)
    free = [i for i in range(count) if there[i] and i != reference]
    value, covariance = np.full((count, size), np.nan), np.full((count, size, size), np.inf)
    value[reference], covariance[reference] = 0.0, 0.0
    rows = [j for j in np.flatnonzero(used).tolist() if there[links[j].first]]
    left = np.full((len(links), size), np.nan)
    if not free or not rows:
        return value, covariance, left, float("nan")
    matrix = np.kron(_differences([links[j] for j in rows], free), np.eye(size))
    data = np.concatenate([links[j].value for j in rows])
    weight = np.linalg.inv(_covariance([links[j] for j in rows], size))
    inverse = np.linalg.inv(matrix.T @ weight @ matrix)
    found = inverse @ (matrix.T @ (weight @ data))
    off = data - matrix @ found
    freedom = data.size - found.size
    chi2 = float(off @ weight @ off) / freedom if freedom else float("nan")
    for place, i in enumerate(free):
        own = slice(place * size, (place + 1) * size)
        value[i], covariance[i] = found[own], inverse[own, own] * max(1.0, chi2)
    for j, link in enumerate(links):
        left[j] = link.value - (value[link.second] - value[link.first])
    return value, covariance, left, chi2


def _differences(links: Sequence[Link], free: list[int]) -> F8:
    matrix = np.zeros((len(links), len(free)))
    for row, link in enumerate(links):
        for exposure, sign in ((link.first, -1.0), (link.second, 1.0)):
            if exposure in free:
                matrix[row, free.index(exposure)] = sign
    return matrix


def _sides(link: Link) -> tuple[tuple[int, float, F8, F8], ...]:
    """Return exposure, sign, root of the covariance and map of both sides."""
    roots = [
        np.linalg.cholesky(part + 1e-12 * np.trace(part) * np.eye(len(part)))
        for part in (link.of_first, link.of_second)
    ]
    return (link.first, -1.0, roots[0], link.map_first), (link.second, 1.0, roots[1], link.map_second)


def _covariance(links: Sequence[Link], size: int) -> F8:
    """Return the covariance of all pairs."""
    total = np.zeros((len(links) * size, len(links) * size))
    sides = [_sides(link) for link in links]
    for i, one in enumerate(sides):
        own = slice(i * size, (i + 1) * size)
        for j, other in enumerate(sides):
            part = np.zeros((size, size))
            for a, sign, root, seen in one:
                for b, sign_b, root_b, seen_b in other:
                    if a == b:
                        share = 1.0 if i == j else _shared(seen, seen_b)
                        part += sign * sign_b * share * root @ root_b.T
            total[own, j * size : (j + 1) * size] += part * (1.0 + _OWN if i == j else 1.0)
    return total


def _shared(one: F8, other: F8) -> float:
    """Return how much of what two pairs see of an exposure is the same."""
    power = float(np.sum(one) * np.sum(other))
    return float(np.sum(np.sqrt(one * other)) / np.sqrt(power)) if power > 0 else 0.0


def _worst(links: Sequence[Link], used: BoolArray, left: F8, count: int, reference: int) -> int | None:
    """Return the pair that contradicts the others most, if it does and they do without it."""
    far = []
    for j in np.flatnonzero(used).tolist():
        if not np.isfinite(left[j]).all():
            continue
        total = links[j].of_first + links[j].of_second
        far.append((float(np.sqrt(left[j] @ np.linalg.solve(total, left[j]) / left[j].size)), int(j)))
    for distance, j in sorted(far, reverse=True):
        if distance < _FAR:
            return None
        rest = used.copy()
        rest[j] = False
        if (_reached(links, rest, count, reference) == _reached(links, used, count, reference)).all():
            return j
    return None
