"""A PIXTABLE_REDUCED of ESO's pipeline among the raw files: its pixels become cubes in one step, like our own."""

from __future__ import annotations

import re

import numpy as np

from tracecube.core.alignment import Offsets
from tracecube.core.errors import BadData
from tracecube.core.fields import Meta, Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.headers import number
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import recipe
from tracecube.core.spectra import Cube
from tracecube.instruments.muse.cube_params import CubeParams
from tracecube.instruments.muse.field_image import filter_curves, fov_image, through_filters
from tracecube.instruments.muse.geometry import spaxel
from tracecube.instruments.muse.headers import exposure_time
from tracecube.instruments.muse.object_light import Placement, displaced
from tracecube.instruments.muse.object_steps import (
    AlignedOut,
    AlignedParams,
    ObjectOut,
    ObjectParams,
    common_grid,
    flux_scale_of,
    offset_row,
)
from tracecube.instruments.muse.pointing import pointing_of
from tracecube.instruments.muse.reduced_light import ReducedLight
from tracecube.instruments.muse.same_exposure import MAKER
from tracecube.recipes.slices.cube import Grid, binned_noise, build_cube, planes_at_once

__all__ = ["given_reduced", "given_reduced_aligned"]

_FRAMES = {"BARYCENT": "bary", "HELIOCEN": "helio", "GEOCENTR": "geo", "TOPOCENT": "none"}
_OWN = re.compile(r"ESO (PRO|DRS MUSE) .*|EXTENSIONS|EXTNAME|(CTYPE|CUNIT|CRVAL|CRPIX)\d|CD\d_\d|CRDER\d")
"""Cards of the table that are not of the exposure."""


@recipe(version="1")
def given_reduced(*, raw: RawFrame, filter_list: RawFrame | None = None, params: ObjectParams) -> ObjectOut:
    """Make the cube of an exposure from the pixels that ESO's recipe calibrated.

    Sky, flux, refraction and velocity are ESO's. Hits are looked for in slices, whose pixels each row tells; errors
    become what neighbours scatter by (ERROR SCALE).

    Raises
    ------
    BadData
        No such table, or one whose pixels are not in flux, or not where `muse_scipost --save=individual` puts them.
    """
    curves = filter_curves(filter_list, params.filters)
    light, meta = _light(raw, params)
    side, band = params.side or spaxel(meta)[0], params.band(meta)
    x, y = light.reach()
    low = np.floor(np.array([x.min(), y.min()]) / side)
    nx, ny = (np.ceil(np.array([x.max(), y.max()]) / side) - low + 1).astype(int)
    planes = int((band[1] - band[0]) / params.step) + 1
    grid = Grid(band[0], params.step, float(low[0] * side), float(low[1] * side), side, (planes, int(ny), int(nx)))
    pointing = pointing_of(meta, raw.name)
    cube, numbers = _made(light, grid, (pointing.ra, pointing.dec), lambda x, y: (x, y), params, meta, scale=1.0)
    wave = grid.wave0 + grid.step * np.arange(grid.shape[0])
    images, outside = through_filters(cube, wave, curves)
    said = _said(raw, light, params)
    return ObjectOut(
        cube=cube, image_fov=fov_image(cube, wave), filter_images=images, quality=numbers, caveats=(*said, *outside)
    )


@recipe(version="1")
def given_reduced_aligned(*, raw: RawFrame, offsets: Offsets, params: AlignedParams) -> AlignedOut:
    """Make the cube of an exposure on the grid of its field from the pixels that ESO's recipe calibrated.

    Raises
    ------
    BadData
        As for `given_reduced`.
    """
    light, meta = _light(raw, params)
    row = offset_row(offsets, meta)
    scale = flux_scale_of(offsets, row, params.flux_scale)
    grid = common_grid(offsets, params, meta)
    centre = (offsets.grid_ra, offsets.grid_dec)
    placed = displaced(pointing_of(meta, raw.name), (float(offsets.ra[row]), float(offsets.dec[row])), centre)
    cube, numbers = _made(light, grid, centre, placed, params, meta, scale=scale)
    caveats = list(_said(raw, light, params))
    if int(offsets.dq[row]) & Flag.ASTROMETRY:
        caveats.append("the offset of this exposure is not measured: it lies where its header says")
    numbers = (*numbers, QualityNumber("FLUX SCALE", scale, low=0.5, high=2.0))
    return AlignedOut(cube=cube, quality=numbers, caveats=tuple(caveats))


def _light(raw: RawFrame, params: CubeParams) -> tuple[ReducedLight, Meta]:
    """Return the pixels, and the header of the exposure."""
    maker = str(raw.meta.get("ESO PRO REC1 PIPE ID") or "unknown")
    meta: dict[str, Scalar] = {key: card for key, card in raw.meta.items() if not _OWN.fullmatch(key)}
    light = ReducedLight(raw, limit=params.hit_limit, theirs=maker.startswith("muse"))
    if not light.pixels:
        raise BadData(f"{raw.name}: no good pixel", hint="look at what muse_scipost says")
    return light, {**meta, MAKER: maker, "BARYVEL": number(raw.meta, "ESO DRS MUSE PIXTABLE RVCORR") or 0.0}


def _made(  # noqa: PLR0913 - an exposure, and where and how it goes
    light: ReducedLight,
    grid: Grid,
    centre: tuple[float, float],
    placed: Placement,
    params: CubeParams,
    meta: Meta,
    *,
    scale: float,
) -> tuple[Cube, tuple[QualityNumber, ...]]:
    """Return the cube, and its quality numbers."""
    weighting, sieve = params.weighting(meta, grid.step, grid.side), params.sieve()
    cards: dict[str, Scalar] = {
        **meta,
        **grid.cards(*centre),
        "BUNIT": "10**(-20)*erg/s/cm**2/Angstrom",
        "EXPTIME": exposure_time(meta, "exposure"),
        "ESO PRO CATG": "DATACUBE_FINAL",
        "FLUXSCAL": scale,
        "RESAMPLE": params.resample,
    }
    cards.pop("DETECTOR", None)
    planes = planes_at_once(grid, light.pixels)
    source = light.source(grid, placed, scale=scale)
    cube, share = build_cube(source, grid, cards, planes=planes, weighting=weighting, sieve=sieve)
    measured = cube.variance[np.isfinite(cube.variance)]  # a table may hold a few wavelengths alone
    hits = light.hits + (0 if sieve is None else sieve.caught)
    numbers = (
        QualityNumber("NUM CHANNELS", float(light.channels)),
        QualityNumber("HITS", hits / max(light.pixels, 1), high=0.01),
        QualityNumber("ERROR SCALE", light.wrong, low=0.9, high=1.1),
        QualityNumber("VOXELS MEASURED", share, low=0.9),
        QualityNumber("VOXEL NOISE", float(np.sqrt(np.median(measured[::97]))) if measured.size else np.nan),
        *binned_noise(cube),
    )
    return cube, numbers


def _said(raw: RawFrame, light: ReducedLight, params: CubeParams) -> tuple[str, ...]:
    said = f"pixels of the observatory's pipeline ({raw.name}): sky, flux and refraction are as it has them"
    if light.wrong != 1.0:
        said += f"; errors become what neighbours scatter by, {light.wrong:.2f} times as large as they were"
    frame = _FRAMES.get(str(raw.meta.get("SPECSYS") or "TOPOCENT").strip(), "none")
    other = (f"wavelengths are as the table has them (rvcorr={frame}), not rvcorr={params.frame}",)
    return (said,) if frame == params.frame else (said, *other)
