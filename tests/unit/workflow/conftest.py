"""Small workflows and files for the tests of the engine's parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pydantic import Field

from tracecube.archive.records import RawRecord
from tracecube.core.fields import Meta
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.instrument import Classification, Instrument
from tracecube.core.params import Params
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Image
from tracecube.core.workflow import Association, Main, Match, Task, Workflow
from tracecube.workflow.discover import Found


class FlatParams(Params):
    order: int = Field(2, description="order", ge=0, alias="obs.flat.order")
    names: tuple[str, ...] = ("a",)
    note: str = "x"
    limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class BiasOut(Outputs):
    master_bias: Frame


@dataclass(frozen=True, kw_only=True)
class FlatOut(Outputs):
    flat: Image
    extra: Image | None = None


@dataclass(frozen=True, kw_only=True)
class ScienceOut(Outputs):
    cube: Image


NO_PARAMS = Params()
FLAT_PARAMS = FlatParams()


def plain_image(value: float, meta: Meta) -> Image:
    data = np.full((2, 2), value)
    return Image(data=data, variance=data, flags=np.zeros((2, 2), np.int32), meta=meta)


@recipe(version="3")
def make_bias(*, raw: Sequence[RawFrame], params: Params = NO_PARAMS) -> BiasOut:
    """Average."""
    data = np.mean([frame.data for frame in raw], axis=0)
    return BiasOut(master_bias=Frame(data, data, np.zeros(data.shape, np.int32)))


@recipe(version="1")
def make_flat(*, lamps: Sequence[RawFrame], master_bias: Frame, params: FlatParams = FLAT_PARAMS) -> FlatOut:
    """Divide."""
    return FlatOut(flat=plain_image(params.order, lamps[0].meta))


@recipe(version="1")
def make_cube(
    *, frame: RawFrame, flat: Image, guide: RawFrame | None = None, params: Params = NO_PARAMS
) -> ScienceOut:  # fmt: skip
    """Build."""
    return ScienceOut(cube=plain_image(1.0, frame.meta))


SAME = (Match(0, same=("night", "speed")), Match(1, same=("speed",), days=(-3, 3)))

BIAS = Task("bias", make_bias, Main("raw", ("BIAS",), ("night", "speed"), minimum=2), targets=("calibration",))
FLAT = Task(
    "flat",
    make_flat,
    Main("lamps", ("HG", "XE"), ("night",), require=("HG", "XE")),
    (Association("master_bias", ("MASTER_BIAS",), SAME, hint="take biases"),),
    targets=("calibration",),
    tags={"extra": "GHOSTS"},
)
CUBE = Task(
    "cube",
    make_cube,
    Main("frame", ("SCIENCE",)),
    (
        Association("flat", ("FLAT",), SAME, hint="take lamps"),
        Association("guide", ("GUIDE",), (Match(0, during=True),), minimum=0),
    ),
    targets=("science",),
)


def make_instrument(*tasks: Task, name: str = "small") -> Instrument:
    return Instrument(
        name=name,
        title="small",
        recognises=lambda _, header: header.get("INSTRUME") == name,
        classify=lambda _, header: Classification(str(header["TAG"]), {"night": "2020-01-01"}, 1.0),
        raw_tags={"BIAS": "", "HG": "", "XE": "", "SCIENCE": "", "GUIDE": ""},
        workflow=Workflow(tasks or (CUBE, FLAT, BIAS)),
    )


@pytest.fixture
def small() -> Found:
    """Three tasks, in the wrong order."""
    return Found("nowhere:instrument", make_instrument())


@pytest.fixture
def instrument_of() -> Callable[..., Instrument]:
    return make_instrument


@pytest.fixture
def raw() -> Callable[..., RawRecord]:
    """Make classified raw files by tag, name and time (days)."""

    def make(
        tag: str, name: str, mjd: float, *, night: str = "2020-01-01", speed: float = 0.1, **more: Any
    ) -> RawRecord:
        return RawRecord(
            path=f"/raw/{name}.fits",
            name=name,
            size=1,
            mtime_ns=1,
            sha256=more.pop("sha256", f"sha-{name}"),
            header={},
            instrument=more.pop("instrument", "small"),
            tag=tag,
            setup={"night": night, "speed": speed},
            mjd=mjd,
            night=night,
            **more,
        )

    return make


@pytest.fixture
def whole_night(raw) -> list[RawRecord]:
    """Everything that one cube needs."""
    return [
        raw("BIAS", "b0", 0.0),
        raw("BIAS", "b1", 0.01),
        raw("HG", "hg", 0.1),
        raw("XE", "xe", 0.11),
        raw("SCIENCE", "s0", 0.5, exptime=1000.0, object="M31"),
        raw("GUIDE", "g0", 0.505),
    ]
