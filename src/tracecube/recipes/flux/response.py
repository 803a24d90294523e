"""The response of a night: all good standards together, clouds taken as grey, outliers shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Combination", "combine_responses"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
LEVEL_RANGE = (4500.0, 8500.0)  # Angstrom: where every standard is bright and no reference is extrapolated


@dataclass(frozen=True)
class Combination:
    """Common response.

    Parameters
    ----------
    log_response, variance : array (m,)
    flags : int32 array (m,)
    grey : array (s,)
        Factor by which each star was brighter than the common response says.
    used : bool array (s,)
        Stars whose colour counts.
    scatter : float
        Relative scatter of the stars about the common colour; NaN for a single star.
    caveats : tuple of str
    """

    log_response: F8
    variance: F8
    flags: NDArray[np.int32]
    grey: F8
    used: NDArray[np.bool_]
    scatter: float
    caveats: tuple[str, ...]


def combine_responses(
    wave: Floats,
    log_response: Floats,
    variance: Floats,
    flags: NDArray[np.integer],
    names: list[str],
    *,
    grey_tolerance: float,
    colour_tolerance: float,
) -> Combination:
    """Combine the smooth responses of several stars.

    Clouds only dim: the level is that of the stars within ``grey_tolerance`` of the brightest, the
    colour that of all. With three stars or more, one whose colour departs from that of the others by
    more than ``colour_tolerance`` is left out.

    Parameters
    ----------
    wave : array (m,), Angstrom
    log_response, variance : array (s, m)
    flags : int array (s, m)
    names : list of str
        For the caveats.
    """
    band = (wave >= LEVEL_RANGE[0]) & (wave <= LEVEL_RANGE[1])
    level = np.mean(log_response[:, band], axis=1)
    shape = log_response - level[:, None]
    used, caveats = _reject(wave, shape, names, colour_tolerance)
    clear = used & (level >= level[used].max() - grey_tolerance)
    if not (clear == used).all():
        dim = ", ".join(
            f"{names[k]} {100 * (1 - np.exp(level[k] - level[clear].mean())):.0f} %"
            for k in np.flatnonzero(used & ~clear)
        )
        caveats.append(f"standards dimmed by clouds, used for the colour alone: {dim}")
    common = float(level[clear].mean())
    weight = np.where(used[:, None], 1.0 / np.maximum(variance, 1e-12), 0.0)
    # A sample that is extrapolated counts only where every star is.
    measured = (flags == 0) & used[:, None]
    weight = np.where(measured.any(axis=0) & ~measured, 0.0, weight)
    mean = np.sum(weight * shape, axis=0) / weight.sum(axis=0)
    scatter = _scatter(shape[used] - mean, band)
    total = 1.0 / weight.sum(axis=0)
    if np.count_nonzero(used) > 1:
        total = total + scatter**2 / np.count_nonzero(used)
    else:
        caveats.append(f"one standard alone ({names[int(np.argmax(used))]}): no independent error of the response")
    joined = np.where(measured.any(axis=0), 0, np.bitwise_or.reduce(np.asarray(flags)[used], axis=0))
    return Combination(
        mean + common, total, joined.astype(np.int32), np.exp(level - common), used, scatter, tuple(caveats)
    )


def _scatter(deviation: F8, band: NDArray[np.bool_]) -> float:
    """Root mean square of the deviations, corrected for the mean having been taken from the same stars."""
    count = deviation.shape[0]
    if count < 2:
        return float("nan")
    return float(np.sqrt(np.mean(deviation[:, band] ** 2) * count / (count - 1)))


def _reject(wave: Floats, shape: F8, names: list[str], tolerance: float) -> tuple[NDArray[np.bool_], list[str]]:
    """Leave out stars whose colour departs, the worst first, while three or more are left."""
    band = (wave >= 4000.0) & (wave <= 9000.0)
    used, caveats = np.ones(len(shape), dtype=bool), []
    while np.count_nonzero(used) > 2:
        middle = np.median(shape[used], axis=0)
        departure = np.sqrt(np.mean((shape - middle)[:, band] ** 2, axis=1)) * used
        worst = int(np.argmax(departure))
        if departure[worst] <= tolerance:
            break
        used[worst] = False
        caveats.append(f"standard {names[worst]} left out: its colour departs by {100 * departure[worst]:.0f} %")
    return used, caveats
