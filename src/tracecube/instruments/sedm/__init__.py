"""The SED Machine: a low-resolution lenslet spectrograph for classifying transients."""

from __future__ import annotations

from tracecube.core.by_hand import ByHand
from tracecube.core.instrument import Instrument, Simulate
from tracecube.instruments.sedm.classify import RAW_TAGS, classify, recognises
from tracecube.instruments.sedm.quality import REASONS
from tracecube.instruments.sedm.reporting import reporting
from tracecube.instruments.sedm.workflow import workflow

__all__ = ["instrument"]


def _simulator() -> Simulate:
    """Return the function that simulates a night."""
    from tracecube.instruments.sedm.simulate import simulate  # noqa: PLC0415 - not wanted for planning

    return simulate


instrument = Instrument(
    name="sedm",
    title="SED Machine, lenslet spectrograph of Palomar's 60-inch and Kitt Peak's 2.1-metre telescopes",
    recognises=recognises,
    classify=classify,
    raw_tags=RAW_TAGS,
    workflow=workflow,
    simulator=_simulator,
    first_night=True,
    quality_reasons=REASONS,
    reporting=reporting,
    by_hand=ByHand(tasks=("extract_star", "extract_standard"), recoverable=5, reviewer=("TRACECUBE_USER", "SEDM_USER")),
)
