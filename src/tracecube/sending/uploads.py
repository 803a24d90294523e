"""Spectra to the server of a survey: what may go, what went, and each but once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from tracecube.archive.ledger import Ledger
from tracecube.archive.sendings import UploadRecord, begin_upload, end_upload, made_again, upload_of
from tracecube.core.errors import MissingInput, TracecubeError
from tracecube.core.headers import MJD_EPOCH
from tracecube.core.reporting import Annotation, Extraction, Publishing
from tracecube.io.text import read_text
from tracecube.report.extractions import Listed, NightSummary
from tracecube.sending.config import SkyPortalSettings
from tracecube.sending.http import Refused, Unanswered, Unauthorised
from tracecube.sending.skyportal import Delivered, SkyPortal, Upload

__all__ = ["Planned", "Step", "plan_uploads", "send_uploads"]

_IN_A_ROW = 2  # failures of spectra, after which the server and not the spectrum is at fault


@dataclass(frozen=True)
class Planned:
    """An extraction of the survey with what would be sent of it.

    Parameters
    ----------
    extraction : Extraction
    reason : str
        Why nothing is sent; empty when it may be.
    upload : Upload or None
    annotations : tuple of Annotation
    product : str
        sha256 of the product that it is made from.
    lost : bool
        It may be sent, but its product cannot be read.
    """

    extraction: Extraction
    reason: str
    upload: Upload | None = None
    annotations: tuple[Annotation, ...] = ()
    product: str = ""
    lost: bool = False


@dataclass(frozen=True)
class Step:
    """One spectrum or annotation and what became of it, or would.

    Parameters
    ----------
    name : str
        File name of a spectrum, origin of an annotation.
    state : str
        "held back", "to send", "sent", "sent before", "was there", "refused", "failed", or "waiting".
    reached : bool
        The server answered, or was not asked.
    """

    object: str
    raw: str
    kind: str
    name: str
    state: str
    reason: str = ""
    url: str = ""
    reached: bool = True

    @property
    def good(self) -> bool:
        """Whether nothing is left to do or to look at."""
        return self.state not in {"refused", "failed", "waiting"}


def plan_uploads(summary: NightSummary, settings: SkyPortalSettings, *, objects: Collection[str] = ()) -> list[Planned]:
    """Return the survey's objects of a night with what may be sent of each.

    Parameters
    ----------
    summary : NightSummary
    settings : SkyPortalSettings
    objects : collection of str
        Only these; all when empty.

    Raises
    ------
    MissingInput
        An object is none of the survey's of this night, or the server's number of the instrument is not known.
    """
    found = [planned for one in summary.listed if (planned := _planned(one, settings)) is not None]
    names = {one.extraction.object for one in found}
    unknown = [name for name in objects if name not in names]
    if unknown:
        hint = f"there is {', '.join(sorted(names))}" if names else "there is none at all"
        raise MissingInput(f"{summary.night}: {', '.join(unknown)}: not among the survey's objects", hint=hint)
    return [one for one in found if not objects or one.extraction.object in objects]


def _planned(one: Listed, settings: SkyPortalSettings) -> Planned | None:
    it, publishing = one.extraction, one.reporting.publishing
    if publishing is None or it.standard or not publishing.lists(it.object):
        return None
    text = one.product(publishing.tag)
    reason = publishing.held_back(it) or ("" if text else "no spectrum")
    if reason or text is None:
        return Planned(it, reason)
    if it.mjd is None:
        return Planned(it, "no time of observation")
    try:
        written = publishing.text(read_text(text.path).text)
    except TracecubeError as error:  # made again at this moment, or damaged: the others go
        return Planned(it, error.what, lost=True)
    upload = Upload(
        object=it.object,
        filename=publishing.filename(it),
        text=written,
        observed_at=_middle(it.mjd, it.exptime),
        instrument_id=_instrument(publishing, settings),
        columns=publishing.columns,
        group_ids=tuple(dict.fromkeys((*settings.group_ids, *settings.programs.get(publishing.program(it), ())))),
        followup_request_id=settings.followup_requests.get(it.object),
    )
    return Planned(it, "", upload, publishing.annotations(it, written), text.sha256)


def _middle(mjd: float, exptime: float | None) -> str:
    """Return the middle of an exposure as ISO 8601, UTC: what the server calls observed_at is the median time."""
    stamp = MJD_EPOCH + timedelta(days=mjd, seconds=(exptime or 0.0) / 2.0, microseconds=500)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}"


def _instrument(publishing: Publishing, settings: SkyPortalSettings) -> int:
    """Return the server's number of the instrument."""
    number = settings.instrument_id or publishing.instrument_ids.get(settings.hostname)
    if number is None:
        hint = "set instrument_id in section [skyportal]; the server lists its instruments under api/instrument"
        raise MissingInput(f"{settings.url}: its number of the instrument is not known", hint=hint)
    return number


