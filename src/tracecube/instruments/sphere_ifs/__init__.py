"""SPHERE-IFS: the high-contrast lenslet spectrograph of the Very Large Telescope."""

from __future__ import annotations

from tracecube.core.instrument import Instrument
from tracecube.instruments.sphere_ifs.classify import RAW_TAGS, classify, recognises
from tracecube.instruments.sphere_ifs.workflow import workflow

__all__ = ["instrument"]

instrument = Instrument(
    name="sphere_ifs",
    title="SPHERE-IFS, high-contrast lenslet spectrograph of the Very Large Telescope",
    recognises=recognises,
    classify=classify,
    raw_tags=RAW_TAGS,
    workflow=workflow,
)
