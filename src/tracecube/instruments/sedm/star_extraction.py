"""From lenslet spectra to the spectrum of one star: headers and the guider meet the extraction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import Meta, Scalar
from tracecube.core.frame import RawFrame
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Spectra, Spectrum
from tracecube.core.target import PointSourceFit, Target
from tracecube.instruments.sedm.guider import Pointing, aligned, locate
from tracecube.instruments.sedm.headers import bare_object, exposure_time, start_mjd, text
from tracecube.instruments.sedm.observing import airmass
from tracecube.instruments.sedm.psf_prior import REFERENCE_WAVE, halos_of_night, place_and_shape
from tracecube.instruments.sedm.quality import REASONS, quality_code
from tracecube.instruments.sedm.refraction import refraction
from tracecube.instruments.sedm.star_parameters import ExtractStarParams
from tracecube.kernels.psf import lattice_pitch
from tracecube.recipes.science.chromatic_fit import Prior
from tracecube.recipes.science.point_source import Choices, PointSource, extract_point_source
from tracecube.recipes.science.scene import Scene, Track, brightest, make_scene

__all__ = ["Extraction", "extract", "mean_airmass", "raw_name"]

BRIGHTEST_ERROR = 1.0  # arcsec: half a seeing disc, the error of a place found by brightness
_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)


@dataclass
class Extraction:
    """Everything found of one exposure."""

    target: Target
    spectrum: Spectrum | None = None
    picture: PointSourceFit | None = None
    quality: list[QualityNumber] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)


class _Start(NamedTuple):
    """Where to look: place, error, how it was found, and the width guide stars gave."""

    x: float
    y: float
    error: float
    how: str
    fwhm: float


def raw_name(meta: Meta) -> str:
    """Name of the raw file by the robot's custom: the camera and the second at which the exposure began."""
    start = _EPOCH + timedelta(days=start_mjd(meta, text(meta, "OBJECT")), seconds=0.5)
    return f"ifu{start:%Y%m%d_%H_%M_%S}"


def mean_airmass(meta: Meta) -> float:
    """Airmass in the middle of an exposure.

    Raises
    ------
    MissingInput
        Neither airmass nor coordinates in the header.
    """
    return airmass(meta, text(meta, "OBJECT"), fraction=0.5)


def is_standard(meta: Meta) -> bool:
    """Whether the target is a spectrophotometric standard, by the observatory's naming."""
    name, _ = bare_object(meta)
    return name.upper().startswith("STD") or text(meta, "IMGTYPE").lower() == "standard"


def extract(
    spectra: Spectra,
    guider: Sequence[RawFrame],
    catalogue: RawFrame | None,
    standards: Sequence[Target],
    params: ExtractStarParams,
) -> Extraction:
    """Find and extract the target of an exposure; see `tracecube.instruments.sedm.star_steps.extract_star`."""
    scene = make_scene(spectra)
    standard = is_standard(spectra.meta)
    pointing, reasons = locate(guider, catalogue, spectra.meta)
    if pointing is not None and not standard:
        pointing = aligned(pointing, standards)
    start = _start(scene, pointing, standard, params)
    cards = _guider_cards(spectra.meta, pointing)
    caveats = [f"place by brightness: {'; '.join(reasons)}"] if start.how == "auto" else []
    if not _inside(scene, start):
        far = math.hypot(start.x, start.y)
        caveats.append(f"target {far:.1f} arcsec from the field centre, outside the field")
        return Extraction(_target(_code(start, inside=False), start, cards), caveats=caveats)
    track, unknown = _track(spectra)
    known = [] if standard else [star for star in standards if "PSFCORE" in star.meta]
    prior = place_and_shape(
        start.x,
        start.y,
        start.error,
        fwhm=start.fwhm if np.isfinite(start.fwhm) else params.seeing,
        measured=bool(np.isfinite(start.fwhm)),
        standards=known,
    )
    if not standard and not known:
        caveats.append("no standard of the night told the halo: the literature's is used, and the sky taken as a plane")
    choices, halos = _choices(params, standard, halo_known=bool(known)), halos_of_night(known)
    source = extract_point_source(scene, track, prior, choices, halos)
    negative = float(np.mean(source.flux[source.flags == 0] < 0)) if (source.flags == 0).any() else 1.0
    code = _code(start, inside=True, negative=negative)
    cards |= {**_fit_cards(source, spectra.meta), "QUALITY": code, "SRCPOS": start.how}
    return Extraction(
        _target(code, start, cards, source),
        spectrum=_spectrum(spectra, source, cards),
        picture=source.picture,
        quality=_numbers(source, start, negative),
        caveats=[*caveats, *unknown, *_doubts(source, prior, start), *_unmeasured(source, len(known))],
    )


def _code(start: _Start, *, inside: bool, negative: float = 0.0) -> int:
    return quality_code(
        standard=start.how == "brightest",
        located=start.how == "astrom",
        manual=start.how == "manual",
        inside=inside,
        negative=negative,
    )


def _track(spectra: Spectra) -> tuple[Track, list[str]]:
    """Refraction from the header; none, visibly, where the header does not tell where the telescope looked."""
    wave = np.asarray(spectra.wave, dtype=float)
    growth = np.log(wave / REFERENCE_WAVE)
    (east, north), caveats = refraction(spectra.meta, text(spectra.meta, "OBJECT"), wave, REFERENCE_WAVE)
    return Track(east, north, growth), list(caveats)


