"""From lenslet spectra to the spectrum of one star: headers and the guider meet the extraction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import Meta, Scalar
from tracecube.core.finder import Finder
from tracecube.core.frame import RawFrame
from tracecube.core.headers import MJD_EPOCH
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Spectra, Spectrum
from tracecube.core.target import PointSourceFit, Target
from tracecube.instruments.sedm.ascii_layout import spectrum_name
from tracecube.instruments.sedm.finder import finder_of
from tracecube.instruments.sedm.guider import Pointing, aligned, locate
from tracecube.instruments.sedm.headers import bare_object, exposure_time, frame_name, start_mjd, text
from tracecube.instruments.sedm.observing import airmass
from tracecube.instruments.sedm.psf_prior import REFERENCE_WAVE, place_and_shape
from tracecube.instruments.sedm.quality import NEGATIVE_SHARE, REASONS, REFUSED_FOR_NEGATIVE, quality_code
from tracecube.instruments.sedm.refraction import refraction
from tracecube.instruments.sedm.star_light import Field, Light, by_aperture, by_psf
from tracecube.instruments.sedm.star_parameters import ExtractStarParams
from tracecube.instruments.sedm.star_place import Start, chosen_region, is_inside, start_at, without_spaxels
from tracecube.kernels.polygon import inside_polygon
from tracecube.recipes.science.scene import Track, make_scene

__all__ = ["Extraction", "extract", "is_standard", "mean_airmass", "raw_name"]


@dataclass
class Extraction:
    """Everything found of one exposure."""

    target: Target
    spectrum: Spectrum | None = None
    picture: PointSourceFit | None = None
    finder: Finder | None = None
    quality: list[QualityNumber] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)


def raw_name(meta: Meta) -> str:
    """Name of the raw file by the robot's custom: the camera and the second at which the exposure began."""
    start = MJD_EPOCH + timedelta(days=start_mjd(meta, frame_name(meta)), seconds=0.5)
    return f"ifu{start:%Y%m%d_%H_%M_%S}"


def mean_airmass(meta: Meta) -> float:
    """Airmass in the middle of an exposure.

    Raises
    ------
    MissingInput
        Neither airmass nor coordinates in the header.
    """
    return airmass(meta, frame_name(meta), fraction=0.5)


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
    scene = without_spaxels(make_scene(spectra), params.exclude)
    standard = is_standard(spectra.meta)
    pointing, reasons = locate(guider, catalogue, spectra.meta)
    finder = finder_of(guider, pointing, spectra.meta)
    if pointing is not None and not standard:
        pointing = aligned(pointing, standards)
    region = chosen_region(scene, params.region)
    start = start_at(scene if region is None else region, pointing, standard, params)
    cards = {**_guider_cards(spectra.meta, pointing), **_names(spectra.meta, params)}
    caveats = [
        *([f"place by brightness: {'; '.join(reasons)}"] if start.how == "auto" else []),
        *by_hand(params, start),
    ]
    if not is_inside(scene, start):
        far = math.hypot(start.x, start.y)
        caveats.append(f"target {far:.1f} arcsec from the field centre, outside the field")
        code = _code(start, params, inside=False)
        return Extraction(_target(code, start, cards, _place(start)), finder=finder, caveats=caveats)
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
    field = Field(scene, region, track, start, standard, known)
    light = by_psf(field, prior, params) if params.aperture is None else by_aperture(field, prior, params)
    code = _code(start, params, inside=True, negative=light.negative)
    cards |= {**light.cards, "QUALITY": code, "REASON": REASONS[code], "SRCPOS": start.how}
    return Extraction(
        _target(code, start, cards, light.place),
        spectrum=_spectrum(spectra, light, cards),
        picture=light.picture,
        finder=finder,
        quality=light.quality,
        caveats=[*caveats, *unknown, *light.caveats, *hidden_negative(code, light.negative)],
    )


