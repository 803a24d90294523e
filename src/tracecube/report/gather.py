"""What a page says of a night, gathered from the ledger and the products."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.archive.records import JobRecord, PlannedRecord, ProductRecord, RawRecord, RunRecord
from tracecube.core.fields import Scalar
from tracecube.report.kinds import (
    ALIGNMENT_PICTURES,
    CALIBRATION_PICTURES,
    CUBE_PICTURES,
    EXPOSURE_PICTURES,
    FIELD_PICTURES,
)
from tracecube.report.numbers import Number, numbers_of
from tracecube.report.pictures import Picture, draw_all
from tracecube.report.surroundings import Surroundings, gather_surroundings

__all__ = ["Exposure", "Night", "TaskRow", "Verdict", "gather_nights"]

_TYPE, _ERRORS = ("CLSTYPE", "CLSSUBT", "CLSZ", "CLSZERR", "CLSPROB"), ("LEVELERR", "COLERR")
_OF_FIELD = {"SKY", "SKY_SUBTRACTED", "FIELD", "SPECTRA", "SOURCES", "SPECTRUM", "LINES", "CUBE"}
"""What is made of an observation's exposures."""


@dataclass(frozen=True)
class Verdict:
    """What was concluded of one target on one exposure: the cards of a `Target` (core/target.py)."""

    cards: Mapping[str, Scalar]
    raw: str
    exptime: float | None
    is_standard: bool
    files: Sequence[ProductRecord]

    @property
    def place(self) -> str:
        """Where it was found in the field, in words; empty when it is not known."""
        x, y = self.cards.get("XPOS"), self.cards.get("YPOS")
        return f"{x:.2f}″, {y:.2f}″" if isinstance(x, float) and isinstance(y, float) else ""

    @property
    def errors(self) -> str:
        """How sure flux and colour are that all samples share, in words; empty when it is not known."""
        level, colour = self.cards.get("LEVELERR"), self.cards.get("COLERR")
        said = f"{100.0 * level:.1f} %" if isinstance(level, float) else ""
        return f"{said}, colour {100.0 * colour:.1f} %" if said and isinstance(colour, float) else said


@dataclass(frozen=True)
class Exposure:
    """One exposure of the sky with its pictures, numbers and products.

    Of an exposure of several integrations those of the middle one; ``integration`` says so in words.
    """

    raw: str
    integration: str
    object: str
    mjd: float | None
    exptime: float | None
    pictures: Sequence[Picture]
    numbers: Sequence[Number]
    files: Sequence[ProductRecord]


@dataclass(frozen=True)
class TaskRow:
    """One planned job and, if it ran, its record; ``part`` is the sub-workflow of its task, if there is one."""

    planned: PlannedRecord
    job: JobRecord | None
    part: str = ""

    @property
    def ok(self) -> bool:
        """Whether its products are there."""
        return self.planned.state in {"done", "reused"}

    @property
    def colour(self) -> str:
        """How the page shows its state: a job skipped because there is nothing to do is not bad."""
        return "good" if self.ok else "soft" if self.planned.state == "skipped" else "bad"


@dataclass(frozen=True)
class Night:
    """Everything on the page of one night."""

    name: str
    instruments: str
    run: RunRecord | None
    verdicts: Sequence[Verdict]
    surroundings: Sequence[Surroundings]
    exposures: Sequence[Exposure]
    pictures: Sequence[Picture]
    numbers: Sequence[Number]
    tasks: Sequence[TaskRow]
    raw: Sequence[RawRecord]
    products: Sequence[ProductRecord]

    @property
    def shown(self) -> set[str]:
        """Files of all pictures of the page."""
        parts = [self.pictures, *(one.pictures for one in self.exposures), *(one.pictures for one in self.surroundings)]
        return {picture.file for part in parts for picture in part}

    @property
    def counts(self) -> Mapping[str, tuple[int, str]]:
        """How many jobs ended in which way, and how the page shows it."""
        states = [row.planned.state for row in self.tasks]
        return {row.planned.state: (states.count(row.planned.state), row.colour) for row in self.tasks}

    @property
    def remarkable(self) -> bool:
        """Whether anything failed, is missing, lies outside its limits or was done differently."""
        unusual = any(number.good is False for number in self.numbers) or bool(self.caveats)
        return unusual or not all(row.ok for row in self.tasks)

    @property
    def caveats(self) -> list[tuple[str, str, str]]:
        """(task, name, caveat) of all jobs."""
        return [(row.job.task, row.job.name, text) for row in self.tasks if row.job for text in row.job.caveats]


