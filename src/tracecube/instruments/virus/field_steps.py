"""The calibrated field: places, seeing, brightness and flux from its own stars; sources, lines and cubes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import FloatArray, IntArray, Meta
from tracecube.core.frame import RawFrame
from tracecube.core.labelled import BundleCube, SourceSpectrum
from tracecube.core.lines import Lines
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.sources import FieldSolution, Sources
from tracecube.instruments.virus.science_steps import join_spectra
from tracecube.recipes.cube.fibres import FibreCubeParams
from tracecube.recipes.science.fibre_lines import FibreLinesParams

if TYPE_CHECKING:
    from tracecube.recipes.science.field import Air, StarCatalogue

__all__ = ["bundle_cubes", "emission_lines", "field_calibration"]

_BEAMS = 30.0  # a source, below which a field is crowded
_RADIUS = 0.75  # arcsec: of a fibre
# hPa, degree Celsius, per cent: a usual night at 2026 m, where a header does not say
_USUAL_AIR = {"BAROMPRE": 798.0, "AMBTEMP": 10.0, "HUMIDITY": 30.0}


class FieldCalibrationParams(Params):
    """How the field is solved."""

    faintest: float = Field(20.5, description="magnitude (g) down to which stars of the catalogue are fitted")
    bands: int = Field(8, ge=2, le=40, description="wavelength bands in which stars are fitted")
    reference: float = Field(4750.0, description="wavelength at which places hold, Angstrom")
    least: float = Field(3.0, ge=0.0, description="signal-to-noise below which a star has no spectrum")


@dataclass(frozen=True, kw_only=True)
class Calibrated(Outputs):
    """The calibrated field."""

    field: FieldSolution
    spectra: FibreSpectra
    sources: Sources
    spectrum: tuple[SourceSpectrum, ...]


@dataclass(frozen=True, kw_only=True)
class EmissionLines(Outputs):
    """Emission lines of all bundles."""

    lines: Lines


@dataclass(frozen=True, kw_only=True)
class Cubes(Outputs):
    """A cube of each bundle."""

    cube: tuple[BundleCube, ...]


@recipe(version="3")
def field_calibration(
    *,
    sky_subtracted: Sequence[FibreSpectra],
    fplane: RawFrame,
    catalogue: RawFrame,
    params: FieldCalibrationParams,
) -> Calibrated:
    """Find how the field lies on the sky and how its exposures see stars; calibrate the flux of all fibres.

    All stars of the field are fitted together: an offset of each exposure, one rotation, seeing, transparency and
    refraction. The throughput curve is the telescope's, the zero point that of the stars' g magnitudes.
    """
    from tracecube.instruments.virus.headers import needed, pointing  # noqa: PLC0415
    from tracecube.instruments.virus.layout import (  # noqa: PLC0415 - slow to import
        field_rotation,
        g_band,
        nominal_places,
        throughput_curve,
    )
    from tracecube.recipes.flux.fibre_flux import nominal_flux  # noqa: PLC0415
    from tracecube.recipes.science.field import solve_field  # noqa: PLC0415
    from tracecube.recipes.science.field_bands import FieldParams  # noqa: PLC0415
    from tracecube.recipes.science.field_stars import FieldStarsParams, measure_sources  # noqa: PLC0415

    curve = throughput_curve()
    flux = [nominal_flux(one, curve, needed(one.meta, "spectra", "EXPTIME")) for one in sky_subtracted]
    joined = join_spectra(flux, flux[0].meta)
    meta = sky_subtracted[len(sky_subtracted) // 2].meta
    columns = {key.upper(): value for key, value in next(iter(fplane.tables.values())).items()}
    plane = {
        int(slot): (float(x), float(y))
        for slot, x, y in zip(columns["IFUSLOT"], columns["X_FP"], columns["Y_FP"], strict=True)
    }
    rotation = field_rotation(needed(meta, "spectra", "PARANGLE"))
    nominal = nominal_places(joined.x, joined.y, joined.ifuslot, joined.exp, plane=plane, rotation=rotation)
    stars = _catalogue(catalogue)
    how = FieldParams(faintest=params.faintest, bands=params.bands, reference=params.reference)
    air, remarks = _air(meta)
    result = solve_field(joined, nominal, pointing(meta, "spectra"), stars, air, how)
    measured = measure_sources(result, stars, curve, g_band(), FieldStarsParams(least=params.least))
    spectra = tuple(SourceSpectrum(**{f.name: getattr(one, f.name) for f in fields(one)}) for one in measured.stars)
    return Calibrated(
        field=result.solution,
        spectra=measured.spectra,
        sources=measured.sources,
        spectrum=spectra,
        quality=_numbers(result.solution),
        caveats=(
            *_dithers(joined.exp),
            *_crowding(joined, result.solution, measured.sources),
            *remarks,
            *result.caveats,
            *measured.caveats,
        ),
    )


@recipe(version="2")
def emission_lines(
    *, spectra: FibreSpectra, field: FieldSolution, sources: Sources, params: FibreLinesParams
) -> EmissionLines:
    """Search every bundle for emission lines by matched filter; how many are false ones is a quality number."""
    from tracecube.recipes.science.fibre_field import refraction_of  # noqa: PLC0415 - slow to import
    from tracecube.recipes.science.fibre_lines import Seeing, find_lines  # noqa: PLC0415

    stars = tuple(np.asarray(v, float) for v in (sources.ra, sources.dec, sources.mag)) if len(sources.ra) else None
    found, expected = [], 0.0
    for slot in sorted({int(s) for s in spectra.ifuslot}):
        lines, numbers = find_lines(
            [spectra], Seeing.of(field, _RADIUS), refraction_of(field), params, ifuslot=slot, stars=stars
        )
        found.append(lines)
        expected += sum(one.value for one in numbers if one.name == "LINES FALSE 5")
    names = [f.name for f in fields(Lines) if f.name != "meta" and isinstance(getattr(found[0], f.name), np.ndarray)]
    joined = replace(found[0], **{name: np.concatenate([getattr(one, name) for one in found]) for name in names})
    return EmissionLines(
        lines=joined,
        quality=(
            QualityNumber("LINES", float(len(joined.ra)), ""),
            QualityNumber("LINES FALSE 5", expected, ""),
        ),
    )


@recipe(version="1")
def bundle_cubes(*, spectra: FibreSpectra, field: FieldSolution, params: FibreCubeParams) -> Cubes:
    """Build the cube of every bundle from its fibres of all exposures, refraction taken off."""
    from tracecube.recipes.cube.fibres import build_fibre_cube  # noqa: PLC0415 - slow to import
    from tracecube.recipes.science.fibre_field import refraction_of  # noqa: PLC0415

    cubes = []
    for slot in sorted({int(s) for s in spectra.ifuslot}):
        made = build_fibre_cube([spectra], refraction_of(field), params, ifuslot=slot)
        values: dict[str, Any] = {f.name: getattr(made, f.name) for f in fields(made)}
        cubes.append(BundleCube(**{**values, "meta": {**made.meta, "IFUSLOT": slot}}))
    return Cubes(cube=tuple(cubes))


def _dithers(exposures: IntArray) -> tuple[str, ...]:
    """Name the dithers that were not taken: fibres fill a third of a bundle in each."""
    from tracecube.instruments.virus.layout import DITHERS  # noqa: PLC0415 - slow to import

    taken = {int(one) for one in np.unique(exposures)}
    lacking = sorted(set(range(1, len(DITHERS) + 1)) - taken)
    if not lacking:
        return ()
    names = " and ".join(map(str, lacking))
    text = f"{len(taken)} of {len(DITHERS)} exposures, without dither {names}: parts of each bundle lie between fibres"
    return (text,)


def _crowding(spectra: FibreSpectra, solution: FieldSolution, sources: Sources) -> tuple[str, ...]:
    """Say so where sources are closer than one in thirty beams, beyond which they blend (Hogg 2001, AJ 121, 1207)."""
    bundles = np.unique(spectra.ifuslot)
    rows = [spectra.ifuslot == slot for slot in bundles]
    area = sum(float(np.ptp(spectra.x[mine]) * np.ptp(spectra.y[mine])) for mine in rows)
    beam = np.pi / (4.0 * np.log(2.0)) * float(np.median(solution.fwhm)) ** 2
    beams = area / beam / max(len(sources.ra), 1)
    if not np.isfinite(beams) or beams > _BEAMS:
        return ()
    return (
        f"crowded field: one of {len(sources.ra)} stars in every {beams:.0f} beams: sources blend, little sky is left",
    )


def _catalogue(raw: RawFrame) -> StarCatalogue:
    """Read a table of stars with the column names of Pan-STARRS; magnitudes that are none become NaN."""
    from tracecube.recipes.science.field import StarCatalogue  # noqa: PLC0415

    columns = {key.upper(): value for key, value in next(iter(raw.tables.values())).items()}
    lacking = {"RAMEAN", "DECMEAN", "GAPMAG"} - set(columns)
    if lacking:
        what = f"{raw.name}: no column {', '.join(sorted(lacking))}"
        raise BadData(what, hint="give Pan-STARRS' columns raMean, decMean, gApMag")
    g = np.asarray(columns["GAPMAG"], float)
    names = columns.get("OBJID", np.arange(g.size))
    return StarCatalogue(
        np.array([str(name) for name in names]),
        np.asarray(columns["RAMEAN"], float),
        np.asarray(columns["DECMEAN"], float),
        np.where((g > 0.0) & (g < 40.0), g, np.nan),
    )


def _air(meta: Meta) -> tuple[Air, tuple[str, ...]]:
    """Return the air above the telescope as the headers say; what they lack is that of a usual night, and said."""
    from tracecube.instruments.virus.headers import needed, number  # noqa: PLC0415
    from tracecube.instruments.virus.layout import zenith_angle  # noqa: PLC0415
    from tracecube.recipes.science.field import Air  # noqa: PLC0415

    told = {key: number(meta, key) for key in _USUAL_AIR}
    air = {key: _USUAL_AIR[key] if value is None else value for key, value in told.items()}
    caveats = tuple(
        f"header card {key} is unset: refraction begins with {_USUAL_AIR[key]:g}, its size is fitted to the stars"
        for key, value in told.items()
        if value is None
    )
    found = Air(
        airmass=needed(meta, "spectra", "AIRMASS"),
        parallactic=zenith_angle(needed(meta, "spectra", "PARANGLE")),
        pressure=air["BAROMPRE"],
        temperature=air["AMBTEMP"],
        humidity=air["HUMIDITY"],
    )
    return found, caveats


def _numbers(solution: FieldSolution) -> tuple[QualityNumber, ...]:
    """Return the numbers of a field that observers look at."""
    numbers = [
        QualityNumber("FIELD STARS", float(solution.stars), "", low=5.0),
        QualityNumber("FIELD ROTATION", solution.rotation, "deg", low=-0.5, high=0.5),
        QualityNumber("FIELD ROTATION ERROR", solution.rotation_error, "deg", high=0.01),
    ]
    for k, exposure in enumerate(np.asarray(solution.exposure)):
        numbers += [
            QualityNumber(f"SEEING {exposure}", float(solution.fwhm[k]), "arcsec", high=3.0),
            QualityNumber(f"NORM {exposure}", float(solution.norm[k]), ""),
            QualityNumber(f"OFFSET ERROR {exposure}", _size(solution.east_error[k], solution.north_error[k]), "arcsec"),
        ]
    return tuple(numbers)


def _size(east: FloatArray, north: FloatArray) -> float:
    return float(np.hypot(east, north))
