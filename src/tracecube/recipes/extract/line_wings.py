"""Wings of lines along dispersion, as the extraction sees them, taken off spectra.

A monochromatic line has a core and wings: part of its light falls rows away, and the extraction finds part of that in
the line's own trace, at wrong wavelengths: dark bands are filled, bright ends lose. Lasers show how much
(`tracecube.recipes.optics.laser_wings`). With t the spectrum whose lines have their light in the core,

    S = (1 - e) t + W t,

e the light in the wings and W where it goes. e is a few per cent, so t = (S - W t) / (1 - e) settles in two or three
rounds. Smooth spectra stay what they are, and so, but for 1 + e, does the noise.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.optics import LineWings
from tracecube.recipes.extract.joint import Extraction

__all__ = ["without_wings"]

_ROUNDS = 3


def without_wings(extraction: Extraction, wave: FloatArray, wings: LineWings) -> Extraction:
    """Take the wings along dispersion off spectra on detector columns.

    Parameters
    ----------
    extraction : Extraction
    wave : array (n, m), Angstrom
    wings : LineWings
        Their errors, how far lenslets differ, go into the variance.
    """
    shares = [
        np.interp(wave, wings.wave, one) for one in wings.share.T
    ]  # of the light of each sample, offset by offset
    shares = [np.where(np.isfinite(one), one, 0.0) for one in shares]
    lost = np.sum(shares, axis=0)
    core, found = 1.0 - lost, extraction.flux
    filled = _filled(found)
    light = filled
    for _ in range(_ROUNDS):
        light = (filled - _fallen(light, shares, wings.offset)) / core
    gained = _fallen(light, shares, wings.offset)
    spread = np.nan_to_num(extraction.variance)
    spread = spread + _fallen(spread, [one**2 for one in shares], wings.offset)
    doubt = [np.nan_to_num(np.interp(wave, wings.wave, one)) ** 2 for one in wings.error.T]
    spread += _fallen(light**2, doubt, wings.offset)
    return replace(
        extraction,
        flux=(found - gained) / core,
        variance=np.where(np.isfinite(extraction.variance), spread / core**2, np.nan),
        blend=extraction.blend / core**2,
    )


def _fallen(light: FloatArray, shares: list[FloatArray], offset: FloatArray) -> FloatArray:
    """Light (n, m) that falls on each sample from those at offsets from it."""
    total = np.zeros_like(light)
    for share, step in zip(shares, offset.astype(int), strict=True):
        sent = share * light
        if step > 0:
            total[:, step:] += sent[:, :-step]
        else:
            total[:, :step] += sent[:, -step:]
    return total


def _filled(flux: FloatArray) -> FloatArray:
    """Spectra (n, m) whose gaps hold the mean of the nearest samples of both sides, 0 beyond their ends."""
    number = np.arange(flux.shape[1])
    known = np.isfinite(flux)
    before = np.maximum.accumulate(np.where(known, number, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, number, flux.shape[1])[:, ::-1], axis=1)[:, ::-1]
    inside = (before >= 0) & (after < flux.shape[1])
    rows = np.arange(flux.shape[0])[:, None]
    left = flux[rows, np.clip(before, 0, None)]
    right = flux[rows, np.clip(after, None, flux.shape[1] - 1)]
    return np.where(inside, 0.5 * (left + right), 0.0)
