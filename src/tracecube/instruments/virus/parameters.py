"""Parameters of the optics' recipes, flat as the command line and forms want them."""

from __future__ import annotations

from pydantic import Field

from tracecube.core.params import Params
from tracecube.recipes.detector.weak_columns import WeakColumnParams
from tracecube.recipes.extract.fibres import FibreExtractionParams
from tracecube.recipes.optics.fibre_traces import FibreTraceParams
from tracecube.recipes.optics.fibre_wavelength import FibreWavelengthParams

__all__ = ["ExposureParams", "TracesParams", "TwilightParams", "WavelengthsParams"]


class TracesParams(Params):
    """How fibres are traced."""

    degree: int = Field(7, ge=2, le=15, description="highest Chebyshev degree of a centre along its spectrum")
    common_degree: int = Field(4, ge=0, le=8, description="degree along the slit of what the fibres have in common")
    keep: bool = Field(False, description="keep the mean of the lamp's exposures as MASTER_FLAT")
    rounds: int = Field(3, ge=2, le=10, description="turns of profile, centres and scattered light")

    weak_clip: float = Field(6.5, gt=3.0, description="deviations at which a run of pixels answers differently")
    weak_least: float = Field(0.015, gt=0.0, description="share of the light by which such a run differs at least")

    def tracing(self) -> FibreTraceParams:
        """Return the parameters of the step itself."""
        return FibreTraceParams(degree=self.degree, common_degree=self.common_degree, rounds=self.rounds)

    def weak(self) -> WeakColumnParams:
        """Return how columns that lose charge are found."""
        return WeakColumnParams(clip=self.weak_clip, least=self.weak_least)


class ExposureParams(Params):
    """How spectra of fibres are taken off a CCD."""

    passes: int = Field(3, ge=2, le=8, description="solutions; each takes variance and hits from the last")
    clip: float = Field(6.0, gt=3, description="sigma above the model beyond which a pixel was hit")
    grow: float = Field(3.0, gt=1, description="sigma above the model down to which pixels beside a hit belong to it")
    box: float = Field(5.0, ge=1, le=9, description="px: width of the centred aperture of the cross-check")
    reach: float = Field(1.5, gt=0.1, le=4.0, description="largest shift across dispersion that is a drift, px")

    def extraction(self) -> FibreExtractionParams:
        """Return the parameters of the step itself."""
        return FibreExtractionParams(passes=self.passes, clip=self.clip, grow=self.grow, box=self.box)


class WavelengthsParams(ExposureParams, FibreWavelengthParams):
    """How wavelengths are measured."""

    keep: bool = Field(False, description="keep the sum of the lamps' mean exposures as MASTER_ARC")


class TwilightParams(ExposureParams):
    """How spectra of the twilight sky are taken."""

    keep: bool = Field(False, description="keep the mean of the exposures as MASTER_TWILIGHT")
