"""The recipe that types a target's spectrum and writes the observatory's text form of it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Spectrum
from tracecube.core.spectral_type import SpectralType
from tracecube.core.target import Target, acceptable
from tracecube.core.text import TextFile
from tracecube.recipes.classify.parameters import ClassifyParams

__all__ = ["classify"]

PROVISIONAL = 5
"""Quality code of a source found by brightness: perhaps the target, perhaps its neighbour."""


class TypeParams(ClassifyParams):
    """How the spectrum of a target is classified."""

    provisional: bool = Field(
        default=True,
        description="classify sources found by brightness (code 5) too, as the robot does: their types are "
        "provisional, and neither they nor their spectra are sent before a person has seen them",
    )


_CLASSIFY = TypeParams()


@dataclass(frozen=True, kw_only=True)
class TypedSpectrum(Outputs):
    """Type of a target, where its spectrum is fit to be classified, and the spectrum in the observatory's text form."""

    classification: SpectralType | None
    spectrum_ascii: TextFile | None


@recipe(version="5")
def classify(*, spectrum: Spectrum, target: Target | None = None, params: TypeParams = _CLASSIFY) -> TypedSpectrum:
    """Find type, redshift and age of a target, each with its probability or error, and the templates that fit best.

    Networks that have learnt from the templates, and the templates themselves as matched filters, weigh all kinds of
    source at all redshifts; host light and the continuum are free. Standards are not classified, nor spectra whose
    quality code forbids it; the type of a source found by brightness is provisional. What was found stands in the
    header of the text form too, under the names of SNID.

    ``target`` is the verdict on the same exposure: place and quality code, without which there is no text form.
    """
    from tracecube.instruments.sedm.ascii_layout import ascii_spectrum, spectrum_name, type_cards  # noqa: PLC0415
    from tracecube.instruments.sedm.headers import text  # noqa: PLC0415
    from tracecube.instruments.sedm.star_extraction import is_standard, raw_name  # noqa: PLC0415
    from tracecube.recipes.classify.spectrum_type import classified  # noqa: PLC0415 - brings the templates

    found: SpectralType | None = None
    numbers: list[QualityNumber] = []
    caveats: list[str] = []
    provisional = target is not None and target.quality == PROVISIONAL and params.provisional
    fit = target is not None and (acceptable(target.quality) or provisional)
    if fit and not is_standard(spectrum.meta):
        try:
            found, numbers, caveats = classified(spectrum, params)
            caveats += ["provisional type: the source was found by brightness"] if provisional else []
        except BadData as error:
            caveats.append(f"not classified: {error}")
    elif target is not None and not is_standard(spectrum.meta):
        caveats.append(f"not classified: quality code {target.quality}, {target.reason}")
    written = None
    if target is not None:
        name = spectrum_name(target.object, raw_name(spectrum.meta), text(spectrum.meta, "EXTRTAG") or "robot")
        written = TextFile(ascii_spectrum(spectrum, target, spectrum.meta, type_cards(found)), name=name)
    return TypedSpectrum(classification=found, spectrum_ascii=written, quality=tuple(numbers), caveats=tuple(caveats))
