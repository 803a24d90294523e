"""SEDM's lenslets on the sky plane."""

from __future__ import annotations

from tracecube.core.optics import Layout
from tracecube.recipes.optics.hexagons import SkyGuess, layout_from_traces
from tracecube.recipes.optics.traces import Traced

__all__ = ["SEDM_SKY", "sedm_layout"]

SEDM_SKY = SkyGuess(
    # Lenslets are 0.640 arcsec apart on the sky [observing log]; pysedm's 0.55-0.558 arcsec a unit are
    # 0.635-0.644 arcsec between centres, 2 / sqrt(3) units.
    pitch=0.640,
    # +x of the detector points to position angle 87 degrees, +y to -3, good to 2.5 degrees [observing log];
    # what is left is measured on the sky.
    angle=87.0,
    # The field is centred on the detector; its exact centre is where the guider says, measured on standards.
    centre=(1023.5, 1023.5),
)


def sedm_layout(traced: Traced) -> Layout:
    """Return the places of the traced lenslets, x to the east and y to the north of the field centre."""
    return layout_from_traces(traced.traces, traced.reference, SEDM_SKY)
