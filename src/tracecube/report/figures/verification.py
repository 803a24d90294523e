"""Verification picture of a target: field, finder, point-source fit and spectrum on one sheet."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon
from numpy.typing import NDArray

from tracecube.core.fields import Meta
from tracecube.core.finder import Finder
from tracecube.core.spectra import Spectra, Spectrum
from tracecube.core.spectral_type import SpectralType
from tracecube.core.target import PointSourceFit, Target
from tracecube.report.figures.spaxel_image import band_image
from tracecube.report.figures.spectral_type import draw_match, words_of
from tracecube.report.figures.spectrum import draw_spectrum
from tracecube.report.figures.style import (
    DIVERGING,
    GREY,
    NOTHING,
    SEQUENTIAL,
    SKY_NAMES,
    VERMILION,
    hexagons,
    outline,
    robust_limits,
    sheet,
    styled,
)

__all__ = ["RED", "scale_of", "time_stamp", "verification"]

RED = "#E00000"
"""Of the marks that the observatory's users know as red."""

_STAMP = re.compile(r"\d{8}_(\d{2}_\d{2}_\d{2})$")
_BAND = (5500.0, 8000.0)  # Angstrom: of the one slice of the fit that is shown, where these spectra are brightest
_PALE = ListedColormap(colormaps[SEQUENTIAL](np.linspace(0.3, 1.0, 256)))  # black dots are seen on all of it
_SIGMAS = 5.0  # range of the residual map


def time_stamp(meta: Meta) -> str:
    """Return the time in the name of the raw file (HH_MM_SS), by which people call an exposure; else its whole name.

    Examples
    --------
    >>> time_stamp({"RAWNAME": "ifu20210421_10_47_05"})
    '10_47_05'
    """
    name = str(meta.get("RAWNAME") or "")
    found = _STAMP.search(name)
    return found[1] if found else name


@styled
def verification(
    spectra: Spectra,
    target: Target,
    fit: PointSourceFit | None = None,
    finder: Finder | None = None,
    source: Spectrum | None = None,
    typed: SpectralType | None = None,
) -> Figure:
    """Draw what a person looks at to believe an extraction.

    Upper left the field with the spaxels used (black dots) and the place: a red cross (X) where the guider gave it, a
    red circle where brightness did, a black cross where a person did. Upper right what the guider saw, with a red
    right angle at the target. Lower left data, model and residual of the fit, lower right the spectrum: of a standard
    with the flux it is known to have, of a typed target with the template that fits best.
    """
    figure = sheet(11.0, 8.8)
    parts: Any = figure.subfigures(2, 2, height_ratios=[1.35, 1.0], width_ratios=[1.1, 1.0])
    _field(parts[0, 0].subplots(), spectra, target, fit)
    _finder(parts[0, 1].subplots(), finder)
    _fit(parts[1, 0], fit)
    _spectrum_and_type(parts[1, 1], source, target, typed)
    meta = target.meta
    line = f"{time_stamp(meta)}   {target.object}   quality {target.quality}: {target.reason}"
    figure.suptitle(f"{line}\n{_how(target)}", x=0.01, ha="left", fontsize=11)
    return figure


def _how(target: Target) -> str:
    """Who extracted the target, and how."""
    words = {"astrom": "place from the guider", "auto": "place by brightness", "brightest": "place by brightness"}
    place = words.get(target.source_position, "place by hand")
    meta = target.meta
    made = f"{meta.get('EXTRTAG') or 'robot'}, by {meta.get('REDUCER') or 'auto'}"
    how = f", {meta['EXTRACT']}" if meta.get("EXTRACT") else ""
    where = f" ({target.x:.2f}, {target.y:.2f} arcsec)" if math.isfinite(target.x) else ""
    return f"{place}{where}{how}   [{made}]"


