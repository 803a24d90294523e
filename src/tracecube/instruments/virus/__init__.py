"""VIRUS: 78 fibre-fed spectrograph units of the Hobby-Eberly Telescope."""

from __future__ import annotations

from tracecube.core.instrument import Instrument, Simulate
from tracecube.instruments.virus.classify import RAW_TAGS, classify, recognises
from tracecube.instruments.virus.export import FORMS
from tracecube.instruments.virus.workflow import workflow

__all__ = ["instrument"]


def _simulator() -> Simulate:
    """Return the function that simulates a night."""
    from tracecube.instruments.virus.simulate import simulate  # noqa: PLC0415 - not wanted for planning

    return simulate


instrument = Instrument(
    name="virus",
    title="VIRUS, fibre-fed spectrograph units of the Hobby-Eberly Telescope",
    recognises=recognises,
    classify=classify,
    raw_tags=RAW_TAGS,
    workflow=workflow,
    simulator=_simulator,
    exports=FORMS,
)
