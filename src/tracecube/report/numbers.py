"""Quality numbers as a page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracecube.archive.records import ProductRecord

__all__ = ["Number", "numbers_of"]


@dataclass(frozen=True)
class Number:
    """A quality number with where it comes from; ``value`` is None when it is not finite."""

    task: str
    of: str
    name: str
    value: float | None
    unit: str
    good: bool | None


def numbers_of(products: Sequence[ProductRecord]) -> list[Number]:
    """Return the quality numbers of products, each that a job wrote into several of them once."""
    found = [
        Number(
            product.task,
            product.raw or product.object or product.detector or "",
            name,
            number["value"],
            number.get("unit") or "",
            number.get("good"),
        )
        for product in products
        for name, number in product.qc.items()
    ]
    return list({(n.task, n.name, n.value): n for n in found}.values())
