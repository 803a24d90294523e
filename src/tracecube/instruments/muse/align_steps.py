"""How the exposures of a field lie to each other, from their white images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.alignment import Offsets, SourceList
from tracecube.core.fields import FloatArray, Meta, Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Image
from tracecube.instruments.muse.headers import exposure_time, start_mjd
from tracecube.instruments.muse.headers import text as card_text
from tracecube.instruments.muse.same_exposure import each_once
from tracecube.instruments.muse.user_files import OutputGrid, listed_offsets, listed_sources, output_grid
from tracecube.recipes.align.align import Aligned, AlignParams, align
from tracecube.recipes.align.field import FieldGrid, grid_of, preview
from tracecube.recipes.align.white import White, mapped, sky_of, white
from tracecube.recipes.slices.cube import Grid, flat_cards

__all__ = ["align_exposures"]

_UNLIKE = 5.0  # reduced chi-square of a pair of white images that are not alike
_UNSURE = 0.4  # arcsec: an offset less certain is not measured
_ODD = 0.1  # arcsec by which a given list may differ from what the images say
_CLEARER = 0.02  # of its light, and three errors, by which an exposure sees more than the first: it is the clear one
_CLOUDED = 0.75  # of the light of the clear one: people should know
_DEG = 3600.0


@dataclass(frozen=True, kw_only=True)
class AlignOut(Outputs):
    """Offsets of the exposures of a field, its sources, a preview, and how long each place was exposed."""

    offsets: Offsets
    source_list: SourceList
    preview_fov: Image
    exposure_map: Image


@dataclass(frozen=True)
class _Told:
    """Offsets (n, 2; degree), errors, flux scales, and how each was found."""

    offset: FloatArray
    error: FloatArray
    scale: FloatArray
    scale_error: FloatArray
    method: list[str]


@recipe(version="11")
def align_exposures(
    *,
    images: Sequence[Image],
    source_list: Sequence[RawFrame],
    offset_list: RawFrame | None,
    output_wcs: RawFrame | None,
    params: AlignParams,
) -> AlignOut:
    """Measure offsets, flux scales and backgrounds of exposures against the first.

    Each pair of white images is fitted: place, flux, background and difference of the seeing, on sources and light of
    extended objects alike; all pairs together give the offsets. Where nothing tells of the place, the header's stands,
    a flag and a caveat say so. An OFFSET_LIST in the raw folder overrides what is measured, an OUTPUT_WCS the grid.
    """
    order, twice = each_once(images)
    pictures = [images[i] for i in order]
    metas = [one.meta for one in pictures]
    whites = [white(one, weigh=params.weight) for one in pictures]
    given, said = listed_sources(source_list, metas, whites) if params.override_detection else (None, [])
    found = align(whites, params, listed=given)
    told, caveats = _told(found, whites, offset_list, metas)
    grid = grid_of(whites, told.offset, 0)
    wanted = None if output_wcs is None else output_grid(output_wcs)
    grid = grid if wanted is None else wanted.field
    seconds = [exposure_time(meta, "image") for meta in metas]
    background = np.where(np.isfinite(found.background), found.background, 0.0)
    seen = preview(whites, grid, told.offset, told.scale, background, seconds)
    cards = _cards(grid, metas[0], sum(seconds))
    return AlignOut(
        offsets=_offsets(found, told, (grid, wanted), metas, whites[0].side),
        source_list=_sources(found, whites, told.offset, params, metas[0]),
        preview_fov=_image(seen.data, seen.variance, {**cards, "ESO PRO CATG": "PREVIEW_FOV"}),
        exposure_map=_image(
            seen.exposed, np.zeros_like(seen.exposed), {**cards, "BUNIT": "s", "ESO PRO CATG": "EXPOSURE_MAP"}
        ),
        quality=_numbers(found, told, whites),
        caveats=(*twice, *said, *caveats, *_advice(found, params)),
    )


def _told(
    found: Aligned, whites: Sequence[White], offset_list: RawFrame | None, metas: Sequence[Meta]
) -> tuple[_Told, list[str]]:
    """Return what the images say, or what the user does, and what people should know of it."""
    cosine = np.cos(np.radians([one.dec for one in whites]))
    side = np.array([one.side for one in whites])
    error = np.sqrt(np.diagonal(found.shift_covariance, axis1=1, axis2=2))
    scale = np.stack([-side / _DEG / cosine, side / _DEG], axis=1)  # right ascension to the east, x to the west
    offset, error = found.shift[:, ::-1] * scale, error[:, ::-1] * np.abs(scale)
    sure = np.isfinite(offset).all(axis=1) & (np.hypot(error[:, 0] * cosine, error[:, 1]) * _DEG < _UNSURE)
    method = ["images" if own else "header" for own in sure]
    method[0] = "reference"
    flux = np.where(sure & np.isfinite(found.flux), 1.0 / np.where(found.flux > 0, found.flux, np.nan), 1.0)
    flux_error = np.where(sure, found.flux_error * flux**2, np.inf)
    flux, flux_error, clouds = _of_clearest(flux, flux_error)
    caveats = [
        f"exposure {i + 1}: offset not measured ({_reason(found, int(i))}): the header's pointing stands"
        for i in np.flatnonzero(~sure)
    ] + clouds
    offset = np.where(sure[:, None], offset, 0.0)
    if offset_list is None:
        return _Told(offset, error, flux, flux_error, method), caveats
    rows = listed_offsets(offset_list, metas)
    off = []
    zero = (0.0, 0.0) if rows[0] is None else rows[0][:2]  # images tell offsets against the first alone
    for i, row in enumerate(rows):
        if row is None:
            caveats.append(f"exposure {i + 1} is not in {offset_list.name}: its offset is the one measured")
            continue
        if sure[i]:
            listed = row[0] - zero[0] - offset[i, 0], row[1] - zero[1] - offset[i, 1]
            off.append(float(np.hypot(listed[0] * cosine[i], listed[1]) * _DEG))
        offset[i], error[i], method[i] = row[:2], np.nan, "list"
        if np.isfinite(row[2]):
            flux[i], flux_error[i] = row[2], np.nan
    if off and max(off) > _ODD:
        caveats.append(f"{offset_list.name} differs from what the images say by up to {max(off):.2f} arcsec")
    return _Told(offset, error, flux, flux_error, method), caveats


def _of_clearest(scale: FloatArray, error: FloatArray) -> tuple[FloatArray, FloatArray, list[str]]:
    """Return flux scales and errors against the clearest exposure, and which saw far less light, in words.

    Clouds only take light. Scales stay those against the first exposure unless another saw surely more than it did:
    then it is the mean of those that are as clear as the clearest that counts.
    """
    sure = np.isfinite(scale) & np.isfinite(error)
    clearest = int(np.argmin(np.where(sure, scale, np.inf)))
    if 1.0 - scale[clearest] > max(3.0 * error[clearest], _CLEARER):
        near = sure & (scale - scale[clearest] < np.maximum(3.0 * error, _CLEARER)) & (error > 0.0)
        weight = np.where(near, 1.0 / np.where(near, error, 1.0) ** 2, 0.0)
        clear = float(np.sum(weight * scale) / weight.sum())
        scale, error = scale / clear, np.hypot(error, scale * float(weight.sum() ** -0.5) / clear) / clear
    said = [
        f"exposure {i + 1} saw {100.0 / scale[i]:.0f} per cent of the light of exposure {clearest + 1}: was it cloudy? "
        "Its flux is brought to that of the clear one"
        for i in np.flatnonzero(sure & (1.0 / scale < _CLOUDED))
    ]
    return scale, error, said


def _reason(found: Aligned, exposure: int) -> str:
    reasons = [pair.reason for i, j, pair in found.pairs if exposure in {i, j} and pair.reason]
    return reasons[0] if reasons else f"its error is above {_UNSURE:g} arcsec"


def _offsets(
    found: Aligned, told: _Told, grids: tuple[FieldGrid, OutputGrid | None], metas: Sequence[Meta], side: float
) -> Offsets:
    """Return the offsets; pairs were measured in pixels of white images, whose side (arcsec) need not be the grid's."""
    kept = [(i, j, pair.fit) for i, j, pair in found.pairs if pair.fit is not None]
    grid, wanted = grids
    errors = [np.sqrt(np.diag(fit.of_first + fit.of_second)) for _, _, fit in kept]
    off = np.hypot(*np.nan_to_num(found.place.left, nan=0.0).T) if kept else np.zeros(0)
    return Offsets(
        date=np.array([card_text(meta, "DATE-OBS") for meta in metas]),
        mjd=np.array([start_mjd(meta, "image") for meta in metas]),
        ra=told.offset[:, 0],
        dec=told.offset[:, 1],
        flux_scale=told.scale,
        ra_error=told.error[:, 0],
        dec_error=told.error[:, 1],
        flux_error=told.scale_error,
        background=found.background,
        background_error=found.background_error,
        sources=np.array([len(one.value) for one in found.sources], np.int32),
        method=np.array(told.method),
        dq=np.array([int(Flag.ASTROMETRY) if one == "header" else 0 for one in told.method], np.int32),
        exposure=np.array([str(meta.get("ARCFILE") or card_text(meta, "DATE-OBS")) for meta in metas]),
        first=np.array([i + 1 for i, _, _ in kept], np.int32),
        second=np.array([j + 1 for _, j, _ in kept], np.int32),
        pair_x=np.array([fit.value[1] * side for _, _, fit in kept]),
        pair_y=np.array([fit.value[0] * side for _, _, fit in kept]),
        pair_x_error=np.array([one[1] * side for one in errors]),
        pair_y_error=np.array([one[0] * side for one in errors]),
        pair_flux=np.array([fit.value[2] for _, _, fit in kept]),
        pair_chi2=np.array([fit.chi2 for _, _, fit in kept]),
        pair_left=off * side,
        pair_used=found.place.used.astype(np.int32),
        grid_ra=grid.ra,
        grid_dec=grid.dec,
        grid_x=grid.x0,
        grid_y=grid.y0,
        grid_side=grid.side,
        grid_columns=grid.columns,
        grid_rows=grid.rows,
        grid_wave=0.0 if wanted is None else wanted.wave0,
        grid_step=0.0 if wanted is None else wanted.step,
        grid_planes=0 if wanted is None else wanted.planes,
        meta={**metas[0], "ESO PRO CATG": "OFFSET_LIST"},
    )


