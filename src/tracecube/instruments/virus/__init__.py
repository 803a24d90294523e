"""VIRUS: 78 fibre-fed spectrograph units of the Hobby-Eberly Telescope."""

from __future__ import annotations

from tracecube.core.instrument import Instrument
from tracecube.instruments.virus.classify import RAW_TAGS, classify, recognises
from tracecube.instruments.virus.export import FORMS
from tracecube.instruments.virus.workflow import workflow

__all__ = ["instrument"]

instrument = Instrument(
    name="virus",
    title="VIRUS, fibre-fed spectrograph units of the Hobby-Eberly Telescope",
    recognises=recognises,
    classify=classify,
    raw_tags=RAW_TAGS,
    workflow=workflow,
    exports=FORMS,
)
