"""The two ways to the light of a star: fitted with its point-spread function, or counted in an aperture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import Scalar
from tracecube.core.quality import QualityNumber
from tracecube.core.target import PointSourceFit, Target
from tracecube.instruments.sedm.psf_prior import REFERENCE_WAVE, halos_of_night
from tracecube.instruments.sedm.star_parameters import ExtractStarParams
from tracecube.instruments.sedm.star_place import Start
from tracecube.kernels.psf import full_width
from tracecube.recipes.science.aperture import ApertureChoices, extract_aperture
from tracecube.recipes.science.chromatic_fit import Prior, shape_of
from tracecube.recipes.science.host_doubt import Doubt
from tracecube.recipes.science.point_source import PointSource, extract_point_source, fit_point_source
from tracecube.recipes.science.scene import Scene, Track
from tracecube.recipes.science.source_fit import Choices

__all__ = ["Field", "Light", "by_aperture", "by_psf"]

F8 = NDArray[np.float64]
BLUE, RED = 5000.0, 8000.0
"""Angstrom: COLERR is of the flux from 4000 to the one over that from the other to 9200."""
_LEVEL = 0.05  # relative error of the flux level from which a quality number is too high


@dataclass(frozen=True)
class Field:
    """What is looked at.

    Parameters
    ----------
    scene : Scene
        The field, without what a person excluded.
    region : Scene or None
        What a person drew a line around.
    track : Track
    start : Start
    standard : bool
    known : sequence of Target
        Standards of the night that told the halo.
    """

    scene: Scene
    region: Scene | None
    track: Track
    start: Start
    standard: bool
    known: Sequence[Target]


@dataclass
class Light:
    """Light of a star in electrons per Angstrom (m,), its place (arcsec), and what there is to say of it."""

    flux: F8
    variance: F8
    covariance: F8
    sky: F8
    flags: NDArray[np.int32]
    place: tuple[float, float, float, float]
    picture: PointSourceFit
    cards: dict[str, Scalar]
    quality: list[QualityNumber]
    caveats: list[str] = field(default_factory=list)

    @property
    def negative(self) -> float:
        """Share of the good samples below zero; 1 without any."""
        good = self.flags == 0
        return float(np.mean(self.flux[good] < 0)) if good.any() else 1.0


def by_psf(field: Field, prior: Prior, params: ExtractStarParams) -> Light:
    """Fit place and shape over all wavelengths, then flux by flux."""
    source = extract_point_source(
        field.scene,
        field.track,
        prior,
        _choices(field, prior, params),
        halos_of_night(field.known),
        region=field.region,
    )
    fit = source.fit
    light = Light(
        flux=source.flux,
        variance=source.variance,
        covariance=source.covariance,
        sky=source.sky,
        flags=source.flags,
        place=(fit["x"], fit["y"], fit.error("x"), fit.error("y")),
        picture=source.picture,
        cards=_fit_cards(source),
        quality=[],
        caveats=[*_doubts(source, prior, field.start), *_unmeasured(source, len(field.known))],
    )
    light.quality = [*_fit_numbers(source, field.start), *_noise_numbers(light)]
    return light


def _choices(field: Field, prior: Prior, params: ExtractStarParams) -> Choices:
    chosen = Choices(
        radius=params.radius,
        host_radius=params.host_radius,
        # A curved sky and a halo look alike: only where standards told the halo may the sky be curved.
        sky_degree=params.sky_degree if field.known else min(params.sky_degree, 1),
        fit_low=params.fit_low,
        fit_high=params.fit_high,
        slices=params.slices,
        clip=params.clip,
        extended=params.host == "auto" and not field.standard,
        host_detail=params.host_detail,
        pictures=params.host_pictures,
        minimum_gain=params.host_gain,
        minimum_share=params.host_share,
        minimum_sky_share=params.host_sky_share,
        minimum_neighbour=params.neighbour_share,
        blue=BLUE,
        red=RED,
    )
    if field.region is None:
        return chosen
    # All that a person drew a line around counts, whatever the radius; so narrow a piece of sky is a plane.
    reach = float(np.hypot(field.region.x - prior.mean[0], field.region.y - prior.mean[1]).max()) + 1e-6
    return replace(chosen, radius=reach, host_radius=reach, sky_degree=min(chosen.sky_degree, 1))


def by_aperture(field: Field, prior: Prior, params: ExtractStarParams) -> Light:
    """Count the light in a circle about the start."""
    radius = float(params.aperture or 0.0)
    scene = field.scene if field.region is None else field.region
    profile, covariance, caveats = _profile(field, prior, params)
    source = extract_aperture(
        scene,
        field.track,
        prior,
        profile,
        ApertureChoices(
            radius=radius,
            inner=params.annulus_inner,
            outer=params.annulus_outer,
            point=params.aperture_correction == "point",
            fit_low=params.fit_low,
            fit_high=params.fit_high,
            slices=params.slices,
        ),
        covariance=covariance,
    )
    start, middle = field.start, int(np.argmin(np.abs(scene.wave - REFERENCE_WAVE)))
    cards: dict[str, Scalar] = {
        "XPOS": start.x,
        "YPOS": start.y,
        "LBDAPOS": REFERENCE_WAVE,
        "PSFFWHM": source.fwhm,
        "EXTRACT": "aperture",
        "APRADIUS": radius,
        "APINNER": radius * params.annulus_inner,
        "APOUTER": radius * params.annulus_outer,
        "APCORR": float(1.0 / source.counted[middle]),
        **({"LEVELERR": source.level_error} if math.isfinite(source.level_error) else {}),
    }
    light = Light(
        flux=source.flux,
        variance=source.variance,
        covariance=source.covariance,
        sky=source.sky,
        flags=source.flags,
        place=(start.x, start.y, start.error, start.error),
        picture=source.picture,
        cards=cards,
        quality=[],
        caveats=[_aperture_in_words(radius, params), *caveats],
    )
    numbers = [QualityNumber("APERTURE SHARE", float(source.counted[middle]), "", low=0.5)]
    if math.isfinite(source.level_error):
        numbers.append(QualityNumber("FLUX LEVEL ERROR", source.level_error, "", high=0.05))
    light.quality = [*numbers, *_noise_numbers(light)]
    return light


def _profile(field: Field, prior: Prior, params: ExtractStarParams) -> tuple[Prior, F8 | None, list[str]]:
    """Place and shape of the point source whose light is to be made whole: as fitted, or as known beforehand.

    With the covariance of what was fitted.
    """
    if params.aperture_correction != "point":
        return prior, None, []
    try:
        fit = fit_point_source(field.scene, field.track, prior, _choices(field, prior, params), region=field.region)
    except NoConvergence as failure:
        caveat = f"what the aperture misses follows from the seeing, for the fit ended nowhere: {failure.what}"
        return prior, None, [caveat]
    return Prior(fit.values, np.sqrt(np.diag(fit.covariance))), fit.covariance, []


def _aperture_in_words(radius: float, params: ExtractStarParams) -> str:
    whole = params.aperture_correction == "point"
    told = "brought to the whole of a point source" if whole else "as it is, without what lies outside"
    return f"light counted in an aperture of {radius:g} arcsec, {told}; its place was not fitted"


def _fit_cards(source: PointSource) -> dict[str, Scalar]:
    """Fit in the observatory's cards: widths arcsec, angles degree, place arcsec from the field centre."""
    fit = source.fit
    middle = int(np.argmin(np.abs(source.picture.wave - REFERENCE_WAVE)))
    ellipse = math.hypot(fit["e1"], fit["e2"])
    return {
        "XPOS": fit["x"],
        "YPOS": fit["y"],
        "LBDAPOS": REFERENCE_WAVE,
        "PSFMODEL": "GaussMoffat",
        "PSFFWHM": float(source.picture.fwhm[middle]),
        "PSFAB": math.exp(-2.0 * ellipse),
        "PSFRHO": fit["rho"],
        "PSFRATIO": fit["log_ratio"],
        "PSFBETA": fit["log_beta"],
        "PSFCORE": fit["logit_core"],
        "PSFCHI2": fit.chi2,
        "PSFADRSC": fit["log_refraction"],
        "PSFADRSE": fit.error("log_refraction"),
        "PSFADRTU": fit["turn"],
        "PSFADRTE": fit.error("turn"),
        "EXTRACT": "joint PSF",
        "SKYDEG": source.sky_degree,
        **_level_cards(source),
        "HOST": source.extended is not None,
    }


