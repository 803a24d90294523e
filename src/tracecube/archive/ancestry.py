"""Where a product comes from: the tree of jobs and inputs behind it."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import find_product, job_of
from tracecube.archive.records import InputRecord, JobRecord, ProductRecord

__all__ = ["Ancestor", "ancestry"]


@dataclass(frozen=True)
class Ancestor:
    """One input in the tree, with the job that made it.

    Parameters
    ----------
    given : InputRecord
    job : JobRecord or None
        None for a raw file.
    parents : tuple of Ancestor
    again : bool
        Shown before in this tree; its parents are left out here.
    """

    given: InputRecord
    job: JobRecord | None = None
    parents: tuple[Ancestor, ...] = ()
    again: bool = False


def ancestry(ledger: Ledger, product: ProductRecord) -> tuple[JobRecord, tuple[Ancestor, ...]]:
    """Return the job of a product and the tree of its inputs, down to raw files."""
    job = job_of(ledger, product.job_id)
    seen: set[str] = set()
    return job, tuple(_ancestor(ledger, given, seen) for given in job.inputs)


def _ancestor(ledger: Ledger, given: InputRecord, seen: set[str]) -> Ancestor:
    if given.raw:
        return Ancestor(given)
    made = find_product(ledger, sha256=given.sha256)
    if made is None:
        return Ancestor(given)
    job = job_of(ledger, made.job_id)
    if given.sha256 in seen:
        return Ancestor(given, job, again=True)
    seen.add(given.sha256)
    return Ancestor(given, job, tuple(_ancestor(ledger, parent, seen) for parent in job.inputs))
