"""What users choose of a cube: its planes, how pixels become voxels, whose motion wavelengths are freed of."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from tracecube.core.errors import BadData
from tracecube.core.fields import Meta
from tracecube.core.params import Params
from tracecube.instruments.muse.geometry import spaxel
from tracecube.instruments.muse.headers import LAST_WAVELENGTH, first_wavelength, mode
from tracecube.kernels.weighted_voxels import Weighting
from tracecube.recipes.slices.resampling import Sieve

__all__ = ["DROP_TEXT", "CubeParams", "Drop"]

_SAMPLING = 1.25  # Angstrom that a pixel of the detector is wide, nominally
_WIDEST = 10.0  # pixels that a drop is wide at most
_FEWEST = 50.0  # Angstrom that a cube holds at least
_EARLIEST = 4600.0  # Angstrom, where the spectra of the bluest mode begin
_SLICES, _VOXELS = 6.0, 15.0  # errors by which a hit stands out: of what slices let expect, of the samples around
_DIAGONAL = 3.0**0.5  # voxels: what the observatory's cubes show its critical radius to be counted in
_FINEST = 0.75  # of a pixel of the detector: smaller voxels are not told by solving for them

DROP_TEXT = "Side of a pixel's drop over that of the pixel: of all axes; sky and wavelength; or x, y, wavelength"


def _several(value: object) -> object:
    """Return one number as a list of one."""
    return [value] if isinstance(value, int | float | str) and "," not in str(value) else value


def _natural(value: object) -> object:
    """Return the sampling of the detector for 0, as the observatory has it."""
    return _SAMPLING if str(value).strip() in {"0", "0.", "0.0"} else value


Drop = Annotated[tuple[float, ...], BeforeValidator(_several), Field(min_length=1, max_length=3)]
"""One to three numbers, as the observatory's ``pixfrac``."""


class CubeParams(Params):
    """Numbers of a cube that is made of pixels."""

    step: Annotated[float, BeforeValidator(_natural)] = Field(
        default=_SAMPLING, gt=0.1, alias="dlambda", description="Angstrom between planes; 0 for the detector's sampling"
    )
    side: float = Field(
        default=0.0, ge=0, alias="dx", description="Side of a spaxel, arcsec; 0 for that of the mode, or of the field"
    )
    other_side: float = Field(default=0.0, ge=0, alias="dy", description="As dx, or 0: spaxels are square")
    crtype: Literal["slices", "median", "mean", "iraf"] = Field(
        default="slices",
        alias="crtype",
        description="Hits stand out within slices and of those beside; or of the samples around, by which statistic",
    )
    hit: float | None = Field(
        default=None,
        alias="crsigma",
        description="Errors beyond which a pixel is hit; null for 6, of the samples around 15; 0: none is",
    )
    lowest: float = Field(default=0.0, ge=0, alias="lambdamin", description="First wavelength; 0 for that of the mode")
    highest: float = Field(default=LAST_WAVELENGTH, gt=0, alias="lambdamax", description="Last wavelength, Angstrom")
    frame: Literal["bary", "helio", "geo", "none"] = Field(
        default="bary",
        alias="rvcorr",
        description="At rest with: the solar system's barycentre, the Sun, the Earth's centre; none: as observed",
    )
    resample: Literal["decorrelated", "nearest", "linear", "quadratic", "renka", "drizzle", "lanczos"] = Field(
        default="decorrelated",
        alias="resample",
        description="Voxels of uncorrelated noise, or weighted means of pixels, whose correlation COVAR tells",
    )
    pixfrac: Drop = Field(default=(0.8, 0.8), alias="pixfrac", description=DROP_TEXT)
    reach: int = Field(default=1, ge=1, le=3, alias="ld", description="Voxels away at which pixels count in means")
    radius: float = Field(default=1.25, gt=0, alias="rc", description="Critical radius of renka, diagonals of a voxel")

    @model_validator(mode="after")
    def _has_planes(self) -> Self:
        low, high = max(self.lowest, _EARLIEST), min(self.highest, LAST_WAVELENGTH)
        if high - low < _FEWEST:
            raise ValueError(
                f"from {self.lowest:g} to {self.highest:g} Angstrom is no cube: spectra go from {_EARLIEST:g} to "
                f"{LAST_WAVELENGTH:g}, and {_FEWEST:g} are needed"
            )
        if self.other_side not in {0.0, self.side}:
            raise ValueError(f"dx={self.side:g}, dy={self.other_side:g}: spaxels are square")
        if not all(0.0 < one <= _WIDEST for one in self.pixfrac):
            raise ValueError(f"pixfrac={self.pixfrac}: each is to be above 0 and at most {_WIDEST:g}")
        return self

    @property
    def hit_limit(self) -> float:
        """Errors beyond which pixels are hit by what slices see; infinite where these are not looked at."""
        if self.crtype != "slices":
            return np.inf
        limit = _SLICES if self.hit is None else self.hit
        return limit if limit > 0 else np.inf

    def sieve(self, default: float = _VOXELS) -> Sieve | None:
        """Return what holds back samples that stand out of those around; None where these are not looked at."""
        limit = default if self.hit is None else self.hit
        return Sieve(self.crtype, limit) if self.crtype != "slices" and limit > 0 else None

    def band(self, meta: Meta) -> tuple[float, float]:
        """Return first and last wavelength (Angstrom) of the cube of an exposure: of those that any mode sees.

        Raises
        ------
        BadData
            The mode is not known, or ends where the cube is to begin.
        """
        first = max(self.lowest, _EARLIEST) if self.lowest else first_wavelength(mode(meta))
        last = min(self.highest, LAST_WAVELENGTH)
        if last - first < _FEWEST:
            raise BadData(
                f"from {first:g} to {last:g} Angstrom is no cube", hint="larger lambdamax, or smaller lambdamin"
            )
        return first, last

    def weighting(self, meta: Meta, step: float, side: float) -> Weighting | None:
        """Return how pixels count in voxels of this step (Angstrom) and side (arcsec); None where these are solved for.

        Raises
        ------
        BadData
            Voxels are smaller than pixels, and to be solved for.
        """
        pixel = spaxel(meta)
        if self.resample == "decorrelated":
            if min(step / _SAMPLING, side / pixel[0]) < _FINEST:
                raise BadData(
                    f"voxels of {side:g} arcsec, {step:g} Angstrom are finer than pixels: they cannot be solved for",
                    hint="-p object.resample=drizzle, and -p object_aligned.resample=drizzle",
                )
            return None
        along, across, spectral = {1: self.pixfrac * 3, 2: (*self.pixfrac[:1] * 2, *self.pixfrac[1:])}.get(
            len(self.pixfrac), self.pixfrac
        )
        drop = (spectral * _SAMPLING / step, across * pixel[1] / side, along * pixel[0] / side)
        return Weighting(self.resample, self.reach, self.radius * _DIAGONAL, drop)