def _level_cards(source: PointSource) -> dict[str, Scalar]:
    """Relative errors of level and colour of the flux, beyond the noise; what was not measured has no card."""
    error = source.level_error
    parts = {"LEVELERR": error.total, "LEVELPSF": error.shape, "LEVELSKY": error.structure}
    parts |= {"LEVELHAL": error.halo, "LEVELHST": error.host, "COLERR": error.colour}
    return {key: value for key, value in parts.items() if math.isfinite(value)}


def _unmeasured(source: PointSource, standards: int) -> list[str]:
    """Which errors of the flux level are not in it."""
    error, caveats = source.level_error, []
    if source.extended is not None:
        caveats.append("a galaxy about the target: the flux level's error lacks the frame's structure")
    elif not math.isfinite(error.structure):
        caveats.append(
            f"only {error.places} empty places in the field: the flux level's error lacks the frame's structure"
        )
    if standards == 1:
        caveats.append("one standard told the halo: the flux level's error lacks its change over the night")
    return caveats


def _doubts(source: PointSource, prior: Prior, start: Start) -> list[str]:
    """What a person should know of this fit."""
    fit, doubts = source.fit, []
    gap = math.hypot(fit["x"] - prior.mean[0], fit["y"] - prior.mean[1])
    if start.how == "astrom" and gap > 3.0 * start.error:
        doubts.append(f"source found {gap:.1f} arcsec from where the guider puts the target")
    if abs(fit["log_refraction"] - prior.mean[2]) > 3.0 * prior.sd[2]:
        doubts.append(f"refraction {math.exp(fit['log_refraction']):.2f} times the computed one")
    if source.neighbours.size:
        where = ", ".join(f"({x:.1f}, {y:.1f})" for x, y in source.neighbours)
        doubts.append(f"neighbouring stars at {where} arcsec were fitted with the target")
    if source.extended is not None:
        doubts.append("smooth light around the target was fitted with it")
    if source.extended is not None and source.extended.doubt is not None:
        doubts += _nucleus(source.extended.doubt, full_width(shape_of(fit.values)))
    if source.untold:
        doubts.append("light of a galaxy could not be told from the target: it may be in the flux (try: --region)")
    return doubts


