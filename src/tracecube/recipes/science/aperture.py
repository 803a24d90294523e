"""Light of a source inside a circle, less the sky of a ring about it: for what no point-spread function describes.

Circle and ring move with refraction. The circle's edge is soft over one lenslet, so that no lenslet jumps in or out
from one wavelength to the next. What the circle misses of a point source, and what of it lies in the ring, follows
from its point-spread function; a source that is none keeps the light that was counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.target import PointSourceFit
from tracecube.kernels.psf import full_width, lattice_pitch
from tracecube.recipes.science.chromatic_fit import Geometry, Prior, centre_of, fractions, growth_of, shape_of
from tracecube.recipes.science.scene import Scene, Track, make_slices

__all__ = ["ApertureChoices", "ApertureSource", "extract_aperture"]

F8 = NDArray[np.float64]
_FEWEST = 6  # lenslets of the ring from which its sky is believed
_CLIP = 4.0  # sigma: stars and hits in the ring, of a hundred lenslets none else
_SPREAD = 1.4826  # standard deviation of a normal distribution over its median absolute deviation


@dataclass(frozen=True)
class ApertureChoices:
    """How to count.

    Parameters
    ----------
    radius : float, arcsec
        Of the circle.
    inner, outer : float
        Radii of the ring over that of the circle.
    point : bool
        Bring the light to that of the whole point source.
    fit_low, fit_high : float, Angstrom
    slices : int
        Of the picture.
    """

    radius: float
    inner: float
    outer: float
    point: bool
    fit_low: float
    fit_high: float
    slices: int


@dataclass(frozen=True)
class ApertureSource:
    """What was counted.

    Parameters
    ----------
    flux, variance, covariance, sky : array (m,)
        Covariance with the next sample; sky a lenslet.
    flags : int32 array (m,)
    counted : array (m,)
        Share of a point source's light that is in the circle and not in the ring's sky; of any other source, share
        of the circle that was measured.
    level_error : float
        Relative error of the flux that all wavelengths share: of ``counted``, by the errors of place and shape.
    fwhm : float, arcsec
        Of the point-spread function at the reference wavelength.
    picture : PointSourceFit
        Data, and a point source of this flux.
    """

    flux: F8
    variance: F8
    covariance: F8
    sky: F8
    flags: NDArray[np.int32]
    counted: F8
    level_error: float
    fwhm: float
    picture: PointSourceFit


class _Lattice(NamedTuple):
    """Distance of neighbouring lenslets (arcsec), and their hexagons."""

    pitch: float
    geometry: Geometry


class _Parts(NamedTuple):
    """Weight of each lenslet in the circle (m, n), and whether it counts for the ring's sky."""

    circle: F8
    ring: NDArray[np.bool_]


def extract_aperture(
    scene: Scene,
    track: Track,
    circle: Prior,
    source: Prior,
    choices: ApertureChoices,
    *,
    covariance: F8 | None = None,
) -> ApertureSource:
    """Count the light in a circle.

    Parameters
    ----------
    scene : Scene
        The field, without what a person excluded.
    track : Track (m,)
    circle : Prior
        Its place and refraction count.
    source : Prior
        Place and shape of the point source in it, with their errors; nothing is fitted here.
    choices : ApertureChoices
    covariance : array (11, 11), optional
        Of place and shape, where they were fitted and trade for one another; without it they are independent.

    Raises
    ------
    BadData
        No lenslet in the circle, or fewer than six in the ring.
    """
    region = scene.near(circle.mean[0], circle.mean[1], _reach(track, choices))
    lattice = _Lattice(lattice_pitch(scene.x, scene.y), Geometry.of(scene))
    parts = _parts(region, circle.mean, track, choices, lattice.pitch)
    if not (parts.circle > 0).any() or np.median(parts.ring.sum(axis=1)) < _FEWEST:
        raise BadData(
            f"aperture of {choices.radius} arcsec: {int((parts.circle > 0).any(axis=0).sum())} lenslets inside, "
            f"{int(np.median(parts.ring.sum(axis=1)))} for the sky",
            hint="another radius, a place farther from the edge, or fewer excluded spaxels",
        )
    counted = _counted(region, parts, fractions(source.mean, track, region.x, region.y, lattice.geometry), choices)
    estimator, sky = _estimator(region, parts, counted)
    flux = np.einsum("kn,kn->k", estimator, region.flux)
    next_to = np.zeros(flux.size)
    next_to[:-1] = np.einsum("kn,kn,kn->k", estimator[:-1], region.covariance[:-1], estimator[1:])
    measured = _measured(region, parts) & (counted > 0.2) & np.isfinite(sky)
    return ApertureSource(
        flux=np.where(measured, flux, np.nan),
        variance=np.where(measured, np.einsum("kn,kn,kn->k", estimator, estimator, region.variance), np.nan),
        covariance=next_to,
        sky=sky,
        flags=np.where(measured, 0, int(Flag.NOT_MEASURED)).astype(np.int32),
        counted=counted,
        level_error=_level_error(
            region,
            track,
            (circle, source, np.diag(source.sd**2) if covariance is None else covariance),
            choices,
            lattice,
        ),
        fwhm=float(full_width(shape_of(source.mean))),
        picture=_picture(region, parts, track, source, choices, (np.where(measured, flux, 0.0), sky, lattice.geometry)),
    )


def _reach(track: Track, choices: ApertureChoices) -> float:
    """Radius that holds the ring at all wavelengths."""
    return choices.radius * choices.outer + float(np.hypot(track.east, track.north).max()) * 1.5


