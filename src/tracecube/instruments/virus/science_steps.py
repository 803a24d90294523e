"""Spectra of the sky: each CCD of each exposure, the fibres' throughput from twilights, the sky of an exposure.

What is common to the field, throughputs and sky, is found from all CCDs and is small; bundles are worked on one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from tracecube.core.errors import MissingInput
from tracecube.core.fibre_light import FibreBands, FibreThroughput, SkyModel
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import BoolArray, FloatArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.several import TraceSets, WavelengthSolutions
from tracecube.instruments.virus.parameters import ExposureParams, TwilightParams
from tracecube.instruments.virus.sky_lines import SKY_LINES
from tracecube.recipes.science.field_bands import BandParams, fibre_bands
from tracecube.recipes.sky.fibre_masks import FibreMaskParams, mask_fibres, mask_samples
from tracecube.recipes.sky.fibre_sky import SkyParams, fit_sky
from tracecube.recipes.sky.fibre_throughput import ThroughputParams, fit_throughput, rows_of, throughput_of
from tracecube.recipes.sky.sky_errors import sky_pulls, throughput_error
from tracecube.recipes.sky.sky_subtraction import subtract_sky

if TYPE_CHECKING:
    from tracecube.core.optics import WavelengthSolution
    from tracecube.instruments.virus.extraction import AmplifierLight
    from tracecube.instruments.virus.layout import BundlePlaces

__all__ = [
    "bundle_spectra",
    "ccd_spectra",
    "exposure_sky",
    "fibre_flat",
    "frame_spectra",
    "join_spectra",
    "twilight_spectra",
]


@dataclass(frozen=True, kw_only=True)
class CcdSpectra(Outputs):
    """Spectra of a CCD's fibres, electrons a pixel."""

    fibre_spectra: FibreSpectra


@dataclass(frozen=True, kw_only=True)
class Twilight(Outputs):
    """Spectra of a CCD's fibres under the twilight sky."""

    twilight: FibreSpectra
    master_twilight: Frame | None = None


@dataclass(frozen=True, kw_only=True)
class FibreFlat(Outputs):
    """Relative throughput of all fibres."""

    fibre_flat: FibreThroughput


@dataclass(frozen=True, kw_only=True)
class ExposureSky(Outputs):
    """The sky of an exposure."""

    sky: SkyModel


@dataclass(frozen=True, kw_only=True)
class BundleSpectra(Outputs):
    """Spectra of a bundle in all exposures, less the sky, in flux by the nominal throughput; their light in bands."""

    sky_subtracted: FibreSpectra
    fibre_bands: FibreBands


@recipe(version="9")
def ccd_spectra(
    *,
    raw: Sequence[RawFrame],
    dark: Frame,
    traces: TraceSets,
    wavelength: WavelengthSolutions,
    places: RawFrame | None,
    params: ExposureParams,
) -> CcdSpectra:
    """Extract all fibres of a CCD of one exposure, by one inversion, with the exposure's own shift across and along.

    Hits have no weight; the samples they cost light are flagged. Each spectrum keeps its own pixels. Wavelengths are
    those of the arcs, moved by what lines of the sky say.
    """
    from tracecube.instruments.virus.exposure import calibrate_ccd  # noqa: PLC0415 - brings numba

    frame, caveats = calibrate_ccd(raw, dark)
    made, numbers, notes = frame_spectra(frame, traces, wavelength, places, params, lines=SKY_LINES)
    return CcdSpectra(fibre_spectra=made, quality=numbers, caveats=(*caveats, *notes))


