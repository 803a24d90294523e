"""Where SEDM's lenslets look: numbers of the night log's instrument section."""

from __future__ import annotations

from tracecube.core.optics import Layout
from tracecube.recipes.optics.layout import SkyGuess, hexagonal_layout
from tracecube.recipes.optics.traces import Traced

__all__ = ["SEDM_SKY", "sedm_layout"]

SEDM_SKY = SkyGuess(
    pitch=0.640,  # arcsec between lenslets [night log]; pysedm: 2 / sqrt(3) * 0.55 = 0.635
    along_angle=87.0,  # +x of the detector points to position angle 87 degrees, good to 2.5 [night log]
    across_angle=-3.0,
    centre=(1023.5, 1023.5),
)


def sedm_layout(traced: Traced) -> Layout:
    """Place the lenslets of a traced dome flat on the sky."""
    return hexagonal_layout(traced.traces, traced.reference, SEDM_SKY, meta=traced.traces.meta)