def _parts(region: Scene, values: F8, track: Track, choices: ApertureChoices, pitch: float) -> _Parts:
    """Find circle and ring at every wavelength."""
    east, north = centre_of(values, track)
    far = np.hypot(region.x - east[:, None], region.y - north[:, None])
    circle = np.clip(0.5 + (choices.radius - far) / pitch, 0.0, 1.0)
    ring = (far >= choices.radius * choices.inner) & (far <= choices.radius * choices.outer)
    return _Parts(circle, ring & (circle == 0.0))


def _ring_values(region: Scene, parts: _Parts) -> NDArray[np.bool_]:
    """Which samples of the ring are sky: good, and no star's nor a hit's."""
    seen = np.where(parts.ring & region.good, region.flux, np.nan)
    some = np.isfinite(seen).any(axis=1)
    middle, spread = np.zeros((2, some.size, 1))
    middle[some, 0] = np.nanmedian(seen[some], axis=1)
    spread[some, 0] = _SPREAD * np.nanmedian(np.abs(seen - middle)[some], axis=1)
    width = np.maximum(spread, np.sqrt(region.variance))
    return np.asarray(parts.ring & region.good & (np.abs(region.flux - middle) <= _CLIP * width))


def _counted(region: Scene, parts: _Parts, share: F8, choices: ApertureChoices) -> F8:
    """Share (m,) of the source that circle less ring holds."""
    weight = np.where(region.good, parts.circle, 0.0)
    if not choices.point:
        return np.asarray(weight.sum(axis=1) / np.maximum(parts.circle.sum(axis=1), 1e-30))
    ring = _ring_values(region, parts)
    leak = np.sum(np.where(ring, share, 0.0), axis=1) / np.maximum(ring.sum(axis=1), 1)
    return np.asarray(np.sum(weight * share, axis=1) - weight.sum(axis=1) * leak)


def _estimator(region: Scene, parts: _Parts, counted: F8) -> tuple[F8, F8]:
    """Weights (m, n) whose sum over the lenslets is the flux, and the sky (m,) a lenslet."""
    weight = np.where(region.good, parts.circle, 0.0)
    ring = _ring_values(region, parts)
    many = ring.sum(axis=1)
    sky = np.where(many >= _FEWEST, np.sum(np.where(ring, region.flux, 0.0), axis=1) / np.maximum(many, 1), np.nan)
    whole = weight.sum(axis=1) / np.maximum(many, 1)
    scale = np.where(counted > 0, counted, np.inf)
    return (weight - np.where(ring, whole[:, None], 0.0)) / scale[:, None], sky


def _measured(region: Scene, parts: _Parts) -> NDArray[np.bool_]:
    """Whether at least half of the circle was measured."""
    whole = parts.circle.sum(axis=1)
    return np.asarray((np.where(region.good, parts.circle, 0.0).sum(axis=1) > 0.5 * whole) & (whole > 0))


def _level_error(
    region: Scene, track: Track, known: tuple[Prior, Prior, F8], choices: ApertureChoices, lattice: _Lattice
) -> float:
    """How far the counted share may be off, by what is known of place and shape.

    ``known`` are circle, source, and the covariance of the latter: steps of one sigma along each of its axes.
    """
    circle, source, covariance = known
    middle = slice(region.wave.size // 2, region.wave.size // 2 + 1)
    one = Track(track.east[middle], track.north[middle], track.growth[middle])
    few = replace(
        region,
        wave=region.wave[middle],
        flux=region.flux[middle],
        variance=region.variance[middle],
        covariance=region.covariance[middle],
        good=region.good[middle],
    )
    parts = _parts(few, circle.mean, one, choices, lattice.pitch)

    def share(values: F8) -> float:
        light = fractions(values, one, region.x, region.y, lattice.geometry)
        # of a source that is no point, the part of this one that the circle holds stands for what place may change
        return float(_counted(few, parts, light, choices)[0]) if choices.point else float((parts.circle * light).sum())

    usual = share(source.mean)
    # In units of the errors, or the axes would hang on the units of place and shape.
    unit = np.sqrt(np.diag(covariance))
    size, axis = np.linalg.eigh(covariance / np.outer(unit, unit))
    sigma = unit * (np.sqrt(np.maximum(size, 0.0)) * axis).T
    steps = [share(source.mean + step) / usual - 1.0 for step in sigma] if usual > 0 else [np.nan]
    return float(np.sqrt(np.sum(np.square(steps))))


def _picture(
    region: Scene,
    parts: _Parts,
    track: Track,
    source: Prior,
    choices: ApertureChoices,
    found: tuple[F8, F8, Geometry],
) -> PointSourceFit:
    """Data, and what a point source of this flux on this sky would look like, in slices."""
    flux, sky, geometry = found
    even = np.ones(region.wave.size)
    slices = make_slices(region, track, even, low=choices.fit_low, high=choices.fit_high, number=choices.slices)
    light = np.array([flux[member].mean() for member in slices.members])
    ground = np.array([np.nanmean(sky[member]) for member in slices.members])
    share = fractions(source.mean, slices.track, region.x, region.y, geometry)
    centre = centre_of(source.mean, slices.track)
    known = slices.weight > 0
    return PointSourceFit(
        aperture=region.aperture,
        x=region.x,
        y=region.y,
        used=np.asarray((parts.circle >= 0.5).any(axis=0), dtype=np.int16),
        wave=slices.wave,
        centre_x=centre[0],
        centre_y=centre[1],
        fwhm=full_width(shape_of(source.mean)) * growth_of(source.mean, slices.track),
        data=np.where(known, slices.flux, np.nan),
        model=ground[:, None] + light[:, None] * share,
        variance=np.where(known, 1.0 / np.where(known, slices.weight, 1.0), np.nan),
    )
