"""Atmospheric refraction of an exposure, from its header; what the header does not tell is said."""

from __future__ import annotations

import numpy as np

from tracecube.core.errors import MissingInput
from tracecube.core.fields import FloatArray, Meta
from tracecube.instruments.sedm.observing import (
    airmass,
    airmass_told,
    contradiction,
    parallactic_angle,
    told_angles,
    weather,
)
from tracecube.kernels.atmosphere import refraction_shift

__all__ = ["refraction"]


def refraction(
    meta: Meta, name: str, wave: FloatArray, reference: float
) -> tuple[tuple[FloatArray, FloatArray], tuple[str, ...]]:
    """Mean shift of the light east and north (arcsec) through an exposure, and caveats.

    Parameters
    ----------
    meta : mapping
    name : str
        Of the exposure, for messages.
    wave : array (n_wave,), Angstrom
    reference : float, Angstrom
        Wavelength without shift.
    """
    wave = np.asarray(wave, dtype=float)
    try:
        masses = airmass(meta, name), airmass(meta, name, fraction=1.0)
        angles = parallactic_angle(meta, name), parallactic_angle(meta, name, fraction=1.0)
    except MissingInput as failure:
        return (np.zeros_like(wave), np.zeros_like(wave)), (f"refraction not known, none assumed: {failure}",)
    caveats = []
    if (apart := contradiction(meta, name)) is not None:
        told = told_angles(meta)
        angles = told or angles
        caveats.append(
            f"{apart} degree: refraction is along {'TEL_PA' if told else 'the latter'}"
            " (try: repair the time, UTC or MJD_OBS, or RA and DEC)"
        )
    air = weather(meta)
    shift = refraction_shift(
        wave, reference, masses, angles, pressure=air.pressure, temperature=air.temperature, humidity=air.humidity
    )
    if not air.known:
        caveats.append("OUT_AIR or OUT_HUM not usable: refraction with 10 C and 30 per cent humidity")
    if not airmass_told(meta):
        caveats.append(f"AIRMASS or ENDAIR not usable: {masses[0]:.2f} to {masses[1]:.2f} follows from the coordinates")
    return shift, tuple(caveats)
