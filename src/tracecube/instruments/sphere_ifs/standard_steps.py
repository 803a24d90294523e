"""Recipes of standards: an astrometric field, and a spectrophotometric star, reduced as science is."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.frame import RawFrame
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Cube, Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.instruments.sphere_ifs import star_steps
from tracecube.instruments.sphere_ifs.parameters import StandardFluxParams, StandardParams
from tracecube.instruments.sphere_ifs.sky_steps import Known, spectra_of

__all__ = ["standard_astrometry", "standard_flux"]


@dataclass(frozen=True, kw_only=True)
class StandardSpectra(Outputs):
    """Spectra of a standard, its cube, and where its brightest star is."""

    spectra: Spectra
    channels: Spectra
    cube: Cube
    dit_centre: StarCentre


@dataclass(frozen=True, kw_only=True)
class StandardStar(Outputs):
    """Spectra and cube of a standard star, its place, its image and its flux."""

    spectra: Spectra
    channels: Spectra
    cube: Cube
    dit_centre: StarCentre
    star_psf: StarPsf


@recipe(version="11")
def standard_astrometry(
    *,
    raw: RawFrame,
    known: Known,
    params: StandardParams,
) -> StandardSpectra:
    """Extract an astrometric field, place its brightest star, and build its cube with north of its own time.

    The frame is reduced as science is; no companion is looked for in it, and no science takes its products.
    """
    from tracecube.instruments.sphere_ifs.star_place import place_standard  # noqa: PLC0415 - brings scipy

    made = spectra_of(raw, known, params)
    centre, said = place_standard(made.channels, params)
    cube = star_steps.cube_about(made.channels, centre, params, said)
    return StandardSpectra(
        spectra=made.native,
        channels=made.channels,
        cube=cube.cube,
        dit_centre=cube.dit_centre,
        quality=(*made.quality, *cube.quality),
        caveats=(*made.caveats, *cube.caveats),
    )


@recipe(version="11")
def standard_flux(
    *,
    raw: RawFrame,
    known: Known,
    params: StandardFluxParams,
) -> StandardStar:
    """Extract a spectrophotometric standard, build its cube, and measure its flux, electron / Angstrom in its own DIT.

    The curve of the neutral density filter is taken out of the flux, not of the cube, as for OBJECT,FLUX.
    """
    from tracecube.instruments.sphere_ifs.star_place import place_standard, star_beside_mask  # noqa: PLC0415

    made = spectra_of(raw, known, params)
    found, caveats = star_beside_mask(made.channels, made.channels, params)
    centre, said = place_standard(made.channels, params)
    cube = star_steps.cube_about(made.channels, centre, params, said)
    return StandardStar(
        spectra=made.native,
        channels=made.channels,
        cube=cube.cube,
        dit_centre=cube.dit_centre,
        star_psf=found.psf,
        quality=(*made.quality, *cube.quality, *found.quality),
        caveats=tuple(dict.fromkeys((*made.caveats, *cube.caveats, *caveats))),
    )