def _start(scene: Scene, pointing: Pointing | None, standard: bool, params: ExtractStarParams) -> _Start:
    """Decide where to look."""
    fwhm = math.nan if pointing is None else pointing.fwhm
    if params.centroid_x is not None and params.centroid_y is not None:
        return _Start(params.centroid_x, params.centroid_y, params.centroid_error, "manual", fwhm)
    if pointing is not None and not standard and params.centroid == "auto":
        return _Start(pointing.x, pointing.y, pointing.error, "astrom", fwhm)
    x, y = brightest(scene, low=4500.0, high=8500.0, radius=2.0 * lattice_pitch(scene.x, scene.y))
    return _Start(x, y, BRIGHTEST_ERROR, "brightest" if standard else "auto", fwhm)


def _inside(scene: Scene, start: _Start) -> bool:
    """Whether the place lies on a lenslet."""
    nearest = float(np.min(np.hypot(scene.x - start.x, scene.y - start.y)))
    return nearest <= 1.5 * lattice_pitch(scene.x, scene.y)  # one and a half: a dead lenslet is no border


def _choices(params: ExtractStarParams, standard: bool, *, halo_known: bool) -> Choices:
    return Choices(
        radius=params.radius,
        host_radius=params.host_radius,
        # A curved sky and a halo look alike: only where standards told the halo may the sky be curved.
        sky_degree=params.sky_degree if halo_known else min(params.sky_degree, 1),
        fit_low=params.fit_low,
        fit_high=params.fit_high,
        slices=params.slices,
        clip=params.clip,
        extended=params.host == "auto" and not standard,
        blob_width=params.host_detail,
        pictures=params.host_pictures,
        minimum_gain=params.host_gain,
        minimum_share=params.host_share,
        minimum_sky_share=params.host_sky_share,
        minimum_neighbour=params.neighbour_share,
    )


def _target(code: int, start: _Start, cards: dict[str, Scalar], source: PointSource | None = None) -> Target:
    fit = None if source is None else source.fit
    return Target(
        object=bare_object(cards)[0],
        quality=code,
        reason=REASONS[code],
        x=start.x if fit is None else fit["x"],
        y=start.y if fit is None else fit["y"],
        x_error=start.error if fit is None else fit.error("x"),
        y_error=start.error if fit is None else fit.error("y"),
        source_position=start.how,
        meta=cards,
    )


def _guider_cards(meta: Meta, pointing: Pointing | None) -> dict[str, Scalar]:
    """Header of the exposure, with what the guider said: `aligned` reads it for the other targets."""
    if pointing is None:
        return dict(meta)
    found = {"GUIDEX": pointing.x, "GUIDEY": pointing.y, "GUIDEERR": pointing.error, "GUIDEN": pointing.matched}
    return {**meta, **found}


def _fit_cards(source: PointSource, meta: Meta) -> dict[str, Scalar]:
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
        "RAWNAME": raw_name(meta),
    }


def _level_cards(source: PointSource) -> dict[str, Scalar]:
    """Relative errors of the flux level that all wavelengths share; what was not measured has no card."""
    error = source.level_error
    parts = {"LEVELERR": error.total, "LEVELPSF": error.shape, "LEVELSKY": error.structure, "LEVELHAL": error.halo}
    return {key: value for key, value in parts.items() if math.isfinite(value)}


def _unmeasured(source: PointSource, standards: int) -> list[str]:
    """Which errors of the flux level are not in it."""
    error, caveats = source.level_error, []
    if not math.isfinite(error.structure):
        caveats.append(
            f"only {error.places} empty places in the field: the flux level's error lacks the frame's structure"
        )
    if standards == 1:
        caveats.append("one standard told the halo: the flux level's error lacks its change over the night")
    return caveats


def _doubts(source: PointSource, prior: Prior, start: _Start) -> list[str]:
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
    return doubts


def _spectrum(spectra: Spectra, source: PointSource, cards: dict[str, Scalar]) -> Spectrum:
    """Bring electrons per Angstrom to a rate."""
    seconds = exposure_time(spectra.meta, text(spectra.meta, "OBJECT"))
    unknown: NDArray[np.float64] = np.full(source.flux.size, np.nan)
    return Spectrum(
        wave=np.asarray(spectra.wave, dtype=float),
        flux=unknown,
        variance=unknown,
        flags=source.flags,
        sky=source.sky / seconds,
        flux_uncal=source.flux / seconds,
        variance_uncal=source.variance / seconds**2,
        covariance_uncal=source.covariance / seconds**2,
        lsf_sigma=np.asarray(spectra.lsf_sigma, dtype=float),
        medium=spectra.medium,
        meta=cards,
    )


def _level_numbers(source: PointSource) -> list[QualityNumber]:
    error = source.level_error
    rows = [
        ("FLUX LEVEL ERROR", error.total),
        ("LEVEL ERROR STRUCTURE", error.structure),
        ("LEVEL ERROR HALO", error.halo),
    ]
    return [QualityNumber(name, value, "", high=0.05) for name, value in rows if math.isfinite(value)]


def _numbers(source: PointSource, start: _Start, negative: float) -> list[QualityNumber]:
    fit = source.fit
    middle = int(np.argmin(np.abs(source.picture.wave - REFERENCE_WAVE)))
    band = (source.flags == 0) & (source.variance > 0)
    ratio = source.flux[band] / np.sqrt(source.variance[band])
    pairs = source.covariance[band] / source.variance[band]
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
        *_level_numbers(source),
        QualityNumber("SAMPLES REJECTED", source.outliers, "", high=0.01),
        QualityNumber("SAMPLES NEGATIVE", negative, "", high=0.2),
        QualityNumber("NOISE CORRELATION", float(np.median(pairs)) if pairs.size else math.nan),
        QualityNumber("SIGNAL TO NOISE", float(np.median(ratio)) if ratio.size else math.nan, "", low=3.0),
    ]
