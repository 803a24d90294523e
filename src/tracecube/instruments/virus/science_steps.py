"""Spectra of the sky: each CCD of each exposure, the fibres' throughput from twilights, the sky of an exposure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from tracecube.core.errors import MissingInput
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import FloatArray, IntArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.several import TraceSets, WavelengthSolutions
from tracecube.instruments.virus.parameters import ExposureParams, TwilightParams
from tracecube.kernels.robust import known_median
from tracecube.recipes.sky.fibre_sky import SkyParams, ThroughputParams, fibre_throughput, subtract_sky

if TYPE_CHECKING:
    from tracecube.core.optics import WavelengthSolution
    from tracecube.instruments.virus.extraction import AmplifierLight
    from tracecube.instruments.virus.layout import BundlePlaces

__all__ = ["ccd_spectra", "fibre_flat", "join_spectra", "sky_subtraction", "twilight_spectra"]


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
    """Relative throughput of all fibres: the planes ``FLUX`` hold it, at the wavelengths of the pixels."""

    fibre_flat: FibreSpectra


@dataclass(frozen=True, kw_only=True)
class SkySubtracted(Outputs):
    """Spectra of all fibres of an exposure less the sky."""

    sky_subtracted: FibreSpectra


@recipe(version="2")
def ccd_spectra(
    *,
    raw: Sequence[RawFrame],
    dark: Frame,
    traces: TraceSets,
    wavelength: WavelengthSolutions,
    places: RawFrame | None,
    params: ExposureParams,
) -> CcdSpectra:
    """Extract all fibres of a CCD of one exposure, by one inversion, with the exposure's own shift across dispersion.

    Hits have no weight; the samples they cost light are flagged. Each spectrum keeps its own pixels.
    """
    from tracecube.instruments.virus.exposure import calibrate_ccd  # noqa: PLC0415 - brings numba

    frame, caveats = calibrate_ccd(raw, dark)
    made, numbers, notes = _spectra(frame, traces, wavelength, places, params)
    return CcdSpectra(fibre_spectra=made, quality=numbers, caveats=(*caveats, *notes))


@recipe(version="2")
def twilight_spectra(
    *,
    raw: Sequence[RawFrame],
    dark: Frame,
    traces: TraceSets,
    wavelength: WavelengthSolutions,
    places: RawFrame | None,
    params: TwilightParams,
) -> Twilight:
    """Extract all fibres of a CCD from the mean of the night's twilights."""
    from tracecube.instruments.virus.exposure import combined  # noqa: PLC0415 - brings numba

    frame, caveats = combined(raw, dark)
    made, numbers, notes = _spectra(frame, traces, wavelength, places, params)
    kept = frame if params.keep else None
    return Twilight(twilight=made, master_twilight=kept, quality=numbers, caveats=(*caveats, *notes))


@recipe(version="2")
def fibre_flat(*, twilight: Sequence[FibreSpectra], params: ThroughputParams) -> FibreFlat:
    """Measure the relative throughput of all fibres against wavelength, from the twilights of all CCDs together."""
    found = fibre_throughput(twilight, params)
    parts = []
    for one, value in zip(twilight, found, strict=True):
        typical = known_median(value, axis=1)
        dq = one.dq | np.where(typical >= params.dead, 0, int(Flag.LOW_THROUGHPUT))
        parts.append(_like(one, np.nan_to_num(value), dq.astype(np.int32)))
    joined = join_spectra(parts, {**twilight[0].meta, "BUNIT": ""})
    mean = [float(np.nanstd(known_median(value, axis=1))) for value in found]
    return FibreFlat(fibre_flat=joined, quality=(QualityNumber("THROUGHPUT SCATTER", float(np.mean(mean)), ""),))


