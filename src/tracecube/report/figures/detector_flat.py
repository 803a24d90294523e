"""Detector flat: the response of every pixel, and which pixels are bad."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.flags import NOT_USABLE
from tracecube.core.pixels import DetectorFlat
from tracecube.report.figures.style import BLUE, SEQUENTIAL, VERMILION, robust_limits, sheet, styled

__all__ = ["detector_flat"]

_FINE = 512  # drawn pixels along the longer side of the detector
_BLOCK = 64  # pixels along a side in which bad ones are counted
_NEAR = 96  # pixels of the close-up


@styled
def detector_flat(flat: DetectorFlat) -> Figure:
    """Draw the response over the detector and close by, bad pixels red; where those are, and the distribution."""
    figure = sheet(12.0, 5.2)
    parts = figure.subplot_mosaic([["all", "near", "bad"], ["all", "spread", "spread"]], width_ratios=[1.9, 1, 1.15])
    bad = ((flat.flags & NOT_USABLE) != 0) | ~np.isfinite(flat.data)
    response = np.where(bad, np.nan, flat.data)
    norm = Normalize(*robust_limits(response, 1.0, 99.0))
    step = max(1, -(-max(response.shape) // _FINE))
    height, width = response.shape
    picture = _image(parts["all"], _binned(response, step), norm, (-0.5, width - 0.5, -0.5, height - 0.5))
    parts["all"].set_title(f"Response at {flat.reference * 1e-4:.3f} µm, means of {step} × {step} good pixels")
    figure.colorbar(picture, ax=parts["all"], label="response (relative)", shrink=0.8, pad=0.01)
    y, x = (max(0, (length - _NEAR) // 2) for length in response.shape)
    near = response[y : y + _NEAR, x : x + _NEAR]
    _image(parts["near"], near, norm, (x - 0.5, x + near.shape[1] - 0.5, y - 0.5, y + near.shape[0] - 0.5))
    parts["near"].set_title("Close-up; bad pixels red")
    _share(parts["bad"], bad)
    _spread(parts["spread"], response, flat.variance)
    return figure


def _share(ax: Axes, bad: NDArray[np.bool_]) -> None:
    """Draw how many pixels are bad in blocks of the detector."""
    side = max(1, min(_BLOCK, *bad.shape))
    share = 100.0 * _binned(bad.astype(np.float64), side)
    extent = (-0.5, share.shape[1] * side - 0.5, -0.5, share.shape[0] * side - 0.5)
    picture = ax.imshow(share, norm=Normalize(0.0, robust_limits(share, 0.0, 99.0)[1]), cmap="cividis", extent=extent)
    ax.figure.colorbar(picture, ax=ax, label=f"bad of {side} × {side} pixels (%)", shrink=0.85, pad=0.02)
    ax.set(xlabel="x (pixel)", ylabel="y (pixel)", title=f"{100 * bad.mean():.2f} % of all pixels are bad")


def _image(ax: Axes, values: NDArray[Any], norm: Normalize, extent: tuple[float, float, float, float]) -> Any:
    colours = colormaps[SEQUENTIAL].with_extremes(bad=VERMILION)
    picture = ax.imshow(np.ma.masked_invalid(values), norm=norm, cmap=colours, extent=extent)
    ax.set(xlabel="x (pixel)", ylabel="y (pixel)")
    return picture


def _binned(values: NDArray[Any], step: int) -> NDArray[np.float64]:
    """Return means of the finite values in blocks of ``step`` pixels; NaN where there is none."""
    height, width = (length // step * step for length in values.shape)
    blocks = values[:height, :width].reshape(height // step, step, width // step, step)
    known = np.isfinite(blocks)
    count = known.sum(axis=(1, 3))
    total = np.where(known, blocks, 0.0).sum(axis=(1, 3), dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _spread(ax: Axes, response: NDArray[Any], variance: NDArray[Any]) -> None:
    """Draw how the response of good pixels is distributed, and say how well each is known."""
    good = np.isfinite(response)
    seen = response[good]
    low, high = robust_limits(seen, 0.1, 99.9)
    ax.hist(seen, bins=np.linspace(low, high, 101).tolist(), color=BLUE)
    ax.set_yscale("log")
    quarter, three = robust_limits(seen, 15.87, 84.13)  # one sigma of a Gaussian on either side
    error = float(np.median(np.sqrt(variance[good]))) if good.any() else np.nan
    ax.set(xlabel="response (relative)", ylabel="pixels")
    ax.set_title(f"68 % within ± {50 * (three - quarter):.2f} %; error of a pixel {100 * error:.2f} %")