@recipe(version="10")
def twilight_spectra(
    *,
    raw: Sequence[RawFrame],
    dark: Frame,
    traces: TraceSets,
    wavelength: WavelengthSolutions,
    places: RawFrame | None,
    params: TwilightParams,
) -> Twilight:
    """Extract all fibres of a CCD from the mean of the night's twilights, at the wavelengths of the arcs."""
    from tracecube.instruments.virus.exposure import combined  # noqa: PLC0415 - brings numba

    frame, caveats = combined(raw, dark)
    made, numbers, notes = frame_spectra(frame, traces, wavelength, places, params, lines=())
    kept = frame if params.keep else None
    return Twilight(twilight=made, master_twilight=kept, quality=numbers, caveats=(*caveats, *notes))


@recipe(version="9")
def fibre_flat(*, twilight: Sequence[FibreSpectra], params: ThroughputParams) -> FibreFlat:
    """Measure the relative throughput of all fibres against wavelength, from the twilights of all CCDs together."""
    found, numbers = fit_throughput(twilight, params)
    return FibreFlat(fibre_flat=found, quality=numbers)


class ExposureSkyParams(SkyParams, FibreMaskParams):
    """How the sky of an exposure is found, and which samples are masked."""


class BundleParams(BandParams, FibreMaskParams):
    """How the light of a bundle is gathered, and what is masked."""


@recipe(version="19")
def exposure_sky(
    *, fibre_spectra: Sequence[FibreSpectra], fibre_flat: FibreThroughput, params: ExposureSkyParams
) -> ExposureSky:
    """Find the sky of an exposure, with the illumination of all fibres and the shift of each CCD's wavelengths.

    The sky is solved for from all fibres of all bundles that see nothing else, on native pixels, with the ground
    beneath the fibres of each amplifier.
    """
    lost: list[str] = []
    places = {int(one.ifuslot[0]): _slot_place(int(one.ifuslot[0]), one.meta) for one in fibre_spectra}
    lit = ((mask_samples(one, params)[0], value) for one, value in _lit(fibre_spectra, fibre_flat, lost))
    model, numbers, notes = fit_sky(lit, params, places, SKY_LINES)
    caveats = (f"unit {name}: no twilight of it: left out (try: take twilights)" for name in lost)
    return ExposureSky(sky=model, quality=numbers, caveats=(*caveats, *notes))


