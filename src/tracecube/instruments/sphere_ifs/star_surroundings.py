"""The DITs of a star brought together with their star centres and angles, and searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tracecube.core.companions import Companions, CompanionSpectrum, ContrastCurve, ResidualCube
from tracecube.core.errors import MissingInput
from tracecube.core.fields import FloatArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Image, Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.instruments.sphere_ifs.dits import on_one_dit
from tracecube.instruments.sphere_ifs.flux_by_halo import with_halo
from tracecube.instruments.sphere_ifs.headers import number
from tracecube.instruments.sphere_ifs.lamp_evenness import Evened, even_lamp
from tracecube.instruments.sphere_ifs.nominal_layout import SCALE_ERROR
from tracecube.instruments.sphere_ifs.observing import orientation, pointing
from tracecube.instruments.sphere_ifs.science_parameters import CompanionParams
from tracecube.instruments.sphere_ifs.star_place import another_star, frame_name, star_name
from tracecube.recipes.science.companion_products import (
    companion_spectra,
    contrast_image,
    quality_of,
    significance_image,
    sources,
)
from tracecube.recipes.science.high_contrast import contrast_curve, in_band, surroundings
from tracecube.recipes.science.odd_exposures import even_exposures
from tracecube.recipes.science.residual_cube import residual_cube
from tracecube.recipes.science.star_sequence import star_sequence
from tracecube.recipes.science.strehl import Strehl, core_light, halo_share

__all__ = ["StarSurroundings", "centre_of", "find", "in_order", "paired"]

_MOST_SPOTS = 6  # DITs with spots of their own that are asked: the level is that of their mean
_LEAST_HALO, _MOST_HALO = 0.02, 1.0  # of the star's light: a Strehl ratio of 0.98, and all that there is


@dataclass(frozen=True)
class StarSurroundings:
    """Products of the search."""

    sources: Companions
    spectra: tuple[CompanionSpectrum, ...]
    image: Image
    significance: Image
    curve: ContrastCurve
    residual: ResidualCube | None
    quality: tuple[QualityNumber, ...]
    caveats: tuple[str, ...]


def find(
    channels: Sequence[Spectra],
    centres: list[StarCentre],
    psf: StarPsf,
    params: CompanionParams,
    *,
    with_spots: Sequence[tuple[StarCentre, Spectra | None]] = (),
) -> StarSurroundings:
    """Search the DITs of a star.

    Parameters
    ----------
    channels : sequence of Spectra
        Read one after the other.
    centres : list of StarCentre
        Of the DITs.
    psf : StarPsf
    params : CompanionParams
    with_spots : sequence of (StarCentre, Spectra or None)
        Star and channels of the frames with satellite spots.

    Raises
    ------
    MissingInput
        A DIT without star centre, or without angle.
    BadData
        DITs of different lenslets or channels.
    """
    seen = _together(channels, centres, psf, params, with_spots)
    sequence, star_error = seen.lit.sequence, float(np.hypot(seen.level.error, seen.lit.error))
    method = params.method(sequence.rotation, len(seen.placed))
    settings = params.contrast(method)
    band = sequence.wave[in_band(sequence, settings.band, wavefront=settings.wavefront)]
    of_mean = float(np.hypot(seen.level.mean_error(band), seen.lit.error))
    found = surroundings(sequence, settings)
    target, scale = pointing(seen.meta), number(seen.meta, SCALE_ERROR) or 0.0
    centre_error = float(np.sqrt(np.mean([c.centre_x_error**2 + c.centre_y_error**2 for c in seen.placed]) / 2.0))
    caveats = [*seen.caveats, *found.caveats]
    caveats += _sequence_caveats(sequence.rotation, method, seen.placed, params)
    caveats += [*seen.of_level, *_halo_caveats(seen.halo), *seen.lit.caveats]
    meta = {**seen.meta, "ESO PRO CATG": "IFS_SCIENCE_DR", "HCMETHOD": method}
    curve = contrast_curve(found, sequence, settings)
    residual, left = residual_cube(found, params.grid(), target=target, meta=meta) if params.residual else (None, ())
    return StarSurroundings(
        sources=sources(
            found, star_error=of_mean, centre_error=centre_error, scale_error=scale, target=target, meta=meta
        ),
        spectra=companion_spectra(found, sequence, star_error=star_error, meta=meta),
        image=contrast_image(found.raw, target, meta),
        significance=significance_image(found.raw, target, meta),
        curve=curve,
        residual=residual,
        quality=(
            *quality_of(found, sequence),
            QualityNumber("ODD DITS", float(seen.odd), "", high=0.0),
            QualityNumber("CENTRE ERROR", 1e3 * centre_error, "mas", high=1.0),
            *_level_numbers(seen.level),
            QualityNumber("HALO LIGHT", 100.0 * seen.halo, "%", 100.0 * _LEAST_HALO, 100.0 * _MOST_HALO),
            *seen.lit.quality,
            *seen.of_star,
            *left,
        ),
        caveats=tuple(caveats),
    )


class _Together(NamedTuple):
    """All DITs as one sequence, and what was found on the way; caveats of the frames, and of the star's level."""

    lit: Evened
    level: Strehl
    halo: float
    placed: list[StarCentre]
    meta: Meta
    caveats: list[str]
    of_level: list[str]
    odd: int
    of_star: tuple[QualityNumber, ...]


