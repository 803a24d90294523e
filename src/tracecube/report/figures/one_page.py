"""One page of an extraction: where it was, how the point source was fitted, its spectrum, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from tracecube.core.spectra import Spectra, Spectrum
from tracecube.core.spectral_type import SpectralType
from tracecube.core.target import PointSourceFit, Target
from tracecube.report.figures.spaxel_image import band_image
from tracecube.report.figures.spectral_type import draw_match, words_of
from tracecube.report.figures.style import (
    BLUE,
    DIVERGING,
    GREY,
    SKY,
    VERMILION,
    hexagons,
    outline,
    robust_limits,
    sheet,
    styled,
)

__all__ = ["one_page", "thumbnail"]

_SIGMAS = 5.0  # range of the residual map
_SKY = 10.0  # percentile of the model that is taken as sky
_PER_COLUMN = 12  # lines of text beside the pictures, at least
_LONGEST = 26  # letters of a line


@styled
def one_page(
    title: str,
    said: Sequence[tuple[str, str]],
    target: Target,
    spectra: Spectra | None = None,
    fit: PointSourceFit | None = None,
    *,
    spectrum: Spectrum | None = None,
    typed: SpectralType | None = None,
) -> Figure:
    """Draw field, fit in one band, spectrum, the best template if it was typed, and the numbers in words.

    Parameters
    ----------
    title : str
    said : sequence of (str, str)
        What is told, name and value.
    """
    figure = sheet(11.0, 6.6)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    parts = figure.subplot_mosaic(
        [
            ["field", "data", "model", "text"],
            ["field", "rest", "blank", "text"],
            ["flux", "flux", "flux", "flux"] if typed is None else ["flux", "flux", "match", "match"],
        ],
        width_ratios=[2.1, 1.0, 1.0, 1.7],
        height_ratios=[1.0, 1.0, 1.7],
    )
    for name in ("blank", "text"):
        parts[name].set_axis_off()
    _field(parts["field"], spectra, fit, target)
    _fit(parts["data"], parts["model"], parts["rest"], fit)
    _words(parts["text"], said)
    if typed is not None:
        draw_match(parts["match"], typed)
        parts["match"].set_title(words_of(typed, "\n"))
    if spectrum is None:
        _nothing(parts["flux"], "no spectrum was extracted")
    else:
        _flux(parts["flux"], spectrum)
    return figure


@styled
def thumbnail(spectrum: Spectrum) -> Figure:
    """Draw a spectrum small, for a line of a table."""
    figure = sheet(2.6, 0.9)
    ax = figure.subplots()
    wave, flux, _, _ = _curve(spectrum)
    ax.step(wave, flux, where="mid", color=BLUE, lw=0.8)
    ax.axhline(0.0, color=GREY, lw=0.4)
    low, high = robust_limits(flux, 0.5, 99.8)
    ax.set_ylim(min(low, 0.0), high + 0.08 * (high - low))
    ax.set(yticks=[], xticks=[4000, 6000, 8000])
    ax.tick_params(labelsize=6, length=2, pad=1)
    ax.spines["left"].set_visible(False)
    return figure


def _nothing(ax: Axes, text: str) -> None:
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", color=GREY, transform=ax.transAxes)


def _words(ax: Axes, said: Sequence[tuple[str, str]]) -> None:
    """Write names and values under each other, long ones in several lines."""
    lines = []
    for name, value in said:
        pieces = wrap(value, _LONGEST) or [""]
        lines += [(name if piece == 0 else "", text) for piece, text in enumerate(pieces)]
    step = 1.0 / max(len(lines), _PER_COLUMN)
    for line, (name, value) in enumerate(lines):
        y = 1.0 - line * step
        ax.text(0.0, y, name, color=GREY, va="top", transform=ax.transAxes)
        ax.text(0.36, y, value, va="top", transform=ax.transAxes)


def _field(ax: Axes, spectra: Spectra | None, fit: PointSourceFit | None, target: Target) -> None:
    """Draw every spaxel with the region, the width and the place."""
    if spectra is None:
        _nothing(ax, "no spectra of the field")
        return
    light = band_image(spectra)
    low, high = robust_limits(light, 1.0, 99.9)
    quarter, three = robust_limits(light, 15.87, 84.13)
    norm = AsinhNorm(linear_width=max(three - quarter, (high - low) / 100.0, 1e-9), vmin=low, vmax=high)
    hexagons(ax, spectra.x, spectra.y, light, norm=norm)
    where, marks = "field", []
    if fit is not None:
        marks.append("region (white), FWHM (circle)")
        outline(ax, fit.x, fit.y, fit.used != 0, blank=np.isnan(fit.data).all(axis=0), colors="white", linewidths=0.9)
        if len(fit.wave):
            half = len(fit.wave) // 2
            seat = (float(fit.centre_x[half]), float(fit.centre_y[half]))
            ax.add_patch(Circle(seat, float(fit.fwhm[half]) / 2, fill=False, color=VERMILION, lw=1.0))
    if np.isfinite([target.x, target.y]).all():
        inside = np.hypot(target.x - spectra.x, target.y - spectra.y).min() < np.ptp(spectra.x) / 10.0
        where += f"; target by {target.source_position}{' (+)' if inside else ', outside'}"
        if inside:
            ax.plot(target.x, target.y, "+", color=VERMILION, ms=12, mew=1.1)
    ax.set_title("\n".join([where, *marks]))


def _fit(data_at: Axes, model_at: Axes, rest_at: Axes, fit: PointSourceFit | None) -> None:
    """Draw data, model and residual over sigma in the middle band."""
    axes = (data_at, model_at, rest_at)
    if fit is None or not len(fit.wave):
        for ax in axes:
            ax.set_axis_off()
        return
    band = len(fit.wave) // 2
    seen = fit.used != 0 if (fit.used != 0).any() else np.ones(len(fit.x), bool)
    x, y = fit.x[seen], fit.y[seen]
    finite = np.isfinite(fit.model[band][seen]).any()
    sky = np.nanpercentile(fit.model[band][seen], _SKY) if finite else 0.0
    data, model = fit.data[band][seen] - sky, fit.model[band][seen] - sky
    low, high = robust_limits(data, 1.0, 99.7)
    norm = AsinhNorm(linear_width=max((high - low) / 20.0, 1e-9), vmin=low, vmax=high)
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = (data - model) / np.sqrt(fit.variance[band][seen])
    hexagons(data_at, x, y, data, norm=norm)
    hexagons(model_at, x, y, model, norm=norm)
    hexagons(rest_at, x, y, pull, norm=Normalize(-_SIGMAS, _SIGMAS), cmap=DIVERGING)
    rms = np.sqrt(np.nanmean(pull**2)) if np.isfinite(pull).any() else np.nan
    titles = (f"data, {fit.wave[band]:.0f} Å", "model", f"residual / $\\sigma$, rms {rms:.2f}")
    for ax, title in zip(axes, titles, strict=True):
        ax.set(title=title, xlabel="", ylabel="", xticks=[], yticks=[])


def _curve(spectrum: Spectrum) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], str]:
    """Return wavelength, good flux and its error (NaN elsewhere) in a power of ten, and the unit."""
    calibrated = bool(np.isfinite(spectrum.flux).any())
    flux, variance = (spectrum.flux, spectrum.variance)
    if not calibrated:
        flux, variance = spectrum.flux_uncal, spectrum.variance_uncal
    good = (spectrum.flags == 0) & np.isfinite(flux)
    top = float(np.nanmax(np.abs(flux[good]))) if good.any() else 0.0
    power = int(np.floor(np.log10(top))) if calibrated and top > 0.0 else 0
    unit = f"$10^{{{power}}}$ erg s$^{{-1}}$ cm$^{{-2}}$ Å$^{{-1}}$" if calibrated else "electron s$^{-1}$ Å$^{-1}$"
    shown = np.where(good, flux, np.nan) / 10.0**power
    return spectrum.wave, shown, np.sqrt(variance) / 10.0**power, unit


def _flux(ax: Axes, spectrum: Spectrum) -> None:
    """Draw the good samples in their error band."""
    wave, flux, sigma, unit = _curve(spectrum)
    ax.fill_between(wave, flux - sigma, flux + sigma, step="mid", color=SKY, alpha=0.6, lw=0)
    ax.step(wave, flux, where="mid", color=BLUE, lw=0.9)
    ax.axhline(0.0, color=GREY, lw=0.5)
    low, high = robust_limits(np.concatenate([flux - sigma, flux + sigma]), 0.5, 99.8)
    ax.set_ylim(min(low, 0.0) - 0.04 * (high - low), high + 0.06 * (high - low))
    ax.set_xlim(float(wave.min()), float(wave.max()))
    medium = "air" if spectrum.medium == "AWAV" else "vacuum"
    ax.set(xlabel=f"{medium} wavelength (Å)", ylabel=f"flux ({unit})")
