"""The calibrated field: places, seeing, brightness and flux from its own stars; sources, lines and cubes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fibre_light import FibreBands
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import FloatArray, IntArray, Meta
from tracecube.core.frame import RawFrame
from tracecube.core.labelled import SourceSpectrum
from tracecube.core.lines import Lines
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.sources import BundleStars, FieldSolution, FluxScale, Sources
from tracecube.core.spectra import Cube
from tracecube.instruments.virus.field_caveats import (
    beside_stars,
    beyond_table,
    crowding,
    dithers_lacking,
    elsewhere,
    unplaced,
)
from tracecube.instruments.virus.layout import REFERENCE
from tracecube.recipes.cube.fibres import FibreCubeParams
from tracecube.recipes.flux.fibre_flux import ZeroPointParams
from tracecube.recipes.science.fibre_lines import FibreLinesParams

if TYPE_CHECKING:
    from tracecube.recipes.science.field import Air, StarCatalogue

__all__ = [
    "bundle_cube",
    "bundle_lines",
    "bundle_stars",
    "calibrated_spectra",
    "emission_lines",
    "field_calibration",
    "flux_scale",
]

F8 = NDArray[np.float64]
_RADIUS = 0.75  # arcsec: of a fibre
# hPa, degree Celsius, per cent: a usual night at 2026 m, where a header does not say
_USUAL_AIR = {"BAROMPRE": 798.0, "AMBTEMP": 10.0, "HUMIDITY": 30.0}


class FieldCalibrationParams(Params):
    """How the field is solved."""

    faintest: float = Field(20.5, description="magnitude (g) down to which stars of the catalogue are fitted")
    most: int = Field(300, ge=3, description="stars of the catalogue that the field is solved with, the brightest")
    reference: float = Field(REFERENCE, description="wavelength at which places hold, Angstrom")


class BundleStarsParams(Params):
    """Which stars are measured."""

    faintest: float = Field(20.5, description="magnitude (g) down to which stars of the catalogue are measured")
    least: float = Field(3.0, ge=0.0, description="signal-to-noise below which a star has no spectrum")


class PlainParams(Params):
    """Nothing to choose."""


@dataclass(frozen=True, kw_only=True)
class Solved(Outputs):
    """How the field lies on the sky, and how its exposures see stars."""

    field: FieldSolution


@dataclass(frozen=True, kw_only=True)
class Measured(Outputs):
    """Stars of a bundle, by the nominal throughput."""

    bundle_stars: BundleStars


@dataclass(frozen=True, kw_only=True)
class Scaled(Outputs):
    """The zero point of the flux, and all sources with it."""

    flux_scale: FluxScale
    sources: Sources


@dataclass(frozen=True, kw_only=True)
class Calibrated(Outputs):
    """Spectra of a bundle's fibres in flux, with their places, and spectra of its sources."""

    spectra: FibreSpectra
    spectrum: tuple[SourceSpectrum, ...]


@dataclass(frozen=True, kw_only=True)
class BundleLines(Outputs):
    """Emission lines of a bundle."""

    bundle_lines: Lines


@dataclass(frozen=True, kw_only=True)
class EmissionLines(Outputs):
    """Emission lines of all bundles."""

    lines: Lines


@dataclass(frozen=True, kw_only=True)
class OneCube(Outputs):
    """A cube of a bundle."""

    cube: Cube


