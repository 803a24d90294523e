"""Recipes of the night: spectra, star centre, star image and cube of each DIT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tracecube.core.frame import RawFrame
from tracecube.core.optics import (
    LampSpectrum,
    Layout,
    LineWings,
    PixelMap,
    Throughput,
    TraceSet,
    WavelengthSolution,
)
from tracecube.core.pixels import Background, BadPixels, DetectorFlat, Linearity, Master
from tracecube.core.recipe import Inputs, Outputs, recipe
from tracecube.core.spectra import Cube, Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.instruments.sphere_ifs import star_steps
from tracecube.instruments.sphere_ifs.detector_steps import DetectorMasters
from tracecube.instruments.sphere_ifs.parameters import CenterTaskParams, FluxTaskParams, ScienceTaskParams, Sky

if TYPE_CHECKING:
    from tracecube.instruments.sphere_ifs.sky import SkySpectra

__all__ = ["Known", "coronagraph_center", "science", "science_flux", "spectra_of"]


@dataclass(frozen=True, kw_only=True)
class CenterSpectra(Outputs):
    """Spectra of a frame with satellite spots, native and on the common grid, its cube, and where the star is."""

    spectra: Spectra
    channels: Spectra
    cube: Cube
    star_centre: StarCentre


@dataclass(frozen=True, kw_only=True)
class FluxSpectra(Outputs):
    """Spectra of the star beside the mask, their cube, and its image."""

    spectra: Spectra
    channels: Spectra
    cube: Cube
    star_psf: StarPsf | None


@dataclass(frozen=True, kw_only=True)
class ScienceSpectra(Outputs):
    """Spectra of a science DIT, its cube, and where its star is."""

    spectra: Spectra
    channels: Spectra
    cube: Cube
    dit_centre: StarCentre


@dataclass(frozen=True, kw_only=True)
class Known(Inputs):
    """What every plane of the night is reduced with; None was not to be had."""

    darks: Sequence[Master]
    traces: TraceSet
    wavelength: WavelengthSolution
    pixel_map: PixelMap
    layout: Layout
    lenslet_flat: Throughput
    lamp: LampSpectrum | None = None
    wings: LineWings | None = None
    detector_flat: DetectorFlat | None = None
    static_badpix: BadPixels | None = None
    linearity: Linearity | None = None
    sky: Background | None = None
    instrument: Background | None = None

    def masters(self) -> DetectorMasters:
        """Masters of the detector."""
        return DetectorMasters(
            self.darks, self.instrument, self.sky, self.detector_flat, self.static_badpix, self.linearity
        )


def spectra_of(raw: RawFrame, known: Known, params: Sky, *, like: Spectra | None = None) -> SkySpectra:
    """Extract one plane with what the recipe was given.

    Parameters
    ----------
    raw : RawFrame
    known : Known
    params : Sky
    like : Spectra, optional
        Of the frame with satellite spots, whose shift is well known.
    """
    from tracecube.instruments.sphere_ifs.nominal_layout import SCALE_ERROR, said_of  # noqa: PLC0415
    from tracecube.instruments.sphere_ifs.sky import ClearPixels, Optics, sky_spectra  # noqa: PLC0415 - brings numba

    optics = Optics(
        known.traces, known.wavelength, known.pixel_map, known.layout, known.lenslet_flat, known.lamp, known.wings
    )
    clear = ClearPixels(params.clear_distance, params.clear_star_radius)
    made = sky_spectra(raw, known.masters(), optics, params.extraction(), params.shifts(), clear=clear, like=like)
    said = said_of(known.layout)
    if not said:
        return made
    native, channels = (
        replace(one, meta={**one.meta, SCALE_ERROR: known.layout.meta[SCALE_ERROR]})
        for one in (made.native, made.channels)
    )
    return replace(made, native=native, channels=channels, caveats=(*made.caveats, *said))


@recipe(version="14")
def coronagraph_center(
    *,
    raw: RawFrame,
    known: Known,
    params: CenterTaskParams,
) -> CenterSpectra:
    """Extract a frame with satellite spots, find the star behind its mask, and build the frame's cube about it."""
    made = spectra_of(raw, known, params)
    found = star_steps.ifs_coronagraph_center(spectra=made.channels, params=params)
    star = found.star_centre
    cube, more = star_steps.cube_of_frame(made.channels, (star.centre_x, star.centre_y), params)
    return CenterSpectra(
        spectra=made.native,
        channels=made.channels,
        cube=cube,
        star_centre=star,
        quality=(*made.quality, *found.quality),
        caveats=tuple(dict.fromkeys((*made.caveats, *found.caveats, *more))),
    )


@recipe(version="13")
def science_flux(
    *,
    raw: RawFrame,
    known: Known,
    target: RawFrame | None = None,
    centre_spectra: Spectra | None = None,
    params: FluxTaskParams,
) -> FluxSpectra:
    """Extract the star beside its mask, and measure its image and flux for the science DIT.

    The cube is what was seen: its own DIT, through the neutral density filter.
    """
    made = spectra_of(raw, known, params, like=centre_spectra)
    like = None if target is None else replace(made.channels, meta=target.meta)
    found = star_steps.ifs_science_flux(spectra=made.channels, science=like, params=params)
    cube, more = star_steps.cube_of_frame(made.channels, (found.star_psf.at_x, found.star_psf.at_y), params)
    return FluxSpectra(
        spectra=made.native,
        channels=made.channels,
        cube=cube,
        star_psf=found.star_psf,
        quality=(*made.quality, *found.quality),
        caveats=tuple(dict.fromkeys((*made.caveats, *found.caveats, *more))),
    )


@recipe(version="14")
def science(
    *,
    raw: RawFrame,
    known: Known,
    star_centre: StarCentre | None = None,
    centre_spectra: Spectra | None = None,
    params: ScienceTaskParams,
) -> ScienceSpectra:
    """Extract a science DIT, place its star, and build its cube with north of its own time."""
    made = spectra_of(raw, known, params, like=centre_spectra)
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
