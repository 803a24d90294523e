"""Make a product again from its record alone, and compare."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tracecube.archive.hashing import hash_of_file
from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import find_product, job_of, raw_with_hash
from tracecube.archive.records import InputRecord, JobRecord, ProductRecord
from tracecube.core.errors import BadData, MissingInput
from tracecube.io.members import is_there
from tracecube.workflow.call import JobCall, JobResult
from tracecube.workflow.discover import Found
from tracecube.workflow.executor import InProcess
from tracecube.workflow.settings import near

__all__ = ["Comparison", "found_again", "rerun"]


@dataclass(frozen=True)
class Comparison:
    """A product made again.

    Parameters
    ----------
    product : ProductRecord
        What the ledger knows.
    job : JobRecord
    result : JobResult
    sha256, data_sha256 : str or None
        Of the new file; None when the recipe failed or did not make it.
    version : str
        Of the recipe as installed now.
    """

    product: ProductRecord
    job: JobRecord
    result: JobResult
    sha256: str | None
    data_sha256: str | None
    version: str

    @property
    def same(self) -> bool:
        """Whether every byte of the file is the same."""
        return self.sha256 == self.product.sha256

    @property
    def same_data(self) -> bool:
        """Whether the data are the same, whatever the header says."""
        return self.data_sha256 == self.product.data_sha256


def rerun(ledger: Ledger, product: ProductRecord, instruments: Mapping[str, Found]) -> Comparison:
    """Run the job of a product again, in a temporary folder, with its recorded inputs and parameters.

    Raises
    ------
    MissingInput
        An input is no longer there with its recorded content, or the instrument is not installed.
    """
    job = job_of(ledger, product.job_id)
    if job.instrument not in instruments:
        raise MissingInput(f"instrument {job.instrument} is not installed", hint=near(job.instrument, instruments))
    found = instruments[job.instrument]
    tasks = {task.name: task for task in found.instrument.workflow.tasks}
    if job.task not in tasks:
        raise BadData(f"{job.instrument} has no task {job.task} any more", hint=near(job.task, tasks))
    inputs = tuple(found_again(ledger, given) for given in job.inputs)
    with tempfile.TemporaryDirectory(prefix="tracecube-rerun-") as folder:
        suffixes = tasks[job.task].output_suffixes()
        outputs = {output: str(Path(folder) / f"{output}{suffix}") for output, suffix in suffixes.items()}
        call = JobCall(
            reference=found.reference,
            task=job.task,
            params=job.params,
            inputs=inputs,
            outputs=outputs,
            key=job.provenance_key,
            scratch=folder,
        )
        result = InProcess().submit(call).result()
    made = next((made for made in result.made if made.output == product.output), None)
    return Comparison(
        product,
        job,
        result,
        made.sha256 if made else None,
        made.data_sha256 if made else None,
        tasks[job.task].recipe.version,
    )


def found_again(ledger: Ledger, given: InputRecord) -> InputRecord:
    """Return an input of a job at a place where its recorded content is.

    Raises
    ------
    MissingInput
        There is none any more.
    """
    places = [given.path, *(raw.path for raw in raw_with_hash(ledger, given.sha256))]
    other = find_product(ledger, sha256=given.sha256)
    if other is not None:
        places.append(other.path)
    for place in places:
        if is_there(place) and hash_of_file(place) == given.sha256:
            return replace(given, path=place)
    raise MissingInput(
        f"{given.path}: the {given.tag} that was used is not there any more, or has changed",
        hint="restore the file, or run `tracecube reduce` again",
    )
