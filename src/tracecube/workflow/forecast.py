"""What a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tracecube.archive.ledger import Ledger
from tracecube.core.params import Params
from tracecube.workflow.jobs import JobKey, PlannedJob
from tracecube.workflow.resolve import Files, Outcome
from tracecube.workflow.reuse import standing_jobs

__all__ = ["forecast"]


def forecast(
    jobs: Sequence[PlannedJob],
    params: Mapping[tuple[str, str], Params],
    ledger: Ledger | None,
    by_hand: Mapping[JobKey, Params] | None = None,
) -> list[Outcome]:
    """Say of each job whether it would be reused, would run, or cannot.

    Parameters
    ----------
    jobs : sequence of PlannedJob
        With each job all that it needs, in order.
    params : mapping of (instrument, task) to Params
    ledger : Ledger or None
        None when nothing was ever reduced into the output folder.
    by_hand : mapping of JobKey to Params, optional
        Of jobs that a person adjusted.

    Returns
    -------
    list of Outcome
        In state "run", "reused" or "incomplete".
    """
    files = Files(params, by_hand)
    states: dict[int, Outcome] = {}
    for job in jobs:
        remade = [states[source].job.label for source in job.sources if states[source].state == "run"]
        if not job.complete:
            outcome = Outcome(job, "incomplete", "; ".join(map(str, job.missing)))
        elif remade:
            outcome = Outcome(job, "run", f"after {remade[0]}")
        else:
            outcome = _of_known_inputs(job, files, ledger)
        states[job.position] = outcome
        if outcome.state == "incomplete":
            files.lose(outcome)
    return [states[job.position] for job in jobs]


def _of_known_inputs(job: PlannedJob, files: Files, ledger: Ledger | None) -> Outcome:
    """Look a job up whose inputs are all on disk."""
    resolved = files.resolve(job)
    if isinstance(resolved, Outcome):
        return resolved
    paths = {resolved.key: [out.path for out in job.outputs]}
    standing = standing_jobs(ledger, paths) if ledger else {}
    if resolved.key not in standing:
        return Outcome(job, "run", "no intact products of these inputs and parameters")
    files.keep(job, standing[resolved.key][1])
    return Outcome(job, "reused")
