"""The recipes from spectra of a DIT to star centre, star image and cube."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tracecube.core.errors import TracecubeError
from tracecube.core.fields import Scalar
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Cube, Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.instruments.sphere_ifs.star_parameters import CentreParams, CubeParams, FluxParams, ScienceParams

if TYPE_CHECKING:
    from tracecube.instruments.sphere_ifs.observing import Orientation

__all__ = [
    "ScienceCube",
    "cube_about",
    "cube_at",
    "cube_of_frame",
    "ifs_coronagraph_center",
    "ifs_science",
    "ifs_science_flux",
]

_CENTRE, _FLUX, _SCIENCE = CentreParams(), FluxParams(), ScienceParams()


@dataclass(frozen=True, kw_only=True)
class FoundCentre(Outputs):
    """Place of the star in a frame with satellite spots."""

    star_centre: StarCentre


@dataclass(frozen=True, kw_only=True)
class FoundPsf(Outputs):
    """Image and flux of the star beside its mask."""

    star_psf: StarPsf


@dataclass(frozen=True, kw_only=True)
class ScienceCube(Outputs):
    """Cube of a science DIT, and where its star is."""

    cube: Cube
    dit_centre: StarCentre


@recipe(version="2")
def ifs_coronagraph_center(*, spectra: Spectra, params: CentreParams = _CENTRE) -> FoundCentre:
    """Find the star behind the mask from its satellite spots.

    One model of all channels and spots: the star is the point about which the spots of both diagonals
    are symmetric; it may drift with wavelength as residual refraction does. Errors come from the halo
    between the spots.
    """
    from tracecube.instruments.sphere_ifs.star_place import star_in_frame  # noqa: PLC0415 - brings scipy, not for planning

    centre, numbers, caveats = star_in_frame(spectra, params)
    meta = {**centre.meta, "ESO PRO CATG": "IFS_STAR_CENTER"}
    return FoundCentre(star_centre=replace(centre, meta=meta), quality=numbers, caveats=caveats)


@recipe(version="1")
def ifs_science_flux(*, spectra: Spectra, science: Spectra | None = None, params: FluxParams = _FLUX) -> FoundPsf:
    """Measure image and flux of the star beside its mask, and scale the flux to a science DIT.

    The curve of the neutral density filter is taken out channel by channel, blurred as the channels
    are. ``science`` is any science frame of the sequence: its DIT is what the flux is scaled to;
    without it the flux is that of the frame's own DIT.
    """
    from tracecube.instruments.sphere_ifs.star_place import star_beside_mask  # noqa: PLC0415

    found, caveats = star_beside_mask(spectra, science, params)
    meta = {**found.psf.meta, "ESO PRO CATG": "IFS_SCIENCE_DR"}
    return FoundPsf(star_psf=replace(found.psf, meta=meta), quality=found.quality, caveats=caveats)


@recipe(version="1")
def ifs_science(
    *,
    spectra: Spectra,
    star_centre: StarCentre | None = None,
    centre_spectra: Spectra | None = None,
    params: ScienceParams = _SCIENCE,
) -> ScienceCube:
    """Resample a science DIT to a cube with the star's coordinates and the north of its own time.

    The star is found by the frame's own satellite spots where they were on; otherwise by the move of
    the halo against the frame with spots (``star_centre`` and ``centre_spectra``); otherwise where the
    frame with spots had it. Which way was taken is in CENHOW, and in the caveats if it was not the best.
    """
    from tracecube.instruments.sphere_ifs.star_place import place_star  # noqa: PLC0415

    centre, caveats = place_star(spectra, star_centre, centre_spectra, params)
    return cube_about(spectra, centre, params, caveats)


def cube_at(
    spectra: Spectra, place: tuple[float, float], params: CubeParams
) -> tuple[Cube, Orientation, tuple[str, ...]]:
    """Resample spectra to a cube with the coordinates of a star at a place (arcsec); how it lay on the sky, caveats."""
    from tracecube.instruments.sphere_ifs.observing import orientation, pointing  # noqa: PLC0415
    from tracecube.instruments.sphere_ifs.star_place import frame_name  # noqa: PLC0415
    from tracecube.recipes.cube.star_cube import StarFrame, build_star_cube  # noqa: PLC0415

    turned, target = orientation(spectra.meta, frame_name(spectra.meta)), pointing(spectra.meta)
    frame, caveats = None, turned.caveats
    if target is None:
        caveats = ("no coordinates of the target: the cube has offsets from the field centre, north not up", *caveats)
    else:
        frame = StarFrame(*place, turned.angle, *target)
    cube = build_star_cube(spectra, params.cube(), frame=frame)
    cards: dict[str, Scalar] = {
        "ESO PRO CATG": "IFS_SCIENCE_DR",
        "PARANGM": turned.parallactic,
        "POSANGY": turned.angle,
    }
    return replace(cube, meta={**cube.meta, "ESO PRO CATG": "IFS_SCIENCE_DR", **cards}), turned, caveats


def cube_of_frame(spectra: Spectra, place: tuple[float, float], params: CubeParams) -> tuple[Cube, tuple[str, ...]]:
    """Do so with a frame whose other products need no north: where that is not told, the cube has offsets; caveats."""
    from tracecube.recipes.cube.star_cube import build_star_cube  # noqa: PLC0415 - brings scipy

    try:
        cube, _, caveats = cube_at(spectra, place, params)
    except TracecubeError as error:
        cube = build_star_cube(spectra, params.cube(), frame=None)
        cube = replace(cube, meta={**cube.meta, "ESO PRO CATG": "IFS_SCIENCE_DR"})
        return cube, (f"the cube has offsets from the field centre, north not up: {error}",)
    return cube, caveats


def cube_about(spectra: Spectra, centre: StarCentre, params: ScienceParams, caveats: tuple[str, ...]) -> ScienceCube:
    """Resample spectra to a cube with the coordinates of a star whose place is known."""
    cube, turned, more = cube_at(spectra, (centre.centre_x, centre.centre_y), params)
    return ScienceCube(
        cube=cube,
        dit_centre=replace(centre, meta={**centre.meta, "ESO PRO CATG": "IFS_STAR_CENTER"}),
        quality=(
            QualityNumber("PARANG MID", turned.parallactic, "deg"),
            QualityNumber("POSANG Y", turned.angle, "deg"),
            QualityNumber("POSANG ERROR", turned.error, "deg", high=0.3),
            QualityNumber("FIELD ROTATION", turned.smear, "deg", high=2.0),
            QualityNumber("STAR CENTRE X", 1e3 * centre.centre_x, "mas"),
            QualityNumber("STAR CENTRE Y", 1e3 * centre.centre_y, "mas"),
        ),
        caveats=(*caveats, *more),
    )