@recipe(version="5")
def field_calibration(
    *, fibre_bands: Sequence[FibreBands], fplane: RawFrame, catalogue: RawFrame, params: FieldCalibrationParams
) -> Solved:
    """Find how the field lies on the sky and how its exposures see stars.

    All stars of the field are fitted together, to the light of the fibres in a few bands: an offset of each exposure,
    one rotation, seeing, transparency and refraction.
    """
    from tracecube.instruments.virus.headers import needed, number, pointing  # noqa: PLC0415
    from tracecube.recipes.science.field import solve_field  # noqa: PLC0415 - slow to import
    from tracecube.recipes.science.field_bands import FieldParams  # noqa: PLC0415

    heads = sorted((one.meta for one in fibre_bands), key=lambda meta: number(meta, "DITHER") or 0.0)
    meta = heads[len(heads) // 2]
    joined = FibreBands.join(fibre_bands)
    nominal = _nominal(joined.x, joined.y, (joined.group, joined.exposure), fplane, meta)
    how = FieldParams(faintest=params.faintest, most=params.most, reference=params.reference)
    air, remarks = _air(meta)
    found = solve_field(joined, nominal, pointing(meta, "spectra"), _catalogue(catalogue), air, how)
    solution = replace(found.solution, meta={**meta, "PARANGLE": needed(meta, "spectra", "PARANGLE")})
    said, moved = dithers_lacking(np.asarray(joined.exposure)), elsewhere(np.asarray(joined.group), meta)
    return Solved(field=solution, quality=_numbers(solution), caveats=(*said, *moved, *remarks, *found.caveats))


@recipe(version="3")
def bundle_stars(
    *,
    sky_subtracted: FibreSpectra,
    fibre_bands: FibreBands,
    field: FieldSolution,
    fplane: RawFrame,
    catalogue: RawFrame,
    params: BundleStarsParams,
) -> Measured:
    """Measure the catalogue's stars in a bundle: places and light of all together, then their spectra."""
    from tracecube.instruments.virus.layout import g_band  # noqa: PLC0415
    from tracecube.recipes.science.field_stars import (  # noqa: PLC0415 - slow to import
        FieldStarsParams,
        fit_stars,
        measure_stars,
    )

    how = FieldStarsParams(least=params.least, faintest=params.faintest)
    stars = _catalogue(catalogue)
    nominal, places = _places(sky_subtracted, field, fplane)
    groups = fit_stars(fibre_bands, nominal, places, field, stars, how)
    made = measure_stars(sky_subtracted, places, groups, field, (stars, g_band()), how)
    return Measured(
        bundle_stars=made,
        quality=(QualityNumber("STARS", float(len(made.ra)), ""),),
        caveats=crowding(fibre_bands, field, len(made.ra)),
    )


@recipe(version="2")
def flux_scale(*, bundle_stars: Sequence[BundleStars], params: ZeroPointParams) -> Scaled:
    """Find the zero point of the flux from the magnitudes of the stars of all bundles."""
    from tracecube.recipes.science.field_stars import find_scale, star_table  # noqa: PLC0415 - slow to import

    scale, caveats = find_scale(bundle_stars, params)
    numbers = (
        QualityNumber("FLUX SCALE", scale.factor, ""),
        QualityNumber("FLUX SCALE ERROR", scale.error, "", high=0.03),
        QualityNumber("FLUX SCATTER", scale.scatter, "mag"),
        QualityNumber("FLUX STARS", float(scale.stars), "", low=5.0),
    )
    said = (*caveats, *beyond_table(bundle_stars[0].wave))
    return Scaled(flux_scale=scale, sources=star_table(bundle_stars, scale), quality=numbers, caveats=said)


@recipe(version="2")
def calibrated_spectra(
    *,
    sky_subtracted: FibreSpectra,
    field: FieldSolution,
    flux_scale: FluxScale,
    bundle_stars: BundleStars,
    fplane: RawFrame,
    params: PlainParams,  # noqa: ARG001
) -> Calibrated:
    """Bring the fibres of a bundle to their places on the sky and to the zero point of the flux."""
    from tracecube.instruments.virus.layout import throughput_curve  # noqa: PLC0415
    from tracecube.recipes.flux.fibre_flux import scale_flux  # noqa: PLC0415 - slow to import
    from tracecube.recipes.science.field import place_fibres  # noqa: PLC0415
    from tracecube.recipes.science.field_stars import star_spectra  # noqa: PLC0415

    _, places = _places(sky_subtracted, field, fplane)
    made = scale_flux(place_fibres(sky_subtracted, places, field), field, flux_scale.factor)
    stars = star_spectra(bundle_stars, flux_scale, throughput_curve())
    spectrum = tuple(SourceSpectrum(**{f.name: getattr(one, f.name) for f in fields(one)}) for one in stars)
    return Calibrated(spectra=made, spectrum=spectrum)


@recipe(version="5")
def bundle_lines(
    *, spectra: FibreSpectra, field: FieldSolution, sources: Sources, params: FibreLinesParams
) -> BundleLines:
    """Search a bundle for emission lines by matched filter; how many are false ones is a quality number.

    The light of the known sources is taken off first, its error kept in the variance; where a source outshines what is
    about it, its own spectrum is searched. Errors are compared with the
    scatter of the significance, and raised where they are too small.
    """
    from tracecube.recipes.science.fibre_field import refraction_of  # noqa: PLC0415 - slow to import
    from tracecube.recipes.science.fibre_lines import Seeing, find_lines, with_star_lines  # noqa: PLC0415
    from tracecube.recipes.science.star_wings import take_off_wings  # noqa: PLC0415

    ra, dec, mag = (np.asarray(v, float) for v in (sources.ra, sources.dec, sources.mag))
    stars = (ra, dec, mag) if len(sources.ra) else None
    seeing, slot = Seeing.of(field, _RADIUS), int(spectra.ifuslot[0])
    bare = take_off_wings(spectra, sources, field)
    found, numbers = find_lines([bare.spectra], seeing, refraction_of(field), params, ifuslot=slot, stars=stars)
    found, in_stars = with_star_lines(found, bare.sources, sources, params, ifuslot=slot)
    told = {number.name: number.value for number in numbers}
    return BundleLines(
        bundle_lines=found,
        quality=(QualityNumber("LINES", float(len(found.ra)), ""), *numbers, *in_stars),
        caveats=(*unplaced(field), *beside_stars(slot, told["LINES NOT SEARCHED"], params.star_radius)),
    )


@recipe(version="3")
def emission_lines(*, bundle_lines: Sequence[Lines], params: PlainParams) -> EmissionLines:  # noqa: ARG001
    """Put the emission lines of all bundles into one catalogue."""
    first = bundle_lines[0]
    names = [f.name for f in fields(Lines) if f.name != "meta" and isinstance(getattr(first, f.name), np.ndarray)]
    joined: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in bundle_lines]) for name in names}
    return EmissionLines(
        lines=replace(first, **joined), quality=(QualityNumber("LINES", float(len(joined["ra"])), ""),)
    )


