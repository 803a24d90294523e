"""Which finished jobs still stand: their products are on disk, byte by byte as they were written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tracecube.archive.hashing import hash_of_file
from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import done_jobs
from tracecube.archive.records import ProductRecord
from tracecube.core.text import TextFile

__all__ = ["Read", "Standing", "all_intact", "intact", "standing_jobs"]

Standing = tuple[int, tuple[ProductRecord, ...]]
"""Number of a finished job, and its products."""


Read = dict[str, tuple[str, int, int, int]]
"""Path -> content hash, size, time of change and inode of files that this process read to their end."""


def intact(made: ProductRecord, read: Read | None = None) -> bool:
    """Whether a product file has the size and content that the ledger knows.

    Parameters
    ----------
    made : ProductRecord
    read : dict, optional
        Files this process has read before, and has not seen to change: they are not read again. It is added to.
    """
    path = Path(made.path)
    try:
        state = path.stat()
        if state.st_size != made.size:
            return False
        now = (made.sha256, state.st_size, state.st_mtime_ns, state.st_ino)
        if read is not None and read.get(made.path) == now:
            return True
        good = hash_of_file(path) == made.sha256
    except OSError:
        return False
    if good and read is not None:
        read[made.path] = now
    return good


def standing_jobs(ledger: Ledger, wanted: Mapping[str, Iterable[str]], read: Read | None = None) -> dict[str, Standing]:
    """Return provenance key -> finished job whose products all stand.

    Parameters
    ----------
    wanted : mapping of str to iterable of str
        Provenance key -> paths where the job's products belong.
    read : dict, optional
        Of `intact`.
    """
    found = done_jobs(ledger, list(wanted))
    in_place = {key: job for key, job in found.items() if all(_belongs(made.path, wanted[key]) for made in job[1])}
    whole = _intact([made for _, products in in_place.values() for made in products], read)
    return {key: job for key, job in in_place.items() if all(whole[made.path] for made in job[1])}


def _belongs(path: str, places: Iterable[str]) -> bool:
    """Whether a product lies at one of its job's places, is one of several that share the place's name, or a text.

    Texts may have names of their own, in the folder of their place.
    """
    return any(
        path == place or path.startswith(f"{place.rpartition('.')[0]}_") or _texts_of_one_folder(path, place)
        for place in places
    )


def _texts_of_one_folder(path: str, place: str) -> bool:
    return Path(path).parent == Path(place).parent and Path(path).suffix == Path(place).suffix == TextFile.suffix


def all_intact(products: Sequence[ProductRecord]) -> bool:
    """Whether all these products are current and stand."""
    return all(made.current for made in products) and all(_intact(products).values())


def _intact(products: Sequence[ProductRecord], read: Read | None = None) -> dict[str, bool]:
    """Return path -> whether the product stands."""
    with ThreadPoolExecutor(max_workers=4) as pool:  # hashing leaves the interpreter lock
        return dict(zip((made.path for made in products), pool.map(partial(intact, read=read), products), strict=True))
