"""What left the machine, or was about to: uploads, notices and messages in the ledger.

A row is written as ``sending`` before the first byte goes out, and is given its end after the other side answered. A
row that is still ``sending`` when nobody sends was cut short in between: what it stands for may have arrived.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from tracecube.archive import tables
from tracecube.archive.ledger import Ledger, now

__all__ = [
    "UNSURE",
    "MessageRecord",
    "NoticeRecord",
    "UploadRecord",
    "begin_message",
    "begin_notice",
    "begin_upload",
    "end_message",
    "end_notice",
    "end_upload",
    "made_again",
    "messages",
    "notices",
    "standing",
    "upload_of",
    "uploads",
]


Sent = TypeVar("Sent", "MessageRecord", "NoticeRecord")
UNSURE = frozenset({"sending", "unclear"})
"""States of what may have arrived, and may not."""


@dataclass(frozen=True, kw_only=True)
class UploadRecord:
    """One spectrum or annotation and what became of it on a server.

    Parameters
    ----------
    server : str
        Address.
    kind : {"spectrum", "annotation"}
    content : str
        Hash of samples or of what is said, and of the object; with server and kind, what is sent once.
    product : str
        sha256 of the product that it was made from.
    object, raw, night : str
    name : str
        File name of a spectrum, origin of an annotation.
    state : {"sending", "sent", "refused", "failed"}
        Refused: the server will not have it; failed: to be tried again.
    remote, url : str or None
        Number on the server, and the page where it is seen.
    remark : str or None
    attempts : int
    """

    server: str
    kind: str
    content: str
    product: str
    object: str
    raw: str
    night: str
    name: str
    state: str = "sending"
    remote: str | None = None
    url: str | None = None
    remark: str | None = None
    attempts: int = 0
    started: str = ""
    finished: str | None = None
    id: int = 0


@dataclass(frozen=True, kw_only=True)
class NoticeRecord:
    """One mail about a night and what became of it.

    Parameters
    ----------
    night : str
    message : str
        Its Message-ID.
    recipients : tuple of str
    state : {"sending", "sent", "failed", "unclear"}
        Unclear: the connection broke after the text had gone out and before the server answered.
    remark : str or None
    """

    night: str
    message: str
    recipients: tuple[str, ...]
    state: str = "sending"
    remark: str | None = None
    started: str = ""
    finished: str | None = None
    id: int = 0


@dataclass(frozen=True, kw_only=True)
class MessageRecord:
    """One message to a channel and what became of it.

    Parameters
    ----------
    night : str
    raw : str
        Exposure that it is about; empty: the whole night.
    server : str
        Host; the address of a channel is a secret.
    text : str
    state : {"sending", "sent", "failed", "unclear"}
        As of a notice.
    remark : str or None
    """

    night: str
    raw: str
    server: str
    text: str
    state: str = "sending"
    remark: str | None = None
    started: str = ""
    finished: str | None = None
    id: int = 0


def uploads(ledger: Ledger, *, night: str | None = None, server: str | None = None) -> list[UploadRecord]:
    """Return the uploads, of a night or all, to a server or any, in the order in which they were begun."""
    query = sa.select(tables.upload).order_by(tables.upload.c.started, tables.upload.c.id)
    if night is not None:
        query = query.where(tables.upload.c.night == night)
    if server is not None:
        query = query.where(tables.upload.c.server == server)
    return [UploadRecord(**row) for row in _rows(ledger, tables.upload, query)]


def upload_of(ledger: Ledger, server: str, kind: str, content: str) -> UploadRecord | None:
    """Return what is known of this content on this server."""
    column = tables.upload.c
    query = sa.select(tables.upload).where(column.server == server, column.kind == kind, column.content == content)
    return next((UploadRecord(**row) for row in _rows(ledger, tables.upload, query)), None)


def begin_upload(ledger: Ledger, about: UploadRecord) -> int:
    """Note that it is about to be sent, once more or for the first time; return its number."""
    column = tables.upload.c
    same = (column.server == about.server) & (column.kind == about.kind) & (column.content == about.content)
    fresh = {"state": "sending", "started": now(), "finished": None, "remark": None}
    with ledger.engine.begin() as connection:
        number = connection.execute(sa.select(column.id).where(same)).scalar()
        if number is None:
            row = {name: getattr(about, name) for name in _UPLOAD_FIELDS}
            key = connection.execute(sa.insert(tables.upload).values(**{**row, **fresh, "attempts": 1}))
            number = key.inserted_primary_key[0] if key.inserted_primary_key else 0
        else:
            again = {**fresh, "product": about.product, "name": about.name, "attempts": column.attempts + 1}
            connection.execute(sa.update(tables.upload).where(same).values(**again))
    _to_disk(ledger)
    return int(number)


def end_upload(
    ledger: Ledger,
    number: int,
    state: str,
    *,
    remote: str | None = None,
    url: str | None = None,
    remark: str | None = None,
) -> None:
    """Note what became of an upload."""
    values = {"state": state, "remote": remote, "url": url, "remark": remark, "finished": now()}
    with ledger.engine.begin() as connection:
        connection.execute(sa.update(tables.upload).where(tables.upload.c.id == number).values(**values))


def made_again(ledger: Ledger, number: int, product: str) -> None:
    """Note that another product holds the same content: what it was sent for stays sent."""
    with ledger.engine.begin() as connection:
        connection.execute(sa.update(tables.upload).where(tables.upload.c.id == number).values(product=product))


def notices(ledger: Ledger, night: str) -> list[NoticeRecord]:
    """Return the mails about a night, oldest first."""
    query = sa.select(tables.notice).where(tables.notice.c.night == night).order_by(tables.notice.c.id)
    found = _rows(ledger, tables.notice, query)
    return [NoticeRecord(**{**row, "recipients": tuple(row["recipients"])}) for row in found]


def begin_notice(ledger: Ledger, night: str, message: str, recipients: Sequence[str]) -> int:
    """Note that a mail is about to be sent; return its number."""
    row = {"night": night, "message": message, "recipients": list(recipients), "state": "sending", "started": now()}
    with ledger.engine.begin() as connection:
        key = connection.execute(sa.insert(tables.notice).values(**row)).inserted_primary_key
    _to_disk(ledger)
    return int(key[0]) if key else 0


def end_notice(ledger: Ledger, number: int, state: str, remark: str | None = None) -> None:
    """Note what became of a mail."""
    values = {"state": state, "remark": remark, "finished": now()}
    with ledger.engine.begin() as connection:
        connection.execute(sa.update(tables.notice).where(tables.notice.c.id == number).values(**values))


def messages(ledger: Ledger, night: str, raw: str | None = "") -> list[MessageRecord]:
    """Return the messages about a night, about one of its exposures, or (None) about either, oldest first."""
    column = tables.message.c
    query = sa.select(tables.message).where(column.night == night).order_by(column.id)
    if raw is not None:
        query = query.where(column.raw == raw)
    return [MessageRecord(**row) for row in _rows(ledger, tables.message, query)]


def begin_message(ledger: Ledger, about: MessageRecord) -> int:
    """Note that a message is about to be sent; return its number."""
    row = {name: getattr(about, name) for name in ("night", "raw", "server", "text")}
    with ledger.engine.begin() as connection:
        new = sa.insert(tables.message).values(**row, state="sending", started=now())
        key = connection.execute(new).inserted_primary_key
    _to_disk(ledger)
    return int(key[0]) if key else 0


def end_message(ledger: Ledger, number: int, state: str, remark: str | None = None) -> None:
    """Note what became of a message."""
    values = {"state": state, "remark": remark, "finished": now()}
    with ledger.engine.begin() as connection:
        connection.execute(sa.update(tables.message).where(tables.message.c.id == number).values(**values))


_UPLOAD_FIELDS = [item.name for item in tables.upload.columns if item.name not in {"id", "attempts"}]


def _rows(ledger: Ledger, table: sa.Table, query: sa.Select[Any]) -> list[dict[str, Any]]:
    """Return the rows of a query; none from an older ledger in a folder that cannot be written, and so not migrated."""
    with ledger.engine.connect() as connection:
        if not sa.inspect(connection).has_table(table.name):
            return []
        return [dict(row) for row in connection.execute(query).mappings()]


def _to_disk(ledger: Ledger) -> None:
    """Bring the embedded database's journal to the disk: after a power cut, too, what was begun is known to be."""
    if ledger.engine.dialect.name != "sqlite":
        return
    journal = Path(f"{ledger.engine.url.database}-wal")
    if journal.is_file():
        with journal.open("rb") as file:
            os.fsync(file.fileno())


def standing(found: Sequence[Sent]) -> Sent | None:
    """Return the mail or message that counts: the last one sent, else the last unsure one, else one that failed."""
    for states in ({"sent"}, UNSURE, {"failed"}):
        chosen = [one for one in found if one.state in states]
        if chosen:
            return chosen[-1]
    return None
