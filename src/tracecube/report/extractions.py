"""The extractions of a night as the ledger knows them: verdict, spectrum, classification and upload in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.archive.records import PlannedRecord, ProductRecord
from tracecube.archive.sendings import UploadRecord, uploads
from tracecube.core.errors import MissingInput
from tracecube.core.fields import PER_PRODUCT, Scalar
from tracecube.core.reporting import Extraction, Publishing, Reporting, Sent

__all__ = ["Listed", "NightSummary", "gather_summary", "nights_of"]

_OUTPUT = "target"  # field of a recipe's outputs that holds a verdict
_ENDED = {"done", "reused", "skipped"}


@dataclass(frozen=True)
class Listed:
    """An extraction with the products of its exposure, and how its observatory reports it."""

    extraction: Extraction
    products: tuple[ProductRecord, ...]
    reporting: Reporting

    def product(self, *tags: str) -> ProductRecord | None:
        """Return the newest product of the first of these tags that there is."""
        for tag in tags:
            found = [product for product in self.products if product.tag == tag]
            if found:
                return max(found, key=lambda product: product.job_id)
        return None


@dataclass(frozen=True)
class NightSummary:
    """What is told of a night.

    Parameters
    ----------
    night : str
    instruments : tuple of str
    listed : tuple of Listed
        By time.
    problems : tuple of str
        Jobs that did not come to their end, and caveats.
    planned : bool
        The last run planned jobs of this night; else it is not known which did not come to their end.
    under_way : bool
        The last run has not ended.
    """

    night: str
    instruments: tuple[str, ...]
    listed: tuple[Listed, ...]
    problems: tuple[str, ...]
    planned: bool
    under_way: bool

    @property
    def extractions(self) -> list[Extraction]:
        """All extractions by time."""
        return [one.extraction for one in self.listed]

    @property
    def notes(self) -> list[str]:
        """What is said below the tables: jobs that did not come to their end."""
        if not self.planned:
            return ["which jobs did not come to their end is not known: the last run was of other nights"]
        return [f"not done: {problem}" for problem in self.problems] or ["all jobs came to their end"]

    @property
    def headline(self) -> str:
        """The night in a line."""
        science = [one for one in self.extractions if not one.standard]
        standards = len(self.extractions) - len(science)
        parts = [_counted(len(science), "target"), _counted(standards, "standard")]
        parts += [
            f"{sum(one.text('QUALITY') == code for one in science)} of quality {code}" for code in _codes(science)
        ]
        types = [one.text("CLSTYPE") for one in science if one.text("CLSTYPE")]
        parts += [f"{types.count(kind)} {kind}" for kind in sorted(set(types))]
        states = [one.sent.state for one in science if one.sent.state]
        parts += [f"{states.count(state)} {_TOLD.get(state, state)}" for state in sorted(set(states))]
        return ", ".join(parts)


_TOLD = {"sent": "uploaded", "waiting": "not yet uploaded", "held back": "held back from upload"}
_TOLD |= {"refused": "refused by the server", "failed": "to be uploaded again", "changed": "changed since the upload"}
_TOLD |= {"unclear": "of unclear upload"}


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _codes(extractions: Sequence[Extraction]) -> list[str]:
    return sorted({one.text("QUALITY") for one in extractions if one.text("QUALITY")})


def nights_of(ledger: Ledger, reportings: Mapping[str, Reporting]) -> list[str]:
    """Return the nights with an extraction of an instrument that reports, by date."""
    return queries.nights_with(ledger, _OUTPUT, list(reportings))


def gather_summary(
    ledger: Ledger, reportings: Mapping[str, Reporting], night: str | None = None, *, server: str | None = None
) -> NightSummary:
    """Return what is to be told of a night.

    Parameters
    ----------
    ledger : Ledger
    reportings : mapping of str to Reporting
        By instrument.
    night : str, optional
        The last one when left out.
    server : str, optional
        Address of the survey's server: what went to another one does not count. Any counts when left out.

    Raises
    ------
    MissingInput
        There is no such night, or none at all.
    """
    nights = nights_of(ledger, reportings)
    if not nights:
        hint = "reduce a night of an instrument whose observatory has a report"
        raise MissingInput(f"{ledger.folder}: no extraction to report here", hint=hint)
    chosen = nights[-1] if night is None else night
    if chosen not in nights:
        raise MissingInput(f"{ledger.folder}: no extraction of night {night}", hint=f"there is {', '.join(nights)}")
    own = [one for one in queries.products(ledger, night=chosen) if one.instrument in reportings]
    run = queries.last_run(ledger)
    planned = [job for job in queries.planned_of(ledger, run.id) if job.night == chosen] if run else []
    sent = uploads(ledger, night=chosen, server=server)
    listed = [_listed(ledger, verdict, own, reportings, sent) for verdict in _newest(_verdicts(own, reportings))]
    listed.sort(key=lambda one: (one.extraction.mjd or 0.0, one.extraction.raw))
    return NightSummary(
        night=chosen,
        instruments=tuple(sorted({one.instrument for one in own})),
        listed=tuple(listed),
        problems=tuple(_problems(planned)),
        planned=bool(planned),
        under_way=run is not None and run.finished is None,
    )


def _verdicts(made: Sequence[ProductRecord], reportings: Mapping[str, Reporting]) -> list[ProductRecord]:
    return [one for one in made if one.output == _OUTPUT and one.raw and one.instrument in reportings]


def _newest(verdicts: Sequence[ProductRecord]) -> list[ProductRecord]:
    """Return the last verdict on each exposure."""
    return list({(one.instrument, one.raw): one for one in sorted(verdicts, key=lambda one: one.job_id)}.values())


def _problems(planned: Sequence[PlannedRecord]) -> list[str]:
    return [
        f"{job.task} {job.name}: {job.state}{': ' + job.reason if job.reason else ''}"
        for job in planned
        if job.state not in _ENDED
    ]


def _listed(
    ledger: Ledger,
    verdict: ProductRecord,
    own: Sequence[ProductRecord],
    reportings: Mapping[str, Reporting],
    sent: Sequence[UploadRecord],
) -> Listed:
    """Return the extraction of a verdict."""
    reporting = reportings[verdict.instrument]
    products = tuple(one for one in own if one.raw == verdict.raw and one.instrument == verdict.instrument)
    cards: dict[str, Scalar] = {}
    for product in [*sorted(products, key=lambda one: one.job_id), verdict]:
        cards |= {key: value for key, value in product.header.items() if value is not None and not _own(key)}
    numbers = {name: number["value"] for product in [*products, verdict] for name, number in product.qc.items()}
    bare = Extraction(
        object=str(verdict.header.get("TARGET") or verdict.object or ""),
        raw=verdict.raw or "",
        night=verdict.night or "",
        mjd=verdict.mjd,
        exptime=verdict.exptime,
        standard=verdict.setup.get("raw_tag") == "STANDARD",
        cards=cards,
        numbers=numbers,
    )
    listed = Listed(bare, products, reporting)
    spectrum = listed.product("SPECTRUM")
    calibration = _calibration(ledger, spectrum) if spectrum else ""
    found = _sent(listed, reporting.publishing, [one for one in sent if one.raw == verdict.raw])
    return replace(listed, extraction=replace(bare, calibration=calibration, sent=found))


def _own(key: str) -> bool:
    """Whether a card is of one product alone."""
    return PER_PRODUCT.fullmatch(key) is not None


def _calibration(ledger: Ledger, spectrum: ProductRecord) -> str:
    """Return the night of the response that a spectrum was calibrated with."""
    used = [given for given in queries.job_of(ledger, spectrum.job_id).inputs if given.tag == "RESPONSE"]
    found = queries.find_product(ledger, path=used[0].path) if used else None
    return (found.night or "") if found else ""


def _sent(listed: Listed, publishing: Publishing | None, records: Sequence[UploadRecord]) -> Sent:
    """Return what became of an extraction on the survey's server."""
    it = listed.extraction
    if publishing is None or it.standard or not publishing.lists(it.object):
        return Sent()
    spectra = [one for one in records if one.kind == "spectrum" and one.object == it.object]
    url = next((one.url for one in reversed(spectra) if one.state == "sent" and one.url), "")
    text = listed.product(publishing.tag)
    reason = publishing.held_back(it) or ("" if text else "no spectrum")
    if reason or text is None:
        return Sent("held back", url, reason)
    same = [one for one in spectra if one.product == text.sha256]
    if not same:
        return Sent("changed" if url else "waiting", url)
    if same[-1].state == "sent":
        return _with_annotations(url, same[-1], [one for one in records if one.product == text.sha256])
    return Sent("unclear" if same[-1].state == "sending" else same[-1].state, url, same[-1].remark or "")


def _with_annotations(url: str, spectrum: UploadRecord, records: Sequence[UploadRecord]) -> Sent:
    """Return what became of a spectrum that is there: whether all that is said beside it is there too."""
    beside = {one.name: one for one in records if one.kind == "annotation" and one.object == spectrum.object}
    missing = [one for one in beside.values() if one.state != "sent"]
    if not missing:
        return Sent("sent", url, spectrum.remark or "")
    return Sent("incomplete", url, "; ".join(f"{one.name}: {one.remark or one.state}" for one in missing))