def _sources(
    found: Aligned, whites: Sequence[White], offset: FloatArray, params: AlignParams, meta: Meta
) -> SourceList:
    """Return all sources with their places as they appear and corrected, and how many other exposures show them."""
    sky = [sky_of(one, *own.value[:, :2].T) for one, own in zip(whites, found.sources, strict=True)]
    true = [(ra - one[0], dec - one[1]) for (ra, dec), one in zip(sky, offset, strict=True)]
    plane = [np.stack(mapped(whites[0], *place), axis=1) for place in true]
    reach = params.rsearch[-1] / whites[0].side
    matches = [
        np.array(
            [
                sum(bool((np.hypot(*(other - one).T) < reach).any()) for j, other in enumerate(plane) if j != i)
                for one in own
            ]
        )
        for i, own in enumerate(plane)
    ]

    def column(parts: Sequence[FloatArray]) -> FloatArray:
        return np.concatenate([np.asarray(part, np.float64).ravel() for part in parts])

    return SourceList(
        exposure=np.repeat(np.arange(1, len(whites) + 1, dtype=np.int32), [len(one.value) for one in found.sources]),
        number=np.concatenate([np.arange(1, len(one.value) + 1, dtype=np.int32) for one in found.sources]),
        x=column([one.value[:, 1] + 1.0 for one in found.sources]),
        y=column([one.value[:, 0] + 1.0 for one in found.sources]),
        x_error=column([one.error[:, 1] for one in found.sources]),
        y_error=column([one.error[:, 0] for one in found.sources]),
        flux=column([one.value[:, 2] for one in found.sources]),
        flux_error=column([one.error[:, 2] for one in found.sources]),
        sharpness=column([one.sharpness for one in found.sources]),
        roundness=column([one.roundness for one in found.sources]),
        ra=column([place[0] for place in sky]),
        dec=column([place[1] for place in sky]),
        ra_corrected=column([place[0] for place in true]),
        dec_corrected=column([place[1] for place in true]),
        matches=column(matches).astype(np.int32),
        meta={**meta, "ESO PRO CATG": "SOURCE_LIST"},
    )


