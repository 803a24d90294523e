"""Sentences that name the missing piece of a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tracecube.core.workflow import Association, Main, Workflow
from tracecube.workflow.associate import UNLIMITED, Candidates, Reference, allowed, choose, value_of
from tracecube.workflow.items import Item
from tracecube.workflow.jobs import Missing, PlannedJob

__all__ = ["inherited", "named", "too_few", "why_missing"]


def too_few(main: Main, members: Sequence[Item]) -> Missing:
    """Say that a group of raw files is too small, or lacks one kind."""
    have = Counter(item.tag for item in members)
    lacking = [tag for tag in main.require if not have[tag]]
    if lacking:
        return Missing(f"no {' and no '.join(lacking)} among {_counted(have)}", "look for it with `tracecube ls`")
    return Missing(
        f"{len(members)} {'/'.join(sorted(have))} where at least {main.minimum} are needed",
        "add the missing frames to the raw folder",
    )


def _counted(have: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {tag}" for tag, count in sorted(have.items()))


def inherited(item: Item, jobs: Sequence[PlannedJob]) -> Missing:
    """Say why a product cannot be made, by what its own job lacks."""
    cause = jobs[item.job].missing[0] if item.job is not None else Missing("", "")
    return replace(cause, chain=(item.tag, *cause.chain))


def named(item: Item, jobs: Sequence[PlannedJob]) -> Missing:
    """Say why one product of several cannot be made, by its name."""
    cause = inherited(item, jobs)
    return replace(cause, chain=(f"{item.tag} {item.name}", *cause.chain[1:]))


def why_missing(
    rule: Association,
    main: Reference,
    there: Sequence[Item],
    lost: Sequence[Item],
    jobs: Sequence[PlannedJob],
    workflow: Workflow,
) -> Missing:
    """Say why no candidate was found for an association.

    Parameters
    ----------
    there, lost : sequence of Item
        Those of the rule's tags that can be had, and that cannot.
    """
    first = choose(main, Candidates(lost, rule), rule)
    if first is not None:
        cause = inherited(first.items[0], jobs)
        return replace(cause, hint=cause.hint or rule.hint)
    there = [*there, *lost]
    if there:
        wanted = "/".join(rule.tags)
        found = f"{len(there)} {wanted} found, but {_unlike(there, main, rule)}"
        return Missing(found + _instead(_likest(there, main, rule), main, rule, jobs), rule.hint)
    return replace(_not_even_raw(rule.tags, workflow), hint=rule.hint)


def _unlike(there: Sequence[Item], main: Reference, rule: Association) -> str:
    """Say what the last rung asks for that no candidate has."""
    if not any(allowed(item, rule.where) for item in there):
        asked = ", ".join(f"{key} in {values}" for key, values in rule.where.items())
        return f"none with {asked}"
    rung = rule.ladder[-1]
    asked = ", ".join(f"{key} {value_of(main, key)}" for key in rung.same)
    words = [f"with {asked}"] if asked else []
    if rung.days != UNLIMITED:
        words.append(f"between {rung.days[0]:g} and {rung.days[1]:g} days of it")
        words[-1] += f" (window {rung.window})" if rung.window else ""
    words += ["started during the exposure"] * rung.during
    return f"fewer than {max(1, rule.minimum)} {' and '.join(words)}".rstrip()


def _likest(there: Sequence[Item], main: Reference, rule: Association) -> Item:
    """Return the candidate whose setup agrees best with what was asked for; of equal ones the first."""
    keys = rule.ladder[-1].same
    return max(there, key=lambda item: sum(value_of(item, key) == value_of(main, key) for key in keys))


def _instead(candidate: Item, main: Reference, rule: Association, jobs: Sequence[PlannedJob]) -> str:
    """Say in which setup a candidate differs from what was asked for, by the raw file that it comes from."""
    keys = [key for key in rule.ladder[-1].same if value_of(candidate, key) != value_of(main, key)]
    if not keys:
        return ""
    first = candidate
    while first.job is not None:
        first = jobs[first.job].bindings[0].items[0]
    return f" ({first.tag} {first.name} has {', '.join(f'{key} {value_of(candidate, key)}' for key in keys)})"


def _not_even_raw(tags: Sequence[str], workflow: Workflow) -> Missing:
    """Follow the tags back to the raw files that are not there."""
    chain: list[str] = []
    while True:
        makers = [task for task in workflow.tasks if set(tags) & set(task.output_tags().values())]
        if not makers or len(chain) > len(workflow.tasks):
            return Missing(f"no {'/'.join(tags)} in the raw folder", "", tuple(chain))
        chain.append("/".join(tags))
        tags = makers[0].main.tags
