"""Response from a standard star before every slice of the field, and the bands of the atmosphere."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.report.figures.style import BLUE, GREY, ORANGE, robust_limits, sheet, styled

__all__ = ["slice_response"]


@styled
def slice_response(response: SliceResponse, telluric: Telluric | None = None) -> Figure:
    """Draw the response as the observatory has it, measured over smooth, and the transmission of the bands."""
    figure = sheet(9.0, 5.4)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[1.6, 1.0, 1.0])
    used = np.asarray(response.used, bool)
    top.fill_between(
        response.wave,
        response.response - response.error,
        response.response + response.error,
        color=BLUE,
        alpha=0.3,
        lw=0,
    )
    top.plot(response.wave, response.response, color=BLUE)
    title = f"Response; the star is {response.fwhm:.2f}″ wide at 7000 Å"
    top.set(ylabel="2.5 log (electron/s / (erg/s/cm²))", title=title)
    with np.errstate(invalid="ignore", divide="ignore"):
        left = 100.0 * (response.measured / response.ratio - 1.0)
        error = 100.0 * response.ratio_error / response.ratio
    middle.plot(response.wave, np.where(used, left, np.nan), color=BLUE, lw=0.6)
    middle.plot(response.wave, np.where(used, np.nan, left), color=GREY, lw=0.6)
    middle.fill_between(response.wave, -error, error, color=ORANGE, alpha=0.4, lw=0)
    low, high = robust_limits(left[used]) if used.any() else (-1.0, 1.0)
    middle.set(ylim=(min(1.5 * low, -1.0), max(1.5 * high, 1.0)), ylabel="measured − smooth (%)")
    middle.set_title("Grey: lines of star and atmosphere, not used; orange: error of the smooth curve")
    if telluric is not None:
        sky, wide = telluric.transmission, telluric.error
        bottom.fill_between(telluric.wave, sky - wide, sky + wide, color=BLUE, alpha=0.3, lw=0)
        bottom.plot(telluric.wave, sky, color=BLUE, lw=0.8)
        bottom.set_title(f"Bands of the atmosphere at airmass 1 (star at {telluric.airmass:.2f})")
    bottom.set(xlabel="wavelength in air (Å)", ylabel="transmission", ylim=(0.0, 1.1))
    return figure
