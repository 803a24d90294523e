"""A field as its own stars tell it: where they are, how far from the catalogue, and how bright."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tracecube.core.sources import FieldSolution, Sources
from tracecube.report.figures.style import BLUE, GREEN, GREY, ORANGE, SKY_NAMES, VERMILION, sheet, styled

__all__ = ["field_stars"]

_LONGEST = 4.0  # typical residuals: the length of an arrow that would be longer
_BRIGHT = 10.0  # signal-to-noise of stars whose places count


@styled
def field_stars(field: FieldSolution, sources: Sources) -> Figure:
    """Draw the stars with their residuals, these against their errors, magnitudes, and the exposures."""
    figure = sheet(9.6, 6.6)
    panels = figure.subplot_mosaic([["sky", "off"], ["sky", "mag"], ["table", "table"]], height_ratios=[1, 1, 0.5],
                                   width_ratios=[1.25, 1.0])  # fmt: skip
    east, north = _plane(field, np.asarray(sources.ra), np.asarray(sources.dec))
    away = _residuals(sources)
    told = (np.asarray(sources.snr) > _BRIGHT) & np.isfinite(away[0]) & (np.asarray(sources.dq) == 0)
    size = np.clip(60.0 * 10.0 ** (-0.2 * (np.asarray(sources.mag_cat) - 15.0)), 4.0, 120.0)
    panels["sky"].scatter(east, north, s=size, color=np.where(told, BLUE, GREY), lw=0)
    _arrows(panels["sky"], (east[told], north[told]), (away[0][told], away[1][told]))
    _offsets(panels["off"], away[0][told], away[1][told], np.asarray(sources.seen_err)[told])
    _magnitudes(panels["mag"], sources)
    _exposures(panels["table"], field)
    return figure


def _plane(field: FieldSolution, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Places east and north of the pointing, arcsec: good to a thousandth of the field, as a picture needs."""
    return (ra - field.ra0) * np.cos(np.radians(dec)) * 3600.0, (dec - field.dec0) * 3600.0


def _residuals(sources: Sources) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seen less catalogue, arcsec."""
    if sources.ra_cat is None or sources.dec_cat is None:
        nothing = np.full(len(sources.ra), np.nan)
        return nothing, nothing
    east = (np.asarray(sources.ra_seen) - sources.ra_cat) * np.cos(np.radians(sources.dec)) * 3600.0
    return np.asarray(east), np.asarray((np.asarray(sources.dec_seen) - sources.dec_cat) * 3600.0)


def _arrows(ax: Axes, place: tuple[NDArray[np.float64], ...], away: tuple[NDArray[np.float64], ...]) -> None:
    """Draw residuals as arrows, enlarged so that the typical one is seen, with a key."""
    ax.set(xlabel=SKY_NAMES[0], ylabel=SKY_NAMES[1], title=f"{len(place[0])} bright stars (blue) with residuals")
    ax.set_aspect("equal", adjustable="datalim")
    ax.invert_xaxis()
    ax.margins(0.12)
    typical = float(np.median(np.hypot(*away))) if len(away[0]) else 0.0
    if typical <= 0.0:
        return
    short = np.minimum(1.0, _LONGEST * typical / np.maximum(np.hypot(*away), 1e-9))
    away = (away[0] * short, away[1] * short)
    arrows = ax.quiver(
        *place, -away[0], away[1], color=VERMILION, angles="uv", scale_units="width", scale=16.0 * typical, width=0.004
    )
    unit = float(f"{typical:.1g}")
    ax.quiverkey(arrows, 0.82, 0.04, unit, f"{unit:g} arcsec", labelpos="E", coordinates="axes")
    ax.set_box_aspect(1.0)


def _offsets(ax: Axes, east: NDArray[np.float64], north: NDArray[np.float64], error: NDArray[np.float64]) -> None:
    """Residuals of the places, and their pulls in words."""
    ax.axhline(0.0, color=GREY, lw=0.5)
    ax.axvline(0.0, color=GREY, lw=0.5)
    ax.errorbar(east, north, xerr=error, yerr=error, fmt="o", ms=3, lw=0.7, color=BLUE)
    told = f"rms {np.std(east):.3f}, {np.std(north):.3f} arcsec" if east.size > 1 else "too few"
    ax.set(xlabel="seen - catalogue, east (arcsec)", ylabel="north (arcsec)", title=f"Places: {told}")
    ax.invert_xaxis()
    ax.set_aspect("equal", adjustable="datalim")


def _magnitudes(ax: Axes, sources: Sources) -> None:
    """Magnitudes against the catalogue's."""
    known = np.isfinite(sources.mag) & np.isfinite(sources.mag_cat) & (np.asarray(sources.mag_err) < 0.5)  # noqa: PLR2004
    there, seen, error = (np.asarray(v)[known] for v in (sources.mag_cat, sources.mag, sources.mag_err))
    ax.axhline(0.0, color=GREY, lw=0.5)
    ax.errorbar(there, seen - there, yerr=error, fmt="o", ms=3, lw=0.7, color=GREEN)
    ax.set(xlabel="g of the catalogue (AB mag)", ylabel="seen - catalogue", title="Magnitudes")
    if there.size:
        reach = max(0.05, 1.3 * float(np.percentile(np.abs(seen - there), 90)))
        ax.set_ylim(-reach, reach)


def _exposures(ax: Axes, field: FieldSolution) -> None:
    """Write what each exposure was like."""
    ax.axis("off")
    rows = [
        (
            f"{int(number)}",
            f"{field.east[k]:+.3f} ± {field.east_error[k]:.3f}",
            f"{field.north[k]:+.3f} ± {field.north_error[k]:.3f}",
            f"{field.fwhm[k]:.3f} ± {field.fwhm_error[k]:.3f}",
            f"{field.norm[k]:.4f} ± {field.norm_error[k]:.4f}",
        )
        for k, number in enumerate(np.asarray(field.exposure))
    ]
    names = ("exposure", "east (arcsec)", "north (arcsec)", "seeing (arcsec)", "brightness")
    table = ax.table(rows, colLabels=names, loc="center", cellLoc="center", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(8.5)
    table.scale(1.0, 1.25)
    ax.set_title(
        f"{field.stars} stars; rotation {field.rotation:+.4f} ± {field.rotation_error:.4f} deg; refraction"
        f" {field.refraction:.3f} ± {field.refraction_error:.3f} of the air's",
        color=ORANGE if field.stars < 5 else "k",  # noqa: PLR2004 - as the quality number has it
    )