@recipe(version="4")
def sky_subtraction(
    *, fibre_spectra: Sequence[FibreSpectra], fibre_flat: FibreSpectra, params: SkyParams
) -> SkySubtracted:
    """Subtract the sky of an exposure from all its fibres; they are divided by throughput and illumination.

    The sky is solved for from all fibres of all bundles that see nothing else, on native pixels.
    """
    flat = {
        (str(u).strip(), str(a).strip(), int(f)): (fibre_flat.flux[i], int(fibre_flat.dq[i]))
        for i, (u, a, f) in enumerate(zip(fibre_flat.unit, fibre_flat.amp, fibre_flat.fibre, strict=True))
    }
    values, caveats, kept = [], [], []
    for one in fibre_spectra:
        value = np.full(one.wave.shape, np.nan)
        for i, (u, a, f) in enumerate(zip(one.unit, one.amp, one.fibre, strict=True)):
            row = flat.get((str(u).strip(), str(a).strip(), int(f)))
            if row is not None and not row[1] & int(Flag.LOW_THROUGHPUT):
                value[i] = row[0]
        if not np.isfinite(value).any():
            caveats.append(f"unit {str(one.unit[0]).strip()}: no twilight of it: left out (try: take twilights)")
            continue
        values.append(value)
        kept.append(one)
    if not kept:
        raise MissingInput("sky: no unit of this exposure has a twilight", hint="take twilights of these very units")
    made, numbers, notes = subtract_sky(kept, values, params)
    return SkySubtracted(sky_subtracted=join_spectra(made, made[0].meta), quality=numbers, caveats=(*caveats, *notes))


def _spectra(
    frame: Frame,
    traces: TraceSets,
    wavelength: WavelengthSolutions,
    places: RawFrame | None,
    params: ExposureParams,
) -> tuple[FibreSpectra, tuple[QualityNumber, ...], list[str]]:
    """Extract a CCD and put wavelengths and places beside the fluxes."""
    from tracecube.instruments.virus.extraction import extract_ccd  # noqa: PLC0415 - brings numba
    from tracecube.instruments.virus.headers import needed, unit  # noqa: PLC0415

    lights, found, caveats = extract_ccd(frame, traces, params)
    notes = list(caveats)
    bundle = _places(places, notes)
    name = unit(frame.meta, "frame")
    exposure = int(needed(frame.meta, f"exposure of unit {name}", "DITHER"))
    parts = []
    for light in lights:
        solution = next((one for key, one in wavelength.parts.items() if key.endswith(light.amp)), None)
        if solution is None:
            notes.append(f"amplifier {light.amp}: no wavelengths: left out")
            continue
        parts.append(_amplifier(light, solution, bundle, (frame, name, exposure)))
    if not parts:
        raise MissingInput("no amplifier of this CCD has wavelengths", hint="; ".join(notes))
    shifts = tuple(
        QualityNumber(f"FLEXURE DY {light.amp}", light.shift, "pix", low=-params.reach, high=params.reach)
        for light in lights
    )
    return join_spectra(parts, {**frame.meta, "BUNIT": "electron"}), (*found.quality, *shifts), notes


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
    light: AmplifierLight, solution: WavelengthSolution, bundle: BundlePlaces, about: tuple[Frame, str, int]
) -> FibreSpectra:
    """Return the spectra of one amplifier."""
    from tracecube.instruments.virus.layout import amplifier_places  # noqa: PLC0415

    frame, name, exposure = about
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
        unit=np.full(n, name),  # type: ignore[arg-type]
        ifuslot=np.full(n, int(frame.meta["IFUSLOT"]), np.int32),
        amp=np.full(n, light.amp),  # type: ignore[arg-type]
        fibre=np.arange(n, dtype=np.int32),
        exp=np.full(n, exposure, np.int32),
        x=np.asarray(x, np.float64),
        y=np.asarray(y, np.float64),
        ra=np.full(n, np.nan),
        dec=np.full(n, np.nan),
        throughput=np.ones(n),
        dq=light.traces.dq.astype(np.int32),
        chi2=light.chi2.astype(np.float32),
        box=light.box.astype(np.float32),
        meta=frame.meta,
    )


def _like(one: FibreSpectra, value: FloatArray, dq: IntArray) -> FibreSpectra:
    """Return a table of throughputs with the identities of spectra."""
    zero = np.zeros_like(one.variance)
    return replace(one, flux=value.astype(np.float32), variance=zero, blend=zero, dq=dq, chi2=None, box=None, sky=None)


def join_spectra(parts: Sequence[FibreSpectra], meta: Meta) -> FibreSpectra:
    """Put spectra of several amplifiers or CCDs one below the other; the last of one blends with none of the next."""
    values = {}
    for item in fields(FibreSpectra):
        if item.name in {"medium", "meta"}:
            continue
        column = [getattr(one, item.name) for one in parts]
        values[item.name] = None if any(v is None for v in column) else np.concatenate(column)
    blend = values["blend"]
    ends = np.cumsum([len(one.fibre) for one in parts]) - 1
    if blend is not None:
        blend[ends] = 0.0
    return FibreSpectra(**values, medium=parts[0].medium, meta=meta)  # type: ignore[arg-type]
