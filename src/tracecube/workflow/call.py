"""Get, call, put: what a worker process does for one job."""

from __future__ import annotations

import io
import logging
import os
import time
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast

from tracecube.archive.hashing import hash_of_file
from tracecube.archive.ledger import now
from tracecube.archive.records import InputRecord
from tracecube.core.errors import TracecubeError
from tracecube.core.fields import Scalar
from tracecube.core.frame import RawFrame
from tracecube.core.recipe import Argument, Outputs, Recipe
from tracecube.core.slices import SliceExposureOnDisk
from tracecube.core.spectra import CubeOnDisk
from tracecube.core.text import TextFile
from tracecube.core.workflow import Task
from tracecube.workflow.discover import load
from tracecube.workflow.items import as_file_name
from tracecube.workflow.memory import forget_peak, give_back, peak_memory
from tracecube.workflow.provenance import provenance_cards, quality_cards, quality_record

__all__ = ["JobCall", "JobResult", "Made", "Noun", "arguments_of", "call_recipe"]

Noun = Any
"""An instance of one of the frozen dataclasses of ``core``."""


@dataclass(frozen=True, kw_only=True)
class JobCall:
    """Everything a worker needs to run one job; paths, never pixels.

    Parameters
    ----------
    reference : str
        Where the instrument is imported from.
    task : str
    params : mapping
    inputs : tuple of InputRecord
    outputs : mapping of str to str
        Output -> path of its product.
    key : str
        Provenance key.
    scratch : str
        Folder on the same file system for files that are not yet whole.
    """

    reference: str
    task: str
    params: Mapping[str, Any]
    inputs: tuple[InputRecord, ...]
    outputs: Mapping[str, str]
    key: str
    scratch: str


@dataclass(frozen=True, kw_only=True)
class Made:
    """A product file as it was written.

    ``object`` is what the product itself says it is of, where a recipe makes several of a kind.
    """

    output: str
    path: str
    sha256: str
    size: int
    data_sha256: str
    header: Mapping[str, Scalar]
    object: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What became of a call.

    Parameters
    ----------
    made : tuple of Made
    qc : mapping
    caveats : tuple of str
    error : str or None
        What went wrong and what to try; None after success.
    log : str
    started : str
    seconds, cpu_seconds : float
    peak_memory : int, byte
        Largest resident size while it ran, what the worker kept of earlier jobs among it; of the worker so far
        where the system does not tell (other than Linux).
    """

    made: tuple[Made, ...] = ()
    qc: Mapping[str, Mapping[str, Any]]
    caveats: tuple[str, ...] = ()
    error: str | None = None
    log: str = ""
    started: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: int = 0


def call_recipe(call: JobCall) -> JobResult:
    """Read the inputs, call the recipe, write its products; a failure is a result, never raised."""
    give_back()
    forget_peak()
    started, wall, cpu = now(), time.perf_counter(), time.process_time()
    done = JobResult(qc={})
    with _recorded() as log:
        try:
            done = _called(call)
        except TracecubeError as error:
            done = replace(done, error=f"{type(error).__name__}: {error}")
            log.write(traceback.format_exc())
        except OSError as error:
            done = replace(done, error=f"{error} (try: check the disk and the rights on the output folder)")
            log.write(traceback.format_exc())
        except Exception as error:  # noqa: BLE001 - a fault in one recipe must not stop the others; it is reported whole
            fault = f"{type(error).__name__}: {error} (a fault in the recipe; try: tracecube status OUT --log)"
            done = replace(done, error=fault)
            log.write(traceback.format_exc())
    return replace(
        done,
        log=log.getvalue(),
        started=started,
        seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
        peak_memory=peak_memory(),
    )


@contextmanager
def _recorded() -> Iterator[io.StringIO]:
    """Collect warnings and log lines."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = lambda message, category, *_: _note(log, message, category)
            yield log
    finally:
        root.removeHandler(handler)


def _note(log: io.StringIO, message: Warning | str, category: type[Warning]) -> None:
    """Write a warning down as one line."""
    log.write(f"{category.__name__}: {message}\n")


def _called(call: JobCall) -> JobResult:
    task = next(task for task in load(call.reference).workflow.tasks if task.name == call.task)
    arguments = arguments_of(task.recipe, call.inputs)
    outputs: Outputs = task.recipe(**arguments, params=task.recipe.params.model_validate(dict(call.params)))
    main = next(given for given in call.inputs if given.main)
    first = arguments[main.role]
    first = first[0] if isinstance(first, Sequence) else first
    made = _put(call, task, outputs, getattr(first, "meta", {}))
    return JobResult(made=made, qc=quality_record(outputs.quality), caveats=tuple(outputs.caveats))


def arguments_of(recipe: Recipe, inputs: tuple[InputRecord, ...]) -> dict[str, Noun]:
    """Read what fills the arguments of a recipe."""
    return {argument.name: _argument(argument, inputs) for argument in recipe.inputs}


def _argument(argument: Argument, inputs: tuple[InputRecord, ...]) -> Noun:
    """Read what fills one argument of the recipe; of several products each when the recipe asks for it."""
    mine = tuple(given for given in inputs if given.role == argument.name)
    if argument.many and argument.noun is not RawFrame:
        return _Unread(mine, argument.noun)
    if argument.many:
        return tuple(_opened(given) for given in mine)
    nouns = tuple(_opened(given) if argument.noun is RawFrame else _noun(given, argument.noun) for given in mine)
    return nouns[0] if nouns else None


