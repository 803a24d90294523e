"""A spectrograph that exists only here: five short recipes in the shape of a real cascade."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData, NoConvergence
from tracecube.core.fields import Meta
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.instrument import Classification, Instrument
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Image
from tracecube.core.target import Target
from tracecube.core.workflow import Association, Main, Match, Task, Workflow
from tracecube.kernels import forward  # noqa: F401 - as real recipes do; must not slow planning down

SAME = (Match(0, same=("night", "speed")), Match(1, same=("speed",), days=(-7, 7)))
NEAR = (Match(0, same=("night",)), Match(2, days=(-7, 7)))


class BiasParams(Params):
    """Parameters of the bias."""

    clip: float = Field(5.0, description="clipping limit, sigma", gt=0, alias="toy.bias.clip")
    pause: float = Field(0.0, description="seconds to dawdle", ge=0)


class LampParams(Params):
    """Parameters of the lamp."""

    order: int = Field(2, description="order of the polynomial", ge=0)
    pause: float = Field(0.0, description="seconds to dawdle", ge=0)


class StarParams(Params):
    """Parameters of the star."""

    radius: float = Field(3.0, description="extraction radius, px", gt=0)
    weights: tuple[float, ...] = Field((1.0, 2.0), description="weights")
    pause: float = Field(0.0, description="seconds to dawdle", ge=0)


@dataclass(frozen=True, kw_only=True)
class BiasOutputs(Outputs):
    master_bias: Frame


@dataclass(frozen=True, kw_only=True)
class LampOutputs(Outputs):
    trace: Image


@dataclass(frozen=True, kw_only=True)
class StarOutputs(Outputs):
    target: Target
    spectrum_uncal: Image | None


@dataclass(frozen=True, kw_only=True)
class ResponseOutputs(Outputs):
    response: Image


@dataclass(frozen=True, kw_only=True)
class FluxOutputs(Outputs):
    spectrum: Image


def _image(data: Any, meta: Meta) -> Image:
    values = np.asarray(data, dtype=np.float64)
    return Image(data=values, variance=np.abs(values) + 1, flags=np.zeros(values.shape, np.int32), meta=meta)


@recipe(version="1")
def toy_bias(*, biases: Sequence[RawFrame], params: BiasParams = BiasParams()) -> BiasOutputs:
    """Average the biases."""
    time.sleep(params.pause)
    stack = np.array([raw.data for raw in biases], dtype=np.float64)
    if stack.max() > 60000:
        raise BadData(f"{biases[0].name}: saturated", hint="leave it out")
    mean = stack.mean(axis=0)
    return BiasOutputs(
        master_bias=Frame(mean, np.ones_like(mean), np.zeros(mean.shape, np.int32)),
        quality=(QualityNumber("READ NOISE", float(stack.std() / params.clip), "electron", low=0.0),),
    )


@recipe(version="1")
def toy_lamp(*, lamps: Sequence[RawFrame], master_bias: Frame, params: LampParams = LampParams()) -> LampOutputs:
    """Find the traces."""
    time.sleep(params.pause)
    data = np.mean([raw.data for raw in lamps], axis=0) - master_bias.data
    return LampOutputs(trace=_image(data**params.order, lamps[0].meta))


@recipe(version="1")
def toy_star(
    *,
    exposure: RawFrame,
    master_bias: Frame,
    trace: Image,
    guide: RawFrame | None = None,
    catalogue: RawFrame | None = None,
    params: StarParams = StarParams(),
) -> StarOutputs:
    """Extract a star; an empty field has none."""
    time.sleep(params.pause)
    name = str(exposure.meta["OBJECT"])
    if name == "KILLER":
        os.kill(os.getpid(), 9)
    if name == "FAINT":
        raise NoConvergence(f"{exposure.name}: no star found", hint="look at the guide frame")
    if name == "FAULT":
        raise ZeroDivisionError("division by zero")
    data = (exposure.data - master_bias.data) * params.radius + trace.data.mean()
    found = None if name == "EMPTY" else _image(data, exposure.meta)
    nan = float("nan")
    verdict = Target(
        object=name,
        quality=3 if found is None else 0,
        reason="target outside the field" if found is None else "good",
        x=nan, y=nan, x_error=nan, y_error=nan, source_position="manual",
    )  # fmt: skip
    caveats = () if guide else ("no guide frame",)
    stars = 0 if catalogue is None else len(next(iter(catalogue.tables.values()))["ra"])
    return StarOutputs(
        target=verdict,
        spectrum_uncal=found,
        quality=(QualityNumber("FLEXURE DX", 0.25, "pix"), QualityNumber("NSTAR", float(stars))),
        caveats=caveats,
    )


@recipe(version="1")
def toy_response(*, stars: Sequence[Image], params: Params = Params()) -> ResponseOutputs:
    """Average the standards."""
    return ResponseOutputs(response=_image(np.mean([star.data for star in stars], axis=0), {}))


@recipe(version="1")
def toy_flux(*, star: Image, response: Image, params: Params = Params()) -> FluxOutputs:
    """Divide."""
    return FluxOutputs(spectrum=_image(star.data / (response.data + 1e6), star.meta))


def recognises(name: str, header: Meta) -> bool:
    """Whether the file is a toy's."""
    return header.get("INSTRUME") == "TOY" or (header.get("FILETYPE") == "table" and "ra" in str(header["COLUMNS"]))


