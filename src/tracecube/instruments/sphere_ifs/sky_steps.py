"""Recipes of the night: spectra, star centre, star image and cube of each DIT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tracecube.core.frame import RawFrame
from tracecube.core.optics import LampSpectrum, Layout, PixelMap, Throughput, TraceSet, WavelengthSolution
from tracecube.core.pixels import BadPixels, DetectorFlat, Linearity, Master
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Cube, Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.instruments.sphere_ifs import star_steps
from tracecube.instruments.sphere_ifs.detector_steps import DetectorMasters
from tracecube.instruments.sphere_ifs.parameters import CenterTaskParams, FluxTaskParams, ScienceTaskParams

if TYPE_CHECKING:
    from tracecube.instruments.sphere_ifs.sky import SkySpectra

__all__ = ["coronagraph_center", "science", "science_flux", "spectra_of"]


@dataclass(frozen=True, kw_only=True)
class CenterSpectra(Outputs):
    """Spectra of a frame with satellite spots, on their own rows and on the common grid, and where the star is."""

    spectra: Spectra
    channels: Spectra
    star_centre: StarCentre


@dataclass(frozen=True, kw_only=True)
class FluxSpectra(Outputs):
    """Spectra of the star beside the mask, and its image."""

    spectra: Spectra
    channels: Spectra
    star_psf: StarPsf | None


@dataclass(frozen=True, kw_only=True)
class ScienceSpectra(Outputs):
    """Spectra of a science DIT, its cube, and where its star is."""

    spectra: Spectra
    channels: Spectra
    cube: Cube
    dit_centre: StarCentre


def spectra_of(raw: RawFrame, params: Any, given: dict[str, Any]) -> SkySpectra:
    """Extract one plane with what the recipe was given."""
    from tracecube.instruments.sphere_ifs.sky import Optics, sky_spectra  # noqa: PLC0415 - brings numba

    names = ("darks", "instrument", "sky", "detector_flat", "static_badpix", "linearity")
    masters = DetectorMasters(*(given[name] for name in names))
    optics = Optics(
        given["traces"], given["wavelength"], given["pixel_map"], given["layout"], given["lenslet_flat"], given["lamp"]
    )
    like = given.get("centre_spectra")
    return sky_spectra(raw, masters, optics, params.extraction(), params.shifts(), like=like)


@recipe(version="3")
def coronagraph_center(
    *,
    raw: RawFrame,
    darks: Sequence[Master],
    traces: TraceSet,
    wavelength: WavelengthSolution,
    pixel_map: PixelMap,
    layout: Layout,
    lenslet_flat: Throughput,
    lamp: LampSpectrum | None = None,
    detector_flat: DetectorFlat | None = None,
    static_badpix: BadPixels | None = None,
    linearity: Linearity | None = None,
    sky: Master | None = None,
    instrument: Master | None = None,
    params: CenterTaskParams,
) -> CenterSpectra:
    """Extract a frame with satellite spots, and find the star behind its mask."""
    given = dict(locals())
    made = spectra_of(raw, params, given)
    found = star_steps.ifs_coronagraph_center(spectra=made.channels, params=params)
    return CenterSpectra(
        spectra=made.native,
        channels=made.channels,
        star_centre=found.star_centre,
        quality=(*made.quality, *found.quality),
        caveats=(*made.caveats, *found.caveats),
    )


@recipe(version="2")
def science_flux(
    *,
    raw: RawFrame,
    darks: Sequence[Master],
    traces: TraceSet,
    wavelength: WavelengthSolution,
    pixel_map: PixelMap,
    layout: Layout,
    lenslet_flat: Throughput,
    lamp: LampSpectrum | None = None,
    detector_flat: DetectorFlat | None = None,
    static_badpix: BadPixels | None = None,
    linearity: Linearity | None = None,
    sky: Master | None = None,
    instrument: Master | None = None,
    target: RawFrame | None = None,
    centre_spectra: Spectra | None = None,
    params: FluxTaskParams,
) -> FluxSpectra:
    """Extract the star beside its mask, and measure its image and flux for the science DIT."""
    given = dict(locals())
    made = spectra_of(raw, params, given)
    like = None if target is None else replace(made.channels, meta=target.meta)
    found = star_steps.ifs_science_flux(spectra=made.channels, science=like, params=params)
    return FluxSpectra(
        spectra=made.native,
        channels=made.channels,
        star_psf=found.star_psf,
        quality=(*made.quality, *found.quality),
        caveats=(*made.caveats, *found.caveats),
    )


@recipe(version="3")
def science(
    *,
    raw: RawFrame,
    darks: Sequence[Master],
    traces: TraceSet,
    wavelength: WavelengthSolution,
    pixel_map: PixelMap,
    layout: Layout,
    lenslet_flat: Throughput,
    lamp: LampSpectrum | None = None,
    detector_flat: DetectorFlat | None = None,
    static_badpix: BadPixels | None = None,
    linearity: Linearity | None = None,
    sky: Master | None = None,
    instrument: Master | None = None,
    star_centre: StarCentre | None = None,
    centre_spectra: Spectra | None = None,
    params: ScienceTaskParams,
) -> ScienceSpectra:
    """Extract a science DIT, place its star, and build its cube with north of its own time."""
    given = dict(locals())
    made = spectra_of(raw, params, given)
    found = star_steps.ifs_science(
        spectra=made.channels, star_centre=star_centre, centre_spectra=centre_spectra, params=params
    )
    return ScienceSpectra(
        spectra=made.native,
        channels=made.channels,
        cube=found.cube,
        dit_centre=found.dit_centre,
        quality=(*made.quality, *found.quality),
        caveats=(*made.caveats, *found.caveats),
    )
