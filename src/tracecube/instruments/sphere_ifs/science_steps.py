"""The recipe from the DITs of a star to its companions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracecube.core.companions import Companions, CompanionSpectrum, ContrastCurve
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Image, Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.instruments.sphere_ifs.science_parameters import CompanionParams

__all__ = ["ifs_companions"]

_PARAMS = CompanionParams()


@dataclass(frozen=True, kw_only=True)
class FoundCompanions(Outputs):
    """Companions of a star, their spectra, maps of its surroundings, and how faint one would be seen."""

    sources: Companions
    spectrum: Sequence[CompanionSpectrum]
    image: Image
    detection_map: Image
    contrast_curve: ContrastCurve


@recipe(version="1")
def ifs_companions(
    *,
    channels: Sequence[Spectra],
    dit_centre: Sequence[StarCentre],
    star_psf: StarPsf,
    params: CompanionParams = _PARAMS,
) -> FoundCompanions:
    """Search all DITs of a star for companions, and measure place, contrast and spectrum of each.

    Speckles are what stands still while the field turns and is magnified with wavelength: one linear
    model of all DITs and channels. Companions are solved for through that model, the most significant
    first, until nothing significant is left; errors come from places at the same distance from the star.
    IMAGE is the contrast of a source at each place, DETECTION_MAP its significance, north up.
    """
    from tracecube.instruments.sphere_ifs.star_surroundings import find  # noqa: PLC0415 - brings scipy and numba

    made = find(list(channels), list(dit_centre), star_psf, params)
    return FoundCompanions(
        sources=made.sources,
        spectrum=made.spectra,
        image=made.image,
        detection_map=made.significance,
        contrast_curve=made.curve,
        quality=made.quality,
        caveats=made.caveats,
    )