def _opened(given: InputRecord) -> RawFrame:
    """Open a raw file: of one with many images the pixels wait until they are asked for."""
    if given.extension is None or given.plane is not None:
        return cast("RawFrame", _noun(given, RawFrame))
    from tracecube.io.unread import open_raw  # noqa: PLC0415 - the reader of pixels takes long to import

    return open_raw(given.path, given.tag, extension=given.extension)


@dataclass(frozen=True)
class _Unread(Sequence[Noun]):
    """Products that are read one at a time: those of a whole field do not fit into memory together.

    Of more than a worker keeps, none is kept, nor what it had: the last would be gone when the first is read again.
    """

    given: tuple[InputRecord, ...]
    noun: type

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return _Unread(self.given[place], self.noun)
        return _noun(self.given[place], self.noun, among=len(self.given))


_KEPT: OrderedDict[str, tuple[Noun, int]] = OrderedDict()
KEEP_BYTES = 256 * 2**20
"""Pixels of products that a worker keeps to hand: two workers of this and a recipe's own arrays stay
below the 2 GB that a night may take."""


def _noun(given: InputRecord, noun: type, among: int = 1) -> Noun:
    """Read a raw file, or a product unless this worker has it to hand; ``among`` as many that are gone through."""
    if noun is RawFrame:
        from tracecube.io.raw import read_raw  # noqa: PLC0415 - the reader of pixels takes long to import

        return read_raw(given.path, given.tag, plane=given.plane, extension=given.extension)
    if noun in {CubeOnDisk, SliceExposureOnDisk}:
        from tracecube.io.slabs import open_cube, open_exposure  # noqa: PLC0415

        return open_cube(given.path) if noun is CubeOnDisk else open_exposure(given.path)
    key = f"{noun.__name__} {given.sha256}"
    if key not in _KEPT:
        from tracecube.io.products import read_product  # noqa: PLC0415

        read: Noun = read_product(given.path, noun)
        size = _bytes_of(read)
        if among * size > KEEP_BYTES:
            _KEPT.clear()
        else:
            _keep(key, read, size)
        return read
    _KEPT.move_to_end(key)
    return _KEPT[key][0]


def _keep(key: str, read: Noun, size: int) -> None:
    """Keep a product to hand, in place of those not used for longest."""
    if size > KEEP_BYTES // 2:
        return
    _KEPT[key] = (read, size)
    while sum(kept for _, kept in _KEPT.values()) > KEEP_BYTES:
        _KEPT.popitem(last=False)


def _bytes_of(noun: Noun) -> int:
    """Return the size of a noun's arrays."""
    return sum(int(getattr(getattr(noun, item.name), "nbytes", 0)) for item in fields(noun))


def _put(call: JobCall, task: Task, outputs: Outputs, meta: Mapping[str, Scalar]) -> tuple[Made, ...]:
    """Write every product beside its final place, sync, and only then give it its name."""
    written: list[tuple[Path, Made]] = []
    quality = quality_cards(outputs.quality, task.namesake)
    tags = task.output_tags()
    for number, (output, label, noun) in enumerate(_products(task, outputs)):
        cards = {**provenance_cards(task, tags[output], call.key, call.inputs), **quality}
        path = Path(call.outputs[output])
        path = path if label is None else path.with_name(f"{path.stem}_{as_file_name(label)}{path.suffix}")
        if isinstance(noun, TextFile) and noun.name:
            path = path.with_name(f"{as_file_name(noun.name)}{path.suffix}")
        temporary = Path(call.scratch) / f"{call.key}-{os.getpid()}-{number}{path.suffix}"
        written.append((temporary, replace(_write(noun, output, path, temporary, cards, meta), object=label)))
    for temporary, made in written:
        _rename(temporary, Path(made.path))
    return tuple(made for _, made in written)


def _products(task: Task, outputs: Outputs) -> Iterator[tuple[str, str | None, Noun]]:
    """Yield output, label among several of its kind, and noun, of every product there is."""
    for output in task.recipe.outputs:
        noun = getattr(outputs, output.name)
        if output.many:
            yield from ((output.name, str(one.object), one) for one in noun)
        elif noun is not None:
            yield output.name, None, noun


def _write(
    noun: Noun,
    output: str,
    path: Path,
    temporary: Path,
    cards: Mapping[str, Scalar | tuple[Scalar, str]],
    meta: Mapping[str, Scalar],
) -> Made:
    from tracecube.io.products import read_cards, write_product  # noqa: PLC0415

    if is_dataclass(noun) and not isinstance(noun, type) and not getattr(noun, "meta", True):
        noun = replace(noun, meta=meta)  # the raw header that it descends from
    data_sha256 = write_product(temporary, noun, cards=cards)
    return Made(
        output=output,
        path=str(path),
        sha256=hash_of_file(temporary),
        size=temporary.stat().st_size,
        data_sha256=data_sha256,
        header=read_cards(temporary) or _values(cards),  # a text holds no cards
    )


def _values(cards: Mapping[str, Scalar | tuple[Scalar, str]]) -> dict[str, Scalar]:
    """Return cards without their comments."""
    return {key: card[0] if isinstance(card, tuple) else card for key, card in cards.items()}


def _rename(temporary: Path, path: Path) -> None:
    """Give a whole file its name, and make the name survive a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
