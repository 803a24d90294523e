"""Share of the light above the air that is counted: from the field's stars, against wavelength."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tracecube.core.labelled import SourceSpectrum
from tracecube.core.sources import FieldSolution
from tracecube.report.figures.style import BLUE, GREY, robust_limits, sheet, styled

__all__ = ["throughput_curve"]

_HC = 1.98644586e-8  # erg Angstrom
_AREA = 5.0e5  # cm2: mirror to which the throughput refers
_STARS = 8  # brightest stars whose spectra are drawn


@styled
def throughput_curve(spectra: Sequence[SourceSpectrum], field: FieldSolution | None = None) -> Figure:
    """Draw the throughput for 50 m2 with the zero point in it, and the spectra of the brightest stars."""
    figure = sheet(9.6, 3.6)
    curve, stars = figure.subplots(1, 2, width_ratios=[1.0, 1.3])
    bright = sorted(spectra, key=lambda one: -float(np.nanmedian(one.flux)))[:_STARS]
    first = bright[0]
    good = np.isfinite(first.flux) & (np.abs(first.flux) > 0)
    response = np.where(good, first.flux_uncal / np.where(good, first.flux, 1.0), np.nan)
    share = response * _HC / first.wave / _AREA
    curve.plot(first.wave, 100.0 * share, color=BLUE)
    at = float(np.interp(first.wave[len(first.wave) // 2], first.wave[good], 100.0 * share[good]))
    if field is not None:
        norms = "\n".join(f"exposure {k}: {v:.3f} of it" for k, v in zip(field.exposure, field.norm, strict=True))
        curve.text(0.5, 0.08, norms, transform=curve.transAxes, ha="center", fontsize=8)
    curve.set(xlabel="wavelength (Angstrom)", ylabel="per cent of the light on 50 m2", ylim=(0, None),
              title=f"Throughput, {at:.2f} per cent in the middle")  # fmt: skip
    for one, colour in zip(bright, np.linspace(0.0, 0.75, max(len(bright), 1)), strict=False):
        used = (np.asarray(one.flags) == 0) & np.isfinite(one.flux)
        stars.plot(one.wave[used], one.flux[used], lw=0.7, color=(colour, colour, colour))
    low, high = robust_limits(np.concatenate([one.flux[np.isfinite(one.flux)] for one in bright]), 5.0, 99.9)
    stars.set(yscale="log", ylim=(max(low, high * 1e-4), 1.5 * high), xlabel="wavelength (Angstrom)",
              ylabel="erg/s/cm2/Angstrom", title=f"{len(spectra)} spectra, the brightest {len(bright)}")  # fmt: skip
    curve.axhline(0.0, color=GREY, lw=0.5)
    return figure
