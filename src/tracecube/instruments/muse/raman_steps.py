"""Light of the sodium laser that nitrogen and oxygen scatter: lines that are brighter on one side of the field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.frame import RawFrame
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.scattered_lines import ScatteredLines
from tracecube.core.slice_light import SliceSky
from tracecube.core.slices import SliceSegments
from tracecube.recipes.slices.scattered import field_of_lines, piece_strengths
from tracecube.recipes.slices.sky_light import seen, shifted

__all__ = ["raman_light"]

_UNIT = 30.0  # arcsec, half of the wide field


class RamanParams(Params):
    """The fit has no numbers of its own."""


@dataclass(frozen=True, kw_only=True)
class RamanOut(Outputs):
    """Scattered lines over the field."""

    raman: ScatteredLines


@recipe(version="1")
def raman_light(
    *,
    segments: Sequence[SliceSegments],
    sky: SliceSky,
    raman_lines: RawFrame,
    lsf: Sequence[RawFrame],
    params: RamanParams,
) -> RamanOut:
    """Fit the brightness of the scattered lines of each gas over the field.

    The sky's spectrum holds them in the mean; what pieces of slices see besides is a polynomial of second degree in
    place, one a gas. Objects count little, for their light does not follow the pattern of the lines.
    """
    del params
    wave, strength, group = _lines(raman_lines)
    sigma, notes = _width(lsf, float(np.median(wave)), sky)
    numbers = np.unique(group)
    share = strength / np.array([strength[group == one].sum() for one in group])
    empty = np.zeros((numbers.size, 6))
    lines = ScatteredLines(
        wave, share, group, numbers, empty, np.zeros((numbers.size, 6, 6)), sigma, _UNIT, segments[0].meta
    )
    parts = [_left(one, sky.of(str(one.meta.get("DETECTOR")))) for one in segments]
    at, left, variance = (np.concatenate(column) for column in zip(*parts, strict=True))
    x, y = (np.concatenate([getattr(one, name) for one in segments]) for name in ("x", "y"))
    found = []
    for number in numbers:
        value, noise = piece_strengths(lines, int(number), at, left, variance)
        found.append(field_of_lines(lines, value, noise, x, y))
    coefficient, covariance = np.array([one[0] for one in found]), np.array([one[1] for one in found])
    quality = [QualityNumber(f"RAMAN CHI2 {n}", one[2], high=3.0) for n, one in zip(numbers, found, strict=True)]
    terms = lines.terms(x, y)
    quality += [
        QualityNumber(f"RAMAN RANGE {n}", float(np.ptp(terms @ one[0]))) for n, one in zip(numbers, found, strict=True)
    ]
    made = replace(lines, coefficient=coefficient, covariance=covariance)
    return RamanOut(raman=made, quality=tuple(quality), caveats=notes)


def _left(one: SliceSegments, sky: SliceSky) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return wavelengths of the exposure, light of pieces without the sky over the slices' gains, and variance."""
    row_of = {int(aperture): row for row, aperture in enumerate(sky.aperture)}
    wave, left, variance = (np.full(one.flux.shape, np.nan) for _ in range(3))
    for piece, aperture in enumerate(one.aperture):
        row = row_of.get(int(aperture))
        if row is None or sky.dq[row]:
            continue
        known = (one.flags[piece] == 0) & (one.variance[piece] > 0)
        day = one.wave[piece, known]
        wave[piece, known] = shifted(sky, row, day)
        left[piece, known] = (one.flux[piece, known] - seen(sky, row, day)) / sky.gain[row]
        variance[piece, known] = one.variance[piece, known] / sky.gain[row] ** 2
    return wave, left, variance


def _lines(table: RawFrame) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return wavelength, strength and group of the listed lines.

    Lines whose gas is named are grouped by it, else by the column group; with neither they are one group.

    Raises
    ------
    BadData
        No such columns.
    """
    found = table.table("lambda", "flux")
    wave, flux = (np.asarray(found[name], np.float64) for name in ("lambda", "flux"))
    if "name" in found:
        gas = np.array([str(name).strip().upper()[:2] for name in found["name"]])
        group = np.searchsorted(np.unique(gas), gas).astype(np.int32)
    else:
        group = np.asarray(found["group"], np.int32) if "group" in found else np.zeros(wave.size, np.int32)
    return wave, flux, group


def _width(lsf: Sequence[RawFrame], wave: float, sky: SliceSky) -> tuple[float, tuple[str, ...]]:
    """Return the width (sigma, Angstrom) of lines at a wavelength: of the line-spread functions, else of sky lines."""
    widths = [one for one in (_one_width(frame, wave) for frame in lsf) if np.isfinite(one)]
    if widths:
        return float(np.median(widths)), ()
    return sky.width, ("no line-spread function: scattered lines are as wide as those of the sky",)


def _one_width(frame: RawFrame, wave: float) -> float:
    """Return the width that one product, or the observatory's LSF_PROFILE, has at a wavelength; NaN if none."""
    slices, axes = frame.tables.get("SLICES"), frame.tables.get("LSF_AXES")
    if slices is not None and axes is not None:
        near = int(np.argmin(np.abs(np.asarray(axes["wave"])[0] - wave)))
        return float(np.nanmedian(np.asarray(slices["fwhm"])[:, near])) / 2.3548
    cube = next((one for one in frame.images.values() if one.ndim == 3), None)  # slices, wavelengths, offsets
    if cube is None:
        return float("nan")
    offset = frame.number("CRVAL1") + frame.number("CD1_1") * (np.arange(cube.shape[2]) + 1 - frame.number("CRPIX1"))
    at = frame.number("CRVAL2") + frame.number("CD2_2") * (np.arange(cube.shape[1]) + 1 - frame.number("CRPIX2"))
    profile = np.nanmedian(cube[:, int(np.argmin(np.abs(at - wave)))], axis=0)
    inside = profile > 0.5 * profile.max()
    return float(np.ptp(offset[inside]) + abs(offset[1] - offset[0])) / 2.3548
