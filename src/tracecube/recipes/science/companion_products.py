"""What is written of a star's surroundings: sources, spectra of companions, maps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tracecube.core.companions import Companions, CompanionSpectrum
from tracecube.core.fields import Meta, Scalar
from tracecube.core.flags import Flag
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Image
from tracecube.recipes.science.companion_search import SearchMap
from tracecube.recipes.science.high_contrast import Companion, Surroundings
from tracecube.recipes.science.star_sequence import StarSequence

__all__ = ["companion_spectra", "contrast_image", "quality_of", "significance_image", "sources"]

F8 = NDArray[np.float64]


def _name(number: int) -> str:
    """Letter of a companion: the star is a."""
    return "bcdefghijklmnopqrstuvwxyz"[number]


def sources(
    found: Surroundings,
    *,
    star_error: float,
    centre_error: float,
    scale_error: float = 0.0,
    target: tuple[float, float] | None = None,
    meta: Meta | None = None,
) -> Companions:
    """List the companions.

    Parameters
    ----------
    star_error : float
        Relative error of the star's flux common to all channels.
    centre_error : float, arcsec
        Of the star's place, along each axis.
    scale_error : float
        Relative error of the plate scale.
    target : (float, float), optional
        Right ascension and declination of the star, degree.
    """
    all_ = found.companions
    east = np.array([c.fitted.east for c in all_])
    north = np.array([c.fitted.north for c in all_])
    separation = np.hypot(east, north)
    errors = np.array([_polar_errors(c, centre_error) for c in all_]).reshape(-1, 2)
    errors[:, 0] = np.hypot(errors[:, 0], scale_error * separation)
    contrast = np.array([c.contrast for c in all_])
    ra, dec = np.full(east.size, np.nan), np.full(east.size, np.nan)
    if target is not None:
        dec = target[1] + north / 3600.0
        ra = target[0] + east / 3600.0 / np.cos(np.radians(target[1]))
    return Companions(
        object=np.array([_name(i) for i in range(len(all_))], dtype="U1"),
        ra=ra,
        dec=dec,
        sep_mas=1e3 * separation,
        sep_err=1e3 * errors[:, 0],
        pa_deg=np.degrees(np.arctan2(east, north)) % 360.0,
        pa_err=np.degrees(errors[:, 1] / np.maximum(separation, 1e-9)),
        contrast=contrast,
        contrast_err=np.hypot(np.array([c.contrast_error for c in all_]), star_error * contrast),
        snr=np.array([c.snr for c in all_]),
        dq=np.full(len(all_), 0 if target is not None else int(Flag.ASTROMETRY), np.int32),
        meta=meta or {},
    )


def _polar_errors(companion: Companion, centre_error: float) -> tuple[float, float]:
    """Error outwards and along the circle, arcsec."""
    one = companion.fitted
    out = np.array([one.east, one.north]) / one.separation
    along = np.array([out[1], -out[0]])
    covariance = companion.place_covariance + centre_error**2 * np.eye(2)
    return float(np.sqrt(out @ covariance @ out)), float(np.sqrt(along @ covariance @ along))


def companion_spectra(
    found: Surroundings, sequence: StarSequence, *, star_error: float, meta: Meta | None = None
) -> tuple[CompanionSpectrum, ...]:
    """Spectra of the companions; the error of the star's flux in each channel is part of the variance."""
    made = []
    for number, one in enumerate(found.companions):
        contrast = one.fitted.contrast
        covariance = one.covariance + sequence.light_covariance(contrast)
        variance = np.where(np.isfinite(contrast), np.diag(covariance), np.nan)
        flags = np.where(np.isfinite(contrast), 0, int(Flag.NOT_MEASURED)).astype(np.int32)
        made.append(
            CompanionSpectrum(
                object=_name(number),
                wave=sequence.wave,
                contrast=contrast,
                variance=variance,
                flags=flags,
                covariance=covariance,
                common_error=star_error,
                meta=meta or {},
            )
        )
    return tuple(made)


def contrast_image(found: SearchMap, target: tuple[float, float] | None, meta: Mapping[str, Scalar]) -> Image:
    """Contrast of a source at each place, north up, east left: the sequence derotated and stacked optimally."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(found.snr != 0.0, found.contrast / found.snr, np.nan)
    return _image(found, found.contrast, error**2, target, meta)


def significance_image(found: SearchMap, target: tuple[float, float] | None, meta: Mapping[str, Scalar]) -> Image:
    """Contrast of a source over its scatter at the same distance from the star, north up, east left."""
    return _image(found, found.snr, np.where(np.isfinite(found.snr), 1.0, np.nan), target, meta)


def _image(
    found: SearchMap, values: F8, variance: F8, target: tuple[float, float] | None, meta: Mapping[str, Scalar]
) -> Image:
    step, middle = float(found.line[1] - found.line[0]), float(found.line.size // 2 + 1)
    axes: dict[str, Scalar] = {"CRPIX1": middle, "CRPIX2": middle, "BUNIT": ""}
    if target is None:
        axes |= {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR", "CUNIT1": "arcsec", "CUNIT2": "arcsec"}
        axes |= {"CRVAL1": 0.0, "CRVAL2": 0.0, "CDELT1": -step, "CDELT2": step}
    else:
        axes |= {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg"}
        axes |= {"CRVAL1": target[0], "CRVAL2": target[1]}
        axes |= {"CD1_1": -step / 3600.0, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": step / 3600.0}
    flags = np.where(np.isfinite(values), 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    return Image(
        data=values[:, ::-1].copy(),
        variance=variance[:, ::-1].copy(),
        flags=flags[:, ::-1].copy(),
        meta={**meta, **axes},
    )


def quality_of(found: Surroundings, sequence: StarSequence) -> tuple[QualityNumber, ...]:
    """Numbers to judge the search by."""
    clean = found.clean
    over = clean.snr / clean.threshold(5.0)
    inner = float(np.interp(0.2, clean.separation, clean.sigma))
    return (
        QualityNumber("FIELD TURN", sequence.rotation, "deg", low=4.0),
        QualityNumber("COMPANIONS", float(len(found.companions))),
        QualityNumber("MAP SCATTER", float(np.nanstd(clean.snr)), "", 0.8, 1.2),
        QualityNumber("MAP LARGEST", float(np.nanmax(over)), "", high=1.0),
        QualityNumber("CONTRAST NOISE 0.2", inner),
        QualityNumber("SPECKLE EXCESS", float(np.median(found.learnt.excess)), "", high=1.5),
    )
