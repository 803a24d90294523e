"""Parameters of the classification of spectra."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tracecube.core.params import Params

__all__ = ["LIBRARY_RESOLUTION", "ClassifyParams"]

LIBRARY_RESOLUTION = 100.0
"""Resolving power to which templates and spectra are brought: the networks have learnt it."""


class ClassifyParams(Params):
    """How a spectrum is classified. ``wmin``, ``wmax``, ``zmin``, ``zmax`` are the names that users of SNID know."""

    low: float = Field(default=3800.0, ge=2600.0, alias="wmin", description="shortest wavelength used, Angstrom")
    high: float = Field(default=9200.0, le=9900.0, alias="wmax", description="longest wavelength used, Angstrom")
    redshift: float | None = Field(
        default=None, ge=-0.001, le=0.38, alias="forcez", description="redshift, where it is known"
    )
    redshift_error: float = Field(default=0.001, ge=0.0, description="error of a redshift that is known")
    least_redshift: float = Field(default=0.0, ge=0.0, alias="zmin", description="lowest redshift looked at")
    most_redshift: float = Field(default=0.25, gt=0.0, le=0.38, alias="zmax", description="highest redshift looked at")
    resolution: float = Field(
        default=LIBRARY_RESOLUTION, ge=40.0, description="resolving power of the spectrum; above 100 it is smoothed"
    )
    prior: Literal["even", "survey"] = Field(
        default="even", description="even: all classes alike; survey: as often as a magnitude-limited survey has them"
    )
    matches: int = Field(default=20, ge=1, le=100, description="templates listed, one of an object")
    exclude: tuple[str, ...] = Field(
        default=(), description="objects left out of library and networks, to test with their own spectra"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least_redshift > self.most_redshift or self.low >= self.high:
            raise ValueError("zmin must not be above zmax, nor wmin above wmax")
        return self
