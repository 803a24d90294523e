"""Parameters of the search for companions, with the observatory's names and defaults."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tracecube.core.params import Params
from tracecube.recipes.cube.star_cube import StarCubeParams
from tracecube.recipes.science.companion_search import SearchParams
from tracecube.recipes.science.high_contrast import HighContrastParams
from tracecube.recipes.science.speckle_learning import Method, SpeckleParams
from tracecube.recipes.science.strehl import StrehlParams

__all__ = ["CompanionParams", "StackParams"]


class CompanionParams(Params):
    """How the DITs of a star are searched for companions.

    ``coll_alg``, ``reflambda`` and ``fwhm`` of the observatory's recipe have no counterpart: DITs are weighted
    by their errors, and the star's own image takes the place of a width.
    """

    use_adi: Literal[0, 1, 2] = Field(
        2, alias="ifs.science_dr.use_adi", description="use the field's rotation: 0 no, 1 yes, 2 if it is large enough"
    )
    min_adi_angle: float = Field(
        4.0, gt=0.0, alias="ifs.science_dr.min_adi_angle", description="rotation from which it is used, degree"
    )
    spec_deconv: bool = Field(
        True, alias="ifs.science_dr.spec_deconv", description="use the magnification of speckles with wavelength"
    )
    order: int = Field(2, ge=0, le=6, alias="ifs.science_dr.order", description="degree of a speckle's spectrum")
    principal_components: bool = Field(
        False, description="learn courses and spectra of speckles as principal components"
    )
    modes: int = Field(1, ge=1, le=20, description="principal components along time besides the mean")
    spectral_modes: int = Field(3, ge=1, le=20, description="principal components along wavelength")
    inner: float = Field(0.10, gt=0.0, description="inner radius, arcsec: the mask's inner working angle")
    sigma: float = Field(5.0, gt=3.0, description="significance that a companion needs")
    largest: int = Field(9, ge=1, le=24, description="companions looked for at most")
    strehl_change: float | None = Field(
        None,
        gt=0.0,
        description="expected change of the Strehl ratio between two frames at 1.25 um, relative; measured in the "
        "halos of the DITs where not given",
    )
    transmission_change: float = Field(
        0.02,
        ge=0.0,
        description="expected change of the air's transmission between two frames, relative: less than 2 % in the "
        "nights that ESO's observing conditions call photometric, up to 10 % in clear ones",
    )
    illumination: float | None = Field(
        None,
        ge=0.0,
        description="how unevenly the lamp of the lenslet flat lights the field, relative; from what is smooth over "
        "the field in the flat itself where not given",
    )
    diameter: float = Field(8.0, gt=0.0, description="diameter of the telescope, m")
    residual: bool = Field(True, description="write the cube of what the speckle model leaves, too")
    pixel: float = Field(7.46e-3, gt=1e-3, description="side of its pixels, arcsec")
    size: int = Field(291, ge=11, description="its pixels a side")

    def grid(self) -> StarCubeParams:
        """Return the grid of the cube without speckles."""
        return StarCubeParams(pixel=self.pixel, size=self.size, diameter=self.diameter)

    def strehl(self) -> StrehlParams:
        """Return how the star's flux is followed from the frame beside the mask to the DITs."""
        return StrehlParams(change=self.strehl_change, transmission=self.transmission_change, diameter=self.diameter)

    def method(self, rotation: float, exposures: int) -> Method:
        """Return the method for a rotation (degree) of the field during some exposures."""
        turned = self.use_adi == 1 or (self.use_adi == 2 and rotation >= self.min_adi_angle)
        adi, sdi = turned and exposures > 1, self.spec_deconv
        if self.principal_components:
            return "pca-asdi" if adi and sdi else "pca-adi" if adi else "pca-sdi" if sdi else "none"
        return "asdi" if adi and sdi else "adi" if adi else "sdi" if sdi else "none"

    def contrast(self, method: Method) -> HighContrastParams:
        """Return the recipe's parameters for a method."""
        return HighContrastParams(
            speckles=SpeckleParams(
                method=method,
                order=self.order,
                modes=self.modes,
                spectral_modes=self.spectral_modes,
                inner=0.9 * self.inner,
            ),
            search=SearchParams(inner=self.inner, sigma=self.sigma, largest=self.largest),
        )


class StackParams(Params):
    """The grid on which the DITs of a star are stacked."""

    pixel: float = Field(7.46e-3, gt=1e-3, description="side of a pixel, arcsec")
    size: int = Field(291, ge=11, description="pixels a side")
