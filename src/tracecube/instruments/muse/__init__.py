"""MUSE: 24 image-slicer spectrographs at the VLT."""

from __future__ import annotations

from tracecube.core.instrument import Instrument
from tracecube.instruments.muse.classify import RAW_TAGS, classify, recognises
from tracecube.instruments.muse.eso_layout import FORMS
from tracecube.instruments.muse.simulate import simulate
from tracecube.instruments.muse.workflow import workflow

__all__ = ["instrument"]

instrument = Instrument(
    name="muse",
    title="MUSE, 24 image-slicer spectrographs at the VLT",
    recognises=recognises,
    classify=classify,
    raw_tags=RAW_TAGS,
    workflow=workflow,
    exports={"eso": FORMS},
    simulate=simulate,
)
