"""Whether darks that claim one integration time have it: hot pixels fill in proportion to time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracecube.core.fields import FloatArray

__all__ = ["unlike_darks"]

_HOT = 2e-3  # share of the pixels that are brightest in the mean of all
_FAR = 1.5  # times as bright or as faint as in the other frames; a dark current follows the temperature by per cents


def unlike_darks(images: Sequence[FloatArray], names: Sequence[str]) -> tuple[str, ...]:
    """Caveats on frames whose hot pixels are much brighter or fainter than those of the others.

    Parameters
    ----------
    images : sequence of array (y, x), adu
        Said to be darks of one integration time.
    names : sequence of str
    """
    if len(images) < 2:  # noqa: PLR2004 - nothing to compare with
        return ()
    mean = np.mean([np.nan_to_num(one) for one in images], axis=0)
    hot = mean >= np.quantile(mean, 1.0 - _HOT)
    level = np.array([float(np.nanmedian(one[hot]) - np.nanmedian(one)) for one in images])
    found = []
    for number, name in enumerate(names):
        others = float(np.nanmedian(np.delete(level, number)))
        ratio = level[number] / others if others > 0.0 else np.nan
        if ratio > _FAR or ratio < 1.0 / _FAR:
            found.append(
                f"{name}: its hot pixels are {ratio:.2g} times as bright as those of other darks of the same DIT "
                "(try: compare its card of the integration time with the log, or leave it out)"
            )
    return tuple(found)
