"""Which finished jobs still stand: their products are on disk, byte by byte as they were written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tracecube.archive.hashing import hash_of_file
from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import done_jobs
from tracecube.archive.records import ProductRecord

__all__ = ["Standing", "intact", "standing_jobs"]

Standing = tuple[int, tuple[ProductRecord, ...]]
"""Number of a finished job, and its products."""


def intact(made: ProductRecord) -> bool:
    """Whether a product file has the size and content that the ledger knows."""
    path = Path(made.path)
    try:
        return path.stat().st_size == made.size and hash_of_file(path) == made.sha256
    except OSError:
        return False


def standing_jobs(ledger: Ledger, wanted: Mapping[str, Iterable[str]]) -> dict[str, Standing]:
    """Return provenance key -> finished job whose products all stand.

    Parameters
    ----------
    wanted : mapping of str to iterable of str
        Provenance key -> paths where the job's products belong.
    """
    found = done_jobs(ledger, list(wanted))
    with ThreadPoolExecutor(max_workers=4) as pool:  # hashing leaves the interpreter lock
        stands = list(pool.map(lambda key: _stands(found[key][1], set(wanted[key])), found))
    return {key: job for (key, job), good in zip(found.items(), stands, strict=True) if good}


def _stands(products: tuple[ProductRecord, ...], paths: set[str]) -> bool:
    return all(made.current and made.path in paths and intact(made) for made in products)
