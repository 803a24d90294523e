"""A night, or one extraction, as a message to a channel: a line, a narrow table, and where to look.

The marks are those of Slack (``*bold*``, fences, ``<address|text>``), which other servers with incoming webhooks take.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tracecube.report.extractions import Listed, NightSummary
from tracecube.report.text_tables import aligned

__all__ = ["extraction_message", "night_message"]

_LONGEST = 3500  # characters: a message of Slack should have 4000 at most

Message = dict[str, Any]


def night_message(summary: NightSummary, pages: str | None = None) -> Message:
    """Return what is said of a night.

    Parameters
    ----------
    summary : NightSummary
    pages : str, optional
        Address under which others see the folder ``report``.
    """
    head = f"*{_plain(', '.join(summary.instruments))} {summary.night}*: {_plain(summary.headline)}"
    notes = [_plain(f"not done: {problem}") for problem in summary.problems]
    if summary.under_way:
        notes.append("the reduction is under way or was cut short")
    if pages:
        notes.append(f"<{pages}/{quote(summary.night)}/summary.html|page of the night>")
    return {"text": _cut([head], _table(summary.listed), notes)}


def extraction_message(summary: NightSummary, raw: str, said: str, pages: str | None = None) -> Message:
    """Return what is said of one extraction, with its picture where others can see it.

    Parameters
    ----------
    summary : NightSummary
    raw : str
        Name of its raw file.
    said : str
        What became of it, in a few words.
    pages : str, optional
        Address under which others see the folder ``report``.
    """
    mine = [one for one in summary.listed if one.extraction.raw == raw]
    head = [f"*{_plain(raw)}* {_plain(one.extraction.object)}: {_plain(said)}" for one in mine]
    if not pages or not mine:
        return {"text": _cut(head, _table(mine), [])}
    address = f"{pages}/{quote(summary.night)}/{quote(mine[0].reporting.picture(mine[0].extraction))}"
    picture = {"fallback": mine[0].extraction.object, "image_url": address}
    return {"text": _cut(head, _table(mine), [f"<{address}|picture>"]), "attachments": [picture]}


def _table(listed: list[Listed] | tuple[Listed, ...]) -> list[str]:
    """Return the lines of a table, that of each way of reporting under the other."""
    lines: list[str] = []
    ways = {id(one.reporting): one.reporting for one in listed}
    for key, reporting in ways.items():
        mine = [one.extraction for one in listed if id(one.reporting) == key]
        lines += [_plain(line) for line in aligned(reporting.message or reporting.columns, mine)]
    return lines


def _plain(text: str) -> str:
    """Return a text in which nothing is taken for a mark of the server."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")


def _cut(head: list[str], rows: list[str], notes: list[str]) -> str:
    """Return a text of bearable length: rows and notes are left out, and it says how many."""
    left = _LONGEST - sum(map(len, head))
    shown, count = _fitting(notes, left // 3)
    notes = [*shown, *([f"and {count} more"] if count else [])]
    kept, count = _fitting(rows, left - sum(len(one) + 1 for one in notes))
    table = ["```", *kept, *([f"... and {count} more"] if count else []), "```"] if kept else []
    return "\n".join([*head, *table, *notes])


def _fitting(lines: list[str], room: int) -> tuple[list[str], int]:
    """Return the first lines that fit, and how many do not."""
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept, len(lines) - len(kept)
