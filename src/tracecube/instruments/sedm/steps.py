"""The recipes of the cascade: instrument-neutral steps with this instrument's detector and constants."""

from __future__ import annotations

from collections.abc import Sequence

from tracecube.core.frame import RawFrame
from tracecube.core.recipe import recipe
from tracecube.instruments.sedm.detectors import detector, read_noise_range
from tracecube.recipes.detector.bias import BiasParams, MasterBias, combine_biases

__all__ = ["master_bias"]

_BIAS = BiasParams()


@recipe(version="1")
def master_bias(*, raw: Sequence[RawFrame], params: BiasParams = _BIAS) -> MasterBias:
    """Combine the biases of one night and readout speed; measure the read noise.

    Frames are brought to one level, hits rejected by the read noise, and the pattern of rows and
    columns kept; the result holds electrons with the pedestal still in it.
    """
    first = min(raw, key=lambda frame: frame.name)
    return combine_biases(
        raw, detector(first.meta, first.name), params, noise_range=read_noise_range(first.meta, first.name)
    )
