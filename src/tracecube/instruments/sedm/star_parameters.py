"""Parameters of the steps from lenslet spectra to calibrated spectra of stars and targets."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tracecube.core.params import Params

__all__ = ["ExtractStarParams", "FluxCalibrationParams", "ResponseParams"]


class ExtractStarParams(Params):
    """How a point source is found and extracted.

    ``centroid``, ``seeing`` and ``buffer`` are the names that users of the observatory's extraction know.
    """

    centroid: Literal["auto", "brightest"] = Field(
        default="auto",
        description="auto: standards by brightness, targets by the guider; brightest: always by brightness",
    )
    centroid_x: float | None = Field(
        default=None, description="place given by hand, arcsec east of the field centre; needs centroid_y"
    )
    centroid_y: float | None = Field(default=None, description="place given by hand, arcsec north")
    centroid_error: float = Field(default=0.5, gt=0, description="error of a place given by hand, arcsec")
    region: tuple[tuple[float, float], ...] | None = Field(
        default=None,
        description="corners of a polygon, arcsec east and north of the field centre: spaxels whose centres lie "
        "inside are used, whatever the radius",
    )
    exclude: tuple[int, ...] = Field(
        default=(), description="numbers of spaxels that are not used, for example where a cosmic ray fell"
    )
    aperture: float | None = Field(
        default=None, gt=0, description="count the light within this radius, arcsec, instead of fitting it"
    )
    annulus_inner: float = Field(default=1.4, ge=1, description="inner radius of the ring for the sky, over aperture")
    annulus_outer: float = Field(default=2.2, gt=1, description="outer radius of that ring, over aperture")
    aperture_correction: Literal["point", "none"] = Field(
        default="point",
        description="point: the light of the whole point source follows from what the aperture holds of one; "
        "none: light as counted, of a source that is no point",
    )
    recovered: bool = Field(
        default=False, description="a person looked: the brightest source is the target, quality 1 in place of 5"
    )
    tag: str = Field(
        default="robot",
        pattern=r"^[A-Za-z0-9]+$",
        description="name of the extraction in file names: robot, or redo and the time a person had it made again",
    )
    reviewer: str = Field(default="auto", description="who had it made", alias="reducer")
    seeing: float = Field(default=2.0, gt=0, description="width of the star (FWHM, arcsec) where no guide star tells")
    radius: float = Field(
        default=12.0,
        gt=3,
        alias="buffer",
        description="radius of the region about the source, arcsec: wide, so that sky and halo are told apart",
    )
    host_radius: float = Field(
        default=9.0, gt=3, description="radius of the region in which smooth light is fitted, arcsec"
    )
    sky_degree: int = Field(
        default=2,
        ge=0,
        le=3,
        description="highest degree of the sky over the region, 2 for moonlight and errors of the flat's illumination; "
        "1 where stars put at empty places come out better with it, and where no standard told the halo",
    )
    host: Literal["auto", "never"] = Field(
        default="auto", description="fit smooth light (a host galaxy) together with a target where there is any"
    )
    host_detail: float = Field(
        default=1.0,
        gt=0.1,
        description="detail of a galaxy that is followed, arcsec: its light is alike over four of it",
    )
    host_pictures: int = Field(default=4, ge=1, le=4, description="pictures of different colour of a galaxy")
    host_gain: float = Field(
        default=5.0, ge=0, description="decrease of chi2 a free amplitude from which smooth light is believed"
    )
    host_share: float = Field(
        default=0.0005,
        ge=0,
        description="scatter of the smooth light over the peak of the source from which it matters",
    )
    host_sky_share: float = Field(
        default=0.02,
        ge=0,
        description="scatter of the smooth light over the sky from which it is more than an error of the lenslet flat",
    )
    neighbour_share: float = Field(
        default=0.1, gt=0, description="flux of a neighbouring star over the target's from which it is fitted too"
    )
    fit_low: float = Field(default=4000.0, description="place and shape are fitted from here, Angstrom")
    fit_high: float = Field(default=9200.0, description="place and shape are fitted to here, Angstrom")
    slices: int = Field(default=14, ge=4, description="ranges of wavelength in that fit", alias="autobins")
    clip: float = Field(
        default=5.0, gt=2, description="samples that deviate by more sigma are given up", alias="byecr_cut"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Refuse half a place, a line for a region, a ring turned inside out."""
        if (self.centroid_x is None) != (self.centroid_y is None):
            raise ValueError("centroid_x and centroid_y belong together")
        if self.region is not None and len(self.region) < 3:
            raise ValueError("a region has three corners or more")
        if self.annulus_outer <= self.annulus_inner:
            raise ValueError("annulus_outer lies outside annulus_inner")
        return self


class ResponseParams(Params):
    """How the response of a night follows from its standards."""

    reference: Literal["oke", "calspec"] = Field(
        default="oke", description="tables of the standards: Oke 1990, as the observatory, or CALSPEC"
    )
    knots: float = Field(default=100.0, gt=30, description="distance of the knots of the response, Angstrom")
    line_error: float = Field(
        default=0.1, ge=0, description="error of references inside lines, relative to the depth of the line"
    )
    floor: float = Field(default=0.003, ge=0, description="relative error of references outside lines, a sample")
    grey_tolerance: float = Field(
        default=0.05, ge=0, description="standards dimmer by more than this share were seen through clouds"
    )
    colour_tolerance: float = Field(
        default=0.05, ge=0, description="standards whose colour departs by more than this share are left out"
    )


class FluxCalibrationParams(Params):
    """How a spectrum is calibrated."""

    grey_tolerance: float = Field(
        default=0.05, ge=0, description="as for the response; used when a standard is left out"
    )
    colour_tolerance: float = Field(default=0.05, ge=0, description="as for the response")
