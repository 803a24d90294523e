"""What a product says of its own making: its provenance key and its header cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from tracecube.archive.hashing import hash_of_value
from tracecube.archive.records import InputRecord
from tracecube.core.fields import Scalar
from tracecube.core.quality import QualityNumber
from tracecube.core.workflow import Namesake, Task

__all__ = ["provenance_cards", "provenance_key", "quality_cards", "quality_record"]


def provenance_key(instrument: str, task: Task, params: Mapping[str, Any], inputs: Iterable[InputRecord]) -> str:
    """Return the hash of everything that a job's products depend on.

    Recipe and version, parameters, and for each role the tags and content hashes of its inputs; of a
    raw file the name too, for recipes see it and products carry it.
    """
    roles: dict[str, list[list[str]]] = {}
    for given in inputs:
        roles.setdefault(given.role, []).append([given.tag, given.name if given.raw else "", given.sha256])
    recipe = [task.recipe.name, task.recipe.version]
    return hash_of_value([instrument, task.name, recipe, sorted(task.output_tags().items()), dict(params), roles])


def provenance_cards(task: Task, tag: str, key: str, inputs: Iterable[InputRecord]) -> dict[str, tuple[Scalar, str]]:
    """Return the cards that name recipe and inputs; main inputs count as RAWi, all others as CALi."""
    cards: dict[str, tuple[Scalar, str]] = {
        "PRODTAG": (tag, "what this product is"),
        "RECIPE": (task.recipe.name, "recipe that made it"),
        "RECIVER": (task.recipe.version, "version of the recipe"),
        "PROVKEY": (key, "recipe, parameters and inputs"),
    }
    counts = {"RAW": 0, "CAL": 0}
    for given in inputs:
        kind = "RAW" if given.main else "CAL"
        counts[kind] += 1
        cards[f"{kind}{counts[kind]}"] = (given.name, given.role)
        cards[f"{kind}{counts[kind]}TAG"] = (given.tag, "")
    return cards


def quality_cards(quality: Iterable[QualityNumber], namesake: Namesake | None = None) -> dict[str, tuple[Scalar, str]]:
    """Return one ``QC`` card a quality number, its unit in the comment; and one more of those a namesake has too."""
    cards: dict[str, tuple[Scalar, str]] = {}
    for number in quality:
        card = (number.value, f"[{number.unit}]" if number.unit else "")
        cards[f"QC {number.name}"] = card
        if namesake is not None and any(fnmatchcase(number.name, name) for name in namesake.quality):
            cards[f"{namesake.quality_prefix} {number.name}"] = card
    return cards


def quality_record(quality: Iterable[QualityNumber]) -> dict[str, dict[str, Any]]:
    """Return quality numbers as plain values; one that is not finite is None."""
    return {
        number.name: {"value": _finite(number.value), "unit": number.unit, "good": bool(number.good)}
        for number in quality
    }


def _finite(value: float) -> float | None:
    return float(value) if abs(value) < float("inf") else None
