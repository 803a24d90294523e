"""What association chooses from: raw files and products, those not yet made included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tracecube.archive.records import RawRecord
from tracecube.core.fields import Scalar

__all__ = ["DAY", "Item", "raw_item"]

DAY = 86400.0
"""Seconds."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A raw file, or a product that exists or will exist once its job has run.

    Parameters
    ----------
    tag : str
    name : str
        Raw file name without ``.fits``; for a product that of its main input or group.
    identity : str
        Content hash of a raw file; of a product the hash of the task, the tag and the raw files that
        it descends from. Ends every tie, and does not depend on paths or on the order of files.
    path : str
        Absolute; for a product where it is or will be.
    setup : mapping of str to scalar
        Keys that rules compare; holds ``night`` and ``raw_tag``.
    mjd : float or None
        Start; of a group the middle between its first and last start.
    exptime : float or None, second
    object, raw : str or None
    job : int or None
        Position in the plan of the job that makes it; None for a raw file.
    output : str
        Field of the recipe's outputs; empty for a raw file.
    """

    tag: str
    name: str
    identity: str
    path: str
    setup: Mapping[str, Scalar] = field(default_factory=dict)
    mjd: float | None = None
    exptime: float | None = None
    object: str | None = None
    raw: str | None = None
    job: int | None = None
    output: str = ""

    @property
    def night(self) -> str | None:
        """Night of the observation, YYYY-MM-DD."""
        night = self.setup.get("night")
        return None if night is None else str(night)

    @property
    def order(self) -> tuple[float, str]:
        """Time, then content: the order of inputs, groups and jobs everywhere."""
        return (float("inf") if self.mjd is None else self.mjd, self.identity)


def raw_item(record: RawRecord) -> Item:
    """Return a classified raw file as an item."""
    tag = record.tag or ""
    return Item(
        tag=tag,
        name=record.name,
        identity=record.sha256,
        path=record.path,
        setup={**record.setup, "night": record.night, "raw_tag": tag},
        mjd=record.mjd,
        exptime=record.exptime,
        object=record.object,
        raw=record.name,
    )
