"""Regions and lists of spaxels as people write them into files."""

from __future__ import annotations

import re
from pathlib import Path

from tracecube.core.errors import BadData, MissingInput

__all__ = ["read_region", "read_spaxels"]

_POLYGON = re.compile(r"(?P<minus>-?)\s*polygon\s*\((?P<numbers>[^)]*)\)", re.IGNORECASE)
_LINEAR = {"linear", "physical", "image", "detector", "amplifier"}
"""Systems of coordinates of ds9 in which numbers are what they are."""
_SYSTEMS = {*_LINEAR, "fk4", "fk5", "icrs", "galactic", "ecliptic", "b1950", "j2000", "wcs"}


def read_region(path: Path) -> tuple[tuple[float, float], ...]:
    """Return the corners (arcsec east and north) of a polygon: lines ``x y``, or a ds9 region ``polygon(x,y,...)``.

    Raises
    ------
    MissingInput
        No such file.
    BadData
        It holds no polygon, or one in coordinates on the sky.
    """
    try:
        lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise MissingInput(f"{path}: cannot be read ({error})", hint="check the path given to --region") from error
    polygons = list(_POLYGON.finditer("\n".join(lines)))
    if len(polygons) > 1:
        raise BadData(f"{path}: {len(polygons)} polygons", hint="one polygon a file")
    found = polygons[0] if polygons else None
    if found is None:
        corners = [_pair(path, line) for line in lines if line]
    else:
        _refuse_sky(path, lines)
        numbers = _numbers(path, found["numbers"])
        if len(numbers) % 2 or found["minus"]:
            raise BadData(f"{path}: no polygon of pairs x,y that includes", hint="polygon(x1,y1,x2,y2,x3,y3)")
        corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    if len(corners) < 3:
        raise BadData(f"{path}: {len(corners)} corners", hint="three or more, each on a line `x y` (arcsec)")
    return tuple(corners)


def _refuse_sky(path: Path, lines: list[str]) -> None:
    words = {word.lower() for line in lines for word in re.split(r"[;\s]+", line)}
    on_sky = (words & _SYSTEMS) - _LINEAR
    if on_sky:
        raise BadData(
            f"{path}: a region in {' and '.join(sorted(on_sky))}",
            hint="give arcsec east and north of the field centre, as the axes of the verification picture say",
        )


def _pair(path: Path, line: str) -> tuple[float, float]:
    numbers = _numbers(path, line)
    if len(numbers) != 2:
        raise BadData(f"{path}: {line!r} is no corner", hint="one corner a line: x y (arcsec)")
    return numbers[0], numbers[1]


def _numbers(path: Path, text: str) -> list[float]:
    try:
        return [float(word) for word in re.split(r"[,\s]+", text.strip()) if word]
    except ValueError as error:
        raise BadData(f"{path}: {text.strip()!r}: {error}", hint="one corner a line: x y (arcsec)") from error


def read_spaxels(text: str) -> tuple[int, ...]:
    """Return the numbers in a list such as ``12,47``, or in a file of that name.

    Raises
    ------
    BadData
        Neither a list of numbers nor a file of some.

    Examples
    --------
    >>> read_spaxels("47, 12")
    (12, 47)
    """
    content = text if re.fullmatch(r"[\d,.\s]+", text) else _content(Path(text).expanduser())
    words = [word for line in content.splitlines() for word in re.split(r"[,\s]+", line.split("#")[0]) if word]
    if not words or not all(word.isdecimal() for word in words):
        raise BadData(f"--exclude {text!r}: no numbers of spaxels", hint="12,47, or a file with such numbers")
    return tuple(sorted({int(word) for word in words}))


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"--exclude {str(path)!r}: no numbers of spaxels, nor a file that can be read"
        raise BadData(what, hint="12,47, or a file with such numbers") from error
