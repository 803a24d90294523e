"""SPHERE-IFS: the high-contrast lenslet spectrograph of the Very Large Telescope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tracecube.core.frame import RawFrame
from tracecube.core.instrument import Instrument
from tracecube.instruments.sphere_ifs import master_cubes
from tracecube.instruments.sphere_ifs.classify import RAW_TAGS, classify, recognises
from tracecube.instruments.sphere_ifs.eso_layout import FORMS
from tracecube.instruments.sphere_ifs.namesakes import PRESETS
from tracecube.instruments.sphere_ifs.workflow import workflow

__all__ = ["instrument"]


def _simulate(**choices: Any) -> Iterator[RawFrame]:
    """Simulate a night: see `tracecube.instruments.sphere_ifs.simulate.simulate`."""
    from tracecube.instruments.sphere_ifs.simulate import simulate  # noqa: PLC0415 - not wanted for planning

    return simulate(**choices)


instrument = Instrument(
    name="sphere_ifs",
    title="SPHERE-IFS, high-contrast lenslet spectrograph of the Very Large Telescope",
    recognises=recognises,
    classify=classify,
    raw_tags=RAW_TAGS,
    workflow=workflow,
    exports={"eso": FORMS, "master_cubes": master_cubes.FORMS},
    simulate=_simulate,
    presets=PRESETS,
)
