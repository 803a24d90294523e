"""The toy spectrograph, whose stars a person may extract differently."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field
from toyspec import instrument as toy

from tracecube.core.by_hand import ByHand
from tracecube.core.errors import NoConvergence
from tracecube.core.frame import RawFrame
from tracecube.core.params import Params
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Image, Spectra
from tracecube.core.target import Target
from tracecube.core.text import TextFile
from tracecube.core.workflow import Main, Task, Workflow

WAVE = np.linspace(4000.0, 9000.0, 12)


class HandParams(Params):
    """What a person may set."""

    centroid_x: float | None = None
    centroid_y: float | None = None
    region: tuple[tuple[float, float], ...] | None = None
    exclude: tuple[int, ...] = ()
    aperture: float | None = Field(None, gt=0)
    recovered: bool = False
    tag: str = "robot"
    reviewer: str = "auto"


@dataclass(frozen=True, kw_only=True)
class SpectraOutputs(Outputs):
    spectra: Spectra


@dataclass(frozen=True, kw_only=True)
class HandOutputs(Outputs):
    target: Target
    spectrum_uncal: Image
    note: TextFile


@recipe(version="1")
def toy_spaxels(*, exposure: RawFrame, params: Params = Params()) -> SpectraOutputs:
    """Put some light into a hexagon of lenslets."""
    q, r = (index.ravel() for index in np.mgrid[-6:7, -6:7])
    x, y = 0.64 * (q + r / 2), 0.64 * r * np.sqrt(0.75)
    light = 10 + 900 * np.exp(-((x - 1) ** 2) - y**2)[:, None] + 0 * WAVE + exposure.data[0, :12] / 100
    none = np.zeros(light.shape, np.int32)
    return SpectraOutputs(
        spectra=Spectra(
            light, light, none, 0 * light, WAVE, WAVE / 200, np.arange(x.size), x, y, none[:, 0], meta=exposure.meta
        )
    )


@recipe(version="1")
def toy_by_hand(*, exposure: RawFrame, params: HandParams = HandParams()) -> HandOutputs:
    """Find a star: without a guider, so that its quality is 5 until a person says more."""
    if params.aperture == 13:
        raise NoConvergence("an unlucky aperture", hint="another")
    manual = params.centroid_x is not None
    quality = 0 if manual else 1 if params.recovered else 5
    x, y = (params.centroid_x, params.centroid_y) if manual else (1.0, 0.0)
    value = 1.0 + len(params.exclude) + (params.aperture or 0.0) + (x or 0.0)
    image = exposure.data * value
    meta = {**exposure.meta, "QUALITY": quality, "EXTRTAG": params.tag, "REDUCER": params.reviewer}
    name = f"spec_auto_{params.tag}_{exposure.name}"
    meta |= {"RAWNAME": exposure.name, "SPECNAME": name, "PICTNAME": name.replace("spec", "verify", 1)}
    return HandOutputs(
        target=Target(
            str(exposure.meta["OBJECT"]), quality, f"code {quality}", float(x or 0), float(y or 0), 0.1, 0.1,
            "manual" if manual else "auto", meta=meta,
        ),
        spectrum_uncal=Image(image, np.abs(image) + 1, np.zeros(image.shape, np.int32), meta=meta),
        note=TextFile(f"quality {quality} by {params.reviewer}\n", name=name),
    )  # fmt: skip


instrument = replace(
    toy,
    by_hand=ByHand(tasks=("star",), recoverable=5, reviewer=("TOY_USER",)),
    workflow=Workflow(
        tasks=(
            Task("spaxels", toy_spaxels, Main("exposure", ("SCIENCE",)), targets=("science",)),
            Task("star", toy_by_hand, Main("exposure", ("SCIENCE",)), targets=("science",)),
        )
    ),
)