@dataclass(frozen=True)
class _Folder:
    """All of an output folder, before it is cut into nights."""

    run: RunRecord | None
    made: Sequence[ProductRecord]
    planned: Sequence[PlannedRecord]
    raw: Sequence[RawRecord]
    jobs: Mapping[tuple[str, str, str | None], JobRecord]
    parts: Mapping[tuple[str, str], str]


def gather_nights(
    ledger: Ledger,
    pictures: Path,
    parts: Mapping[tuple[str, str], str],
    named: Mapping[tuple[str, str], str],
) -> list[Night]:
    """Read the ledger of an output folder and draw what changed; one `Night` each, by date."""
    made = queries.products(ledger)
    run = queries.last_run(ledger)
    planned = queries.planned_of(ledger, run.id) if run else []
    raw = sorted(queries.raw_files(ledger).values(), key=lambda file: (file.mjd or 0.0, file.name))
    folder = _Folder(run, made, planned, raw, _jobs(ledger, made, planned), parts)
    names = sorted({p.night for p in made if p.night} | {p.night for p in planned if p.night})
    return [_night(name, folder, pictures, named) for name in names]


def _jobs(
    ledger: Ledger, made: Sequence[ProductRecord], planned: Sequence[PlannedRecord]
) -> dict[tuple[str, str, str | None], JobRecord]:
    """Return the latest job of each name that left products or was run by the last run."""
    numbers = {p.job_id for p in made} | {p.job_id for p in planned if p.job_id}
    found = [queries.job_of(ledger, number) for number in sorted(numbers)]
    return {(job.task, job.name, job.night): job for job in found}


def _night(name: str, folder: _Folder, pictures: Path, named: Mapping[tuple[str, str], str]) -> Night:
    own = [product for product in folder.made if product.night == name]
    tasks = [
        TaskRow(p, folder.jobs.get((p.task, p.name, p.night)), folder.parts.get((p.instrument, p.task), ""))
        for p in folder.planned
        if p.night == name
    ]
    return Night(
        name=name,
        instruments=", ".join(sorted({row.planned.instrument for row in tasks} | {p.instrument for p in own})),
        run=folder.run,
        verdicts=_verdicts(own),
        surroundings=gather_surroundings(own, list(folder.jobs.values()), pictures),
        exposures=[
            *_exposures(own, pictures),
            *_fields(own, pictures),
            *_cubes(own, pictures),
            *_aligned(own, pictures),
        ],
        pictures=draw_all(pictures, CALIBRATION_PICTURES, own, named),
        numbers=numbers_of(own),
        tasks=tasks,
        raw=[file for file in folder.raw if file.night in {name, None}],
        products=own,
    )


