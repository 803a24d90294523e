"""What association chooses from: raw files, their planes and extensions, and products, those not yet made included."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tracecube.archive.hashing import hash_of_value
from tracecube.archive.records import RawRecord
from tracecube.core.fields import Scalar

__all__ = ["DAY", "Item", "as_file_name", "raw_items"]

DAY = 86400.0
"""Seconds."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A raw file, one plane or one extension of it, or a product that exists or will exist once its job has run.

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
        Position in the plan of the job that makes it; None for a raw file, and for a product of an earlier night.
    output : str
        Field of the recipe's outputs; empty for a raw file.
    sha256 : str
        Content of the whole raw file, or of the product of an earlier night; empty for a product to be made.
    plane : int or None
        Which image of a file that holds one for every integration, from 0.
    extension : str or None
        Which image of a file that holds one for every detector.
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
    sha256: str = ""
    plane: int | None = None
    extension: str | None = None

    @property
    def night(self) -> str | None:
        """Night of the observation, YYYY-MM-DD."""
        night = self.setup.get("night")
        return None if night is None else str(night)

    @property
    def order(self) -> tuple[float, str]:
        """Time, then content: the order of inputs, groups and jobs everywhere."""
        return (float("inf") if self.mjd is None else self.mjd, self.identity)


def raw_items(record: RawRecord) -> list[Item]:
    """Return a classified raw file as items: one, or one for each plane or detector that it holds.

    A file is a cube when its instrument's rules put the number ``planes`` into its setup; ``plane_step``
    (day) is then the time from one to the next. Planes are integrations of their own, with their own time.
    It holds several detectors when the rules put their extensions' names, with blanks between, into ``extensions``:
    each is then an item with its own ``detector`` in the setup. A file whose setup names ``detectors`` serves each of
    them as a whole.
    """
    tag = record.tag or ""
    setup = {**record.setup, "night": record.night, "raw_tag": tag}
    whole = Item(
        tag=tag,
        name=record.name,
        identity=record.sha256,
        path=record.path,
        setup=setup,
        mjd=record.mjd,
        exptime=record.exptime,
        object=record.object,
        raw=record.name,
        sha256=record.sha256,
    )
    names = str(record.setup.get("extensions") or "").split()
    if names:
        return [_extension(whole, name) for name in names]
    served = str(record.setup.get("detectors") or "").split()
    if served:
        return [_serving(whole, name) for name in served]
    planes = int(record.setup.get("planes") or 0)
    return [_plane(whole, number, planes) for number in range(planes)] or [whole]


def _plane(whole: Item, number: int, planes: int) -> Item:
    """Return one plane of a file; the only one keeps the name and the identity of its file."""
    step = float(whole.setup.get("plane_step") or 0.0)
    several = planes > 1
    return replace(
        whole,
        name=f"{whole.name}_{number:03d}" if several else whole.name,
        identity=hash_of_value([whole.sha256, number]) if several else whole.identity,
        setup={**whole.setup, "plane": number},
        mjd=None if whole.mjd is None else whole.mjd + number * step,
        plane=number,
    )


def _extension(whole: Item, extension: str) -> Item:
    """Return one detector of a file."""
    setup = {key: value for key, value in whole.setup.items() if key != "extensions"}
    return replace(
        whole,
        name=f"{whole.name}_{extension}",
        identity=hash_of_value([whole.sha256, extension]),
        setup={**setup, "detector": extension},
        extension=extension,
    )


def _serving(whole: Item, detector: str) -> Item:
    """Return a whole file as what serves one detector."""
    setup = {key: value for key, value in whole.setup.items() if key != "detectors"}
    return replace(
        whole,
        name=f"{whole.name}_{detector}",
        identity=hash_of_value([whole.sha256, detector]),
        setup={**setup, "detector": detector},
    )


def as_file_name(text: str) -> str:
    """Return a name with dashes in place of what file names should not hold.

    Examples
    --------
    >>> as_file_name("HR 8799 e")
    'HR-8799-e'
    """
    return re.sub(r"[^A-Za-z0-9.+_-]", "-", text)