def _field(ax: Axes, spectra: Spectra, target: Target, fit: PointSourceFit | None) -> None:
    flux = band_image(spectra)
    colours, norm = scale_of(flux)
    hexagons(ax, spectra.x, spectra.y, flux, norm=norm, cmap=colours, names=SKY_NAMES)
    if fit is not None:
        used = fit.used != 0
        ax.plot(fit.x[used], fit.y[used], ".", color="black", ms=2.6, mew=0)
        outline(ax, fit.x, fit.y, used, blank=np.isnan(fit.data).all(axis=0), colors="white", linewidths=1.2)
    _mark(ax, target)
    ax.set_title("IFU: spaxels used (dots), centroid")


def scale_of(flux: NDArray[Any]) -> tuple[Colormap, Normalize]:
    """Return colours and their scale for the light (n,) of the spaxels: the ground is linear, what is bright is not."""
    low, high = robust_limits(flux, 1.0, 99.9)
    quarter, three = robust_limits(flux, 15.87, 84.13)  # one sigma of a Gaussian on either side
    return _PALE, AsinhNorm(linear_width=max(three - quarter, (high - low) / 100.0, 1e-9), vmin=low, vmax=high)


def _mark(ax: Axes, target: Target) -> None:
    """Mark the centroid as the observatory does: how it was found is seen at a glance."""
    if not (math.isfinite(target.x) and math.isfinite(target.y)):
        return
    place = (target.x, target.y)
    far = max(abs(value) for value in place)
    reach = max(*map(abs, ax.get_xlim()), *map(abs, ax.get_ylim()))
    if far > reach:  # outside the field, and to be seen there
        ax.set_xlim(1.05 * far, -1.05 * far)
        ax.set_ylim(-1.05 * far, 1.05 * far)
    if target.source_position in {"auto", "brightest"}:
        ax.add_patch(Circle(place, 0.8, fill=False, color=RED, lw=1.6))
    elif target.source_position == "astrom":
        ax.plot(*place, "x", color=RED, ms=13, mew=1.8)
    else:
        ax.plot(*place, "+", color="white", ms=17, mew=3.6)
        ax.plot(*place, "+", color="black", ms=15, mew=1.8)


def _finder(ax: Axes, finder: Finder | None) -> None:
    """Draw the guider's view, dark where there is light, with the target's right angle."""
    if finder is None:
        _nothing(ax, "no guide frame during this exposure")
        return
    low, high = robust_limits(finder.data, 2.0, 99.7)
    norm = AsinhNorm(linear_width=max((high - low) / 12.0, 1e-6), vmin=low, vmax=high)
    rows, columns = finder.data.shape
    known = math.isfinite(finder.x) and math.isfinite(finder.y)
    zero = (finder.x, finder.y) if known else (finder.field_x, finder.field_y)
    extent = (
        (zero[0] + 0.5) * finder.scale,
        (zero[0] - columns + 0.5) * finder.scale,
        (-0.5 - zero[1]) * finder.scale,
        (rows - 0.5 - zero[1]) * finder.scale,
    )
    ax.set_facecolor(NOTHING)
    ax.imshow(np.ma.masked_invalid(finder.data), cmap="Greys", norm=norm, extent=extent)
    ax.add_patch(_field_of(finder, zero))
    if known:
        ax.plot([-2.0, -9.0], [0.0, 0.0], color=RED, lw=1.8)  # to the west, and
        ax.plot([0.0, 0.0], [2.0, 9.0], color=RED, lw=1.8)  # to the north: the target is where they would meet
    middle = "target" if known else "middle of the field"
    ax.set(xlabel=f"east of the {middle} (arcsec)", ylabel="north (arcsec)", xlim=extent[:2], ylim=extent[2:])
    seen = "target (red angle)" if known else "no astrometry"
    ax.set_title(f"guider {finder.frames}: {seen}, field (dashed)")


