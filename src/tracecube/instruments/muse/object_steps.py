"""From exposures on their pixels to a cube: sky off, flux, refraction, one resampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.fields import FloatArray, Scalar
from tracecube.core.frame import RawFrame
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.core.slice_light import SliceSky
from tracecube.core.slices import SliceExposure, SliceGeometry, SliceTraces, SliceWavelengths
from tracecube.core.spectra import Cube, Image
from tracecube.instruments.muse.flux_steps import by_detector, extinction_curve
from tracecube.instruments.muse.geometry import channel_of, geometry_of, spaxel
from tracecube.instruments.muse.headers import mode
from tracecube.instruments.muse.pointing import Pointing, barycentric_velocity, pointing_of, refraction
from tracecube.kernels.atmosphere import extinction_transmission
from tracecube.recipes.optics.slice_map import columns_of, lit_pixels
from tracecube.recipes.slices.cube import Grid, Samples, build_cube, white_image
from tracecube.recipes.slices.hits import find_hits
from tracecube.recipes.slices.segments import place_of
from tracecube.recipes.slices.sky_light import seen, shifted

__all__ = ["object_cube"]

_UNIT = 1e20
"""Cubes are in 10**(-20) erg/s/cm**2/Angstrom."""

_LIGHT = 299792.458  # km/s
_BLUE = {"WFM-NOAO-N": 4750.0, "WFM-NOAO-E": 4600.0, "WFM-AO-N": 4700.0, "WFM-AO-E": 4600.0, "NFM-AO-N": 4750.0}
_RED = 9350.0  # Angstrom
_GUARD = 2.0  # arcsec of the grid beyond the middle of the outermost slice


class ObjectParams(Params):
    """Numbers of the cube."""

    step: float = Field(default=1.25, gt=0.1, alias="dlambda", description="Angstrom between planes")
    hit: float = Field(default=6.0, gt=0, alias="crsigma", description="Errors beyond which a pixel is hit")
    lowest: float = Field(default=0.0, ge=0, alias="lambdamin", description="First wavelength; 0 for that of the mode")
    highest: float = Field(default=_RED, gt=0, alias="lambdamax", description="Last wavelength, Angstrom")
    barycentric: bool = Field(default=True, alias="rvcorr", description="Wavelengths at the barycentre")


@dataclass(frozen=True, kw_only=True)
class ObjectOut(Outputs):
    """Cube of an exposure, and its image in white light."""

    cube: Cube
    image_fov: Image


@dataclass(frozen=True)
class _Worth:
    """What light relative to the lamp is worth at each wavelength (air, observed)."""

    wave: FloatArray
    factor: FloatArray


@recipe(version="3")
def object_cube(  # noqa: PLR0913 - what an exposure goes with
    *,
    exposures: Sequence[SliceExposure],
    sky: SliceSky,
    traces: Sequence[SliceTraces],
    wavelengths: Sequence[SliceWavelengths],
    geometry: RawFrame,
    response: SliceResponse,
    telluric: Telluric,
    extinct_table: RawFrame,
    params: ObjectParams,
) -> ObjectOut:
    """Make the cube of one exposure.

    Each slice loses the sky as it sees it, its own brightness and shift; hits are looked for in what is left. Flux,
    refraction and the Earth's motion follow, and all pixels become a cube in one step, with uncorrelated noise.
    """
    meta = exposures[0].meta
    pointing = pointing_of(meta, "exposure")
    velocity = barycentric_velocity(pointing) if params.barycentric else 0.0
    worth = _worth(response, telluric, extinct_table, pointing)
    places = _places(exposures, geometry)
    grid = _grid(
        places, pointing, spaxel(meta)[0], (params.lowest or _BLUE.get(mode(meta), 4750.0), params.highest), params.step
    )
    trace_of, wave_of = by_detector(traces), by_detector(wavelengths)
    samples, hits, count = [], 0, 0
    for exposure in exposures:
        name = str(exposure.meta.get("DETECTOR"))
        parts = (traces[trace_of[name]], wavelengths[wave_of[name]], places[name], sky.of(name))
        one, hit = _samples(exposure, parts, worth, pointing, velocity, grid, params.hit)
        samples.append(one)
        hits += hit
        count += one.value.size
    cards: dict[str, Scalar] = {
        **meta,
        **grid.cards(pointing.ra, pointing.dec),
        "BUNIT": "10**(-20)*erg/s/cm**2/Angstrom",
        "BARYVEL": round(velocity, 5),
        "EXPTIME": pointing.exptime,
    }
    cards.pop("DETECTOR", None)
    cube, share = build_cube(samples, grid, cards)
    wave = grid.wave0 + grid.step * np.arange(grid.shape[0])
    white = white_image(cube, wave, (max(params.lowest, 4800.0), min(params.highest, 9200.0)))
    numbers = (
        QualityNumber("NUM CHANNELS", float(len(samples))),
        QualityNumber("HITS", hits / max(count, 1), high=0.01),
        QualityNumber("VOXELS MEASURED", share, low=0.9),
        QualityNumber("VOXEL NOISE", float(np.nanmedian(np.sqrt(cube.variance[::97])))),
        QualityNumber("BARY VELOCITY", velocity, "km/s"),
    )
    return ObjectOut(cube=cube, image_fov=white, quality=numbers, caveats=pointing.caveats)


def _places(exposures: Sequence[SliceExposure], table: RawFrame) -> dict[str, SliceGeometry]:
    """Return the geometry of each detector."""
    names = [str(one.meta.get("DETECTOR")) for one in exposures]
    return {
        name: geometry_of(table, channel_of(one.meta, name), one.meta)
        for name, one in zip(names, exposures, strict=True)
    }


def _worth(response: SliceResponse, telluric: Telluric, extinct_table: RawFrame, pointing: Pointing) -> _Worth:
    """Return the flux of unit light relative to the lamp."""
    wave = np.asarray(telluric.wave, np.float64)
    known = np.isfinite(response.ratio)
    ratio = np.interp(wave, response.wave[known], response.ratio[known])
    air = extinction_transmission(wave, *extinction_curve(extinct_table), pointing.mean_airmass)
    bands = np.asarray(telluric.transmission, np.float64) ** pointing.mean_airmass
    return _Worth(wave, _UNIT / (pointing.exptime * ratio * air * bands))


def _turned(x: FloatArray, y: FloatArray, pointing: Pointing) -> tuple[FloatArray, FloatArray]:
    """Return places to the west and north from places along the axes of the field."""
    angle = np.radians(pointing.angle)
    return x * np.cos(angle) - y * np.sin(angle), y * np.cos(angle) + x * np.sin(angle)


def _grid(
    places: dict[str, SliceGeometry], pointing: Pointing, side: float, band: tuple[float, float], step: float
) -> Grid:
    """Return the grid that holds all slices."""
    x = np.concatenate([np.concatenate([one.x - 0.5 * one.width, one.x + 0.5 * one.width]) for one in places.values()])
    y = np.concatenate([np.concatenate([one.y, one.y]) for one in places.values()])
    west, north = _turned(x, y, pointing)
    low = np.floor(np.array([west.min(), north.min()]) / side - _GUARD / side / 4.0)
    high = np.ceil(np.array([west.max(), north.max()]) / side + _GUARD / side / 4.0)
    nx, ny = (high - low + 1).astype(int)
    planes = int((band[1] - band[0]) / step) + 1
    return Grid(band[0], step, float(low[0] * side), float(low[1] * side), side, (planes, int(ny), int(nx)))


def _samples(  # noqa: PLR0913, PLR0917 - what an exposure goes with
    exposure: SliceExposure,
    parts: tuple[SliceTraces, SliceWavelengths, SliceGeometry, SliceSky],
    worth: _Worth,
    pointing: Pointing,
    velocity: float,
    grid: Grid,
    limit: float,
) -> tuple[Samples, int]:
    """Return the pixels of one detector with their places in the grid, and how many were hit."""
    traces, solution, geometry, sky = parts
    rows = np.arange(exposure.data.shape[0], dtype=np.float64)
    found: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    hits = 0
    for row in range(len(traces.aperture)):
        if traces.dq[row] or solution.dq[row] or sky.dq[row]:
            continue
        x0, x1 = columns_of(traces, row, exposure.data.shape[1], beyond=1.0)
        across = np.arange(x0, x1)[None, :] - (traces.centre[row] + exposure.shift[row])[:, None]
        day = solution.wave(row, rows[:, None], across)
        good = lit_pixels(exposure.flags[:, x0:x1], traces, row, across)
        left = exposure.data[:, x0:x1] - seen(sky, row, day)
        variance = exposure.variance[:, x0:x1]
        hit = find_hits(left, variance, good, limit=limit)
        hits += int(hit.sum())
        wave = shifted(sky, row, day)
        plane = (wave * (1.0 + velocity / _LIGHT) - grid.wave0) / grid.step
        kept = good & ~hit & (plane > -4) & (plane < grid.shape[0] + 3)
        if not kept.any():
            continue
        width = np.broadcast_to((traces.right[row] - traces.left[row])[:, None], kept.shape)[kept]
        x, y = place_of(geometry, row, across[kept], width)
        west, north = refraction(pointing, wave[kept][:: max(kept.sum() // 400, 1)])
        at = wave[kept][:: max(kept.sum() // 400, 1)]
        order = np.argsort(at)
        x = x - np.interp(wave[kept], at[order], west[order])
        y = y - np.interp(wave[kept], at[order], north[order])
        x, y = _turned(x, y, pointing)
        factor = np.interp(wave[kept], worth.wave, worth.factor) / sky.gain[row]
        place = np.stack([plane[kept], (y - grid.y0) / grid.side, (x - grid.x0) / grid.side], axis=1)
        found.append((place.astype(np.float32), left[kept] * factor, 1.0 / (variance[kept] * factor**2)))
    place, value, weight = (np.concatenate(column).astype(np.float32) for column in zip(*found, strict=True))
    return Samples(place, value, np.where(np.isfinite(value), weight, 0.0).astype(np.float32)), hits