def classify(name: str, header: Meta) -> Classification:
    """Give the tag."""
    if header.get("FILETYPE") == "table":
        return Classification("CATALOGUE", {"night": None})
    for card in ("KIND", "SPEED", "EXPTIME"):
        if header.get(card) is None:
            raise BadData(f"{name}: no card {card}", hint=f"repair the card {card} of this file")
    return Classification(
        tag=str(header["KIND"]),
        setup={"night": header["NIGHT"], "speed": header["SPEED"]},
        mjd=float(header["MJD-OBS"]),  # type: ignore[arg-type]
        exptime=float(header["EXPTIME"]),  # type: ignore[arg-type]
        object=str(header["OBJECT"]) if header.get("OBJECT") else None,
    )


def _associated(argument: str, tag: str, hint: str) -> Association:
    return Association(argument, (tag,), SAME, hint=hint)


workflow = Workflow(
    tasks=(
        Task(
            "flux",
            toy_flux,
            Main("star", ("SPECTRUM_UNCAL",)),
            (Association("response", ("RESPONSE",), NEAR, hint="observe a standard star"),),
            targets=("science",),
        ),
        Task("bias", toy_bias, Main("biases", ("BIAS",), ("night", "speed"), minimum=2), targets=("calibration",)),
        Task(
            "lamp",
            toy_lamp,
            Main("lamps", ("LAMP",), ("night", "speed"), require=("LAMP",)),
            (_associated("master_bias", "MASTER_BIAS", "take biases of this speed"),),
            targets=("calibration",),
            params={"order": 3},
        ),
        Task(
            "star",
            toy_star,
            Main("exposure", ("SCIENCE", "STANDARD")),
            (
                _associated("master_bias", "MASTER_BIAS", "take biases of this speed"),
                _associated("trace", "TRACE", "take a lamp"),
                Association("guide", ("GUIDE",), (Match(0, during=True),), minimum=0),
                Association("catalogue", ("CATALOGUE",), (Match(0),), minimum=0),
            ),
        ),
        Task(
            "response",
            toy_response,
            Main("stars", ("SPECTRUM_UNCAL",), ("night",), where={"raw_tag": ("STANDARD",)}),
        ),
    ),
)

instrument = Instrument(
    name="toy",
    title="a spectrograph that exists only in tests",
    recognises=recognises,
    classify=classify,
    raw_tags={"BIAS": "no light", "LAMP": "lamp", "SCIENCE": "target", "STANDARD": "standard", "GUIDE": "guider"},
    workflow=workflow,
)
