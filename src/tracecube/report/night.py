"""The report of an output folder: one page a night that opens without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tracecube.archive.ledger import Ledger
from tracecube.core.headers import MJD_EPOCH
from tracecube.report.gather import Night, figure_of, gather_nights, link

__all__ = ["render", "write_report"]


def write_report(
    out: Path,
    *,
    parts: Mapping[tuple[str, str], str] | None = None,
    names: Mapping[tuple[str, str], str] | None = None,
) -> Path:
    """Write ``out/report/index.html``, and the pictures that changed since the last time.

    Parameters
    ----------
    out : Path
        Output folder of a reduction.
    parts : mapping of (instrument, task) to str, optional
        Sub-workflow in which a task stands.
    names : mapping of (instrument, kind) to str, optional
        File names of pictures of a night's calibrations, as `tracecube.report.pictures.draw_all` takes them.

    Returns
    -------
    Path
        The page to open: that of the night, or a list of nights when there are several.

    Raises
    ------
    MissingInput
        Nothing was reduced into this folder.
    """
    folder = Path(out).expanduser().resolve() / "report"
    pictures = folder / "pictures"
    with Ledger.open(folder.parent) as ledger:
        pictures.mkdir(parents=True, exist_ok=True)
        nights = gather_nights(ledger, pictures, parts or {}, names or {})
    index = folder / "index.html"
    if len(nights) == 1:
        _write(index, "night.html", night=nights[0], beside=_beside(folder, nights[0].name), page=index)
    else:
        pages = {night.name: folder / f"{night.name}.html" for night in nights}
        for night in nights:
            page, beside = pages[night.name], _beside(folder, night.name)
            _write(page, "night.html", night=night, beside=beside, page=page)
        _write(index, "nights.html", nights=nights, page=index)
    _remove_stale(pictures, nights)
    return index


def _beside(folder: Path, night: str) -> list[Path]:
    """Return the summary of a night and its text tables, of those that there are."""
    own = folder / night
    return [path for path in (own / "summary.html", *sorted(own.glob("*.txt"))) if path.is_file()]


def _write(path: Path, template: str, *, page: Path, **content: Any) -> None:
    """Fill a template; the page appears whole or not at all."""
    text = render(template, page=page, **content)
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def render(template: str, *, page: Path, **content: Any) -> str:
    """Fill a template of the package; links are relative to ``page``."""
    environment = Environment(
        loader=PackageLoader("tracecube.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": figure_of, "utc": _utc, "link": lambda file: link(file, page)}
    return environment.get_template(template).render(**content)


def _utc(mjd: float | None) -> str:
    """Write a time as people say it."""
    return "" if mjd is None else f"{MJD_EPOCH + timedelta(days=mjd):%Y-%m-%d %H:%M:%S}"


def _remove_stale(pictures: Path, nights: Sequence[Night]) -> None:
    """Delete pictures that no page shows any more."""
    shown = {file for night in nights for file in night.shown}
    for path in pictures.glob("*.png"):
        if path.name not in shown:
            path.unlink()
