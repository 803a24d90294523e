"""The recipes from lenslet spectra to flux-calibrated spectra with quality codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracecube.core.finder import Finder
from tracecube.core.frame import RawFrame
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Response, Spectra, Spectrum
from tracecube.core.target import PointSourceFit, Target
from tracecube.instruments.sedm.star_parameters import ExtractStarParams, FluxCalibrationParams, ResponseParams

__all__ = ["extract_star", "flux_calibration", "response"]

_EXTRACT, _RESPONSE, _CALIBRATION = ExtractStarParams(), ResponseParams(), FluxCalibrationParams()


@dataclass(frozen=True, kw_only=True)
class ExtractedStar(Outputs):
    """Verdict on an exposure; the spectrum where there is one, in electrons; what the guider saw."""

    target: Target
    spectrum_uncal: Spectrum | None
    psf_fit: PointSourceFit | None
    finder: Finder | None


@dataclass(frozen=True, kw_only=True)
class NightResponse(Outputs):
    """Response of a night."""

    response: Response


@dataclass(frozen=True, kw_only=True)
class CalibratedSpectrum(Outputs):
    """Spectrum above the atmosphere."""

    spectrum: Spectrum


@recipe(version="15")
def extract_star(
    *,
    spectra: Spectra,
    guider: Sequence[RawFrame] | None = None,
    catalogue: RawFrame | None = None,
    standards: Sequence[Target] | None = None,
    params: ExtractStarParams = _EXTRACT,
) -> ExtractedStar:
    """Extract the spectrum of the standard or target of one exposure.

    Standards are the brightest source of the field. The place of a target follows from the guide
    frames of the exposure and a star catalogue; where they fail, the brightest source is taken and
    the quality code says so. Place, refraction and shape are fitted over all wavelengths at once, a
    host galaxy with them; then flux and sky at every wavelength. A person may give the place, draw a
    region, leave out spaxels, or have the light counted in an aperture.

    ``standards`` are the verdicts on the night's standards: they tell how guider and spectrograph
    are aligned.
    """
    from tracecube.instruments.sedm.star_extraction import extract  # noqa: PLC0415 - not wanted for planning

    found = extract(spectra, list(guider or ()), catalogue, list(standards or ()), params)
    return ExtractedStar(
        target=found.target,
        spectrum_uncal=found.spectrum,
        psf_fit=found.picture,
        finder=found.finder,
        quality=tuple(found.quality),
        caveats=tuple(found.caveats),
    )


@recipe(version="2")
def response(*, spectrum_uncal: Sequence[Spectrum], params: ResponseParams = _RESPONSE) -> NightResponse:
    """Measure the response of a night from all its good standards together.

    Each standard gives a smooth response and the depth of the telluric bands; clouds are taken as
    grey; a standard whose colour departs from that of the others is left out, visibly.
    """
    from tracecube.instruments.sedm.star_calibration import night_response  # noqa: PLC0415

    found, numbers, caveats = night_response(spectrum_uncal, params)
    return NightResponse(response=found, quality=tuple(numbers), caveats=tuple(caveats))


@recipe(version="3")
def flux_calibration(
    *, spectrum_uncal: Spectrum, response: Response, params: FluxCalibrationParams = _CALIBRATION
) -> CalibratedSpectrum:
    """Calibrate a spectrum: response, extinction and telluric bands at its own airmass.

    A standard is calibrated with the other standards alone. STAT is the noise of the exposure; the
    error of the response is common to neighbouring samples and is a quality number. The flux that a
    standard is known to have stands beside its own.
    """
    from tracecube.instruments.sedm.star_calibration import calibrated  # noqa: PLC0415

    found, numbers, caveats = calibrated(spectrum_uncal, response, params)
    return CalibratedSpectrum(spectrum=found, quality=tuple(numbers), caveats=tuple(caveats))
