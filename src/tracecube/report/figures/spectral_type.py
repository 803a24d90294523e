"""What a spectrum was classified as: the best fit, and how probable types and redshifts are."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracecube.core.spectral_type import SpectralType
from tracecube.report.figures.style import (
    BLUE,
    GREY,
    NOTHING,
    SKY,
    VERMILION,
    legend_above,
    robust_limits,
    sheet,
    styled,
)

__all__ = ["draw_match", "spectral_type", "words_of"]

_SHOWN = 7  # types


@styled
def spectral_type(found: SpectralType) -> Figure:
    """Draw the flattened spectrum with the best template of its type, and probabilities beside it."""
    figure = sheet(8.6, 4.0)
    grid = figure.add_gridspec(2, 2, width_ratios=[3.2, 1])
    ax = figure.add_subplot(grid[:, 0])
    draw_match(ax, found)
    ax.set_title(f"{found.meta.get('OBJECT') or ''} {words_of(found, chr(10))}".lstrip())
    legend_above(ax, columns=1)
    _types(figure.add_subplot(grid[0, 1]), found)
    _redshifts(figure.add_subplot(grid[1, 1]), found)
    return figure


def words_of(found: SpectralType, between: str = ", ") -> str:
    """Return what the target was found to be: type and, after ``between``, redshift, age and strength of the match."""
    age = f", {found.age:+.0f} ± {found.age_error:.0f} d" if np.isfinite(found.age) else ""
    redshift = f"z = {found.z:.4f} ± {found.z_error:.4f}{age}, rlap {found.snid_rlap:.1f}"
    return f"{found.type} ({found.subtype}) {found.probability:.0%}{between}{redshift}"


def draw_match(ax: Axes, found: SpectralType) -> None:
    """Draw the flattened spectrum with the best template of its type."""
    ax.fill_between(
        found.wave, found.value - found.error, found.value + found.error, step="mid", color=SKY, alpha=0.5, lw=0
    )
    ax.step(found.wave, found.value, where="mid", color=BLUE, lw=0.9, label="spectrum")
    label = f"{found.snid_template} and {found.host_share:.0%} host" if found.host_share > 0.0 else found.snid_template
    ax.plot(found.wave, found.model, color=VERMILION, lw=1.1, label=label)
    ax.axhline(0.0, color=GREY, lw=0.5)
    low, high = robust_limits(np.concatenate([found.value, found.model]), 0.3, 99.7)
    ax.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    ax.set(xlabel="wavelength (Å)", ylabel="flux over continuum, less 1")


def _types(ax: Axes, found: SpectralType) -> None:
    names = list(dict.fromkeys(str(name) for name in found.kind_type))
    shares = np.array([found.kind_probability[found.kind_type == name].sum() for name in names])
    order = np.argsort(-shares)[:_SHOWN][::-1]
    colours = [VERMILION if names[k] == found.type else NOTHING for k in order]
    ax.barh([names[k] for k in order], shares[order], color=colours)
    ax.set(xlim=(0.0, 1.0), xlabel="probability")


def _redshifts(ax: Axes, found: SpectralType) -> None:
    ax.step(found.redshift, found.redshift_probability, where="mid", color=GREY, lw=0.9)
    ax.axvline(found.z, color=VERMILION, lw=0.8)
    ax.set(xlabel="redshift", ylabel="probability", xlim=(0.0, float(found.redshift.max())))
