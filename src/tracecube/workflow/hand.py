"""The exposure that a person wants to extract differently: which job it is, and what stands of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tracecube.archive.adjustments import standing_adjustments
from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import job_keys, last_run, planned_of, products
from tracecube.archive.records import AdjustmentRecord, PlannedRecord, ProductRecord
from tracecube.core.by_hand import ByHand
from tracecube.core.errors import BadData, MissingInput
from tracecube.workflow.discover import Found

__all__ = ["Case", "find_case"]

_STAMP = re.compile(r"\d{2}_\d{2}_\d{2}")


@dataclass(frozen=True)
class Case:
    """An exposure that may be extracted by hand.

    Parameters
    ----------
    job : PlannedRecord
        That extracts it.
    by_hand : ByHand
    verdict : ProductRecord or None
        Of its target, unless the extraction failed.
    spectra : ProductRecord or None
        It is extracted from.
    fit : ProductRecord or None
        Of the point source.
    adjustment : AdjustmentRecord or None
        That stands.
    """

    job: PlannedRecord
    by_hand: ByHand
    verdict: ProductRecord | None
    spectra: ProductRecord | None
    fit: ProductRecord | None
    adjustment: AdjustmentRecord | None

    @property
    def quality(self) -> int | None:
        """Quality code of the target, None where there is no verdict."""
        found = None if self.verdict is None else self.verdict.header.get("QUALITY")
        return int(found) if isinstance(found, int | float) else None

    @property
    def target(self) -> str:
        """Name of the target, of the exposure where there is none."""
        return (self.verdict and self.verdict.object) or (self.spectra and self.spectra.object) or self.job.name

    def adjusted(self, params: Mapping[str, Any], *, tag: str, reviewer: str) -> AdjustmentRecord:
        """Return the adjustment that sets these parameters, and no others."""
        return AdjustmentRecord(
            instrument=self.job.instrument,
            task=self.job.task,
            name=self.job.name,
            night=self.job.night,
            params={**params, "tag": tag, "reviewer": reviewer},
            tag=tag,
            reviewer=reviewer,
        )


def find_case(ledger: Ledger, instruments: Mapping[str, Found], stamp: str, night: str | None = None) -> Case:
    """Return the exposure with a time stamp in its name.

    Parameters
    ----------
    ledger : Ledger
    instruments : mapping of str to Found
    stamp : str
        ``HH_MM_SS``, with which the name of the raw file ends.
    night : str, optional
        ``YYYY-MM-DD`` or ``YYYYMMDD``; needed where several nights have such an exposure.

    Raises
    ------
    BadData
        The stamp is of another form, or fits more than one exposure.
    MissingInput
        Nothing was run, or no exposure of a target has this stamp.
    """
    if not _STAMP.fullmatch(stamp):
        raise BadData(f"{stamp!r} is no time stamp", hint="HH_MM_SS, as in the title of the verification picture")
    jobs = list(_extractions(ledger, instruments))
    wanted = None if night is None else night.replace("-", "")
    fit = [
        (job, by_hand)
        for job, by_hand in jobs
        if job.name.endswith(f"_{stamp}") and wanted in {None, (job.night or "").replace("-", "")}
    ]
    if not fit:
        there = ", ".join(job.name[-len(stamp) :] for job, _ in jobs) or "none at all"
        raise MissingInput(f"{ledger.folder}: no target was exposed at {stamp}", hint=f"there is {there}")
    if len(fit) > 1:
        nights = ", ".join(str(job.night) for job, _ in fit)
        raise BadData(f"{stamp}: exposures of several nights have this stamp", hint=f"--night, one of {nights}")
    return _case(ledger, *fit[0])


def _extractions(ledger: Ledger, instruments: Mapping[str, Found]) -> Iterator[tuple[PlannedRecord, ByHand]]:
    """Yield the jobs that extract a target: those of the last run, then those of runs on other raw files."""
    run = last_run(ledger)
    if run is None:
        raise MissingInput(f"{ledger.folder}: nothing was run here yet", hint="tracecube reduce RAWDIR -o OUT")
    planned = planned_of(ledger, run.id)
    seen = {(job.instrument, job.task, job.name, job.night) for job in planned}
    for name, found in instruments.items():
        by_hand = found.instrument.by_hand
        if by_hand is None:
            continue
        yield from ((job, by_hand) for job in planned if job.instrument == name and job.task in by_hand.tasks)
        for key in job_keys(ledger, name, by_hand.tasks):
            if key not in seen:
                yield PlannedRecord(instrument=key[0], task=key[1], name=key[2], night=key[3], state="done"), by_hand


def _case(ledger: Ledger, job: PlannedRecord, by_hand: ByHand) -> Case:
    made = [one for one in products(ledger) if one.raw == job.name and one.instrument == job.instrument]
    same = (job.instrument, job.task, job.name, job.night)
    standing = {(one.instrument, one.task, one.name, one.night): one for one in standing_adjustments(ledger)}
    return Case(
        job=job,
        by_hand=by_hand,
        verdict=next((one for one in made if one.task == job.task and one.output == "target"), None),
        spectra=next((one for one in made if one.tag == "SPECTRA"), None),
        fit=next((one for one in made if one.tag == "PSF_FIT"), None),
        adjustment=standing.get(same),
    )
