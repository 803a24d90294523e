"""Point-source fit: data, model and residual in a few broad bands."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure

from tracecube.core.target import PointSourceFit
from tracecube.report.figures.style import DIVERGING, VERMILION, hexagons, robust_limits, scale_bar, sheet, styled

__all__ = ["psf_fit"]

_BANDS = 4  # columns; more are too small to see
_SKY = 10.0  # percentile of the model that is taken as sky
_SIGMAS = 5.0  # range of the residual map


@styled
def psf_fit(fit: PointSourceFit) -> Figure:
    """Draw data, model and (data - model) / sigma, one column a band; the cross is the fitted place."""
    chosen = np.unique(np.linspace(0, len(fit.wave) - 1, min(_BANDS, len(fit.wave))).round().astype(int))
    figure = sheet(2.35 * max(len(chosen), 2) + 0.6, 6.6)
    parts = figure.subplots(3, len(chosen), squeeze=False, sharex=True, sharey=True)
    seen = fit.used != 0 if (fit.used != 0).any() else np.ones(len(fit.x), bool)
    x, y = fit.x[seen], fit.y[seen]
    for column, band in enumerate(chosen):
        sky = np.nanpercentile(fit.model[band][seen], _SKY) if np.isfinite(fit.model[band][seen]).any() else 0.0
        data, model = fit.data[band][seen] - sky, fit.model[band][seen] - sky
        low, high = robust_limits(data, 1.0, 99.7)
        norm = AsinhNorm(linear_width=max((high - low) / 20.0, 1e-9), vmin=low, vmax=high)
        with np.errstate(invalid="ignore", divide="ignore"):
            pull = (data - model) / np.sqrt(fit.variance[band][seen])
        light = hexagons(parts[0, column], x, y, data, norm=norm)
        hexagons(parts[1, column], x, y, model, norm=norm)
        rest = hexagons(parts[2, column], x, y, pull, norm=Normalize(-_SIGMAS, _SIGMAS), cmap=DIVERGING)
        for ax in parts[:, column]:
            ax.plot(fit.centre_x[band], fit.centre_y[band], "+", color=VERMILION, ms=7, mew=0.9)
        parts[0, column].set_title(f"{fit.wave[band]:.0f} Å, FWHM {fit.fwhm[band]:.2f}″")
        parts[2, column].set_title(f"$\\chi$ rms {np.sqrt(np.nanmean(pull**2)):.2f}" if np.isfinite(pull).any() else "")
        scale_bar(light, parts[:2, column], shrink=0.8, aspect=25, location="bottom")
    for ax in parts.flat:
        ax.label_outer()
    for row, name in enumerate(("data − sky", "model − sky", "residual / $\\sigma$")):
        parts[row, 0].set_ylabel(f"{name}\nnorth (arcsec)")
    scale_bar(rest, parts[2, :], shrink=0.4, aspect=40, location="bottom")
    return figure
