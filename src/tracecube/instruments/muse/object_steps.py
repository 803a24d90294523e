"""From exposures on their pixels to cubes: sky off, flux, refraction, one resampling on their own or a common grid."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.alignment import Offsets
from tracecube.core.errors import MissingInput
from tracecube.core.fields import Meta, Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.labelled import FilterImage
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slice_light import SliceFactors
from tracecube.core.slices import SliceExposureOnDisk, SliceTraces
from tracecube.core.spectra import Cube, Image
from tracecube.instruments.muse.cube_params import DROP_TEXT, CubeParams, Drop
from tracecube.instruments.muse.field_image import WHITE, filter_curves, fov_image, through_filters
from tracecube.instruments.muse.geometry import channel_of, spaxel
from tracecube.instruments.muse.headers import SAME_EXPOSURE, mode, start_mjd
from tracecube.instruments.muse.modes import LASER_MODES
from tracecube.instruments.muse.object_light import ExposureLight, ObjectInputs, Placement, displaced, own_grid
from tracecube.instruments.muse.of_detector import closest_by_detector
from tracecube.instruments.muse.pointing import barycentric_velocity, pointing_of, with_astrometry
from tracecube.instruments.muse.references import extinction_notes
from tracecube.recipes.slices.cube import Grid, binned_noise, build_cube, planes_at_once
from tracecube.recipes.slices.resampling import Sieve

__all__ = [
    "SYSTEMS", "AlignedOut", "AlignedParams", "ObjectOut", "ObjectParams", "aligned_cube", "common_grid",
    "exposure_light", "flux_scale_of", "object_cube", "offset_row",
]  # fmt: skip

_EXPOSURES = 10.0  # spreads by which samples of a cube on the grid of its field stand out of those around
_ROUNDED = 1e-6  # of a spaxel
_PIXELS = 14e6  # of a detector that see light


class ObjectParams(CubeParams):
    """Numbers of the cube of an exposure, and its images."""

    filters: str = Field(default="white", alias="filter", description="Filters of the images, with commas between")


class AlignedParams(CubeParams):
    """Numbers of the cube of an exposure on the grid of its field."""

    pixfrac: Drop = Field(default=(0.6, 0.6), alias="pixfrac", description=DROP_TEXT)
    flux_scale: str = Field(
        default="significant",
        pattern="^(measured|significant|none)$",
        description="Flux scales that count: all, those off 1 by more than three errors, or none",
    )

    def sieve(self, default: float = _EXPOSURES) -> Sieve | None:
        """Return what holds back samples that stand out, as the observatory does where it combines exposures."""
        return super().sieve(default)


@dataclass(frozen=True, kw_only=True)
class ObjectOut(Outputs):
    """Cube of an exposure, its image in white light, and through filters."""

    cube: Cube
    image_fov: Image
    filter_images: tuple[FilterImage, ...]


@dataclass(frozen=True, kw_only=True)
class AlignedOut(Outputs):
    """Cube of an exposure on the grid of its field."""

    cube: Cube


@recipe(version="19")
def object_cube(*, given: ObjectInputs, filter_list: RawFrame | None = None, params: ObjectParams) -> ObjectOut:
    """Make the cube of one exposure.

    Each slice loses the sky as it sees it, its own brightness and shift; hits are looked for in what is left. Flux,
    refraction and the Earth's motion follow, and all pixels become a cube in one step: voxels of uncorrelated noise,
    or, with ``resample``, weighted means, whose correlation the table COVAR tells.
    """
    curves = filter_curves(filter_list, params.filters)
    light = exposure_light(given, params)
    meta = given.exposures[0].meta
    grid = own_grid(light, params.side or spaxel(meta)[0], params.band(meta), params.step)
    centre = (light.pointing.ra, light.pointing.dec)
    cube, numbers = _made(light, grid, centre, lambda x, y: (x, y), params, scale=1.0)
    wave = grid.wave0 + grid.step * np.arange(grid.shape[0])
    images, outside = through_filters(cube, wave, curves)
    return ObjectOut(
        cube=cube,
        image_fov=fov_image(cube, wave),
        filter_images=images,
        quality=numbers,
        caveats=(*_notes(light), *outside),
    )


@recipe(version="17")
def aligned_cube(*, given: ObjectInputs, offsets: Offsets, params: AlignedParams) -> AlignedOut:
    """Make the cube of one exposure on the grid of its field, with its offset and flux scale, from its pixels."""
    light = exposure_light(given, params)
    meta = given.exposures[0].meta
    row = offset_row(offsets, meta)
    scale = flux_scale_of(offsets, row, params.flux_scale)
    grid = common_grid(offsets, params, meta)
    centre = (offsets.grid_ra, offsets.grid_dec)
    placed = displaced(light.pointing, (float(offsets.ra[row]), float(offsets.dec[row])), centre)
    cube, numbers = _made(light, grid, centre, placed, params, scale=scale)
    caveats = list(_notes(light))
    if int(offsets.dq[row]) & Flag.ASTROMETRY:
        caveats.append("the offset of this exposure is not measured: it lies where its header says")
    numbers = (*numbers, QualityNumber("FLUX SCALE", scale, low=0.5, high=2.0))
    return AlignedOut(cube=cube, quality=numbers, caveats=tuple(caveats))


def common_grid(offsets: Offsets, params: AlignedParams, meta: Meta) -> Grid:
    """Return the grid of a field; spaxels of another side cover the same part of the sky."""
    blue, red = params.band(meta)
    step = offsets.grid_step or params.step
    planes = offsets.grid_planes or int((red - blue) / step) + 1
    side = params.side or offsets.grid_side
    rows, columns = (
        max(int(np.ceil(n * offsets.grid_side / side - _ROUNDED)), 1) for n in (offsets.grid_rows, offsets.grid_columns)
    )
    more = 0.5 * (side - offsets.grid_side)
    corner = offsets.grid_x + more, offsets.grid_y + more
    return Grid(offsets.grid_wave or blue, step, *corner, side, (planes, rows, columns))


def exposure_light(given: ObjectInputs, params: CubeParams) -> ExposureLight:
    """Return an exposure ready to become a cube: pointing by the astrometry, wavelengths at rest with a frame."""
    meta = given.exposures[0].meta
    pointing = with_astrometry(pointing_of(meta, "exposure"), given.astrometry, spaxel(meta))
    velocity = barycentric_velocity(pointing, params.frame)
    return ExposureLight(given, pointing, velocity=velocity, limit=params.hit_limit)


def _notes(light: ExposureLight) -> tuple[str, ...]:
    """Return what an exposure has to do without."""
    given = light.given
    laser = mode(given.exposures[0].meta) in LASER_MODES and given.raman is None
    notes = ("no RAMAN_LINES: lines of the laser are taken to be as bright all over the field",) if laser else ()
    lacking = _lacking(light.places, light.trace_of.detectors)
    bands = () if given.telluric is not None else ("no TELLURIC is taken off: the bands of the atmosphere stay in",)
    factors = _unlisted(light.factors, given.exposures, given.traces) if given.user_factors is not None else ()
    if given.user_factors is not None and light.whole:
        factors += ("slices are as bright as AUTOCAL_FACTORS of the observatory's recipe say, not as lines of the sky",)
    return (
        *light.pointing.caveats,
        *light.notes,
        *extinction_notes(given.extinct_table),
        *bands,
        *factors,
        *lacking,
        *notes,
    )


SYSTEMS = {"bary": "BARYCENT", "helio": "HELIOCEN", "geo": "GEOCENTR", "none": "TOPOCENT"}
"""SPECSYS (Greisen et al. 2006, A&A 446, 747)."""


def _made(  # noqa: PLR0913 - an exposure, and where and how it goes
    light: ExposureLight,
    grid: Grid,
    centre: tuple[float, float],
    placed: Placement,
    params: CubeParams,
    *,
    scale: float,
) -> tuple[Cube, tuple[QualityNumber, ...]]:
    """Return the cube of an exposure on a grid, and its quality numbers."""
    meta = light.given.exposures[0].meta
    weighting, sieve = params.weighting(meta, grid.step, grid.side), params.sieve()
    source, channels = light.source(grid, placed, scale=scale), len(light.places)
    cards: dict[str, Scalar] = {
        **meta,
        **grid.cards(*centre),
        "BUNIT": "10**(-20)*erg/s/cm**2/Angstrom",
        "SPECSYS": SYSTEMS[params.frame],
        "BARYVEL": round(light.velocity, 5),
        "EXPTIME": light.pointing.exptime,
        "ESO PRO CATG": "DATACUBE_FINAL",
        "FLUXSCAL": scale,
        "SKYLEVEL": scale * light.sky_level(*WHITE),
        "RESAMPLE": params.resample,
    }
    cards.pop("DETECTOR", None)
    planes = planes_at_once(grid, channels * _PIXELS)
    cube, share = build_cube(source, grid, cards, planes=planes, weighting=weighting, sieve=sieve)
    hits = light.hits + (0 if sieve is None else sieve.caught)
    numbers = (
        QualityNumber("NUM CHANNELS", float(channels)),
        QualityNumber("HITS", hits / max(light.pixels, 1), high=0.01),
        QualityNumber("VOXELS MEASURED", share, low=0.9),
        QualityNumber("VOXEL NOISE", float(np.nanmedian(np.sqrt(cube.variance[::97])))),
        *binned_noise(cube),
        QualityNumber("ASTROMETRY GIVEN", float(light.given.astrometry is not None)),
        QualityNumber("BARY VELOCITY", light.velocity, "km/s"),
    )
    return cube, numbers


def _lacking(seen: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """Say which detectors have calibrations, but no light in this exposure."""
    names = sorted(set(known) - set(seen))
    return (f"no {', '.join(names)} in this exposure: their strips of the field are empty",) if names else ()


def _unlisted(
    factors: SliceFactors | None, exposures: Sequence[SliceExposureOnDisk], traces: Sequence[SliceTraces]
) -> tuple[str, ...]:
    """Say of how many slices that see light a user's factors tell nothing."""
    if factors is None:
        return ()
    trace_of, count = closest_by_detector(traces, exposures[0].meta, "traces"), 0
    for one in exposures:
        trace = traces[trace_of[str(one.meta.get("DETECTOR"))]]
        own = trace.aperture[trace.dq == 0]
        count += sum(not factors.lists(channel_of(one.meta, "exposure"), int(aperture)) for aperture in own)
    return (f"{count} slices are not in AUTOCAL_FACTORS: they are left as bright as they are",) if count else ()


def offset_row(offsets: Offsets, meta: Meta) -> int:
    """Return the row of an exposure.

    Raises
    ------
    MissingInput
        It is not among those that were aligned.
    """
    time = start_mjd(meta, "exposure")
    gap = np.abs(np.asarray(offsets.mjd, np.float64) - time)
    row = int(np.argmin(gap))
    if gap[row] > SAME_EXPOSURE:
        raise MissingInput(
            f"no offset of the exposure of MJD {time:.6f}", hint="align the exposures of this field again"
        )
    return row


def flux_scale_of(offsets: Offsets, row: int, wanted: str) -> float:
    """Return the flux scale that counts; one whose error is not told counts as it is."""
    scale, error = float(offsets.flux_scale[row]), float(offsets.flux_error[row])
    if wanted == "none" or not np.isfinite(scale) or error == np.inf:
        return 1.0
    if wanted == "significant" and abs(scale - 1.0) < 3.0 * error:
        return 1.0
    return scale
