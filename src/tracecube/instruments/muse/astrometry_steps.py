"""Scale, turn and centre of the field, from an exposure of stars whose places are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.field_wcs import FieldWcs
from tracecube.core.fields import FloatArray, Meta
from tracecube.core.frame import RawFrame
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slices import SliceExposure, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.geometry import WIDE_SPAXEL, channel_of, geometry_of, spaxel
from tracecube.instruments.muse.of_detector import closest_by_detector
from tracecube.instruments.muse.pointing import Pointing, pointing_of, refraction
from tracecube.kernels.tangent_plane import sky_to_plane
from tracecube.recipes.sky.linear_wcs import LinearMap, match_stars, solve_map
from tracecube.recipes.slices.white_light import joined, white_light
from tracecube.recipes.slices.white_stars import FoundStars, place_stars

__all__ = ["astrometry"]

_FIELD = 60.0  # arcsec from the pointing within which stars of the catalogue count
_DEGREE = 3600.0


class AstrometryParams(Params):
    """Numbers of the astrometric solution."""

    threshold: float = Field(default=5.0, gt=1, alias="detsigma", description="Deviations of the ground: a star")
    most: int = Field(default=80, ge=1, description="Brightest detections that are used")
    reach: float = Field(default=10.0, gt=0, description="Largest error of the pointing, arcsec")
    turn: float = Field(default=2.0, ge=0, description="Largest turn of the field, degree")
    tolerance: float = Field(default=0.6, gt=0, alias="radius", description="Pairs farther apart are none, arcsec")
    catalogue: float = Field(default=0.003, ge=0, alias="faccuracy", description="Error of catalogued places, arcsec")
    lowest: float = Field(default=6000.0, gt=0, alias="lambdamin", description="Shortest wavelength that counts, A")
    highest: float = Field(default=9000.0, gt=0, alias="lambdamax", description="Longest wavelength that counts, A")


@dataclass(frozen=True, kw_only=True)
class AstrometryOut(Outputs):
    """How places in the field become places on the sky."""

    field_wcs: FieldWcs


@recipe(version="2")
def astrometry(  # noqa: PLR0913 - what an exposure is seen through
    *,
    exposures: Sequence[SliceExposure],
    traces: Sequence[SliceTraces],
    wavelengths: Sequence[SliceWavelengths],
    geometry: RawFrame,
    astrometry_reference: RawFrame,
    params: AstrometryParams,
) -> AstrometryOut:
    """Solve for scale, turn and centre of the field.

    Stars are placed in the light of the columns of slices, with refraction taken off, and matched to the catalogue by
    the shift on which most of them agree. With six stars any linear map is free, with three one scale and a turn, with
    fewer the centre alone; what was held is said.
    """
    meta = exposures[0].meta
    pointing, side = pointing_of(meta, "astrometric field"), spaxel(meta)
    trace_of = closest_by_detector(traces, meta, "traces")
    wave_of = closest_by_detector(wavelengths, meta, "wavelengths")
    parts = []
    for exposure in exposures:
        name = str(exposure.meta.get("DETECTOR"))
        places = geometry_of(geometry, channel_of(exposure.meta, name), exposure.meta)
        parts.append(
            white_light(
                exposure, traces[trace_of[name]], wavelengths[wave_of[name]], places,
                lambda wave: refraction(pointing, wave), band=(params.lowest, params.highest),
            )
        )  # fmt: skip
    stars = place_stars(joined(parts), side, threshold=params.threshold, most=params.most)
    if not stars.x.size:
        raise BadData("no star in the astrometric field", hint="look at the exposure, or lower the threshold")
    ra, dec, sky = _catalogue(astrometry_reference, pointing)
    found = np.stack([stars.x, stars.y], axis=1)
    scale = side[0] / WIDE_SPAXEL
    pair = match_stars(found, sky, reach=params.reach * scale, turn=params.turn, tolerance=params.tolerance * scale)
    error = np.hypot(np.stack([stars.x_error, stars.y_error], axis=1), params.catalogue)
    target = np.where((pair >= 0)[:, None], sky[pair], np.nan)
    solved = solve_map(found, error, target)
    wcs = _noun(
        stars, solved, side, np.where(pair >= 0, ra[pair], np.nan), np.where(pair >= 0, dec[pair], np.nan), meta
    )
    held = {2: "scale and direction are the nominal ones", 4: "one scale for both axes, no shear"}.get(solved.terms)
    caveats = (f"{int(solved.used.sum())} stars: {held}",) if held else ()
    return AstrometryOut(field_wcs=wcs, quality=_numbers(wcs, stars, solved), caveats=(*pointing.caveats, *caveats))


def _catalogue(table: RawFrame, pointing: Pointing) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return RA, DEC (degree) and places (arcsec, west and north, along the field's axes) of the stars near the field.

    Raises
    ------
    MissingInput
        None is there.
    BadData
        The catalogue has no columns RA, DEC.
    """
    parts = table.tables_with("RA", "DEC").values()
    ra, dec = (np.concatenate([np.asarray(one[key], np.float64) for one in parts]) for key in ("RA", "DEC"))
    magnitude = np.concatenate([np.asarray(one.get("mag", np.zeros(len(one["RA"]))), np.float64) for one in parts])
    near = np.abs(dec - pointing.dec) < 1.0  # the projection holds but one hemisphere
    ra, dec, magnitude = ra[near], dec[near], magnitude[near]
    east, north = sky_to_plane(ra, dec, pointing.ra, pointing.dec)
    inside = np.hypot(east, north) < _FIELD
    if not inside.any():
        raise MissingInput(
            f"{table.name}: no star within {_FIELD:g} arcsec of RA {pointing.ra:.4f}, DEC {pointing.dec:.4f}",
            hint="is it the catalogue of this field?",
        )
    order = np.flatnonzero(inside)[np.argsort(magnitude[inside], kind="stable")]
    angle = np.radians(pointing.angle)
    west = -east[order]
    along = west * np.cos(angle) + north[order] * np.sin(angle)
    across = north[order] * np.cos(angle) - west * np.sin(angle)
    return ra[order], dec[order], np.stack([along, across], axis=1)