def _exposures(own: Sequence[ProductRecord], folder: Path) -> list[Exposure]:
    """Return the exposures of the sky of which there are spectra, by time: one each, however many integrations."""
    found = []
    by_raw: dict[str, list[ProductRecord]] = {}
    together = {product.job_id for product in own if product.tag == "SOURCES"}  # of a star, even if seen but once
    for product in own:
        if product.raw and product.object and product.job_id not in together:
            by_raw.setdefault(product.raw, []).append(product)
    for raw, products in by_raw.items():
        all_spectra = sorted((p for p in products if p.tag == "SPECTRA"), key=_plane)
        if not all_spectra:
            continue
        spectra = all_spectra[len(all_spectra) // 2]
        files = [p for p in products if len(all_spectra) == 1 or _plane(p) == _plane(spectra)]
        count = len(all_spectra)
        found.append(
            Exposure(
                raw=raw,
                integration=f"integration {_plane(spectra) + 1}, one of {count}, is shown" if count > 1 else "",
                object=spectra.object or "",
                mjd=spectra.mjd,
                exptime=spectra.exptime,
                pictures=draw_all(folder, EXPOSURE_PICTURES, files),
                numbers=numbers_of(files),
                files=files,
            )
        )
    return found


def _fields(own: Sequence[ProductRecord], folder: Path) -> list[Exposure]:
    """Return the observations of whose exposures a field was made, by time: one each."""
    found = []
    for solved in _of_tags(own, "FIELD"):
        files = [p for p in own if p.setup.get("obs") == solved.setup.get("obs") and p.tag in _OF_FIELD]
        count = sum(p.tag == "SKY" for p in files)
        made = _shown(solved, f"observation {solved.setup.get('obs')}", files, draw_all(folder, FIELD_PICTURES, files))
        listed = [p for p in files if p.tag != "SPECTRUM"]
        found.append(replace(made, integration=f"{count} exposures together", files=listed))
    return found


def _cubes(own: Sequence[ProductRecord], folder: Path) -> list[Exposure]:
    """Return the exposures that went from their detectors' pixels straight to a cube, by time: one each."""
    found = []
    for cube in _of_tags(own, "CUBE"):
        name = cube.setup.get("exposure")
        files = [p for p in own if p.setup.get("exposure") == name]
        if name is not None and not any(p.tag in {"SPECTRA", "FIELD"} for p in files):
            made = _shown(cube, str(name), files, draw_all(folder, CUBE_PICTURES, files))
            found.append(replace(made, numbers=numbers_of([p for p in files if not p.detector])))
    return found


def _aligned(own: Sequence[ProductRecord], folder: Path) -> list[Exposure]:
    """Return the fields whose exposures were aligned, with their common cube, by time: one each."""
    found = []
    for offsets in _of_tags(own, "OFFSETS", "OFFSETS_SKY"):
        field = offsets.setup.get("field")
        cubes = [p for p in _of_tags(own, "CUBE", "CUBE_SKY") if "exposure" not in p.setup]
        common = {cube.job_id for cube in cubes if cube.setup.get("field") == field}
        files = [p for p in own if p.job_id in {offsets.job_id, *common}]
        pictures = draw_all(folder, (*ALIGNMENT_PICTURES, *CUBE_PICTURES), files)
        made = _shown(offsets, f"field {field}", files, pictures)
        found.append(replace(made, integration="all exposures together"))
    return found


def _of_tags(own: Sequence[ProductRecord], *tags: str) -> list[ProductRecord]:
    """Return the products of these tags by time."""
    return sorted((p for p in own if p.tag in tags), key=lambda p: (p.mjd or 0.0, p.path))


def _shown(first: ProductRecord, name: str, files: Sequence[ProductRecord], pictures: Sequence[Picture]) -> Exposure:
    """Return a part of the page under a name, with object and time of one of its products."""
    return Exposure(
        raw=name,
        integration="",
        object=first.object or "",
        mjd=first.mjd,
        exptime=first.exptime,
        pictures=pictures,
        numbers=numbers_of(files),
        files=files,
    )


def _plane(product: ProductRecord) -> int:
    """Which integration of its raw file a product is of, from 0."""
    plane = product.setup.get("plane")
    return int(plane) if isinstance(plane, int | float) else 0


def _verdicts(own: Sequence[ProductRecord]) -> list[Verdict]:
    """Return what was concluded of every target, science before standards."""
    shown = {"SPECTRUM", "CUBE", "SPECTRA", "PSF_FIT"}
    later = {"CLASSIFICATION": _TYPE, "SPECTRUM": _ERRORS}  # what was told of a target after the verdict
    told: dict[str | None, dict[str, Scalar]] = {}
    for product in own:
        cards = {card: product.header[card] for card in later.get(product.tag, ()) if card in product.header}
        told.setdefault(product.raw, {}).update(cards)
    found = [
        Verdict(
            cards={**product.header, **told[product.raw]},
            raw=product.raw or "",
            exptime=product.exptime,
            is_standard=product.setup.get("raw_tag") == "STANDARD",
            files=[p for p in own if p.raw == product.raw and p.tag in shown],
        )
        for product in own
        if product.tag == "TARGET"
    ]
    return sorted(found, key=lambda verdict: verdict.is_standard)


def link(path: str | Path, page: Path) -> str:
    """Return a link from a page to a file that works wherever the output folder is moved."""
    return Path(os.path.relpath(path, page.parent)).as_posix()


def figure_of(value: Any) -> str:
    """Write a number with four digits."""
    if value is None:
        return "not finite"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