def _together(
    channels: Sequence[Spectra],
    centres: list[StarCentre],
    psf: StarPsf,
    params: CompanionParams,
    with_spots: Sequence[tuple[StarCentre, Spectra | None]],
) -> _Together:
    """Make a sequence of the DITs; their spectra are let go, so that none is in memory twice."""
    spectra, placed = in_order([_bare(one) for one in channels], centres)
    turned = [orientation(one.meta, _dit(one.meta)[0]) for one in spectra]
    spectra, spots, said = _comparable(spectra, psf, [*with_spots, *_own_spots(spectra, placed)])
    psf, of_star = with_halo(psf, spectra, placed)
    level = core_light(psf, spots, spectra, params.strehl())
    halo = halo_share(psf, spectra[0], placed[0], params.strehl())
    light, tilt, angles = level.light, level.tilt(np.asarray(psf.wave, float)), [o.angle for o in turned]
    sequence = star_sequence(spectra, placed, angles, psf, brightness=light, tilt=tilt, diameter=params.diameter)
    sequence, odd = even_exposures(sequence)
    meta = spectra[0].meta
    lit = even_lamp(sequence, psf, meta, params.illumination)
    of_level = _level_caveats(level, spectra, float(np.hypot(level.error, lit.error)))
    caveats = [*dict.fromkeys(caveat for one in turned for caveat in one.caveats), *said, *_odd_caveats(odd, spectra)]
    return _Together(lit, level, halo, placed, meta, caveats, of_level, int(np.count_nonzero(odd > 1.0)), of_star)


def _odd_caveats(factor: FloatArray, spectra: list[Spectra]) -> list[str]:
    """Name the DITs whose halo is unlike that of the others, by their factors (n_time,)."""
    odd = [(_dit(one.meta), float(f) ** 0.5) for one, f in zip(spectra, factor, strict=True) if f > 1.0]
    names = "; ".join(f"{file}, DIT {plane}, {times:.0f} times theirs" for (file, plane), times in odd)
    what = "the halo of these DITs is unlike that of the others and they count as little as its scatter allows"
    return [f"{what} ({names}): was the loop open, the star off its mask?"] if odd else []


def _bare(one: Spectra) -> Spectra:
    """Return spectra without their correlations, which are two thirds of them."""
    none = np.broadcast_to(np.zeros(1, np.float32), one.flux.shape)
    return replace(one, covariance=none, beside=None, beside_sample=None, beside_correlation=None)


def in_order(channels: list[Spectra], centres: list[StarCentre]) -> tuple[list[Spectra], list[StarCentre]]:
    """Sort the DITs of a star by time, each with its star centre.

    Raises
    ------
    MissingInput
        A DIT without star centre.
    """
    spectra = sorted(channels, key=lambda one: _dit(one.meta))
    by_dit = {(str(c.file[0]), int(c.plane[0])): c for c in centres}
    return spectra, [centre_of(one.meta, by_dit) for one in spectra]


def paired(centres: Sequence[StarCentre], channels: Sequence[Spectra]) -> list[tuple[StarCentre, Spectra | None]]:
    """Put the star and the channels of each frame with satellite spots together; correlations are let go."""
    seen = {_dit(one.meta): _bare(one) for one in channels}
    return [(centre, seen.get((str(centre.file[0]), int(centre.plane[0])))) for centre in centres]


def _own_spots(spectra: list[Spectra], placed: list[StarCentre]) -> list[tuple[StarCentre, Spectra | None]]:
    """DITs that show satellite spots themselves, evenly chosen in time; they tell of the Strehl ratio as well."""
    having = [(centre, one) for centre, one in zip(placed, spectra, strict=True) if centre.method == "spots"]
    at = np.unique(np.linspace(0, len(having) - 1, min(_MOST_SPOTS, len(having))).round().astype(int))
    return [having[i] for i in at]