def _noun(  # noqa: PLR0913 - all that is known of the stars
    stars: FoundStars, solved: LinearMap, side: tuple[float, float], ra: FloatArray, dec: FloatArray, meta: Meta
) -> FieldWcs:
    """West is minus east; the place of the pointing in the field is where the map is zero."""
    scale = np.diag(side)
    matrix = np.diag([-1.0, 1.0]) @ solved.matrix @ scale / _DEGREE
    inverse = np.linalg.inv(solved.matrix)
    centre = -inverse @ solved.shift / np.array(side)
    spread = np.sqrt(np.abs(np.diag(solved.covariance)))
    factor = np.array([side[0], side[1], side[0], side[1]]) / _DEGREE
    at = inverse @ solved.covariance[4:, 4:] @ inverse.T
    return FieldWcs(
        x=stars.x / side[0],
        y=stars.y / side[1],
        x_error=stars.x_error / side[0],
        y_error=stars.y_error / side[1],
        flux=stars.flux,
        ra=ra,
        dec=dec,
        residual_east=-solved.residual[:, 0],
        residual_north=solved.residual[:, 1],
        used=solved.used.astype(np.int32),
        cd11=float(matrix[0, 0]),
        cd12=float(matrix[0, 1]),
        cd21=float(matrix[1, 0]),
        cd22=float(matrix[1, 1]),
        crpix1=float(centre[0]),
        crpix2=float(centre[1]),
        cd11_error=float(spread[0] * factor[0]),
        cd12_error=float(spread[1] * factor[1]),
        cd21_error=float(spread[2] * factor[2]),
        cd22_error=float(spread[3] * factor[3]),
        crpix1_error=float(np.sqrt(at[0, 0]) / side[0]),
        crpix2_error=float(np.sqrt(at[1, 1]) / side[1]),
        terms=solved.terms,
        meta=meta,
    )


def _numbers(wcs: FieldWcs, stars: FoundStars, solved: LinearMap) -> tuple[QualityNumber, ...]:
    turn = float(np.degrees(np.arctan2(wcs.cd21, wcs.cd22)))
    scale = [float(np.hypot(*pair)) * _DEGREE for pair in ((wcs.cd11, wcs.cd21), (wcs.cd12, wcs.cd22))]
    left = solved.residual[solved.used]
    return (
        QualityNumber("ASTRO NSTARS", float(len(stars.x))),
        QualityNumber("ASTRO NMATCHED", float(solved.used.sum()), low=6.0),
        QualityNumber("ASTRO SCALE1", scale[0], "arcsec"),
        QualityNumber("ASTRO SCALE2", scale[1], "arcsec"),
        QualityNumber("ASTRO ANGLE", turn, "deg", low=-2.0, high=2.0),
        QualityNumber("ASTRO MEDRES", float(np.median(np.hypot(*left.T))) if left.size else 0.0, "arcsec", high=0.1),
        QualityNumber("ASTRO CHI2", solved.chi2),
        QualityNumber("STAR FWHM", stars.fwhm, "arcsec"),
    )
