"""From electrons to erg: the night's standards meet the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData, MissingInput, TracecubeError
from tracecube.core.flags import NOT_USABLE
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Response, Spectrum
from tracecube.instruments.sedm.headers import bare_object
from tracecube.instruments.sedm.references import ABSORBERS, absorbers, extinction, standards
from tracecube.instruments.sedm.star_extraction import is_standard, mean_airmass, raw_name
from tracecube.instruments.sedm.star_parameters import FluxCalibrationParams, ResponseParams
from tracecube.kernels.atmosphere import broadening_matrix
from tracecube.recipes.flux.calibrate import atmosphere_and_response
from tracecube.recipes.flux.response import Combination, combine_responses
from tracecube.recipes.flux.standards import find_reference
from tracecube.recipes.flux.star_response import MARGIN, Observation, Smoothness, StarResponse, fit_star
from tracecube.recipes.flux.telluric import fit_depth_law

__all__ = ["calibrated", "night_response"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
COLLECTING_AREA = 18000.0  # cm2, telescope of Palomar
EFFICIENCY_WAVE = 6500.0  # Angstrom
_PLANCK_LIGHT = 1.98645e-8  # erg Angstrom: h c, for photon energies


def night_response(
    spectra: Sequence[Spectrum], params: ResponseParams
) -> tuple[Response, list[QualityNumber], list[str]]:
    """Measure the response; see `tracecube.instruments.sedm.star_steps.response`."""
    kept, stars, caveats = _fitted(spectra, params)
    wave, names = kept[0].wave, [raw_name(item.meta) for item in kept]
    log_response, variance, flags = (
        np.array([getattr(star, name) for star in stars]) for name in ("log_response", "variance", "flags")
    )
    together = combine_responses(
        wave,
        log_response,
        variance,
        flags,
        names,
        grey_tolerance=params.grey_tolerance,
        colour_tolerance=params.colour_tolerance,
    )
    level = np.exp(together.log_response)
    found = Response(
        wave=wave,
        response=level,
        variance=together.variance * level**2,
        flags=together.flags,
        star=np.array(names),
        star_response=np.exp(log_response),
        star_variance=variance * np.exp(2.0 * log_response),
        star_dq=flags,
        grey=together.grey,
        airmass=np.array([mean_airmass(item.meta) for item in kept]),
        telluric=np.array([star.depth for star in stars]),
        telluric_error=np.array([star.depth_error for star in stars]),
        used=together.used.astype(np.int16),
        meta=kept[0].meta,
    )
    return found, _numbers(found, together, stars), [*caveats, *together.caveats]


def _fitted(
    spectra: Sequence[Spectrum], params: ResponseParams
) -> tuple[list[Spectrum], list[StarResponse], list[str]]:
    """Fit every standard that can be; say of the others why not."""
    kept: list[Spectrum] = []
    stars: list[StarResponse] = []
    caveats: list[str] = []
    for spectrum in sorted(spectra, key=lambda item: raw_name(item.meta)):
        try:
            stars.append(_star(spectrum, params, caveats))
            kept.append(spectrum)
        except TracecubeError as failure:
            caveats.append(f"{raw_name(spectrum.meta)} {bare_object(spectrum.meta)[0]} not used: {failure.what}")
    if not stars:
        raise MissingInput(
            f"response: no usable standard ({'; '.join(caveats)})", hint="observe a standard of the list"
        )
    wave = kept[0].wave
    if any(item.wave.shape != wave.shape or not np.allclose(item.wave, wave) for item in kept):
        raise BadData(
            "response: standards on different wavelength grids", hint="extract them with one set of parameters"
        )
    return kept, stars, caveats


def _star(spectrum: Spectrum, params: ResponseParams, caveats: list[str]) -> StarResponse:
    """Fit one standard."""
    name, _ = bare_object(spectrum.meta)
    reference = find_reference(standards(), name, prefer=params.reference)
    if reference is None:
        raise MissingInput(f"no reference spectrum of {name}", hint="name the star as in the list of standards")
    if reference.library != params.reference:
        caveats.append(f"{name}: not in the tables {params.reference!r}, calibrated with {reference.library!r}")
    star = Observation(
        wave=spectrum.wave,
        rate=spectrum.flux_uncal,
        variance=spectrum.variance_uncal,
        covariance=spectrum.covariance_uncal,
        good=((spectrum.flags & NOT_USABLE) == 0) & np.isfinite(spectrum.flux_uncal) & (spectrum.variance_uncal > 0),
        lsf_sigma=spectrum.lsf_sigma,
        airmass=mean_airmass(spectrum.meta),
        reference=reference,
    )
    smoothness = Smoothness(knots=params.knots, line_error=params.line_error, floor=params.floor)
    found = fit_star(star, extinction(), absorbers(), smoothness)
    seen = _efficiency(spectrum.wave, np.exp(found.log_response))
    if seen > 1.0:
        raise BadData(
            f"{seen:.1f} times the light that the telescope collects of it: not this star, or a fault of the exposure",
            hint="look at its picture; leave it out with --only, or name the star that it is",
        )
    return found


def _efficiency(wave: Floats, response: Floats) -> float:
    """Electrons over photons that fall on the mirror, at EFFICIENCY_WAVE."""
    return float(np.interp(EFFICIENCY_WAVE, wave, response)) * _PLANCK_LIGHT / EFFICIENCY_WAVE / COLLECTING_AREA


def _numbers(found: Response, together: Combination, stars: list[StarResponse]) -> list[QualityNumber]:
    """Quality numbers of a response."""
    inside = (found.wave >= 4000.0) & (found.wave <= 9000.0)
    error = np.sqrt(found.variance[inside]) / found.response[inside]
    efficiency = _efficiency(found.wave, found.response)
    return [
        QualityNumber("STANDARDS USED", float(np.count_nonzero(found.used)), "", low=2.0),
        QualityNumber("RESPONSE ERROR", float(np.sqrt(np.mean(error**2))), "", high=0.02),
        QualityNumber("COLOUR SCATTER", together.scatter, "", high=0.03),
        QualityNumber(
            "GREY SCATTER", float(np.std(np.log(found.grey))) if found.grey.size > 1 else float("nan"), "", high=0.1
        ),
        QualityNumber("FIT SCATTER", float(np.median([star.scatter for star in stars])), "", high=0.02),
        QualityNumber("EFFICIENCY 6500", efficiency, "", 0.02, 0.4),
    ]


def calibrated(
    spectrum: Spectrum, response: Response, params: FluxCalibrationParams
) -> tuple[Spectrum, list[QualityNumber], list[str]]:
    """Calibrate a spectrum; see `tracecube.instruments.sedm.star_steps.flux_calibration`."""
    if spectrum.wave.shape != response.wave.shape or not np.allclose(spectrum.wave, response.wave):
        raise BadData(
            "spectrum and response on different wavelength grids", hint="make both with one set of parameters"
        )
    rows, together, caveats = _others(spectrum, response, params)
    mass = mean_airmass(spectrum.meta)
    law = fit_depth_law(response.airmass[rows], response.telluric[rows], response.telluric_error[rows], absorbers())
    depth = law.at(mass)
    sensitivity = atmosphere_and_response(
        spectrum.wave,
        spectrum.lsf_sigma,
        together.log_response,
        airmass=mass,
        extinction=extinction(),
        absorbers=absorbers(),
        depth=depth,
    )
    found = replace(
        spectrum,
        flux=spectrum.flux_uncal / sensitivity,
        variance=spectrum.variance_uncal / sensitivity**2,
        flags=(spectrum.flags | together.flags).astype(np.int32),
        reference=_known_flux(spectrum),
        meta={
            **spectrum.meta,
            "AIRMEAN": mass,
            "FLUXCAL": True,
            "CALSRC": ", ".join(str(s) for s in response.star[rows])[:60],
        },
    )
    inside = (spectrum.wave >= 4000.0) & (spectrum.wave <= 9000.0)
    numbers = [
        QualityNumber("FLUX SYSTEMATIC", float(np.sqrt(np.mean(together.variance[inside]))), "", high=0.03),
        QualityNumber("AIRMASS", mass, "", 1.0, 2.5),
        *(QualityNumber(f"DEPTH {name.upper()}", float(value)) for name, value in zip(ABSORBERS, depth, strict=True)),
    ]
    return found, numbers, caveats


def _known_flux(spectrum: Spectrum) -> F8 | None:
    """Flux (m,) that a standard is known to have, as the instrument would see it; None of all else."""
    found = find_reference(standards(), bare_object(spectrum.meta)[0], prefer="oke")
    if found is None or not is_standard(spectrum.meta):
        return None
    step = float(found.wave[1] - found.wave[0])
    fine = np.arange(spectrum.wave[0] - MARGIN, spectrum.wave[-1] + MARGIN, step)
    seen = broadening_matrix(fine, spectrum.wave, spectrum.lsf_sigma) @ np.interp(fine, found.wave, found.flux)
    return np.where((spectrum.wave >= found.low) & (spectrum.wave <= found.high), seen, np.nan)


def _others(
    spectrum: Spectrum, response: Response, params: FluxCalibrationParams
) -> tuple[NDArray[np.int64], Combination, list[str]]:
    """Combine the standards other than the star itself; rows, response, caveats."""
    own = response.star == raw_name(spectrum.meta)
    caveats = []
    if own.all():
        caveats.append("calibrated with itself: it is the only standard, so this spectrum tests nothing")
        own = np.zeros_like(own)
    rows = np.flatnonzero(~own)
    level = response.star_response[rows]
    together = combine_responses(
        response.wave,
        np.log(level),
        response.star_variance[rows] / level**2,
        response.star_dq[rows],
        [str(name) for name in response.star[rows]],
        grey_tolerance=params.grey_tolerance,
        colour_tolerance=params.colour_tolerance,
    )
    if own.any():
        caveats.extend(together.caveats)
    return rows[together.used] if together.used.any() else rows, together, caveats
