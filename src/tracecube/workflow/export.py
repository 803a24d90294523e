"""Products written out in the layouts of an observatory's own pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import find_product, job_of, products
from tracecube.archive.records import JobRecord, ProductRecord
from tracecube.core.errors import MissingInput, TracecubeError
from tracecube.core.fields import PER_PRODUCT, Scalar
from tracecube.core.foreign import ForeignFile, ForeignStream, Form, GatheredForm, JobForm
from tracecube.core.frame import RawFrame
from tracecube.core.instrument import Instrument
from tracecube.workflow.call import arguments_of
from tracecube.workflow.discover import Found
from tracecube.workflow.rerun import found_again
from tracecube.workflow.settings import near

__all__ = ["Exported", "export"]

Cards = dict[str, Scalar | tuple[Scalar, str]]


@dataclass(frozen=True)
class Exported:
    """One file that was written, or was not.

    Parameters
    ----------
    category : str
    source : ProductRecord
        The product that it holds.
    path : Path or None
    reason : str
        Why there is no file.
    """

    category: str
    source: ProductRecord
    path: Path | None
    reason: str = ""


def export(
    ledger: Ledger, folder: Path, layout: str, instruments: Mapping[str, Found], *, names: Sequence[str] = ()
) -> Iterator[Exported]:
    """Write the current products of an output folder in the layout of an observatory.

    Parameters
    ----------
    ledger : Ledger
    folder : Path
        Files go into a sub-folder a night; those of an earlier call are overwritten.
    layout : str
    instruments : mapping of str to Found
    names : sequence of str
        Only these categories, or files of products of these tags; all when empty.

    Yields
    ------
    Exported
        One for each file, also of a product that could not be arranged: then with the reason.

    Raises
    ------
    MissingInput
        No instrument has this layout, or none of its kinds has such a name.
    """
    having = {name: found.instrument for name, found in instruments.items() if layout in found.instrument.exports}
    if not having:
        known = {name for found in instruments.values() for name in found.instrument.exports}
        raise MissingInput(f"no instrument writes files in the layout {layout!r}", hint=near(layout, known))
    forms = {name: one.exports[layout] for name, one in having.items()}
    known = {word for some in forms.values() for form in some for word in (form.category, form.tag)}
    for word in names:
        if word not in known:
            raise MissingInput(f"layout {layout} has no file of the kind {word!r}", hint=near(word, known))
    return _files(ledger, folder.expanduser().resolve(), having, forms, names)


def _files(
    ledger: Ledger,
    folder: Path,
    having: Mapping[str, Instrument],
    forms: Mapping[str, Sequence[Form | GatheredForm | JobForm]],
    names: Sequence[str],
) -> Iterator[Exported]:
    current = list(products(ledger))
    written: set[tuple[Scalar, ...]] = set()
    for made in current:
        for form in forms.get(made.instrument, ()):
            if form.tag != made.tag or (names and not {form.category, form.tag} & set(names)):
                continue
            if isinstance(form, JobForm):
                if made.task in form.tasks:
                    yield _of_job(ledger, folder, having[made.instrument], form, made)
                continue
            if isinstance(form, Form):
                yield _exported(ledger, folder, having[made.instrument], form, made)
                continue
            night = (made.night or "") if "night" in form.by else ""
            group = (made.instrument, form.category, night, *form.key(made.setup).values())
            if group not in written:
                written.add(group)
                mine = [one for one in current if one.instrument == made.instrument]
                yield from _gathered(folder / night, form, made, mine)


def _exported(ledger: Ledger, folder: Path, instrument: Instrument, form: Form, made: ProductRecord) -> Exported:
    """Write one file."""
    from tracecube.io.products import read_product  # noqa: PLC0415 - what reads pixels takes long to import

    try:
        wanted = [argument for argument, (_, noun) in form.beside.items() if noun is not RawFrame]
        records = {argument: _beside(ledger, made, form.tags(argument)) for argument in wanted}
        nouns: dict[str, Any] = {
            argument: read_product(record.path, form.beside[argument][1]) for argument, record in records.items()
        }
        tables = form.beside.keys() - set(wanted)
        nouns |= {argument: _table(ledger, made, form.tags(argument)) for argument in tables}
        file = form.arrange(read_product(made.path, form.noun), **nouns)
    except TracecubeError as error:
        return Exported(form.category, made, None, str(error))
    path = _path(folder, form.category, made)
    _write(path, file, _cards(instrument, made, records.get(form.numbers_of, made)))
    return Exported(form.category, made, path)


def _of_job(ledger: Ledger, folder: Path, instrument: Instrument, form: JobForm, made: ProductRecord) -> Exported:
    """Write one file of what the job of a product was given."""
    job, task = job_of(ledger, made.job_id), next(one for one in instrument.workflow.tasks if one.name == made.task)
    try:
        inputs = tuple(found_again(ledger, one) for one in job.inputs)
        params = task.recipe.params.model_validate(dict(job.params))
        file = form.arrange(params, **arguments_of(task.recipe, inputs))
    except TracecubeError as error:
        return Exported(form.category, made, None, str(error))
    path = _path(folder, form.category, made)
    _write(path, file, _cards(instrument, made, made))
    return Exported(form.category, made, path)


def _path(folder: Path, category: str, made: ProductRecord) -> Path:
    name = Path(made.path).name.removesuffix(".fits").removesuffix(f"_{made.tag}")
    return folder / (made.night or "") / f"{name}_{category}.fits"


def _write(path: Path, file: ForeignFile, cards: Cards) -> None:
    """Write a file, and only then give it its name."""
    from tracecube.io.foreign import write_foreign  # noqa: PLC0415 - what writes pixels takes long to import

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    write_foreign(part, file, cards=cards)
    part.replace(path)


@dataclass(frozen=True)
class _Nouns:
    """Products of one kind, read one at a time as they are gone through."""

    records: Sequence[ProductRecord]
    noun: type

    def __iter__(self) -> Iterator[Any]:
        from tracecube.io.products import read_product  # noqa: PLC0415

        return (read_product(record.path, self.noun) for record in self.records)


def _gathered(
    folder: Path, form: GatheredForm, made: ProductRecord, current: Sequence[ProductRecord]
) -> Iterator[Exported]:
    """Write a file of many products, or those that they are split into."""
    from tracecube.io.foreign import write_stream  # noqa: PLC0415

    key = form.key(made.setup)
    nights = {None, made.night} if "night" in form.by else {one.night for one in current}
    mine = [one for one in current if one.night in nights and form.gathered(key, one.setup)]
    parts = {
        name: _Nouns(sorted((one for one in mine if one.tag == tag), key=lambda one: Path(one.path).name), noun)
        for name, (tag, noun) in form.parts.items()
    }
    hashes = sorted(one.data_sha256 for some in parts.values() for one in some.records)
    cards: Cards = {"PRODSHA": (sha256("".join(hashes).encode()).hexdigest(), "hash of the hashes of what is in here")}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for own, file in form.arranged(key, parts):
            path = folder / form.name(own)
            if isinstance(file, ForeignStream):
                write_stream(path, file, cards=cards)
            else:
                _write(path, file, cards)
            yield Exported(form.category, made, path)
    except TracecubeError as error:
        yield Exported(form.category, made, None, str(error))


def _nearest_first(ledger: Ledger, made: ProductRecord) -> Iterator[tuple[JobRecord, list[ProductRecord]]]:
    """Yield the job of a product, then those of all that went into it, each with the products that it was given."""
    waiting, seen = [made.job_id], {made.job_id}
    while waiting:
        job = job_of(ledger, waiting.pop(0))
        found = [find_product(ledger, sha256=one.sha256) for one in job.inputs if not one.raw]
        given = [one for one in found if one is not None]
        yield job, given
        further = [one.job_id for one in given if one.job_id not in seen]
        seen.update(further)
        waiting.extend(dict.fromkeys(further))


def _beside(ledger: Ledger, made: ProductRecord, tags: tuple[str, ...]) -> ProductRecord:
    """Return a product of the same job, or of the nearest that went into it, else a current one made from these.

    Raises
    ------
    MissingInput
        There is none, or a later run replaced it.
    """
    for job, given in _nearest_first(ledger, made):
        own = [one for one in job.products if one.tag in tags and job.id == made.job_id]
        if own:
            return own[0]
        for one in given:
            if one.tag in tags:
                if not one.current:
                    raise MissingInput(
                        f"the {one.tag} it was made with was replaced", hint="run `tracecube reduce` again"
                    )
                return one
    later = _made_from(ledger, made, tags)
    if later is not None:
        return later
    raise MissingInput(f"no {' or '.join(tags)} went into it", hint="reduce with the calibrations of the night")


def _made_from(ledger: Ledger, made: ProductRecord, tags: tuple[str, ...]) -> ProductRecord | None:
    """Return the current product of these tags whose job took this one, or another of the same job."""
    own = {one.sha256 for one in job_of(ledger, made.job_id).products}
    for one in products(ledger):
        if one.tag in tags and own & {given.sha256 for given in job_of(ledger, one.job_id).inputs}:
            return one
    return None


def _table(ledger: Ledger, made: ProductRecord, tags: tuple[str, ...]) -> RawFrame:
    """Read the raw file of these tags, a table of the observatory for example, that went into a product or its makers.

    Raises
    ------
    MissingInput
        There is none.
    """
    from tracecube.io.raw import read_raw  # noqa: PLC0415 - what reads pixels takes long to import

    for job, _ in _nearest_first(ledger, made):
        for one in job.inputs:
            if one.raw and one.tag in tags:
                return read_raw(one.path, one.tag, plane=one.plane, extension=one.extension)
    raise MissingInput(f"no {' or '.join(tags)} went into it", hint="reduce with the tables of the observatory")


def _cards(instrument: Instrument, made: ProductRecord, measured: ProductRecord) -> Cards:
    """Return where the file comes from, and the quality numbers of ``measured`` under the observatory's names."""
    cards: Cards = {key: value for key, value in made.header.items() if PER_PRODUCT.fullmatch(key) and "QC " not in key}
    cards["PRODSHA"] = (made.data_sha256, "content hash of the product that this file holds")
    namesake = next((task.namesake for task in instrument.workflow.tasks if task.name == measured.task), None)
    for name, number in measured.qc.items():
        if namesake is not None and any(fnmatchcase(name, pattern) for pattern in namesake.quality):
            unit = f"[{number['unit']}]" if number["unit"] else ""
            cards[f"{namesake.quality_prefix} {name}"] = (number["value"], unit)
    return cards
