"""The summary of a night: page, text tables and one picture an extraction, in a folder of its own beside the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import last_run, planned_of
from tracecube.archive.records import ProductRecord
from tracecube.core.errors import BadData
from tracecube.core.reporting import Reporting, Sent
from tracecube.core.spectra import Spectra, Spectrum
from tracecube.core.spectral_type import SpectralType
from tracecube.core.target import PointSourceFit, Target
from tracecube.io import holds, read_product
from tracecube.report.extractions import Listed, NightSummary, gather_summary, nights_of
from tracecube.report.figures.one_page import one_page, thumbnail
from tracecube.report.figures.style import png
from tracecube.report.night import render
from tracecube.report.text_tables import cells, text_table

__all__ = ["SummaryFiles", "summary_folder", "tables_of", "write_summary", "write_tables"]

DRAWING = "4"
"""Changes when a picture of the same products is drawn differently."""

_DRAWN = ".drawn.json"


@dataclass(frozen=True)
class SummaryFiles:
    """What was written of a night.

    Parameters
    ----------
    page : Path
    tables : tuple of Path
    pictures : mapping of str to Path
        One-page picture by raw file.
    small : mapping of str to Path
        Small picture of the spectrum by raw file.
    """

    page: Path
    tables: tuple[Path, ...]
    pictures: Mapping[str, Path]
    small: Mapping[str, Path]


def summary_folder(out: Path, night: str) -> Path:
    """Return the folder of a night's summary."""
    return Path(out).expanduser().resolve() / "report" / night


def tables_of(summary: NightSummary) -> dict[str, str]:
    """Return the observatory's tables as text, by file name."""
    tables = {table.name: table for one in summary.listed for table in one.reporting.tables}
    return {
        name: text_table(table, summary.night, summary.extractions, summary.notes) for name, table in tables.items()
    }


def write_tables(out: Path, reportings: Mapping[str, Reporting], *, server: str | None = None) -> list[Path]:
    """Write the text tables of the nights that the last run was about; nothing is drawn.

    Parameters
    ----------
    out : Path
        Output folder of the reduction.
    reportings : mapping of str to Reporting
        By instrument.
    server : str, optional
        Address of the survey's server, as `tracecube.report.extractions.gather_summary` takes it.
    """
    with Ledger.open(Path(out)) as ledger:
        run = last_run(ledger)
        planned = {job.night for job in planned_of(ledger, run.id)} if run else set()
        nights = [night for night in nights_of(ledger, reportings) if night in planned]
        return [
            path for night in nights for path in _tables(out, gather_summary(ledger, reportings, night, server=server))
        ]


def _made(out: Path, night: str) -> Path:
    """Return the folder of a night's summary, made now unless it is there.

    Raises
    ------
    BadData
        It cannot be written.
    """
    folder = summary_folder(out, night)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / ".probe", "")
        (folder / ".probe").unlink()
    except OSError as error:
        hint = "finish the night as who owns the folder"
        raise BadData(f"{folder}: cannot be written ({error.strerror})", hint=hint) from error
    return folder


def _tables(out: Path, summary: NightSummary) -> list[Path]:
    """Write the text tables of a night."""
    folder = _made(out, summary.night)
    written = {folder / name: text for name, text in tables_of(summary).items()}
    for path, text in written.items():
        _write(path, text)
    return list(written)


def write_summary(out: Path, summary: NightSummary) -> SummaryFiles:
    """Write page, tables and pictures of a night; pictures only where something they show has changed.

    Parameters
    ----------
    out : Path
        Output folder of the reduction.
    summary : NightSummary
    """
    folder = _made(out, summary.night)
    drawn = _Drawn(folder)
    pictures, small = {}, {}
    for one in summary.listed:
        raw = one.extraction.raw
        pictures[raw] = drawn.picture(one.reporting.picture(one.extraction), one, _one_page)
        if _spectrum(one) is not None:
            small[raw] = drawn.picture(f"small_{raw}.png", one, _thumbnail)
    drawn.close()
    files = SummaryFiles(folder / "summary.html", tuple(_tables(out, summary)), pictures, small)
    _write(files.page, _page(summary, files))
    return files


def _page(summary: NightSummary, files: SummaryFiles) -> str:
    """Fill the page."""
    columns = next((one.reporting.columns for one in summary.listed), ())
    rows = [(one.extraction, cells(one.reporting.columns, one.extraction)) for one in summary.listed]
    report = files.page.parent.parent
    whole = next((name for name in (f"{summary.night}.html", "index.html") if (report / name).is_file()), "")
    return render(
        "summary.html",
        page=files.page,
        summary=summary,
        columns=columns,
        rows=rows,
        pictures={raw: path.name for raw, path in files.pictures.items()},
        small={raw: path.name for raw, path in files.small.items()},
        tables=[path.name for path in files.tables],
        whole=whole,
    )


class _Drawn:
    """The pictures of a folder and what each shows; those that nobody asked for any more go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now: dict[str, str] = {}
        try:
            self._before: dict[str, Any] = json.loads((folder / _DRAWN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._before = {}

    def picture(self, name: str, one: Listed, draw: Any) -> Path:
        """Return a picture, drawn now unless it shows the same already."""
        path, digest = self._folder / name, _digest(one)
        if self._before.get(name) != digest or not path.is_file():
            _write(path, png(draw(one)))
        self._now[name] = digest
        return path

    def close(self) -> None:
        """Remove what is not shown any more, and keep in mind what is."""
        for name in self._before.keys() - self._now.keys():
            (self._folder / Path(name).name).unlink(missing_ok=True)
        _write(self._folder / _DRAWN, json.dumps(self._now, indent=1))


def _said(one: Listed) -> list[tuple[str, str]]:
    """Return what a picture says in words: what does not change when it is sent."""
    still = replace(one.extraction, sent=Sent())
    columns = one.reporting.columns
    return [(column.title, cell) for column, cell in zip(columns, cells(columns, still), strict=True) if cell]


def _digest(one: Listed) -> str:
    content = [DRAWING, *(f"{name}={value}" for name, value in _said(one)), *(made.sha256 for made in one.products)]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def _spectrum(one: Listed) -> ProductRecord | None:
    return one.product("SPECTRUM", "SPECTRUM_UNCAL")


def _read(product: ProductRecord | None, noun: type[Any]) -> Any:
    return read_product(product.path, noun) if product is not None and holds(product.path, noun) else None


def _one_page(one: Listed) -> Figure:
    it = one.extraction
    return one_page(
        f"{it.object}   {it.night}   {it.raw}",
        _said(one),
        _target(one),
        spectra=_read(one.product("SPECTRA"), Spectra),
        fit=_read(one.product("PSF_FIT"), PointSourceFit),
        spectrum=_read(_spectrum(one), Spectrum),
        typed=_read(one.product("CLASSIFICATION"), SpectralType),
    )


def _target(one: Listed) -> Target:
    """Return the verdict as it stands in the ledger."""
    it = one.extraction
    nan = float("nan")
    x, y, x_error, y_error = (
        nan if (value := it.number(key)) is None else value for key in ("XPOS", "YPOS", "XPOSERR", "YPOSERR")
    )
    return Target(
        object=it.object,
        quality=int(it.number("QUALITY") or 0),
        reason=it.text("REASON"),
        x=x,
        y=y,
        x_error=x_error,
        y_error=y_error,
        source_position=it.text("SRCPOS"),
    )


def _thumbnail(one: Listed) -> Figure:
    return thumbnail(_read(_spectrum(one), Spectrum))


def _write(path: Path, content: str | bytes) -> None:
    """Write a file so that none is ever seen half."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(path)
