"""MUSE: 24 image-slicer spectrographs at the VLT."""

from __future__ import annotations

from tracecube.core.instrument import Instrument, Simulate
from tracecube.instruments.muse.classify import RAW_TAGS, classify, recognises
from tracecube.instruments.muse.eso_layout import FORMS
from tracecube.instruments.muse.workflow import workflow

__all__ = ["instrument"]


def _simulator() -> Simulate:
    """Return the function that simulates a night."""
    from tracecube.instruments.muse.simulate import simulate  # noqa: PLC0415 - not wanted for planning

    return simulate


instrument = Instrument(
    name="muse",
    title="MUSE, 24 image-slicer spectrographs at the VLT",
    recognises=recognises,
    classify=classify,
    raw_tags=RAW_TAGS,
    workflow=workflow,
    exports={"eso": FORMS},
    simulator=_simulator,
)
