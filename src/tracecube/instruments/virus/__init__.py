"""VIRUS: 78 fibre-fed spectrograph units of the Hobby-Eberly Telescope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tracecube.core.frame import RawFrame
from tracecube.core.instrument import Instrument
from tracecube.instruments.virus.classify import RAW_TAGS, classify, recognises
from tracecube.instruments.virus.export import FORMS
from tracecube.instruments.virus.workflow import workflow

__all__ = ["instrument"]


def _simulate(**choices: Any) -> Iterator[RawFrame]:
    """Simulate a night: see `tracecube.instruments.virus.simulate.simulate`."""
    from tracecube.instruments.virus.simulate import simulate  # noqa: PLC0415 - not wanted for planning

    return simulate(**choices)


instrument = Instrument(
    name="virus",
    title="VIRUS, fibre-fed spectrograph units of the Hobby-Eberly Telescope",
    recognises=recognises,
    classify=classify,
    raw_tags=RAW_TAGS,
    workflow=workflow,
    simulate=_simulate,
    exports=FORMS,
)
