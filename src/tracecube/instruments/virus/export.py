"""Files of an observation: one HDF5 of all that was made, Remedy's tables, and its two FITS files a bundle.

Names are {DATE}_{OBS}.h5, {DATE}_{OBS}_remedy.h5, {DATE}_{OBS}_{IFUSLOT}.fits and {DATE}_{OBS}_{IFUSLOT}_cube.fits.
Beside the nights' folders lies virus_calibrations.h5, with one row an amplifier and night in Remedy's table Cals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tracecube.core.errors import MissingInput
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import FloatArray, Meta, Scalar
from tracecube.core.foreign import (
    ForeignFile,
    ForeignGroup,
    ForeignStream,
    ForeignTable,
    GatheredForm,
    Plane,
)
from tracecube.core.frame import Frame
from tracecube.core.lines import Lines
from tracecube.core.several import TraceSets, WavelengthSolutions
from tracecube.core.sources import FieldSolution, Sources
from tracecube.core.spectra import Cube, Spectrum
from tracecube.instruments.virus.export_cals import period
from tracecube.instruments.virus.export_survey import matched_spectra, survey_rows
from tracecube.instruments.virus.export_tables import (
    GRID,
    catalogue_spectra,
    detections,
    fibre_rows,
    images,
    info_rows,
    raw_rows,
    rectified,
)
from tracecube.instruments.virus.headers import number

__all__ = ["FORMS", "shot_pieces"]

Key = Mapping[str, Scalar]

_SHOT = ("night", "obs")


def _stem(key: Key) -> str:
    """Date and observation, as the observatory writes them."""
    return f"{str(key['night']).replace('-', '')}_{int(key['obs'] or 0):07d}"


def _bundle(key: Key) -> str:
    return f"{_stem(key)}_{int(key['slot'] or 0):03d}"


def shot_pieces(
    spectra: Iterable[FibreSpectra],
    lines: Iterable[Lines] = (),
    sources: Iterable[Spectrum] = (),
    traces: Iterable[TraceSets] = (),
    wavelengths: Iterable[WavelengthSolutions] = (),
) -> Iterator[ForeignGroup]:
    """All of an observation as groups: spectra/047L/exp01, lines/047, sources/S01, traces/047LL, wavelengths/047LL."""
    for one in spectra:
        side = "".join(sorted({str(amp)[0] for amp in np.asarray(one.amp).astype(str)}))
        for exposure in np.unique(one.exp):
            yield ForeignGroup(f"spectra/{_slots(one)}{side}/exp{int(exposure):02d}", one)
    for found in lines:
        yield ForeignGroup(
            f"lines/{int(found.ifuslot[0]):03d}" if len(found.ifuslot) else f"lines/none{id(found)}", found
        )
    for place, source in enumerate(sources, start=1):
        yield ForeignGroup(f"sources/{source.meta.get('SRCID') or f'{place:04d}'}", source)
    for name, sets in (("traces", traces), ("wavelengths", wavelengths)):
        for several in sets:
            for detector, part in several.parts.items():
                yield ForeignGroup(f"{name}/{detector}", part)


def _slots(spectra: FibreSpectra) -> str:
    slots = np.unique(spectra.ifuslot)
    return f"{int(slots[0]):03d}" if slots.size == 1 else "all"


def _shot(key: Key, **parts: Iterable[Any]) -> ForeignStream:
    """Lay out the HDF5 of an observation."""
    pieces = shot_pieces(**parts)
    return ForeignStream(pieces, {"NIGHT": str(key["night"]), "OBSID": int(key["obs"] or 0)})


def _remedy(key: Key, **parts: Iterable[Any]) -> ForeignStream:
    """Lay out Remedy's tables."""
    return ForeignStream(_remedy_tables(**parts), {"TITLE": f"{_stem(key)} Spectra"})


def _remedy_tables(
    spectra: Iterable[FibreSpectra],
    lines: Iterable[Lines],
    sources: Iterable[Spectrum],
    cubes: Iterable[Cube],
    field: Iterable[FieldSolution],
    stars: Iterable[Sources],
) -> Iterator[ForeignTable]:
    units: dict[int, str] = {}
    exposures: dict[int, Meta] = {}
    solved, catalogue = next(iter(field), None), next(iter(stars), None)
    yield from images(cubes)
    for one in spectra:
        units |= {int(slot): str(unit) for slot, unit in zip(one.ifuslot, one.unit, strict=True)}
        exposures |= {int(exp): one.meta for exp in np.unique(one.exp) if int(exp) not in exposures}
        yield raw_rows(one)
        yield fibre_rows(one)
        yield info_rows(one)
    if solved is not None:
        yield survey_rows(solved, catalogue, exposures)
    for found in lines:
        yield detections(found, units)
    yield from catalogue_spectra(sources)
    parallactic = next((angle for head in exposures.values() if (angle := number(head, "PARANGLE")) is not None), None)
    if solved is not None and catalogue is not None and parallactic is not None:
        yield from matched_spectra(solved, catalogue, sources, parallactic)


