"""How much of each shape of a changing background is in one plane, told by pixels without other light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from tracecube.core.detector import Detector
from tracecube.core.fields import BoolArray, FloatArray, Meta
from tracecube.core.pixels import Background
from tracecube.kernels.lowrank import Coefficients, robust_fit
from tracecube.recipes.detector.array import CleanExposure

__all__ = ["FittedBackground", "fit_background"]

F8 = NDArray[np.float64]

_ROUNDS = 4  # fits, each with the spread of levels and rows that the last one found
_TINY = 1e-3  # electron: errors of levels and rows are not less
_LEAST = 500  # pixels: fewer do not tell amounts from what else may be in them


@dataclass(frozen=True)
class FittedBackground:
    """The background of one plane.

    Parameters
    ----------
    background : Background
        Electron in one integration.
    count : int
        Components used; 0 where too few pixels tell.
    before, after : float, electron
        Rms of the pixels that tell, about the mean background and about the fitted one; levels and rows taken off.
    reach : float
        Largest amount of a component, in its spread over the frames it was found in.
    """

    background: Background
    count: int = 0
    before: float = 0.0
    after: float = 0.0
    reach: float = 0.0

    def cards(self) -> Meta:
        """Header cards of the plane; none where the mean stands."""
        if self.count == 0:
            return {}
        return {
            "BGNCOMP": self.count,
            "BGRMSMN": round(self.before, 4),
            "BGRMS": round(self.after, 4),
            "BGREACH": round(self.reach, 3),
        }


def fit_background(
    clean: CleanExposure, detector: Detector, background: Background, clear: BoolArray
) -> FittedBackground:
    """Fit a background's components to the pixels of a plane that hold nothing else.

    Levels of outputs and the slow signal of rows, known by their reference pixels within an error, are fitted
    besides, and pixels of a row may have an error in common. The variance of the amounts, and what components
    leave of a frame that had no part in them, are added to the background's.

    Parameters
    ----------
    clean : CleanExposure
    detector : Detector
        Its outputs are strips of columns.
    background : Background
        Electron in one integration, with components.
    clear : bool array (y, x)
        Usable pixels away from spectra and star.
    """
    components, spread, left = background.components, background.spread, background.left
    clear = clear & ~detector.dark()  # pixels without a photodiode hold no background either
    if components is None or spread is None or left is None or int(clear.sum()) < _LEAST:
        return FittedBackground(background)
    values = np.asarray((clean.data - background.data)[clear], float)
    ivar = 1.0 / np.asarray((clean.noise(background.data) + background.variance)[clear], float)
    outputs = [(amplifier.data.x0, amplifier.data.x1) for amplifier in detector.amplifiers]
    try:
        found, readout = _amounts(clean, components, outputs, clear, (values, ivar))
    except np.linalg.LinAlgError:
        return FittedBackground(background)
    k = len(components)
    amounts, covariance = found.value[:k], found.covariance[:k, :k]
    kept = found.weight > 0
    seen = values - readout
    rest = seen - amounts @ np.asarray(components[:, clear], float)
    spreading = np.sum(np.tensordot(covariance, components, axes=1) * components, axis=0)
    fitted = replace(
        background,
        data=np.asarray(background.data + np.tensordot(amounts, components, axes=1), np.float32),
        variance=np.asarray(background.variance + spreading + left[-1] ** 2, np.float32),
    )
    return FittedBackground(
        fitted,
        count=k,
        before=float(np.sqrt(np.mean(seen[kept] ** 2))),
        after=float(np.sqrt(np.mean(rest[kept] ** 2))),
        reach=float(np.max(np.abs(amounts) / spread)),
    )


def _amounts(
    clean: CleanExposure,
    components: FloatArray,
    outputs: Sequence[tuple[int, int]],
    clear: BoolArray,
    measured: tuple[F8, F8],
) -> tuple[Coefficients, F8]:
    """Fit amounts of components, levels of outputs and what is left of rows; ``measured``: values, inverse variances.

    Returns the coefficients, and levels and rows in the pixels (n,). How much is left in levels and rows is
    estimated with them (variance components, Dempster et al. 1977): the reference pixels tell it roughly.
    """
    row, column = np.nonzero(clear)
    shapes = np.asarray(components[:, clear], float).T
    levels = csr_array(np.stack([(column >= a) & (column < b) for a, b in outputs], axis=1).astype(float))
    slow = _slow_rows(row, clean.stripes.width, clear.shape[0])
    k, n = shapes.shape[1], len(outputs)
    gain = clean.exposure.gain
    spreads = [max(clean.stripes.offset_error * gain, _TINY), max(clean.stripes.row_error * gain, _TINY)]
    parts = slice(k, k + n), slice(k + n, None)
    design = csr_array(hstack([csr_array(shapes), levels, slow]))
    for _ in range(_ROUNDS):
        prior = np.concatenate([np.zeros(k), np.full(n, spreads[0] ** -2), np.full(slow.shape[1], spreads[1] ** -2)])
        found = robust_fit(*measured, design=design, prior=prior, group=row)
        square = found.value**2 + np.diag(found.covariance)
        spreads = [max(float(np.mean(square[part])) ** 0.5, _TINY) if square[part].size else 1.0 for part in parts]
    return found, np.asarray(design[:, k:] @ found.value[k:])


def _slow_rows(row: NDArray[np.intp], width: float, rows: int) -> csr_array:
    """Straight lines between knots along the rows, as far apart as errors of a series smoothed to a width are alike."""
    if width == 0.0:
        return csr_array((row.size, 0))
    # a smoothed series' errors correlate by exp(-d^2 / 4 w^2), whose integral is 3.5 w
    place = row / max(3.5 * width, 1.0)
    low = np.floor(place).astype(np.intp)
    share = place - low
    pixel = np.arange(row.size)
    shape = row.size, int(np.ceil(rows / max(3.5 * width, 1.0))) + 1
    return csr_array((np.r_[1.0 - share, share], (np.r_[pixel, pixel], np.r_[low, low + 1])), shape=shape)