def _nucleus(doubt: Doubt, width: float) -> list[str]:
    """Say that the target stands where a nucleus of its galaxy may be; ``width`` is the seeing's (arcsec)."""
    if doubt.nucleus < max(doubt.fit, doubt.detail, _LEVEL):
        return []
    where, share = f"{doubt.distance * width:.1f} arcsec", f"{100.0 * min(doubt.nucleus, 1.0):.0f} per cent"
    return [f"the target lies {where} from the centre of its galaxy: {share} of its flux may be a nucleus"]


def _fit_numbers(source: PointSource, start: Start) -> list[QualityNumber]:
    fit, error = source.fit, source.level_error
    middle = int(np.argmin(np.abs(source.picture.wave - REFERENCE_WAVE)))
    levels = [
        ("FLUX LEVEL ERROR", error.total),
        ("LEVEL ERROR STRUCTURE", error.structure),
        ("LEVEL ERROR HALO", error.halo),
        ("LEVEL ERROR HOST", error.host),
        ("COLOUR ERROR", error.colour),
    ]
    return [
        QualityNumber("PSF FWHM", float(source.picture.fwhm[middle]), "arcsec", 0.8, 4.0),
        QualityNumber("PSF AXIS RATIO", math.exp(-2.0 * math.hypot(fit["e1"], fit["e2"])), "", low=0.8),
        QualityNumber("PSF RHO", fit["rho"], "", -0.45, 0.05),
        QualityNumber("PSF CHI2", float(fit.chi2), "", 0.8, 2.0),
        QualityNumber("PSF MODEL ERROR", fit.model_error, "", high=0.05),
        QualityNumber("REFRACTION SCALE", math.exp(fit["log_refraction"]), "", 0.7, 1.4),
        QualityNumber("REFRACTION TURN", math.degrees(fit["turn"]), "deg", -5.0, 5.0),
        QualityNumber("CENTROID ERROR", math.hypot(fit.error("x"), fit.error("y")), "arcsec", high=0.2),
        QualityNumber("CENTROID OFFSET", math.hypot(fit["x"] - start.x, fit["y"] - start.y), "arcsec", high=2.0),
        *(QualityNumber(name, value, "", high=_LEVEL) for name, value in levels if math.isfinite(value)),
        QualityNumber("SAMPLES REJECTED", source.outliers, "", high=0.01),
    ]


def _noise_numbers(light: Light) -> list[QualityNumber]:
    band = (light.flags == 0) & (light.variance > 0)
    ratio = light.flux[band] / np.sqrt(light.variance[band])
    pairs = light.covariance[band] / light.variance[band]
    return [
        QualityNumber("SAMPLES NEGATIVE", light.negative, "", high=0.2),
        QualityNumber("NOISE CORRELATION", float(np.median(pairs)) if pairs.size else math.nan),
        QualityNumber("SIGNAL TO NOISE", float(np.median(ratio)) if ratio.size else math.nan, "", low=3.0),
    ]
