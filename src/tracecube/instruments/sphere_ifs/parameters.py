"""Parameters of the recipes: those of the steps they consist of, flat, under one name each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tracecube.core.params import Params
from tracecube.instruments.sphere_ifs.star_parameters import CentreParams, CubeParams, FluxParams, ScienceParams

if TYPE_CHECKING:
    from tracecube.recipes.extract.joint import ExtractionParams
    from tracecube.recipes.optics.lenslet_traces import LensletTraceParams
    from tracecube.recipes.optics.night_shift import ShiftParams
    from tracecube.recipes.optics.pinholes import PinholeParams

__all__ = [
    "CenterTaskParams",
    "DistortionParams",
    "Extracting",
    "FluxTaskParams",
    "IfuFlatParams",
    "LaserCubeParams",
    "ScienceTaskParams",
    "Sky",
    "SpectraPositionsParams",
    "StandardFluxParams",
    "StandardParams",
    "WaveCalibParams",
]

_MARGIN = 1.8


class Extracting(Params):
    """What every step that extracts spectra can set."""

    half_width: int = Field(
        21, ge=2, le=40, description="pixels on either side of a trace that its footprint covers: the profile's reach"
    )
    scatter_pieces: int = Field(6, ge=0, le=30, description="spline pieces of scattered light a side; 0 for none")
    strips: int = Field(32, ge=0, le=64, description="outputs whose levels are fitted with that; 0 for none")
    strip_pieces: int = Field(4, ge=1, le=16, description="spline pieces of the level along an output")
    stripes: bool = Field(True, description="fit what is left of the signal that all outputs share row by row")
    clip: float = Field(6.0, gt=3.0, description="pixels this many sigma off the model are outliers")
    passes: int = Field(3, ge=1, le=6, description="solutions; each takes variance and outliers from the last")
    method: Literal["joint", "optimal", "box"] = Field(
        "joint", description="all lenslets at once, or each alone as older pipelines do, for comparison"
    )
    box: float = Field(
        5.0, ge=1, le=15, description="width of a box across dispersion, px; pixels at its ends count by part"
    )

    def extraction(self) -> ExtractionParams:
        """Settings of the joint extraction."""
        from tracecube.recipes.extract.joint import ExtractionParams  # noqa: PLC0415 - brings numba

        return ExtractionParams(
            half_width=self.half_width,
            scatter_pieces=self.scatter_pieces,
            strips=self.strips,
            strip_pieces=self.strip_pieces,
            stripes=self.stripes,
            clip=self.clip,
            passes=self.passes,
            method=self.method,
            box=self.box,
        )


class Sky(Extracting):
    """What every step that extracts a plane of the night can set."""

    shift_reach: float = Field(1.5, gt=0, description="largest shift along dispersion that is looked for, px")
    shift_degree: int = Field(3, ge=1, le=12, description="degree of the free part of the ratio of night to lamp")
    clear_distance: float = Field(
        8.0, ge=2, description="px from spectra beyond which pixels tell of a background that changes"
    )
    clear_star_radius: float = Field(
        0.6, ge=0, description="arcsec from the field's middle within which lenslets' surroundings do not tell of it"
    )

    def shifts(self) -> ShiftParams:
        """Settings of the night's shift."""
        from tracecube.recipes.optics.night_shift import ShiftParams  # noqa: PLC0415 - brings numba

        return ShiftParams(reach=self.shift_reach, smooth_degree=self.shift_degree)


class CenterTaskParams(Sky, CentreParams, CubeParams):
    """How a frame with satellite spots is reduced."""


class FluxTaskParams(Sky, FluxParams, CubeParams):
    """How the star beside its mask is reduced."""


class ScienceTaskParams(Sky, ScienceParams):
    """How a science DIT is reduced."""


class StandardParams(Sky, ScienceParams):
    """How an astrometric standard is reduced."""


class StandardFluxParams(Sky, ScienceParams, FluxParams):
    """How a spectrophotometric standard is reduced."""


class Combining(Params):
    """How several frames of one lamp become one."""

    algorithm: int = Field(
        2,
        ge=0,
        le=2,
        alias="coll_alg",
        description="frames of a lamp: 0 mean, 1 median, 2 clean mean (of three or more)",
    )


class SpectraPositionsParams(Combining):
    """How lenslets and traces are found."""

    lattice_degree: int = Field(
        5,
        ge=1,
        le=7,
        description="degree of the lattice's distortion over the detector",
    )
    margin: float = Field(_MARGIN, ge=0, le=4, description="rows beyond the ends of the band")
    profile_reach: float = Field(
        20.0,
        gt=4,
        le=40,
        description="px from the centre to the end of a profile's wings: beyond the third trace beside it, 15 px away",
    )
    profile_zones: int = Field(5, ge=1, le=12, description="zones a side of the detector with a profile each")
    profile_shapes: int = Field(5, ge=1, le=12, description="shapes of the profile that are kept")
    profile_every: int = Field(8, ge=1, le=64, description="use every so many detector rows for the profile")
    wing_tolerance: float = Field(0.1, gt=0, description="how far a zone's wings may be from the detector's, share")

    def tracing(self) -> LensletTraceParams:
        """Settings of the tracing."""
        from tracecube.recipes.optics.lenslet_traces import LensletTraceParams  # noqa: PLC0415 - brings numba

        return LensletTraceParams(
            **{k: v for k, v in self.model_dump().items() if k in LensletTraceParams.model_fields}
        )


class WaveCalibParams(Params):
    """How wavelengths are calibrated."""

    margin: float = Field(_MARGIN, ge=0, le=4, description="rows beyond the ends of the band, as the traces have")
    rows: int = Field(2048, gt=0, description="rows and columns of the detector")


class IfuFlatParams(Extracting, Combining):
    """How the lenslet flat is measured."""

    least_signal: float = Field(10.0, gt=0, description="S/N that the median lenslet needs in the median channel")


class LaserCubeParams(Extracting, Combining, CubeParams):
    """How the cube of the lasers is made."""


class DistortionParams(Extracting, Combining):
    """How the places of lenslets are measured; defaults of the observatory's recipe."""

    grid_pitch: float = Field(0.1677, gt=0, description="distance of pinholes on the sky, arcsec")
    threshold: float = Field(
        3.0,
        gt=0,
        description="a pinhole outshines the typical lenslet so many times",
        alias="ifs.distortion_map.threshold",
    )
    fitting_order: int = Field(
        3, ge=1, le=5, description="degree of the map to the sky", alias="ifs.distortion_map.fitting_order"
    )
    max_distortion: float = Field(
        4.0,
        gt=0,
        description="largest departure from the regular grid, lenslets",
        alias="ifs.distortion_map.max_distortion",
    )
    least_throughput: float = Field(0.3, gt=0, lt=1, description="lenslets of less relative throughput do not count")

    def pinholes(self) -> PinholeParams:
        """Settings of the grid's measurement."""
        from tracecube.recipes.optics.pinholes import PinholeParams  # noqa: PLC0415 - brings numba

        names = ("grid_pitch", "threshold", "fitting_order", "max_distortion")
        return PinholeParams(**{name: getattr(self, name) for name in names})
