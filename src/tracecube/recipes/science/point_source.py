"""Spectrum of a point source: place and shape from all wavelengths at once, then flux by flux.

Each wavelength is a small weighted least-squares problem: flux, sky with its slope across the
region, and, where there is one, the light of a host galaxy. Variances are those of the estimator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.core.target import PointSourceFit
from tracecube.kernels.psf import full_width
from tracecube.recipes.science.chromatic_fit import (
    HALO,
    ChromaticFit,
    Prior,
    Setting,
    centre_of,
    fractions,
    growth_of,
    shape_of,
    slice_solution,
)
from tracecube.recipes.science.extended import ROUGH, ExtendedLight
from tracecube.recipes.science.flux_by_wavelength import Solution, find_outliers, light_of, solution_flags, solve
from tracecube.recipes.science.level_error import (
    LevelError,
    Structure,
    colour_weights,
    halo_errors,
    relative_error,
    shape_errors,
)
from tracecube.recipes.science.scene import Scene, Track
from tracecube.recipes.science.source_fit import Choices, Field, Fitted, fit_scene, fit_with_sky, stacked

__all__ = ["PointSource", "extract_point_source", "fit_point_source"]

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class PointSource:
    """What was found.

    Parameters
    ----------
    flux, variance, covariance, sky : array (m,)
        Total flux in the units of the spectra; covariance with the next sample; sky per lenslet.
    flags : int32 array (m,)
    fit : ChromaticFit
    extended : ExtendedLight or None
    level_error : LevelError
        Relative errors of the flux level.
    sky_degree : int
        Of the sky that was fitted.
    outliers : float
        Share of samples given up.
    neighbours : array (p, 2), arcsec
        Places of neighbouring stars.
    picture : PointSourceFit
        Data and model in slices.
    untold : bool
        There is light of a galaxy, but it could not be told from the source.
    """

    flux: F8
    variance: F8
    covariance: F8
    sky: F8
    flags: NDArray[np.int32]
    fit: ChromaticFit
    extended: ExtendedLight | None
    level_error: LevelError
    sky_degree: int
    outliers: float
    neighbours: F8
    picture: PointSourceFit
    untold: bool


def fit_point_source(
    scene: Scene, track: Track, prior: Prior, choices: Choices, *, region: Scene | None = None
) -> ChromaticFit:
    """Fit place and shape alone, as `extract_point_source` does first of all, on a sky that is a plane."""
    field = Field(scene, scene if region is None else region)
    return fit_with_sky(field, track, prior, choices, min(choices.sky_degree, 1)).fit


def extract_point_source(
    scene: Scene,
    track: Track,
    prior: Prior,
    choices: Choices,
    halos: F8 | None = None,
    *,
    region: Scene | None = None,
) -> PointSource:
    """Extract the source near the place that the prior names.

    Parameters
    ----------
    scene : Scene
        The whole field.
    track : Track (m,)
        Refraction and growth of the width against the reference wavelength.
    prior : Prior
        Place with its error, shape.
    choices : Choices
    halos : array (s, 3), optional
        Halo of each star that taught the prior's, in the order of `chromatic_fit.HALO`.
    region : Scene, optional
        Lenslets that may be used, of those within the radius; all without it. Empty places are sought in the whole
        field.

    Raises
    ------
    NoConvergence
        The fit of place and shape ends nowhere.
    BadData
        Too few samples in the range of the fit.
    """
    taught = np.empty((0, len(HALO))) if halos is None else halos
    found, structure = fit_scene(Field(scene, scene if region is None else region), track, prior, choices, taught)
    solution, given_up = _by_wavelength(found, track, choices.clip)
    return PointSource(
        flux=solution.flux,
        variance=solution.variance,
        covariance=solution.covariance,
        sky=solution.sky,
        flags=solution_flags(solution),
        fit=found.fit,
        extended=found.extended,
        level_error=_level_error(found, structure, taught),
        sky_degree=found.degree,
        outliers=given_up,
        neighbours=found.neighbours,
        picture=_picture(found.setting, found.fit, found.extended),
        untold=found.untold,
    )


def _by_wavelength(found: Fitted, track: Track, clip: float) -> tuple[Solution, float]:
    """Solve flux and sky at every wavelength; with the share of samples given up."""
    setting, extended = found.setting, found.extended
    columns = np.concatenate([_columns(setting, track, found.fit, extended), found.others(setting, track)], axis=1)
    used = setting.scene.without(found.core | _given_up(found))
    solution = solve(used, columns)
    bad = find_outliers(used, solution, found.fit.model_error, clip)
    # Weighed as in the fit: where a galaxy is bright its model, not the noise, says how well a sample is known.
    doubt = None if extended is None else (ROUGH * light_of(solution)) ** 2
    return solve(used.without(bad), columns, doubt), float(bad.sum() / max(1, used.good.sum()))


def _given_up(found: Fitted) -> NDArray[np.bool_]:
    """Samples (m, n) of slices in which the fit of a galaxy gave a lenslet up: its light follows no picture."""
    setting, wave = found.setting, found.setting.scene.wave
    if found.extended is None:
        return np.zeros(setting.scene.good.shape, dtype=bool)
    slices = setting.slices
    nearest = np.argmin(np.abs(wave[:, None] - slices.wave), axis=1)
    for number, member in enumerate(slices.members):
        nearest[member] = number
    return np.asarray(((slices.weight > 0) & (found.fit.weight <= 0))[nearest])


def _level_error(found: Fitted, structure: Structure, halos: F8) -> LevelError:
    """Errors of flux and colour that neighbouring wavelengths share."""
    fit, extended = found.fit, found.extended
    alone = found.setting if extended is None else extended.off(found.setting)
    doubt = None if extended is None else extended.doubt
    amplitude = slice_solution(alone.slices, fit.weight, alone.columns(fit.values))[:, 0]
    weights = colour_weights(alone.slices.wave, amplitude, *found.ends)
    shape, halo = shape_errors(alone, fit), halo_errors(alone, found.prior, fit, halos)
    parts = [shape, halo] if doubt is None else [shape, halo, doubt.covariance]
    colours = np.array([*(float(weights @ part @ weights) for part in parts), structure.colour**2])
    return LevelError(
        shape=relative_error(shape, amplitude),
        structure=structure.beyond,
        halo=relative_error(halo, amplitude),
        places=structure.places,
        host=float("nan") if doubt is None else doubt.total,
        colour=float(np.sqrt(np.nansum(np.maximum(colours, 0.0)))) if np.isfinite(weights).all() else float("nan"),
    )


def _columns(setting: Setting, track: Track, fit: ChromaticFit, extended: ExtendedLight | None) -> F8:
    """Columns of the linear problem at every wavelength, array (m, c, n)."""
    region = setting.scene
    share = fractions(fit.values, track, region.x, region.y, setting.geometry)
    pictures = None if extended is None else extended.pictures(region.x, region.y, fit.values, track)
    return stacked(share, setting.sky[0, : setting.surface], pictures)


def _picture(setting: Setting, fit: ChromaticFit, extended: ExtendedLight | None) -> PointSourceFit:
    """Data, model and variance in the slices."""
    slices, region = setting.slices, setting.scene
    columns = setting.columns(fit.values, None if extended is None else extended.in_slices(setting, fit.values))
    found = slice_solution(slices, fit.weight, columns)
    centre = centre_of(fit.values, slices.track)
    known = slices.weight > 0
    used = np.asarray((fit.weight > 0).any(axis=0), dtype=np.int16)
    return PointSourceFit(
        aperture=region.aperture,
        x=region.x,
        y=region.y,
        used=used,
        wave=slices.wave,
        centre_x=centre[0],
        centre_y=centre[1],
        fwhm=full_width(shape_of(fit.values)) * growth_of(fit.values, slices.track),
        data=np.where(known, slices.flux, np.nan),
        model=np.einsum("kc,kcn->kn", found, columns),
        variance=np.where(known, 1.0 / np.where(known, slices.weight, 1.0), np.nan),
    )
