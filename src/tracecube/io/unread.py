"""Raw images read when they are asked for: exposures that are worked through need not lie in memory together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from weakref import WeakValueDictionary

from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.io.headers import bare_name, header_units, read_header
from tracecube.io.raw import read_raw

__all__ = ["open_raw"]


class _Unread(Mapping[str, FloatArray]):
    """One image of a file, read again unless someone still has it."""

    def __init__(self, path: Path, tag: str, extension: str) -> None:
        self._of = path, tag, extension
        self._held: WeakValueDictionary[str, FloatArray] = WeakValueDictionary()

    def __getitem__(self, name: str) -> FloatArray:
        path, tag, extension = self._of
        if name != extension:
            raise KeyError(name)
        held = self._held.get(name)
        if held is None:
            held = read_raw(path, tag, extension=extension).images[name]
            self._held[name] = held
        return held

    def __iter__(self) -> Iterator[str]:
        return iter(self._of[2:])

    def __len__(self) -> int:
        return 1


def open_raw(path: Path | str, tag: str, *, extension: str) -> RawFrame:
    """Open one extension of a raw file; its pixels are read when they are asked for, and not kept.

    An extension that is no image, or several of them, is read at once.

    Parameters
    ----------
    path : Path
    tag : str
    extension : str
        As of `read_raw`.

    Raises
    ------
    BadData
        As `read_raw`; of damaged pixels when they are asked for.
    """
    path = Path(path)
    meta = {**read_header(path, extension=extension), "DETECTOR": extension}
    wanted = [unit for unit in header_units(path) if unit.name.split(".")[0] == extension and unit.size]
    if len(wanted) != 1 or wanted[0].name != extension or not wanted[0].is_image:
        return read_raw(path, tag, extension=extension)
    return RawFrame(bare_name(path), tag, meta, _Unread(path, tag, extension), {})
