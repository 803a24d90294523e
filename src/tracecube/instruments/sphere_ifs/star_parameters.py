"""Parameters of the steps from spectra to star centre, star image and cube, with the observatory's names."""

from __future__ import annotations

from pydantic import Field

from tracecube.core.params import Params
from tracecube.recipes.cube.star_cube import StarCubeParams
from tracecube.recipes.science.halo_shift import HaloParams
from tracecube.recipes.science.star_centre import StarCentreParams
from tracecube.recipes.science.star_psf import StarPsfParams

__all__ = ["CentreParams", "CubeParams", "FluxParams", "ScienceParams"]

# Diagonals of the satellite spots: 57.3 and 147.3 deg from +X_L with OCS WAFFLE ORIENT = "x", 45 deg less with "+"
# [instrument facts; the pipeline's 102 deg + 45 deg].
DIAGONAL = 57.3
PLUS_TURN = -45.0


class CentreParams(StarCentreParams):
    """How the star is found behind its mask."""

    direction: float = Field(DIAGONAL, description="direction of the first diagonal when WAFFLE ORIENT is x, degree")
    use_waffle: bool = Field(
        True,
        alias="ifs.star_center.use_waffle",
        description="find the star by satellite spots; otherwise it is looked for as the brightest source",
    )

    def spots(self, orientation: str) -> StarCentreParams:
        """Return the recipe's parameters for an orientation of the spots, "x" or "+"."""
        turn = PLUS_TURN if orientation.strip() == "+" else 0.0
        names = StarCentreParams.model_fields
        chosen = {name: getattr(self, name) for name in names if name != "direction"}
        return StarCentreParams(direction=self.direction + turn, **chosen)


class FluxParams(StarPsfParams):
    """How the star's image beside the mask is measured."""


class CubeParams(Params):
    """The grid of a cube."""

    pixel: float = Field(7.46e-3, gt=1e-3, description="side of a pixel, arcsec")
    size: int = Field(291, ge=11, description="pixels a side")

    def cube(self) -> StarCubeParams:
        """Return the parameters of the resampling."""
        return StarCubeParams(pixel=self.pixel, size=self.size)


class ScienceParams(CubeParams):
    """How a science DIT becomes a cube."""

    halo_inner: float = Field(0.10, ge=0.0, description="inner radius of the halo that tells the star's move, arcsec")
    halo_outer: float = Field(0.35, gt=0.0, description="outer radius of that halo, arcsec")
    move_error: float = Field(
        2e-3,
        gt=0.0,
        description="error of a centre taken from another frame as it is, arcsec",
    )
    user_cent: bool = Field(
        False, alias="ifs.science_dr.user_cent", description="take the star at cx, cy instead of measuring it"
    )
    cx: float = Field(146.0, alias="ifs.science_dr.cx", description="star along x, pixel of the cube counted from 1")
    cy: float = Field(146.0, alias="ifs.science_dr.cy", description="star along y, pixel of the cube counted from 1")

    def halo(self) -> HaloParams:
        """Return the parameters of the registration."""
        return HaloParams(inner=self.halo_inner, outer=self.halo_outer)
