"""Drift of a CCD's light between calibrations and exposure: wavelengths as they are now, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracecube.core.errors import NoConvergence
from tracecube.core.optics import WavelengthSolution
from tracecube.core.quality import QualityNumber
from tracecube.instruments.virus.extraction import AmplifierLight
from tracecube.recipes.optics.fibre_lines import FibreArc
from tracecube.recipes.optics.fibre_shift import exposure_shift

__all__ = ["shift_numbers", "wavelengths_now"]

Known = list[tuple[AmplifierLight, WavelengthSolution]]


def wavelengths_now(
    known: Known, lines: tuple[float, ...], reach: float, notes: list[str]
) -> tuple[Known, tuple[QualityNumber, ...]]:
    """Move the wavelengths of the arcs to where the light of an exposure falls now, all fibres of the CCD alike.

    Parameters
    ----------
    known : list of (AmplifierLight, WavelengthSolution)
    lines : tuple of float
        Lines of the sky, Angstrom.
    reach : float, px
        A larger shift is no drift: it is named in ``notes``, as is one that could not be measured; neither is applied.
    notes : list of str

    Returns
    -------
    list of (AmplifierLight, WavelengthSolution)
    tuple of QualityNumber
    """
    dark = [(light.traces.dq != 0)[:, None] | ~np.isfinite(light.flux).any(axis=1, keepdims=True) for light, _ in known]
    wave = np.concatenate([np.where(off, np.nan, s.wave) for off, (_, s) in zip(dark, known, strict=True)])
    sky = FibreArc(
        np.concatenate([light.flux for light, _ in known]),
        np.concatenate([light.variance for light, _ in known]),
        np.concatenate([light.flags for light, _ in known]),
    )
    width, error = (np.concatenate([getattr(s, name) for _, s in known]) for name in ("lsf_sigma", "error"))
    try:
        found = exposure_shift(sky, wave, width, lines, wave_error=error)
    except NoConvergence as problem:
        notes.append(str(problem))
        return known, ()
    numbers = (
        QualityNumber("FLEXURE DX", found.pixels, "pix", low=-reach, high=reach),
        QualityNumber("FLEXURE DX ERROR", found.error, "pix"),
        QualityNumber("FLEXURE DX LINES", float(len(found.lines)), ""),
    )
    if abs(found.pixels) > reach:
        notes.append(
            f"lines of the sky lie {found.pixels:+.2f} px off the arcs: wavelengths are left as they were"
            " (try: are the arcs of this very unit?)"
        )
        return known, numbers
    return [(light, replace(s, wave=found(s.wave))) for light, s in known], numbers


def shift_numbers(lights: Sequence[AmplifierLight], reach: float) -> tuple[QualityNumber, ...]:
    """Shifts across dispersion: of the CCD, and of each amplifier with its error."""
    value, error = (np.array([getattr(light, name) for light in lights]) for name in ("shift", "shift_error"))
    weight = np.divide(1.0, error**2, out=np.zeros(error.size), where=error > 0)
    mean = float((weight * value).sum() / weight.sum()) if weight.any() else float(value.mean())
    each = [
        number
        for light in lights
        for number in (
            QualityNumber(f"FLEXURE DY {light.amp}", light.shift, "pix", low=-reach, high=reach),
            QualityNumber(f"FLEXURE DY {light.amp} ERROR", light.shift_error, "pix"),
        )
    ]
    return (QualityNumber("FLEXURE DY", mean, "pix", low=-reach, high=reach), *each)
