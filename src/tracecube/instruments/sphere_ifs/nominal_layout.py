"""Places of lenslets on the sky where no grid of pinholes tells them: a regular lattice and the known constants."""

from __future__ import annotations

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import Meta
from tracecube.core.optics import Layout, TraceSet
from tracecube.instruments.sphere_ifs.guess import NOMINAL_PITCH
from tracecube.instruments.sphere_ifs.headers import number, start_mjd
from tracecube.instruments.sphere_ifs.observing import astrometry
from tracecube.recipes.optics.pinholes import lattice_plane

__all__ = ["SCALE_ERROR", "layout_of_date", "nominal_layout", "said_of"]

SCALE_ERROR = "SCALEERR"
"""Card: relative error of the plate scale, of layouts and spectra whose scale was not measured."""


def nominal_layout(traces: TraceSet, meta: Meta, name: str) -> Layout:
    """Return the lenslets' places by constants: pitch, and the anamorphism of the date.

    Distortion, tenths of a mas, is left out. The scale is known to half a per cent (card SCALEERR).

    Parameters
    ----------
    traces : TraceSet
        Of lenslets, with their places ``q``, ``r`` in the lattice.
    meta : mapping
        Of the day's frames: constants hold at a date.
    name : str
        Of these frames, for errors.

    Raises
    ------
    BadData
        No constants are known for that date.
    """
    constants = astrometry(start_mjd(meta, name))
    scale = np.array([constants.scale_x, constants.scale_y])
    plane = lattice_plane(traces.q, traces.r)
    place = (plane - plane.mean(axis=0)) * NOMINAL_PITCH * scale
    return Layout(
        aperture=traces.aperture,
        x=place[:, 0],
        y=place[:, 1],
        dq=np.zeros(traces.aperture.size, np.int32),
        pitch=float(NOMINAL_PITCH * np.sqrt(scale.prod())),
        angle=-90.0,
        meta={**meta, SCALE_ERROR: constants.pitch_error},
    )


def layout_of_date(traces: TraceSet, meta: Meta) -> tuple[Layout | None, tuple[str, ...]]:
    """Return `nominal_layout`, or why there is none: wavelengths do without."""
    try:
        return nominal_layout(traces, meta, str(meta.get("ARCFILE") or "lenslets")), ()
    except (BadData, MissingInput) as failure:
        return None, (f"no places of lenslets by the constants of the date: {failure}",)


def said_of(layout: Layout) -> tuple[str, ...]:
    """Say so where the places of lenslets are those of `nominal_layout`."""
    error = number(layout.meta, SCALE_ERROR)
    if error is None:
        return ()
    what = f"a regular lattice of {1e3 * layout.pitch:.2f} mas stands in, its scale known to {error:.1%}"
    return (f"no frame of pinholes tells the lenslets' places: {what} (try: add a LAMP,DISTORT frame of this mode)",)
