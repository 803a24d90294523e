"""Star centre: the satellite spots that were seen, where the model has them, and what is left, against wavelength."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.flags import NOT_USABLE
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre
from tracecube.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    OWN_NAMES,
    PURPLE,
    VERMILION,
    hexagons,
    legend_above,
    robust_limits,
    scale_bar,
    sheet,
    styled,
)

__all__ = ["centre_fit"]

_COLOURS = (BLUE, GREEN, PURPLE, ORANGE)  # one a spot


@styled
def centre_fit(centre: StarCentre, spectra: Spectra | None = None) -> Figure:
    """Draw spots and model over a channel, how far each spot is from the model, the star of single channels, fluxes."""
    figure = sheet(12.0, 5.9)
    parts = figure.subplot_mosaic([["field", "out", "star"], ["field", "along", "flux"]], width_ratios=[1.45, 1, 1])
    _field(parts["field"], centre, spectra)
    wave = centre.wave * 1e-4
    out, along, error = _polar(centre)
    for name, off in (("out", out), ("along", along)):
        _residuals(parts[name], wave, off, error)
        way = "outwards" if name == "out" else "along the circle"
        parts[name].set(xlabel="wavelength (µm)", ylabel=f"spot − model, {way} (mas)")
    _star(parts["star"], wave, centre)
    for spot in range(centre.spot_flux.shape[1]):
        light, noise = centre.spot_flux[:, spot], np.sqrt(centre.spot_variance[:, spot])
        _points(parts["flux"], wave, light, noise, _COLOURS[spot % len(_COLOURS)])
    parts["flux"].set(xlabel="wavelength (µm)", ylabel="flux of a spot (electron / Å)")
    return figure


def _polar(centre: StarCentre) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Offsets (n_wave, n_spot) of the spots from the model, away from the star and along the circle, and an error."""
    nothing = np.full(centre.spot_flux.shape, np.nan)
    x, y, dx, dy = centre.spot_x, centre.spot_y, centre.spot_dx, centre.spot_dy
    if x is None or y is None or dx is None or dy is None:
        return nothing, nothing, nothing
    x, y = x - centre.x[:, None], y - centre.y[:, None]
    radius = np.hypot(x, y)
    errors = centre.spot_dx_error, centre.spot_dy_error
    error = nothing if errors[0] is None or errors[1] is None else np.sqrt((errors[0] ** 2 + errors[1] ** 2) / 2.0)
    return (x * dx + y * dy) / radius, (x * dy - y * dx) / radius, error


def _star(ax: Axes, wave: NDArray[Any], centre: StarCentre) -> None:
    """Draw where the spots of each channel alone put the star: their mean, as they stand symmetric about it."""
    ax.axhline(0.0, color=GREY, lw=0.6)
    axes = (("x", centre.spot_dx, centre.spot_dx_error, BLUE), ("y", centre.spot_dy, centre.spot_dy_error, VERMILION))
    seen = [np.zeros(1)]
    for name, off, error, colour in axes:
        if off is not None and error is not None:
            used = np.where(np.isfinite(centre.spot_flux), off, np.nan)  # without one of them there is no symmetry
            mean, noise = 1e3 * used.mean(axis=1), 1e3 * np.sqrt((error**2).sum(axis=1)) / error.shape[1]
            _points(ax, wave, mean, noise, colour, name)
            seen.append(mean)
    reach = 1.5 * max(abs(limit) for limit in robust_limits(np.concatenate(seen), 2.0, 98.0)) or 1.0
    ax.set_ylim(-reach, reach)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc="upper left", ncols=2)
    ax.set(xlabel="wavelength (µm)", ylabel="star of one channel − of all (mas)")
    place = f"({1e3 * centre.centre_x:.2f}, {1e3 * centre.centre_y:.2f})"
    known = f"({1e3 * centre.centre_x_error:.2f}, {1e3 * centre.centre_y_error:.2f})"
    ax.set_title(f"Star {place} ± {known} mas")


def _points(
    ax: Axes, wave: NDArray[Any], values: NDArray[Any], error: NDArray[Any], colour: str, label: str = ""
) -> None:
    ax.errorbar(wave, values, error, fmt="o-", ms=2.2, lw=0.5, elinewidth=0.6, color=colour, label=label or None)


def _residuals(ax: Axes, wave: NDArray[Any], off: NDArray[Any], error: NDArray[Any]) -> None:
    """Draw how far each spot is from the model."""
    ax.axhline(0.0, color=GREY, lw=0.6)
    if not np.isfinite(off).any():
        ax.set_title("No places of single spots in the product")
        return
    for spot in range(off.shape[1]):
        _points(ax, wave, 1e3 * off[:, spot], 1e3 * error[:, spot], _COLOURS[spot % len(_COLOURS)])
    reach = 1.3 * max(abs(limit) for limit in robust_limits(1e3 * off, 2.0, 98.0))
    ax.set_ylim(-reach, reach)
    ax.set_title(f"rms {1e3 * np.sqrt(np.nanmean(off**2)):.2f} mas, median {1e3 * np.nanmedian(np.abs(off)):.2f} mas")


def _field(ax: Axes, centre: StarCentre, spectra: Spectra | None) -> None:
    """Draw the frame in its middle channel, the tracks of the spots over all channels, and the star."""
    middle = len(centre.wave) // 2
    if spectra is not None and spectra.wave.ndim == 1:
        channel = int(np.argmin(np.abs(spectra.wave - centre.wave[middle])))
        good = ((spectra.flags[:, channel] | spectra.dq) & NOT_USABLE) == 0
        light = np.where(good, spectra.flux[:, channel], np.nan)
        low, high = robust_limits(light, 1.0, 99.9)
        quarter, three = robust_limits(light, 15.87, 84.13)  # one sigma of a Gaussian on either side
        norm = AsinhNorm(linear_width=max(three - quarter, (high - low) / 100.0, 1e-9), vmin=low, vmax=high)
        cells = hexagons(ax, spectra.x, spectra.y, light, norm=norm, names=OWN_NAMES)
        scale_bar(
            cells, ax, f"flux at {spectra.wave[channel] * 1e-4:.3f} µm (electron / Å)", location="bottom", shrink=0.8
        )
    ax.plot(centre.x[middle], centre.y[middle], "+", color=VERMILION, ms=11, mew=1.2, label="star")
    ax.set(xlabel=OWN_NAMES[0], ylabel=OWN_NAMES[1])
    if centre.spot_x is not None and centre.spot_y is not None:
        for spot in range(centre.spot_x.shape[1]):
            x, y = centre.spot_x[:, spot], centre.spot_y[:, spot]
            colour = _COLOURS[spot % len(_COLOURS)]
            ax.plot(x, y, color=colour, lw=1.0)
            ax.plot(
                x[middle],
                y[middle],
                "o",
                mfc="none",
                mec=VERMILION,
                ms=9,
                mew=1.0,
                label="spot by the model" if not spot else None,
            )
            ax.text(
                x[-1],
                y[-1],
                f"{spot}",
                color="white",
                fontsize=9,
                ha="center",
                va="center",
                bbox={"boxstyle": "circle", "fc": colour, "lw": 0},
            )
    legend_above(ax)
