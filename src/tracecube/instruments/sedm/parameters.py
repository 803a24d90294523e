"""Parameters of the recipes: those of the steps they consist of, flat, under one name each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tracecube.core.params import Params

if TYPE_CHECKING:
    from tracecube.recipes.cube.hexagons import CubeParams
    from tracecube.recipes.extract.grid import GridParams
    from tracecube.recipes.extract.joint import ExtractionParams
    from tracecube.recipes.optics.flexure import FlexureParams
    from tracecube.recipes.optics.throughput import ThroughputParams
    from tracecube.recipes.optics.traces import TraceParams
    from tracecube.recipes.optics.wavelength import WavelengthParams

__all__ = ["FlatParams", "IfuParams", "TracesParams", "WavelengthsParams"]


class _Extracting(Params):
    """What every step that extracts spectra can set."""

    half_width: int = Field(12, ge=2, le=40, description="pixels on either side of a trace that its footprint covers")
    scatter_pieces: int = Field(6, ge=0, le=30, description="spline pieces of scattered light a side; 0 for none")
    clip: float = Field(6.0, gt=3.0, description="pixels this many sigma off the model are outliers")
    method: Literal["joint", "optimal", "box"] = Field(
        "joint", description="all lenslets at once, or each alone as older pipelines do, for comparison"
    )
    box: float = Field(
        5.0, ge=1, le=15, description="width of a box across dispersion, px; pixels at its ends count by part"
    )

    def extraction(self, *, passes: int = 3) -> ExtractionParams:
        """Settings of the joint extraction."""
        from tracecube.recipes.extract.joint import ExtractionParams  # noqa: PLC0415 - brings numba

        return ExtractionParams(
            half_width=self.half_width,
            scatter_pieces=self.scatter_pieces,
            clip=self.clip,
            passes=passes,
            method=self.method,
            box=self.box,
        )


class TracesParams(Params):
    """How traces are found in the dome flats."""

    column_step: int = Field(8, ge=1, le=32, description="every so many columns are measured")
    turns: int = Field(3, ge=1, le=10, description="rounds of centres, widths, profile and scattered light")
    faintest: float = Field(0.005, gt=0.0, lt=1.0, description="light of the faintest lenslet, typical one = 1")
    max_saturated: float = Field(0.01, ge=0.0, le=1.0, description="largest share of saturated pixels")

    def tracing(self) -> TraceParams:
        """Settings of the tracing."""
        from tracecube.recipes.optics.traces import TraceParams  # noqa: PLC0415 - brings numba

        return TraceParams(
            column_step=self.column_step, turns=self.turns, faintest=self.faintest, max_saturated=self.max_saturated
        )


class WavelengthsParams(_Extracting):
    """How wavelengths are calibrated."""

    least_lines: int = Field(6, ge=3, description="groups of arc lines that the field model needs at least")

    def fitting(self) -> WavelengthParams:
        """Settings of the wavelength fit."""
        from tracecube.recipes.optics.wavelength import WavelengthParams  # noqa: PLC0415 - brings numba

        return WavelengthParams(least_lines=self.least_lines)


class FlatParams(_Extracting):
    """How the lenslet flat is measured."""

    degree: int = Field(2, ge=0, le=6, description="degree of a lenslet's colour term in wavelength")
    illumination_degree: int = Field(2, ge=0, le=4, description="degree of the dome's illumination over the field")
    sky_bands: int = Field(8, ge=0, description="bands of wavelength in which the twilight corrects lenslets; 0: none")
    lamp_trust: float = Field(
        10.0, gt=0, description="electrons of the dome over those of the twilight from which the dome is believed alone"
    )

    def flat(self) -> ThroughputParams:
        """Settings of the throughput measurement."""
        from tracecube.recipes.optics.throughput import ThroughputParams  # noqa: PLC0415 - brings numba

        return ThroughputParams(
            degree=self.degree,
            illumination_degree=self.illumination_degree,
            sky_bands=self.sky_bands,
            lamp_trust=self.lamp_trust,
        )


class IfuParams(_Extracting):
    """How an exposure of the sky becomes spectra and a cube."""

    wave_low: float = Field(3700.0, gt=0, description="first sample of the wavelength grid, Angstrom")
    wave_high: float = Field(9300.0, gt=0, description="last sample of the wavelength grid, Angstrom")
    n_wave: int = Field(220, ge=10, le=20000, description="samples of the wavelength grid")
    reach: float = Field(2.5, gt=0.0, description="largest flexure that is looked for, px")
    spaxel: float = Field(0.5, gt=0.05, description="side of a spaxel of the cube, arcsec")
    cosmic_exptime: float = Field(10.0, ge=0, description="shorter exposures are not searched for cosmic rays, s")

    def grid(self) -> GridParams:
        """The wavelength grid."""
        from tracecube.recipes.extract.grid import GridParams  # noqa: PLC0415 - brings numba

        return GridParams(wave_low=self.wave_low, wave_high=self.wave_high, n_wave=self.n_wave)

    def flexure(self) -> FlexureParams:
        """Settings of the flexure measurement."""
        from tracecube.recipes.optics.flexure import FlexureParams  # noqa: PLC0415 - brings numba

        return FlexureParams(reach=self.reach)

    def cube(self) -> CubeParams:
        """The square grid."""
        from tracecube.recipes.cube.hexagons import CubeParams  # noqa: PLC0415 - brings numba

        return CubeParams(spaxel=self.spaxel)
