"""An instrument whose recipes do nothing, to see what the engine costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracecube.archive.records import RawRecord
from tracecube.core.fields import Meta
from tracecube.core.frame import RawFrame
from tracecube.core.instrument import Classification, Instrument
from tracecube.core.params import Params
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Image
from tracecube.core.workflow import Association, Main, Match, Task, Workflow
from tracecube.workflow.discover import Found

NIGHTS = 10


@dataclass(frozen=True, kw_only=True)
class ZeroOutputs(Outputs):
    zero: Image


@dataclass(frozen=True, kw_only=True)
class OneOutputs(Outputs):
    one: Image


def _image(meta: Meta) -> Image:
    nothing = np.zeros((2, 2), np.float32)
    return Image(data=nothing, variance=nothing, flags=np.zeros((2, 2), np.int32), meta=meta)


@recipe(version="1")
def make_zero(*, frames: Sequence[RawFrame], params: Params = Params()) -> ZeroOutputs:
    """Make nothing of a group."""
    return ZeroOutputs(zero=_image(frames[0].meta))


@recipe(version="1")
def make_one(*, frame: RawFrame, zero: Image, params: Params = Params()) -> OneOutputs:
    """Make nothing of a frame."""
    return OneOutputs(one=_image(frame.meta))


def classify(_name: str, header: Meta) -> Classification:
    return Classification(str(header["KIND"]), {"night": header["NIGHT"]}, float(str(header["MJD"])))


LADDER = (Match(0, same=("night",)), Match(1, days=(-30, 30)))

instrument = Instrument(
    name="noop",
    title="nothing",
    recognises=lambda _name, header: header.get("INSTRUME") == "NOOP",
    classify=classify,
    raw_tags={"ZERO": "group", "ONE": "each"},
    workflow=Workflow(
        (
            Task("zero", make_zero, Main("frames", ("ZERO",), ("night",)), tags={"zero": "MASTER_ZERO"}),
            Task(
                "one",
                make_one,
                Main("frame", ("ONE",)),
                (Association("zero", ("MASTER_ZERO",), LADDER),),
                targets=("science",),
                tags={"one": "MADE_ONE"},
            ),
        )
    ),
)


def installed() -> dict[str, Found]:
    return {"noop": Found("noop:instrument", instrument)}


def write_frames(folder: Path, count: int) -> Path:
    """Write frames of a few bytes: one group a night, and the rest single frames."""
    folder.mkdir(parents=True)
    for i in range(count):
        kind = "ZERO" if i < NIGHTS else "ONE"
        cards = {
            "INSTRUME": "'NOOP    '",
            "KIND": f"'{kind:8}'",
            "NIGHT": f"'2021-04-{i % NIGHTS + 1:02d}'",
            "MJD": repr(59000 + i / 97),
        }
        head = [
            f"{key:8}= {value:>20}"
            for key, value in {"SIMPLE": "T", "BITPIX": "8", "NAXIS": "1", "NAXIS1": "4", **cards}.items()
        ]
        text = "".join(card.ljust(80) for card in [*head, "END"])
        (folder / f"f{i:06d}.fits").write_bytes(text.ljust(2880).encode() + i.to_bytes(4, "big").ljust(2880, b"\0"))
    return folder


def records(count: int) -> list[RawRecord]:
    """Return classified frames of many nights, without files."""
    nights = max(1, count // 100)
    return [
        RawRecord(
            path=f"/raw/f{i}.fits",
            name=f"f{i}",
            size=1,
            mtime_ns=1,
            sha256=f"{i:064x}",
            header={},
            instrument="noop",
            tag="ZERO" if i < nights else "ONE",
            setup={"night": f"n{i % nights}"},
            mjd=59000.0 + i % nights + i / count / 2,
            night=f"n{i % nights}",
        )
        for i in range(count)
    ]
