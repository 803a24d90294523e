"""What an observer asks of a calibrated field: spectra at given places, and a simulated source in the fibres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fibres import FibreSpectra
from tracecube.core.frame import RawFrame
from tracecube.core.labelled import SourceSpectrum
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.sources import FieldSolution, Sources

__all__ = ["injected_source", "target_spectra"]


class TargetParams(Params):
    """Which places."""

    places: str = Field(
        "", description="right ascension and declination, degree, of the targets: '214.81 52.60; 214.82 52.61'"
    )
    neighbours: bool = Field(True, description="solve together with known sources that share fibres")
    reach: float = Field(3.5, gt=0.5, le=10.0, description="fibres this near to a target are used, arcsec")


class InjectParams(Params):
    """Where the simulated source stands and how it is seen."""

    ifuslot: int = Field(0, ge=0, description="slot of the bundle in which x and y are meant; 0: a place on the sky")
    x: float = Field(0.0, description="place in the bundle, arcsec")
    y: float = Field(0.0, description="place in the bundle, arcsec")
    place: str = Field("", description="right ascension and declination, degree, where ifuslot is 0: '214.81 52.60'")
    seeing: float = Field(0.0, ge=0.0, le=10.0, description="full width at half maximum, arcsec; 0: as the stars'")
    scale: float = Field(1.0, gt=0.0, description="factor on the flux of the file")


@dataclass(frozen=True, kw_only=True)
class TargetSpectra(Outputs):
    """Spectra at places that were asked for."""

    target_spectrum: tuple[SourceSpectrum, ...]


@dataclass(frozen=True, kw_only=True)
class Injected(Outputs):
    """Spectra of the bundle that holds a simulated source."""

    injected: FibreSpectra


@recipe(version="1")
def target_spectra(
    *, spectra: Sequence[FibreSpectra], field: FieldSolution, sources: Sources, params: TargetParams
) -> TargetSpectra:
    """Extract the spectrum of a point source at any place of the field, with the field's own image of stars.

    The uncalibrated spectrum beside it is by the nominal throughput, without the field's zero point.
    """
    from tracecube.instruments.virus.layout import throughput_curve  # noqa: PLC0415 - slow to import
    from tracecube.recipes.flux.fibre_flux import electrons_per_flux  # noqa: PLC0415
    from tracecube.recipes.science.fibre_sources import FibreSourceParams, source_spectrum  # noqa: PLC0415
    from tracecube.recipes.science.fibre_targets import places_from, spectra_at  # noqa: PLC0415

    places = places_from(params.places)
    if not places:
        raise BadData("no place is given", hint="-p virus_target.places='214.81 52.60; 214.82 52.61'")
    how = FibreSourceParams(reach=params.reach)
    known = sources if params.neighbours else None
    found = spectra_at(spectra, field, places, known=known, params=how)
    response = electrons_per_flux(how.wave, np.ones(how.wave.size), throughput_curve(), 1.0)
    meta = {key: value for key, value in spectra[0].meta.items() if key != "BUNIT"}
    made = []
    for (group, member), place in zip(found, places, strict=True):
        one = source_spectrum(group, member, _name(place), place, response, meta)
        made.append(SourceSpectrum(**{f.name: getattr(one, f.name) for f in fields(one)}))
    return TargetSpectra(
        target_spectrum=tuple(made),
        quality=tuple(
            QualityNumber(f"TARGET CHI2 {k + 1}", group.chi2, "", None, 2.0) for k, (group, _) in enumerate(found)
        ),
    )


def _name(place: tuple[float, float]) -> str:
    """Name by place, to 0.04 arcsec."""
    return f"J{place[0]:09.5f}{place[1]:+09.5f}"


@recipe(version="1")
def injected_source(
    *, spectra: Sequence[FibreSpectra], field: FieldSolution, model: RawFrame, params: InjectParams
) -> Injected:
    """Put a simulated point source of a given spectrum into the fibres of its bundle, without noise of its own.

    The light is spread over the fibres by the field's image of stars, refraction with it, equally bright in all
    exposures. The file is a table with the columns wave (Angstrom, air) and flux (erg/s/cm2/Angstrom).
    """
    from tracecube.recipes.science.fibre_targets import (  # noqa: PLC0415 - slow to import
        bundles_at,
        inject_source,
        place_in_bundle,
        places_from,
    )

    columns = {key.upper(): np.asarray(value, float) for key, value in next(iter(model.tables.values())).items()}
    places = places_from(params.place)
    if bool(places) == bool(params.ifuslot) or len(places) > 1:
        raise BadData(
            "the place of the simulated source is not clear",
            hint="-p virus_inject.place='214.81 52.60', or -p virus_inject.ifuslot=47 with x and y in arcsec",
        )
    place = places[0] if places else place_in_bundle(spectra, params.ifuslot, params.x, params.y)
    [bundle] = bundles_at(spectra, field, [place])
    made = inject_source(
        bundle,
        field,
        place,
        (columns["WAVE"], params.scale * columns["FLUX"]),
        seeing=params.seeing or None,
    )
    cards = {"SIMULATE": True, "RA_SIM": place[0], "DEC_SIM": place[1], "SIMFILE": model.name}
    return Injected(
        injected=FibreSpectra(**{**vars(made), "meta": {**made.meta, **cards}}),
        caveats=(f"a simulated source ({model.name}) was put into IFU {int(bundle.ifuslot[0]):03d}",),
    )