def _comparable(
    spectra: list[Spectra], psf: StarPsf, with_spots: Sequence[tuple[StarCentre, Spectra | None]]
) -> tuple[list[Spectra], list[tuple[StarCentre, Spectra | None]], list[str]]:
    """Bring all frames to the integration time of the star's flux; spots of another star tell nothing of this one."""
    meta, own = spectra[0].meta, [pair for pair in with_spots if not another_star(spectra[0].meta, pair[0].meta)]
    said = []
    if another_star(meta, psf.meta):
        what = f"the flux frame is of {star_name(psf.meta)}, not of {star_name(meta)}: contrasts are over another star"
        said.append(f"{what} (try: add the OBJECT,FLUX frame of this star)")
        own = []
    seen = [one for _, one in own if one is not None]
    frames, unlike = on_one_dit([*spectra, *seen], psf.dit)
    brought = iter(frames[len(spectra) :])
    spots = [(centre, None if one is None else next(brought)) for centre, one in own]
    return frames[: len(spectra)], spots, [*said, *unlike]


def _sequence_caveats(rotation: float, method: str, placed: list[StarCentre], params: CompanionParams) -> list[str]:
    """What the turn (degree) of the field and the star's places do not allow."""
    caveats = []
    if params.use_adi and "a" not in method.removeprefix("pca-").replace("sdi", ""):
        caveats.append(f"the field turned by {rotation:.1f} degree only: its rotation is not used")
    if any((np.asarray(c.dq) & int(Flag.ASTROMETRY)).any() for c in placed):
        caveats.append("the star's place is not known in every DIT: places of companions are not to be trusted")
    return caveats


def _level_caveats(level: Strehl, spectra: list[Spectra], star_error: float) -> list[str]:
    """What neither spots nor halo tell of the star's light in the DITs."""
    silent = np.flatnonzero(~np.isfinite(level.halo))
    if not np.isfinite(level.change):
        what = "no satellite spots tell how the star's Strehl ratio changed"
    elif silent.size:
        names = "; ".join("{}, DIT {}".format(*_dit(spectra[i].meta)) for i in silent)
        where = "any DIT" if silent.size == len(spectra) else f"these DITs ({names})"
        what = f"the star's halo does not tell the Strehl ratio of {where}: it is taken from the frames with spots"
    else:
        return []
    return [f"{what}: contrasts are uncertain by {star_error:.1%}"]


def _halo_caveats(share: float) -> list[str]:
    """Say that the star's flux can not be right where its halo has more than all of it, or next to nothing."""
    if not np.isfinite(share) or _LEAST_HALO <= share <= _MOST_HALO:
        return []
    what = (
        f"the halo around the mask holds {100.0 * share:.1f} % of the star's light by the flux frame, of 5 to 50 usual"
    )
    hint = "look at the flux frame: its DIT, its neutral density filter (ESO INS4 FILT2 NAME)"
    return [f"{what}: contrasts are not to be trusted (try: {hint})"]


def _level_numbers(level: Strehl) -> tuple[QualityNumber, ...]:
    """Quality numbers of the star's light in the DITs over that beside the mask."""
    told = level.halo[np.isfinite(level.halo)]
    return (
        QualityNumber("STREHL CHANGE", 100.0 * level.change, "%", -10.0, 10.0),
        QualityNumber("STREHL CHANGE ERROR", 100.0 * level.change_error, "%", high=3.0),
        QualityNumber("HALO RATIO", float(told.mean()) if told.size else np.nan, "", 0.7, 1.4),
        QualityNumber("STAR LEVEL ERROR", 100.0 * level.error, "%", high=5.0),
        QualityNumber("STREHL FRAMES", float(level.frames)),
        *((QualityNumber("STREHL CHI2", level.chi2, "", high=4.0),) if level.frames > 1 else ()),
    )


def _dit(meta: Meta) -> tuple[str, int]:
    """Raw file and plane of a DIT."""
    plane = meta.get("PLANE")
    return frame_name(meta), int(plane) if isinstance(plane, int | float) else 0


def centre_of(meta: Meta, by_dit: dict[tuple[str, int], StarCentre]) -> StarCentre:
    """Star centre of a DIT."""
    file, plane = _dit(meta)
    found = by_dit.get((file, plane))
    if found is None:
        raise MissingInput(f"{file}, DIT {plane}: no star centre", hint="run ifs_science for every OBJECT frame")
    return found