def _field_of(finder: Finder, zero: tuple[float, float]) -> Polygon:
    """Outline of the spectrograph's field, as it lies on the frame."""
    turn = np.radians(0.0 if math.isnan(finder.rotation) else finder.rotation)
    corners: NDArray[Any] = finder.field_size / 2.0 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    turned = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    middle = np.array([zero[0] - finder.field_x, finder.field_y - zero[1]]) * finder.scale
    return Polygon(turned + middle, closed=True, fill=False, color=VERMILION, ls="--", lw=0.9)


def _fit(part: Any, fit: PointSourceFit | None) -> None:
    """Draw data, model and residual of the brightest slice."""
    axes = part.subplots(1, 3, sharex=True, sharey=True)
    if fit is None:
        for ax in axes[[0, 2]]:
            ax.set_axis_off()
        _nothing(axes[1], "no extraction")
        return
    inside = np.flatnonzero((fit.wave >= _BAND[0]) & (fit.wave <= _BAND[1]))
    band = int(inside[np.argmax(np.nanmax(fit.model[inside], axis=1))]) if inside.size else len(fit.wave) // 2
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = (fit.data[band] - fit.model[band]) / np.sqrt(fit.variance[band])
    low, high = robust_limits(fit.data[band], 1.0, 99.7)
    norm = AsinhNorm(linear_width=max((high - low) / 20.0, 1e-9), vmin=low, vmax=high)
    rms = float(np.sqrt(np.nanmean(pull**2))) if np.isfinite(pull).any() else math.nan
    names = (f"data, {fit.wave[band]:.0f} Å", f"model, FWHM {fit.fwhm[band]:.2f}″")
    for ax, values, name in zip(axes, (fit.data[band], fit.model[band]), names, strict=False):
        hexagons(ax, fit.x, fit.y, values, norm=norm)
        ax.set_title(name)
    hexagons(axes[2], fit.x, fit.y, pull, norm=Normalize(-_SIGMAS, _SIGMAS), cmap=DIVERGING)
    axes[2].set_title(f"residual / $\\sigma$, rms {rms:.2f}")
    for ax in axes:
        ax.plot(fit.centre_x[band], fit.centre_y[band], "+", color=VERMILION, ms=8, mew=0.9)
        ax.label_outer()


def _spectrum_and_type(part: Any, source: Spectrum | None, target: Target, typed: SpectralType | None) -> None:
    """Draw the spectrum, and below it the template of a typed target."""
    if typed is None:
        _spectrum(part.subplots(), source, target)
        return
    upper, lower = part.subplots(2, 1, sharex=True, height_ratios=[1.0, 1.1])
    _spectrum(upper, source, target)
    upper.set_title(f"{upper.get_title(loc='left')}, {upper.get_ylabel()}")
    upper.set(xlabel="", ylabel="flux")
    draw_match(lower, typed)
    low, high = lower.get_ylim()
    lower.set(ylim=(low, high + 0.3 * (high - low)), ylabel="over continuum")  # room for the legend
    lower.set_title(words_of(typed))
    lower.legend(loc="upper right", ncols=2)


def _spectrum(ax: Axes, source: Spectrum | None, target: Target) -> None:
    """Draw the spectrum, and of a standard star what it should be."""
    if source is None:
        _nothing(ax, f"no spectrum: {target.reason}")
        return
    scale, unit = draw_spectrum(ax, source)
    title = "spectrum"
    if source.reference is not None:
        ax.plot(source.wave, source.reference / scale, color="black", lw=1.1, ls="--", label="reference")
        both = (source.flags == 0) & np.isfinite(source.reference) & (source.wave > 4000) & (source.wave < 9000)
        ratio = source.flux[both] / source.reference[both]
        title = f"flux / reference {np.median(ratio):.3f} ± {np.std(ratio):.3f}" if both.any() else title
    ax.legend(loc="upper right", ncols=3)
    ax.set(xlabel=f"{'air' if source.medium == 'AWAV' else 'vacuum'} wavelength (Å)", ylabel=f"flux ({unit})")
    ax.set_title(title)


def _nothing(ax: Axes, why: str) -> None:
    """Say in the picture's place why there is none."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", color=GREY)