def _fibres_files(key: Key, spectra: Iterable[FibreSpectra]) -> Iterator[tuple[Key, ForeignFile]]:
    """Lay out the rectified spectra of every bundle in all exposures, and where each fibre is."""
    for one in spectra:
        yield {**key, "slot": int(one.ifuslot[0])}, _fibres_file(one)


def _fibres_file(spectra: FibreSpectra) -> ForeignFile:
    """Lay out the rectified spectra of one bundle."""
    made, unit = rectified(spectra), str(spectra.meta.get("BUNIT", ""))

    def plane(name: str, values: FloatArray, text: str = "", unit: str = unit) -> Plane:
        return Plane(name, values.astype(np.float32), unit, text)

    planes = [
        plane("FLUX", np.where(made.good, made.flux, np.nan), "less sky"),
        plane("ERROR", np.where(made.good, np.sqrt(made.variance), np.nan)),
        plane("COVAR", made.covariance, "covariance with the next sample", f"({unit})2"),
    ]
    if spectra.sky is not None:
        sky = rectified(spectra, spectra.sky)
        planes.append(plane("SKY", np.where(sky.good, sky.flux, np.nan)))
    axes: dict[str, Scalar] = {"CTYPE1": spectra.medium, "CUNIT1": "Angstrom", "CRVAL1": float(GRID[0]), "CRPIX1": 1.0,
            "CDELT1": float(GRID[1] - GRID[0])}  # fmt: skip
    table = ForeignTable("INFO", info_rows(spectra).columns)
    return ForeignFile(tuple(planes), (table,), {**spectra.meta, **axes}, axes=True)


def _cube_files(key: Key, cubes: Iterable[Cube]) -> Iterator[tuple[Key, ForeignFile]]:
    """Lay out the cubes: light first, as viewers of cubes want it, then errors and flags."""
    for cube in cubes:
        slot = number(cube.meta, "IFUSLOT")
        if slot is None:
            raise MissingInput("a cube without the card IFUSLOT", hint="make the cubes again")
        planes = (Plane("DATA", cube.data), Plane("ERROR", np.sqrt(cube.variance)), Plane("DQ", cube.flags))
        unit = {"BUNIT": str(cube.meta.get("BUNIT", ""))}
        yield {**key, "slot": int(slot)}, ForeignFile(planes, meta=cube.meta, cards=unit, axes=True)


_PARTS = {"spectra": ("SPECTRA", FibreSpectra), "lines": ("LINES", Lines), "sources": ("SPECTRUM", Spectrum)}

_CALS = GatheredForm(
    "CALS",
    {
        "traces": ("TRACES", TraceSets),
        "wavelengths": ("WAVELENGTH", WavelengthSolutions),
        "darks": ("MASTER_DARK", Frame),
        "twilights": ("TWILIGHT_SPECTRA", FibreSpectra),
        "flats": ("MASTER_FLAT", Frame),
        "arcs": ("MASTER_ARC", Frame),
        "skies": ("MASTER_TWILIGHT", Frame),
    },
    period, (), lambda _: "virus_calibrations.h5",
)  # fmt: skip

FORMS: Mapping[str, tuple[GatheredForm, ...]] = {
    "hdf5": (
        GatheredForm(
            "SHOT",
            {**_PARTS, "traces": ("TRACES", TraceSets), "wavelengths": ("WAVELENGTH", WavelengthSolutions)},
            _shot, _SHOT, lambda key: f"{_stem(key)}.h5",
        ),
        _CALS,
    ),
    "remedy": (
        GatheredForm(
            "TABLES",
            {**_PARTS, "cubes": ("CUBE", Cube), "field": ("FIELD", FieldSolution), "stars": ("SOURCES", Sources)},
            _remedy, _SHOT, lambda key: f"{_stem(key)}_remedy.h5",
        ),
        GatheredForm("FIBRES", {"spectra": ("SPECTRA", FibreSpectra)}, _fibres_files, _SHOT,
                     lambda key: f"{_bundle(key)}.fits", split=True),
        GatheredForm("CUBE", {"cubes": ("CUBE", Cube)}, _cube_files, _SHOT,
                     lambda key: f"{_bundle(key)}_cube.fits", split=True),
        _CALS,
    ),
}  # fmt: skip
"""Layouts by name."""