def send_uploads(
    ledger: Ledger, planned: Sequence[Planned], portal: SkyPortal, *, send: bool, again: bool = False
) -> Iterator[Step]:
    """Send what may be sent and was not yet; without ``send`` say what would be.

    Parameters
    ----------
    ledger : Ledger
        Whose lock this process holds when it sends: see `tracecube.sending.lock.only_sender`.
    planned : sequence of Planned
    portal : SkyPortal
    send : bool
    again : bool
        Ask once more about what the server refused.

    Yields
    ------
    Step
        What fails keeps none of the others, but after a server that is not there, or that fails with two spectra
        in a row, the rest is ``waiting``.

    Raises
    ------
    Unauthorised
        The server does not know the token.
    MissingInput
        There is no token.
    """
    failures = 0
    if send and any(one.upload for one in planned):
        portal.server  # noqa: B018 - without a token that is said before anything is begun
    for one in planned:
        it = one.extraction
        if one.upload is None:
            yield Step(it.object, it.raw, "spectrum", "", "failed" if one.lost else "held back", one.reason)
            continue
        silent = failures >= _IN_A_ROW
        steps = list(_steps(ledger, one, one.upload, portal, send=send and not silent, again=again))
        for step in steps:
            waits = silent and step.state == "to send"
            yield replace(step, state="waiting", reason="the server does not answer") if waits else step
        failures = _failures(failures, steps)


def _failures(before: int, steps: Sequence[Step]) -> int:
    """Return how many spectra in a row failed; as many as end it when the server is not there."""
    if any(not step.reached for step in steps):
        return _IN_A_ROW
    states = {step.state for step in steps}
    if "failed" in states:
        return before + 1
    return 0 if states & {"sent", "was there", "refused"} else before


def _steps(
    ledger: Ledger, one: Planned, upload: Upload, portal: SkyPortal, *, send: bool, again: bool
) -> Iterator[Step]:
    """Send a spectrum, then what is said beside it."""
    content = _hash(upload.object, upload.samples)
    record = _record(one, portal, "spectrum", content, upload.filename)
    step, remote = _sent_once(
        ledger, record, lambda: portal.put_spectrum(upload), portal.page(upload.object), send=send, again=again
    )
    yield step
    for annotation in one.annotations:
        record = _record(
            one, portal, "annotation", _hash(content, annotation.origin, dict(annotation.data)), annotation.origin
        )
        if remote is None:
            state = "to send" if step.state == "to send" else "waiting"
            yield replace(step, kind="annotation", name=annotation.origin, state=state, reason="", url="")
            continue
        put = _Annotate(portal, remote, annotation)
        yield _sent_once(ledger, record, put, portal.page(upload.object), send=send, again=again)[0]


@dataclass(frozen=True)
class _Annotate:
    """Set an annotation of a spectrum."""

    portal: SkyPortal
    spectrum: str
    annotation: Annotation

    def __call__(self) -> Delivered:
        """Set it."""
        return self.portal.put_annotation(self.spectrum, self.annotation)


def _sent_once(
    ledger: Ledger, record: UploadRecord, put: Any, url: str, *, send: bool, again: bool
) -> tuple[Step, str | None]:
    """Send something unless the ledger says that it was sent or refused; return also its number on the server."""
    before = upload_of(ledger, record.server, record.kind, record.content)
    step = Step(record.object, record.raw, record.kind, record.name, "to send")
    if before is not None and before.state == "sent":
        if send and before.product != record.product:
            made_again(ledger, before.id, record.product)
        return replace(step, state="sent before", url=before.url or ""), before.remote
    if before is not None and before.state == "refused" and not again:
        return replace(step, state="refused", reason=before.remark or ""), None
    if not send:
        return step, None
    number = begin_upload(ledger, record)
    try:
        found: Delivered = put()
    except Unauthorised as error:
        end_upload(ledger, number, "failed", remark=error.what)
        raise
    except Refused as error:
        end_upload(ledger, number, "refused", remark=error.what)
        return replace(step, state="refused", reason=error.what), None
    except Unanswered as error:
        end_upload(ledger, number, "failed", remark=error.what)
        return replace(step, state="failed", reason=error.what, reached=error.reached), None
    remark = "was on the server" if found.was_there else None
    end_upload(ledger, number, "sent", remote=found.remote, url=url, remark=remark)
    return replace(step, state="was there" if found.was_there else "sent", url=url), found.remote


def _record(one: Planned, portal: SkyPortal, kind: str, content: str, name: str) -> UploadRecord:
    it = one.extraction
    return UploadRecord(
        server=portal.settings.url,
        kind=kind,
        content=content,
        product=one.product,
        object=it.object,
        raw=it.raw,
        night=it.night,
        name=name,
    )


def _hash(*parts: object) -> str:
    """Return the hash of what is sent."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
