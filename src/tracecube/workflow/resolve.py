"""From planned inputs to files: which products are there, which are lost, and what a job's key is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tracecube.archive.records import InputRecord, ProductRecord
from tracecube.core.params import Params
from tracecube.io.headers import bare_name
from tracecube.workflow.items import Item
from tracecube.workflow.jobs import Binding, JobKey, PlannedJob
from tracecube.workflow.provenance import provenance_key

__all__ = ["Files", "Outcome", "Resolved"]


@dataclass(frozen=True)
class Outcome:
    """What became of a planned job.

    Parameters
    ----------
    job : PlannedJob
    state : {"done", "reused", "failed", "blocked", "skipped", "incomplete"}
        Blocked: something it needs failed. Skipped: its main input turned out not to exist, for its
        maker found nothing to make it of. Incomplete: something it needs is not there at all.
    reason : str or None
    caveats : tuple of str
    seconds : float
    """

    job: PlannedJob
    state: str
    reason: str | None = None
    caveats: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Resolved:
    """A job whose inputs are all files now.

    Parameters
    ----------
    job : PlannedJob
    inputs : tuple of InputRecord
    key : str
        Provenance key.
    params : mapping
    caveats : tuple of str
        Inputs that it has to do without.
    """

    job: PlannedJob
    inputs: tuple[InputRecord, ...]
    key: str
    params: Mapping[str, object]
    caveats: tuple[str, ...] = ()

    @property
    def level(self) -> int:
        """Worst level of the inputs that are really there."""
        return max((given.level for given in self.inputs), default=0)


@dataclass(frozen=True)
class _Lost:
    """Why a product is not there; ``benign`` when its job did well but had nothing to make it of."""

    reason: str
    benign: bool = False


class Files:
    """The products of a plan as they come to be.

    Parameters
    ----------
    params : mapping of (instrument, task) to Params
    by_hand : mapping of JobKey to Params, optional
        Of jobs that a person adjusted.
    """

    def __init__(
        self, params: Mapping[tuple[str, str], Params], by_hand: Mapping[JobKey, Params] | None = None
    ) -> None:
        self._plain = {key: chosen.model_dump(mode="json") for key, chosen in params.items()}
        self._by_hand = {key: chosen.model_dump(mode="json") for key, chosen in (by_hand or {}).items()}
        self._found: dict[str, InputRecord | _Lost] = {}

    def resolve(self, job: PlannedJob) -> Resolved | Outcome:
        """Replace products to be made by the files that were made, or say why the job cannot run."""
        if not job.complete:
            return Outcome(job, "incomplete", "; ".join(map(str, job.missing)))
        inputs: list[InputRecord] = []
        role = job.bindings[0].role
        caveats = [f"{role} is without one input: {lack}" for lack in job.without]
        for binding in job.bindings:
            have, lost = self._filled(binding)
            single = lost and not binding.many and binding.minimum > 0
            if single or not binding.enough(item for item, _ in have):
                benign = binding.main and all(one.benign for one in lost)
                reasons = dict.fromkeys(one.reason for one in lost)
                return Outcome(job, "skipped" if benign else "blocked", "; ".join(list(reasons)[:3]))
            caveats += [f"{binding.role} is without one input: {one.reason}" for one in lost]
            caveats += _next_best(binding, have)
            caveats += _of_earlier(binding, have)
            inputs += [file for _, file in have]
        params = self._by_hand.get(job.key) or self._plain[job.instrument, job.task.name]
        key = provenance_key(job.instrument, job.task, params, inputs)
        return Resolved(job, tuple(inputs), key, params, tuple(caveats))

    def _filled(self, binding: Binding) -> tuple[list[tuple[Item, InputRecord]], list[_Lost]]:
        """Return the files of a binding, and what is lost."""
        have: list[tuple[Item, InputRecord]] = []
        lost: list[_Lost] = []
        for item in binding.items:
            file = _given_input(item) if item.job is None else self._found[item.identity]
            if isinstance(file, _Lost):
                lost.append(file)
            else:
                have.append((item, replace(file, role=binding.role, main=binding.main, level=binding.level)))
        return have, lost

    def keep(self, job: PlannedJob, products: Iterable[ProductRecord]) -> None:
        """Remember where the products of a job are, and which it did not make."""
        made = {product.output: product for product in products}
        for item in job.outputs:
            product = made.get(item.output)
            self._found[item.identity] = (
                _Lost(f"{job.label} made no {item.tag}", benign=True)
                if product is None
                else _product_input(item.tag, product)
            )

    def lose(self, outcome: Outcome) -> None:
        """Remember that the products of a job will not come."""
        first_hand = outcome.state not in {"blocked", "skipped"} or not outcome.reason
        reason = f"{outcome.job.label} {outcome.state}: {outcome.reason}" if first_hand else str(outcome.reason)
        lost = _Lost(reason, benign=outcome.state == "skipped")
        self._found.update(dict.fromkeys((item.identity for item in outcome.job.outputs), lost))


def _next_best(binding: Binding, have: Iterable[tuple[Item, InputRecord]]) -> list[str]:
    """Say what was taken in place of what failed."""
    if not binding.instead:
        return []
    taken = ", ".join(f"{item.name} (night {item.night})" for item, _ in have)
    return [f"{binding.role}: {'; '.join(binding.instead)}; {taken} in its place, level {binding.level}"]


def _of_earlier(binding: Binding, have: Iterable[tuple[Item, InputRecord]]) -> list[str]:
    """Say what was made on another night, in a run of its own."""
    found = [item for item, _ in have if item.job is None and item.output]
    return [f"{binding.role}: that of the night {item.night}, level {binding.level}" for item in found]


def _given_input(item: Item) -> InputRecord:
    """Return what no job of the plan makes: a raw file, or a product of an earlier night."""
    return InputRecord(
        role="",
        main=False,
        raw=not item.output,
        tag=item.tag,
        name=item.name,
        path=item.path,
        sha256=item.sha256,
        plane=item.plane,
        extension=item.extension,
    )


def _product_input(tag: str, made: ProductRecord) -> InputRecord:
    return InputRecord(
        role="", main=False, raw=False, tag=tag, name=bare_name(made.path), path=made.path, sha256=made.sha256
    )