def hidden_negative(code: int, share: float) -> list[str]:
    """Say that many samples are negative where the code says something else.

    Examples
    --------
    >>> hidden_negative(1, 0.31)
    ['31 % of the samples are negative, which quality code 1 does not tell']
    >>> hidden_negative(4, 0.31), hidden_negative(1, 0.1)
    ([], [])
    """
    if share <= NEGATIVE_SHARE or code == REFUSED_FOR_NEGATIVE:
        return []
    return [f"{100 * share:.0f} % of the samples are negative, which quality code {code} does not tell"]


def by_hand(params: ExtractStarParams, start: Start) -> list[str]:
    """Say what a person changed."""
    said = []
    if params.region is not None:
        said.append(f"region of {len(params.region)} corners drawn by {params.reviewer}")
        if not inside_polygon(np.array([start.x]), np.array([start.y]), np.array(params.region))[0]:
            said.append(f"the target at ({start.x:.1f}, {start.y:.1f}) arcsec lies outside that region")
    if params.exclude:
        said.append(f"spaxels {', '.join(map(str, params.exclude))} left out by {params.reviewer}")
    return said


def _names(meta: Meta, params: ExtractStarParams) -> dict[str, Scalar]:
    """Names of exposure and extraction, and who had it made."""
    raw = raw_name(meta)
    name = spectrum_name(bare_object(meta)[0], raw, params.tag)
    return {
        "RAWNAME": raw,
        "SPECNAME": name,
        "PICTNAME": name.replace("spec", "verify", 1),
        "EXTRTAG": params.tag,
        "REDUCER": params.reviewer,
    }


def _code(start: Start, params: ExtractStarParams, *, inside: bool, negative: float = 0.0) -> int:
    return quality_code(
        standard=start.how == "brightest",
        located=start.how == "astrom",
        manual=start.how == "manual",
        inside=inside,
        negative=negative,
        recovered=params.recovered,
    )


def _place(start: Start) -> tuple[float, float, float, float]:
    return start.x, start.y, start.error, start.error


def _track(spectra: Spectra) -> tuple[Track, list[str]]:
    """Refraction from the header; none, visibly, where the header does not tell where the telescope looked."""
    wave = np.asarray(spectra.wave, dtype=float)
    growth = np.log(wave / REFERENCE_WAVE)
    (east, north), caveats = refraction(spectra.meta, frame_name(spectra.meta), wave, REFERENCE_WAVE)
    return Track(east, north, growth), list(caveats)


def _target(code: int, start: Start, cards: dict[str, Scalar], place: tuple[float, float, float, float]) -> Target:
    return Target(
        object=bare_object(cards)[0],
        quality=code,
        reason=REASONS[code],
        x=place[0],
        y=place[1],
        x_error=place[2],
        y_error=place[3],
        source_position=start.how,
        meta=cards,
    )


def _guider_cards(meta: Meta, pointing: Pointing | None) -> dict[str, Scalar]:
    """Header of the exposure, with what the guider said: `aligned` reads it for the other targets."""
    if pointing is None:
        return dict(meta)
    found = {"GUIDEX": pointing.x, "GUIDEY": pointing.y, "GUIDEERR": pointing.error, "GUIDEN": pointing.matched}
    return {**meta, **found}


def _spectrum(spectra: Spectra, light: Light, cards: dict[str, Scalar]) -> Spectrum:
    """Bring electrons per Angstrom to a rate."""
    seconds = exposure_time(spectra.meta, frame_name(spectra.meta))
    unknown: NDArray[np.float64] = np.full(light.flux.size, np.nan)
    return Spectrum(
        wave=np.asarray(spectra.wave, dtype=float),
        flux=unknown,
        variance=unknown,
        flags=light.flags,
        sky=light.sky / seconds,
        flux_uncal=light.flux / seconds,
        variance_uncal=light.variance / seconds**2,
        covariance_uncal=light.covariance / seconds**2,
        lsf_sigma=np.asarray(spectra.lsf_sigma, dtype=float),
        medium=spectra.medium,
        meta=cards,
    )