def _slot_place(named: int, meta: Meta) -> tuple[float, float]:
    """Return where a bundle stood in the focal plane (arcsec): digits of slots count columns and rows, 100 apart."""
    from tracecube.instruments.virus.headers import day_of  # noqa: PLC0415
    from tracecube.instruments.virus.layout import slot_on  # noqa: PLC0415

    slot = slot_on(named, day_of(meta))
    return 100.0 * (slot // 10 - 5.5), 100.0 * (4.5 - slot % 10)


def _lit(
    given: Sequence[FibreSpectra], flat: FibreThroughput, lost: list[str]
) -> Iterator[tuple[FibreSpectra, FloatArray]]:
    """Yield the spectra of CCDs with the throughput of their fibres; units without a twilight are noted.

    Raises
    ------
    MissingInput
        None has a twilight.
    """
    some = False
    for one in given:
        value = throughput_of(flat, one)
        if np.isfinite(value).any():
            some = True
            yield one, value
        else:
            lost.append(str(one.unit[0]).strip())
    if not some:
        raise MissingInput("sky: no unit of this exposure has a twilight", hint="take twilights of these very units")


@recipe(version="6")
def bundle_spectra(
    *, fibre_spectra: Sequence[FibreSpectra], sky: Sequence[SkyModel], fibre_flat: FibreThroughput, params: BundleParams
) -> BundleSpectra:
    """Subtract the sky from all fibres of a bundle, divided by throughput and illumination, in all exposures.

    What the rules of the masks name is flagged, and keeps its value. The flux is that of the telescope's nominal
    throughput; the stars of the field tell its zero point later.
    """
    from tracecube.instruments.virus.headers import began, needed  # noqa: PLC0415
    from tracecube.instruments.virus.layout import throughput_curve  # noqa: PLC0415
    from tracecube.recipes.flux.fibre_flux import nominal_flux  # noqa: PLC0415

    models, twice = _by_dither(sky)
    parts: list[FibreSpectra] = []
    blank: list[BoolArray] = []
    light: list[FloatArray] = []
    lost: list[str] = []
    masked = 0
    for given, value in _lit(fibre_spectra, fibre_flat, lost):
        one, fresh = mask_samples(given, params)
        masked += fresh
        exposure = int(one.exp[0])
        if began(one.meta) in twice:
            continue
        if exposure not in models:
            lost.append(f"{str(one.unit[0]).strip()} in exposure {exposure}")
            continue
        error = throughput_error(fibre_flat, rows_of(fibre_flat, one), one.wave.shape[1])
        made = subtract_sky(one, value, models[exposure], error)
        rows = rows_of(models[exposure], one)
        blank.append(models[exposure].blank[rows] == 1)
        light.append(models[exposure].light[rows])
        parts.append(nominal_flux(made, throughput_curve(), needed(one.meta, "spectra", "EXPTIME")))
    if not parts:
        raise MissingInput("bundle: no exposure of it has a sky", hint="look at the sky of its exposures")
    parts, counts, notes = mask_fibres(parts, light, params)
    numbers = (*sky_pulls(parts, blank), QualityNumber("MASKED CHI2", float(masked), ""), *counts)
    parts.sort(key=lambda one: (int(one.exp[0]), str(one.amp[0])))
    joined = join_spectra(parts, parts[len(parts) // 2].meta)
    left = (f"unit {name}: no twilight or no sky of it: left out" for name in lost)
    caveats = (*twice.values(), *left, *dict.fromkeys(notes))
    bands = fibre_bands(joined, params)
    return BundleSpectra(sky_subtracted=joined, fibre_bands=bands, quality=numbers, caveats=caveats)


def _by_dither(sky: Sequence[SkyModel]) -> tuple[dict[int, SkyModel], dict[str, str]]:
    """Return the skies by dither, and why exposures whose DITHER is that of an earlier one are left out, by start."""
    from tracecube.instruments.virus.headers import began  # noqa: PLC0415

    models: dict[int, SkyModel] = {}
    twice: dict[str, str] = {}
    for one in sorted(sky, key=lambda one: began(one.meta)):
        dither, start = int(one.exp[0]), began(one.meta)
        first = began(models[dither].meta) if dither in models else start
        if start == first:
            models[dither] = one
            continue
        twice[start] = (
            f"the exposure begun {start} has DITHER {dither}, as that begun {first}: left out"
            " (try: repair DITHER, which tells the exposures of an observation apart)"
        )
    return models, twice


def frame_spectra(
    frame: Frame,
    traces: TraceSets,
    wavelength: WavelengthSolutions,
    places: RawFrame | None,
    params: ExposureParams,
    *,
    lines: tuple[float, ...],
) -> tuple[FibreSpectra, tuple[QualityNumber, ...], list[str]]:
    """Extract a CCD and put wavelengths and places beside the fluxes; ``lines`` of the sky move the wavelengths."""
    from tracecube.instruments.virus.drift import shift_numbers, wavelengths_now  # noqa: PLC0415
    from tracecube.instruments.virus.extraction import extract_ccd  # noqa: PLC0415 - brings numba
    from tracecube.instruments.virus.headers import needed, text, unit  # noqa: PLC0415

    lights, found, caveats = extract_ccd(frame, traces, params)
    notes = list(caveats)
    bundle = _places(places, notes)
    name = unit(frame.meta, "frame")
    begun = f"exposure begun {text(frame.meta, 'DATE-OBS')} {text(frame.meta, 'UT')} of unit {name}"
    exposure = int(needed(frame.meta, begun, "DITHER"))
    known = []
    for light in lights:
        solution = next((one for key, one in wavelength.parts.items() if key.endswith(light.amp)), None)
        if solution is None:
            notes.append(f"amplifier {light.amp}: no wavelengths: left out")
            continue
        known.append((light, solution))
    if not known:
        raise MissingInput("no amplifier of this CCD has wavelengths", hint="; ".join(notes))
    moved, along = wavelengths_now(known, lines, params.reach, notes) if lines else (known, ())
    parts = [_amplifier(light, solution, bundle, (frame, name, exposure), box=params.box) for light, solution in moved]
    numbers = (*found.quality, *along, *shift_numbers(lights, params.reach))
    return join_spectra(parts, {**frame.meta, "BUNIT": "electron"}), numbers, notes


def _places(places: RawFrame | None, notes: list[str]) -> BundlePlaces:
    """Return the fibres' places in their bundle: of the table, or as designed."""
    from tracecube.instruments.virus.layout import bundle_places, regular_places  # noqa: PLC0415

    if places is None:
        found = regular_places()
        notes += found.caveats
        return found
    columns = next(iter(places.tables.values()))
    return bundle_places(columns["col1"], columns["col2"], columns["col3"], columns.get("col6"))


def _amplifier(
    light: AmplifierLight,
    solution: WavelengthSolution,
    bundle: BundlePlaces,
    about: tuple[Frame, str, int],
    *,
    box: float,
) -> FibreSpectra:
    """Return the spectra of one amplifier; ``box`` is the width of its apertures, px."""
    from tracecube.instruments.virus.exposure import FOOTPRINT  # noqa: PLC0415 - brings numba
    from tracecube.instruments.virus.headers import needed  # noqa: PLC0415
    from tracecube.instruments.virus.layout import amplifier_places  # noqa: PLC0415

    frame, name, exposure = about
    rows = FOOTPRINT * float(frame.meta.get(f"ROWERR {light.amp}") or 0.0)
    x, y = amplifier_places(bundle, str(frame.meta["IFUID"]).strip(), light.amp)
    n = light.flux.shape[0]
    wave = np.asarray(solution.wave, np.float64)
    flags = light.flags.astype(np.int32)
    flags |= np.where(np.isfinite(light.flux) & (light.variance > 0), 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    return FibreSpectra(
        flux=np.nan_to_num(light.flux).astype(np.float32),
        variance=np.nan_to_num(light.variance).astype(np.float32),
        flags=flags,
        wave=wave,
        lsf_sigma=(solution.lsf_sigma * np.gradient(wave, axis=1)).astype(np.float32),
        blend=np.nan_to_num(light.blend).astype(np.float32),
        unit=np.full(n, name),
        ifuslot=np.full(n, int(needed(frame.meta, f"exposure of unit {name}", "IFUSLOT")), np.int32),
        amp=np.full(n, light.amp),
        fibre=np.arange(n, dtype=np.int32),
        exp=np.full(n, exposure, np.int32),
        x=np.asarray(x, np.float64),
        y=np.asarray(y, np.float64),
        ra=np.full(n, np.nan),
        dec=np.full(n, np.nan),
        throughput=np.ones(n),
        ground_error=np.full(n, rows),
        box_ground=np.full(n, box / FOOTPRINT),
        dq=light.traces.dq.astype(np.int32),
        chi2=light.chi2.astype(np.float32),
        box=light.box.astype(np.float32),
        meta=frame.meta,
    )


def join_spectra(parts: Sequence[FibreSpectra], meta: Meta) -> FibreSpectra:
    """Put spectra of several amplifiers or CCDs one below the other; the last of one blends with none of the next."""
    values: dict[str, Any] = {}
    for item in fields(FibreSpectra):
        if item.name in {"medium", "meta"}:
            continue
        column = [getattr(one, item.name) for one in parts]
        values[item.name] = None if any(v is None for v in column) else np.concatenate(column)
    blend = values["blend"]
    ends = np.cumsum([len(one.fibre) for one in parts]) - 1
    if blend is not None:
        blend[ends] = 0.0
    return FibreSpectra(**values, medium=parts[0].medium, meta=meta)
