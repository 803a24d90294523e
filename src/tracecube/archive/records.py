"""The rows of the ledger as frozen records: what the rest of the engine sees of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tracecube.core.fields import Scalar

__all__ = ["AdjustmentRecord", "InputRecord", "JobRecord", "PlannedRecord", "ProductRecord", "RawRecord", "RunRecord"]


@dataclass(frozen=True, kw_only=True)
class RawRecord:
    """One raw file as it was found.

    Parameters
    ----------
    path : str
        Absolute.
    name : str
        File name without ``.fits`` and its compressions.
    size, mtime_ns : int
        With the path, what must be unchanged for ``sha256`` and ``header`` to be trusted.
    sha256 : str
    header : mapping or None
        None when the file could not be read.
    instrument, tag : str or None
    setup : mapping of str to scalar
    mjd, exptime, object, night
        As the instrument's rules gave them.
    reason : str or None
        Why the file has no tag.
    foreign : bool
        No installed instrument recognises it.
    copy_of : str or None
        Path of another file with the same content, used in its place.
    """

    path: str
    name: str
    size: int
    mtime_ns: int
    sha256: str
    header: Mapping[str, Scalar] | None
    instrument: str | None = None
    tag: str | None = None
    setup: Mapping[str, Scalar] = field(default_factory=dict)
    mjd: float | None = None
    exptime: float | None = None
    object: str | None = None
    night: str | None = None
    reason: str | None = None
    foreign: bool = False
    copy_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class InputRecord:
    """One input of a job: its role, its content hash, the level of its association.

    ``plane`` is which image of a raw file that holds one for every integration, ``extension`` which of one that holds
    one for every detector; None for a whole file.
    """

    role: str
    main: bool
    raw: bool
    tag: str
    name: str
    path: str
    sha256: str
    level: int = 0
    plane: int | None = None
    extension: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProductRecord:
    """One product file.

    Parameters
    ----------
    output : str
        Field of the recipe's `Outputs` that it holds.
    path : str
        Absolute here; relative to the output folder in the database.
    sha256 : str
        Of the whole file.
    data_sha256 : str
        Of the data units alone (card ``PRODSHA``).
    raw : str or None
        Name of the main raw input when there is only one.
    header : mapping
    qc : mapping of str to {"value", "unit", "good"}
    """

    output: str
    tag: str
    path: str
    sha256: str
    size: int
    data_sha256: str
    setup: Mapping[str, Scalar]
    mjd: float | None
    exptime: float | None
    object: str | None
    night: str | None
    raw: str | None
    detector: str | None
    header: Mapping[str, Scalar]
    qc: Mapping[str, Mapping[str, Any]]
    current: bool = True
    job_id: int = 0
    instrument: str = ""
    task: str = ""


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One task run once on one group: how its products can be made again.

    Parameters
    ----------
    provenance_key : str
        Hash of task, recipe, version, parameters and the content of every input.
    state : {"done", "failed"}
    level : int
        Worst level of its associations.
    caveats : tuple of str
    error : str or None
    log : str
        Warnings and log lines of the recipe, and the traceback of a failure.
    started : str
        ISO 8601, UTC.
    seconds, cpu_seconds : float
    peak_memory : int, byte
        Largest resident size of the worker while the job ran; up to its end where the system is not Linux.
    """

    instrument: str
    task: str
    name: str
    night: str | None
    recipe: str
    version: str
    provenance_key: str
    params: Mapping[str, Any]
    state: str
    level: int
    caveats: tuple[str, ...] = ()
    error: str | None = None
    log: str = ""
    started: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    inputs: tuple[InputRecord, ...] = ()
    products: tuple[ProductRecord, ...] = ()
    id: int = 0
    run_id: int = 0


@dataclass(frozen=True, kw_only=True)
class PlannedRecord:
    """One job of a run's plan and what became of it."""

    instrument: str
    task: str
    name: str
    night: str | None
    state: str
    reason: str | None = None
    job_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class AdjustmentRecord:
    """Parameters that a person set for one job alone; they go over those of all jobs of its task.

    Parameters
    ----------
    instrument, task, name, night
        Of the job.
    params : mapping
        Parameter -> value.
    tag : str
        Name of the adjustment, which its products carry.
    reviewer : str
        Who made it.
    made : str
        ISO 8601, UTC.
    """

    instrument: str
    task: str
    name: str
    night: str | None
    params: Mapping[str, Any]
    tag: str
    reviewer: str
    made: str = ""
    id: int = 0


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One call of ``reduce``: what was asked for, with which software, on which host.

    ``conditions`` on the setup of raw files are those of ``--only``.
    """

    id: int
    raw_folder: str
    fingerprint: str
    targets: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]]
    software: Mapping[str, str]
    host: str
    started: str
    finished: str | None
    conditions: tuple[str, ...] = ()