@recipe(version="5")
def bundle_cube(*, spectra: FibreSpectra, field: FieldSolution, params: FibreCubeParams) -> OneCube:
    """Build the cube of a bundle from its fibres of all exposures, refraction taken off."""
    from tracecube.recipes.cube.fibres import build_fibre_cube  # noqa: PLC0415 - slow to import
    from tracecube.recipes.science.fibre_field import refraction_of  # noqa: PLC0415

    slot = int(spectra.ifuslot[0])
    made = build_fibre_cube([spectra], refraction_of(field), params, ifuslot=slot)
    return OneCube(cube=replace(made, meta={**made.meta, "IFUSLOT": slot}), caveats=unplaced(field))


def _places(spectra: FibreSpectra, field: FieldSolution, fplane: RawFrame) -> tuple[tuple[F8, F8], tuple[F8, F8]]:
    """Return nominal and true places of fibres in the tangent plane of the solution."""
    from tracecube.recipes.science.field import true_places  # noqa: PLC0415 - slow to import

    nominal = _nominal(spectra.x, spectra.y, (spectra.ifuslot, spectra.exp), fplane, field.meta)
    return nominal, true_places(nominal, np.asarray(spectra.exp), field)


def _nominal(
    x: FloatArray, y: FloatArray, about: tuple[IntArray, IntArray], fplane: RawFrame, meta: Meta
) -> tuple[F8, F8]:
    """Return where fibres should be by the focal-plane table and a header; ``about`` is slot and exposure.

    The table's slots are those in which bundles stood, which headers of some nights misname.
    """
    from tracecube.instruments.virus.headers import day_of, needed  # noqa: PLC0415
    from tracecube.instruments.virus.layout import field_rotation, nominal_places, slot_on  # noqa: PLC0415

    columns = {key.upper(): value for key, value in next(iter(fplane.tables.values())).items()}
    plane = {
        int(slot): (float(x_fp), float(y_fp))
        for slot, x_fp, y_fp in zip(columns["IFUSLOT"], columns["X_FP"], columns["Y_FP"], strict=True)
    }
    rotation = field_rotation(needed(meta, "field", "PARANGLE"))
    night, (slot, exposure) = day_of(meta), about
    named, which = np.unique(slot, return_inverse=True)
    stood = np.array([slot_on(int(one), night) for one in named])[which]
    return nominal_places(x, y, stood, exposure, plane=plane, rotation=rotation)


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
