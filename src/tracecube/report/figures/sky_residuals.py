"""What the sky leaves in the fibres of a bundle, by amplifier and exposure."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.fibres import FibreSpectra
from tracecube.report.figures.style import BLUE, DIVERGING, GREY, ORANGE, SKY, legend_above, sheet, styled

__all__ = ["sky_residuals"]

_MOST = 12  # amplifiers and exposures that are drawn, evenly among all
_BIN = 8  # px along the spectra of the picture: more than a screen has
_COARSE = 48  # px, about 100 Angstrom
_FAINT = 0.02  # of the sky: fibres within it of nothing see no source


@styled
def sky_residuals(spectra: FibreSpectra) -> Figure:
    """Draw pulls of all fibres in order, their width by amplifier, and the mean residual against the sky's spectrum."""
    about = zip(spectra.ifuslot, np.asarray(spectra.amp).astype(str), spectra.exp, strict=True)
    name = np.array([f"{slot:03d}{amp} {exp}" for slot, amp, exp in about])
    names = np.unique(name)
    chosen = names[np.unique(np.linspace(0, names.size - 1, _MOST).astype(int))]
    pull, blank, relative = _pulls(spectra)
    figure = sheet(9.6, 7.0)
    panels = figure.subplot_mosaic(
        [["map", "map"], ["mean", "hist"]], height_ratios=[1.5, 1.0], width_ratios=[1.7, 1.0]
    )
    rows = np.concatenate([np.flatnonzero(name == one) for one in chosen])
    image = _binned(pull[rows])
    panels["map"].imshow(image, cmap=DIVERGING, vmin=-4, vmax=4, aspect="auto", extent=(0, pull.shape[1], 0, rows.size))
    edges = np.cumsum([np.count_nonzero(name == one) for one in chosen])
    for edge in edges[:-1]:
        panels["map"].axhline(edge, color="k", lw=0.6)
    middles = edges - 0.5 * np.diff(np.concatenate([[0], edges]))
    panels["map"].set_yticks(middles, list(chosen))
    panels["map"].set(
        xlabel="x (pixel), blue to red", title=f"Residual / error, mean of {_BIN} pixels times root {_BIN}"
    )
    widths = []
    grid = np.linspace(-5.0, 5.0, 81)
    for one in names:
        mine = pull[(name == one) & blank]
        mine = mine[np.isfinite(mine) & (np.abs(mine) < 6.0)]
        if mine.size > 500:  # noqa: PLR2004 - samples that make a histogram
            panels["hist"].stairs(np.histogram(mine, grid, density=True)[0], grid, color=SKY, lw=0.8)
            widths.append(float(mine.std()))
    panels["hist"].plot(grid, np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi), color=ORANGE, lw=1.2)
    told = f"{min(widths):.3f} to {max(widths):.3f}" if widths else "not known"
    panels["hist"].set(xlabel="residual / error", yscale="log", ylim=(1e-4, 1), title=f"Blank fibres: widths {told}")
    wave = np.nanmedian(spectra.wave[blank], axis=0) if blank.any() else np.arange(pull.shape[1])
    panels["mean"].axhline(0.0, color=GREY, lw=0.6)
    panels["mean"].plot(wave, 100.0 * relative, color=SKY, lw=0.5, label="pixels")
    coarse = relative[: relative.size // _COARSE * _COARSE].reshape(-1, _COARSE)
    centres = wave[: coarse.size].reshape(-1, _COARSE).mean(axis=1)
    known = np.isfinite(coarse)
    together = np.where(known, coarse, 0.0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    panels["mean"].plot(centres, 100.0 * together, "o-", ms=3, color=BLUE, label=f"{_COARSE} pixels together")
    legend_above(panels["mean"], columns=2)
    reach = float(np.nanpercentile(np.abs(relative[relative.size // 4 :]), 98)) if np.isfinite(relative).any() else 0.01
    panels["mean"].set(
        xlabel="wavelength (Angstrom)", ylabel="per cent of the sky",
        title=f"Mean of {int(blank.sum())} blank fibres", ylim=(-150.0 * reach, 150.0 * reach),
    )  # fmt: skip
    return figure


def _pulls(spectra: FibreSpectra) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Residuals over errors, which fibres see no source, and their mean residual over the sky."""
    good = (spectra.flags == 0) & (spectra.dq == 0)[:, None] & (spectra.variance > 0) & np.isfinite(spectra.flux)
    pull = np.where(good, spectra.flux / np.sqrt(np.where(good, spectra.variance, 1.0)), np.nan)
    sky = np.asarray(spectra.sky if spectra.sky is not None else np.ones_like(spectra.flux), float)
    total, below = (np.where(good, plane, 0.0).sum(axis=1) for plane in (spectra.flux, sky))
    share = np.where(below > 0, total / np.where(below > 0, below, 1.0), np.inf)
    blank = np.abs(share) < _FAINT
    weight = good & blank[:, None]
    under = np.where(weight, sky, 0.0).sum(axis=0)
    mean = np.where(weight, spectra.flux, 0.0).sum(axis=0)
    return pull, blank, np.where(under > 0, mean / np.where(under > 0, under, 1.0), np.nan)


def _binned(pull: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = pull[:, : pull.shape[1] // _BIN * _BIN].reshape(len(pull), -1, _BIN)
    count = np.isfinite(whole).sum(axis=2)
    return np.where(count > 0, np.nansum(whole, axis=2) / np.sqrt(np.maximum(count, 1)), np.nan)
