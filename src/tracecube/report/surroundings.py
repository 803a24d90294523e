"""What was found around a star: of all its exposures together, so a place of its own on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tracecube.archive.records import JobRecord, ProductRecord
from tracecube.core.companions import Companions
from tracecube.core.errors import TracecubeError
from tracecube.io import holds, read_product
from tracecube.report.numbers import Number, numbers_of
from tracecube.report.pictures import Picture, draw_all
from tracecube.report.surroundings_kinds import SURROUNDINGS_PICTURES

__all__ = ["Companion", "Surroundings", "gather_surroundings"]


@dataclass(frozen=True)
class Companion:
    """A row of the table: values with their errors; mas, degree, flux over that of the star."""

    name: str
    separation: tuple[float, float]
    angle: tuple[float, float]
    contrast: tuple[float, float]
    snr: float


@dataclass(frozen=True)
class Surroundings:
    """A star, its companions, and how they were found; ``problem`` says why there is no list."""

    object: str
    exposures: str
    companions: Sequence[Companion]
    problem: str
    pictures: Sequence[Picture]
    numbers: Sequence[Number]
    files: Sequence[ProductRecord]


def gather_surroundings(own: Sequence[ProductRecord], jobs: Sequence[JobRecord], folder: Path) -> list[Surroundings]:
    """Return one `Surroundings` a list of sources among the products of a night."""
    by_number = {job.id: job for job in jobs}
    found = []
    for sources in (p for p in own if p.tag == "SOURCES" and holds(p.path, Companions)):
        files = [product for product in own if product.job_id == sources.job_id]
        used = _inputs(own, by_number.get(sources.job_id))
        companions, problem = _companions(sources)
        count = sum(product.tag == "DIT_CENTRE" for product in used)
        found.append(
            Surroundings(
                object=sources.object or "",
                exposures=f"{count} integrations together" if count else "",
                companions=companions,
                problem=problem,
                pictures=draw_all(
                    folder, SURROUNDINGS_PICTURES, [*_middle_last(used), *_stacked(own, sources), *files]
                ),
                numbers=numbers_of(files),
                files=files,
            )
        )
    return found


def _stacked(own: Sequence[ProductRecord], sources: ProductRecord) -> list[ProductRecord]:
    """Return the cube of all exposures of a star."""
    return [product for product in own if product.tag == "STACKED_CUBE" and product.object == sources.object]


def _inputs(own: Sequence[ProductRecord], job: JobRecord | None) -> list[ProductRecord]:
    """Return the products that a job was given."""
    paths = {one.path for one in job.inputs} if job else set()
    return [product for product in own if product.path in paths]


def _middle_last(used: Sequence[ProductRecord]) -> list[ProductRecord]:
    """Return products by time, those of the job of the middle integration last: pictures of one show that one."""
    ordered = sorted(used, key=lambda product: (product.mjd or 0.0, product.path))
    centres = [product for product in ordered if product.tag == "DIT_CENTRE"]
    middle = centres[len(centres) // 2].job_id if centres else None
    return sorted(ordered, key=lambda product: product.job_id == middle)


def _companions(sources: ProductRecord) -> tuple[list[Companion], str]:
    """Read the table of companions."""
    try:
        found = read_product(sources.path, Companions)
    except TracecubeError as error:
        return [], str(error)
    columns = zip(
        found.object,
        zip(found.sep_mas, found.sep_err, strict=True),
        zip(found.pa_deg, found.pa_err, strict=True),
        zip(found.contrast, found.contrast_err, strict=True),
        found.snr,
        strict=True,
    )
    return [Companion(str(name), *rest) for name, *rest in columns], ""
