"""SPHERE-IFS: the high-contrast lenslet spectrograph of the Very Large Telescope."""

from __future__ import annotations

from tracecube.core.instrument import Instrument, Simulate
from tracecube.instruments.sphere_ifs import master_cubes
from tracecube.instruments.sphere_ifs.classify import RAW_TAGS, classify, recognises
from tracecube.instruments.sphere_ifs.eso_layout import FORMS
from tracecube.instruments.sphere_ifs.namesakes import PRESETS
from tracecube.instruments.sphere_ifs.workflow import workflow

__all__ = ["instrument"]


def _simulator() -> Simulate:
    """Return the function that simulates a night."""
    from tracecube.instruments.sphere_ifs.simulate import simulate  # noqa: PLC0415 - not wanted for planning

    return simulate


instrument = Instrument(
    name="sphere_ifs",
    title="SPHERE-IFS, high-contrast lenslet spectrograph of the Very Large Telescope",
    recognises=recognises,
    classify=classify,
    raw_tags=RAW_TAGS,
    workflow=workflow,
    exports={"eso": FORMS, "master_cubes": master_cubes.FORMS},
    simulator=_simulator,
    presets=PRESETS,
)