def _cards(grid: FieldGrid, meta: Meta, seconds: float) -> dict[str, Scalar]:
    axes = Grid(0.0, 1.0, grid.x0, grid.y0, grid.side, (1, grid.rows, grid.columns)).cards(grid.ra, grid.dec)
    return {**flat_cards({**meta, **axes}), "EXPTIME": seconds}


def _image(data: FloatArray, variance: FloatArray, meta: Mapping[str, Scalar]) -> Image:
    flags = np.where(np.isfinite(data), 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    return Image(data.astype(np.float32), variance.astype(np.float32), flags, dict(meta))


def _numbers(found: Aligned, told: _Told, whites: Sequence[White]) -> tuple[QualityNumber, ...]:
    cosine = np.cos(np.radians(whites[0].dec))
    error = np.hypot(told.error[:, 0] * cosine, told.error[:, 1]) * _DEG
    known = np.isfinite(error)
    moved = np.hypot(told.offset[:, 0] * cosine, told.offset[:, 1]) * _DEG
    # as many pairs as exposures need do not tell whether they agree
    chi2 = [QualityNumber("ALIGN CHI2", found.place.chi2, high=4.0)] if np.isfinite(found.place.chi2) else []
    return (
        QualityNumber(
            "ALIGN ERROR MAX", float(error[known].max()) if known.any() else float("nan"), "arcsec", high=0.05
        ),
        QualityNumber("ALIGN OFFSET MAX", float(moved.max()), "arcsec"),
        QualityNumber("ALIGN PAIRS", float(found.place.used.sum())),
        QualityNumber("ALIGN PAIRS OUT", float((~found.place.used).sum()), high=0.0),
        *chi2,
        QualityNumber("ALIGN LOST", float(sum(one == "header" for one in told.method)), high=0.0),
        QualityNumber("SOURCES MIN", float(min(len(one.value) for one in found.sources))),
        QualityNumber("SOURCES MAX", float(max(len(one.value) for one in found.sources))),
        QualityNumber("FLUX SCALE RMS", float(np.std(told.scale)), high=0.2),
    )


def _advice(found: Aligned, params: AlignParams) -> list[str]:
    """Return what may be tried where the number of sources is not what was asked for."""
    few = [str(i + 1) for i, one in enumerate(found.sources) if len(one.value) < params.srcmin]
    crowded = [str(i + 1) for i, one in enumerate(found.sources) if one.crowd]
    edges = [str(i + 1) for i, one in enumerate(found.sources) if one.edge > max(len(one.value), params.srcmin)]
    said = []
    if few:
        said.append(
            f"fewer than srcmin={params.srcmin} sources in exposure {', '.join(few)}: light of extended objects too; "
            "a smaller threshold finds fainter sources"
        )
    if crowded:
        said.append(
            f"more than srcmax={params.srcmax} sources in exposure {', '.join(crowded)}, the brightest are taken: if "
            "the preview shows sources twice, try rsearch=[10,4,2,0.8] with nbins=20, a larger threshold and step, or, "
            "for a mosaic, a larger srcmax"
        )
    if edges:
        said.append(
            f"most maxima of exposure {', '.join(edges)} lie at edges and are left out; bpixdistance sets how near"
        )
    unlike = [f"{i + 1} and {j + 1}" for i, j, pair in found.pairs if pair.fit is not None and pair.fit.chi2 > _UNLIKE]
    if unlike:
        said.append(
            f"exposures {', '.join(unlike)} differ by more than noise and seeing (chi-square above {_UNLIKE:g}): "
            "is light of objects taken for sky in one of them? Offsets and flux scales are as doubtful"
        )
    return said
