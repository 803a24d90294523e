"""Parameters of the optics' recipes, flat as the command line and forms want them."""

from __future__ import annotations

from pydantic import Field

from tracecube.core.params import Params
from tracecube.recipes.extract.joint import ExtractionParams
from tracecube.recipes.optics.fibre_traces import FibreTraceParams
from tracecube.recipes.optics.fibre_wavelength import FibreWavelengthParams

__all__ = ["ExposureParams", "TracesParams", "WavelengthsParams"]


class TracesParams(Params):
    """How fibres are traced."""

    degree: int = Field(7, ge=2, le=15, description="highest Chebyshev degree of a centre along its spectrum")
    common_degree: int = Field(4, ge=0, le=8, description="degree along the slit of what the fibres have in common")
    rounds: int = Field(4, ge=2, le=10, description="turns of profile, centres and scattered light")

    def tracing(self) -> FibreTraceParams:
        """Return the parameters of the step itself."""
        return FibreTraceParams(degree=self.degree, common_degree=self.common_degree, rounds=self.rounds)


class ExposureParams(ExtractionParams):
    """How spectra of fibres are taken off a CCD."""

    half_width: int = Field(12, ge=4, le=40, description="pixels on either side of a trace that its footprint covers")
    scatter_pieces: int = Field(4, ge=0, le=30, description="spline pieces of scattered light a side; 0 for none")
    passes: int = Field(3, ge=2, le=6, description="solutions; each takes variance and outliers from the last")
    reach: float = Field(3.0, gt=0.1, le=4.0, description="largest shift across dispersion that is no other unit's, px")


class WavelengthsParams(ExposureParams, FibreWavelengthParams):
    """How wavelengths are measured."""
