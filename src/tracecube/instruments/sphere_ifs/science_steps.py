"""Recipes from the DITs of a star to its companions, to one cube of all, and to its brightness from DIT to DIT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.companions import Companions, CompanionSpectrum, ContrastCurve, ResidualCube
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Cube, Image, Spectra
from tracecube.core.star import StarBrightness, StarCentre, StarPsf
from tracecube.instruments.sphere_ifs.science_parameters import CompanionParams, StackParams

__all__ = ["ifs_companions", "ifs_frame_photometry", "ifs_stack"]

_PARAMS, _STACK = CompanionParams(), StackParams()


@dataclass(frozen=True, kw_only=True)
class FoundCompanions(Outputs):
    """Companions of a star, their spectra, maps of its surroundings, and how faint one would be seen."""

    sources: Companions
    spectrum: Sequence[CompanionSpectrum]
    image: Image
    detection_map: Image
    contrast_curve: ContrastCurve
    residual_cube: ResidualCube | None


@recipe(version="22")
def ifs_companions(
    *,
    channels: Sequence[Spectra],
    dit_centre: Sequence[StarCentre],
    star_psf: Sequence[StarPsf],
    star_centre: Sequence[StarCentre] = (),
    centre_spectra: Sequence[Spectra] = (),
    params: CompanionParams = _PARAMS,
) -> FoundCompanions:
    """Search all DITs of a star for companions, and measure place, contrast and spectrum of each.

    Speckles are what stands still while the field turns and is magnified with wavelength: one linear
    model of all DITs and channels. Companions are solved for through that model, the most significant
    first, until nothing significant is left; errors come from places at the same distance from the star.
    IMAGE is the contrast of a source at each place, DETECTION_MAP its significance, RESIDUAL_CUBE what the speckle
    model leaves in each channel, north up. Frames with
    satellite spots (``star_centre`` and ``centre_spectra``, and DITs that show some) tell how the Strehl ratio has
    changed since the frames beside the mask (``star_psf``); of both the mean is taken. The halo of the DITs tells
    the fine structure of the star's spectrum.
    """
    from tracecube.instruments.sphere_ifs.flux_frames import star_of_frames  # noqa: PLC0415 - brings scipy
    from tracecube.instruments.sphere_ifs.star_surroundings import find, paired  # noqa: PLC0415 - brings scipy and numba

    star, told, said = star_of_frames(star_psf, channels[0].meta)
    made = find(channels, list(dit_centre), star, params, with_spots=paired(star_centre, centre_spectra))
    return FoundCompanions(
        sources=made.sources,
        spectrum=made.spectra,
        image=made.image,
        detection_map=made.significance,
        contrast_curve=made.curve,
        residual_cube=made.residual,
        quality=(*made.quality, *told),
        caveats=(*said, *made.caveats),
    )


@dataclass(frozen=True, kw_only=True)
class FramePhotometry(Outputs):
    """Brightness of the star from DIT to DIT, where at least two show satellite spots."""

    star_brightness: StarBrightness | None


@recipe(version="2")
def ifs_frame_photometry(*, centres: Sequence[StarCentre], params: Params = Params()) -> FramePhotometry:
    """Measure how the star's brightness changed from DIT to DIT, by its satellite spots.

    All spots and channels give one number a DIT, relative to the mean. Only DITs with spots tell: frames
    OBJECT,CENTER, and science where the spots were on throughout.
    """
    from tracecube.instruments.sphere_ifs.star_brightness import brightness_of  # noqa: PLC0415 - brings scipy

    del params
    found, chi2, caveats = brightness_of(centres)
    numbers: tuple[QualityNumber, ...] = ()
    if found is not None:
        numbers = (
            QualityNumber("BRIGHTNESS RMS", 100.0 * float(found.brightness.std()), "%", high=10.0),
            QualityNumber("BRIGHTNESS ERROR", 100.0 * float(np.median(found.error)), "%", high=1.0),
            QualityNumber("BRIGHTNESS CHI2", chi2, "", high=3.0),
            QualityNumber("N FRAMES", float(found.brightness.size)),
        )
    return FramePhotometry(star_brightness=found, quality=numbers, caveats=caveats)


@dataclass(frozen=True, kw_only=True)
class Stacked(Outputs):
    """All DITs of a star in one cube."""

    cube: Cube


@recipe(version="2")
def ifs_stack(
    *, channels: Sequence[Spectra], dit_centre: Sequence[StarCentre], params: StackParams = _STACK
) -> Stacked:
    """Stack all DITs of a star: north up, east left, the star on the middle pixel, every DIT resampled once.

    Pixels are means of one DIT, weighed by the DITs' noise; speckles, which do not turn with the field, are left in.
    """
    from tracecube.instruments.sphere_ifs.stacked import stacked  # noqa: PLC0415 - brings scipy

    cube, numbers, caveats = stacked(channels, list(dit_centre), params)
    return Stacked(cube=cube, quality=numbers, caveats=caveats)
