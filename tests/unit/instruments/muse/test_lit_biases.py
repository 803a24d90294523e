"""Biases with light: they are left out, and named; read noise and structure are those of the others."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.instruments.muse.raw_channel import HIGH, NOISE, WIDE, raw
from tracecube.core.errors import BadData
from tracecube.instruments.muse.detector_steps import BiasParams, master_bias
from tracecube.instruments.muse.exposure import read_noises

LIGHT = np.full((2 * HIGH, 2 * WIDE), 20000.0)


def test_a_flat_among_the_biases_spoils_neither_noise_nor_structure() -> None:
    rng = np.random.default_rng(3)
    night = [raw(rng, name=f"bias{k}") for k in range(4)]
    made = master_bias(raw=[*night, raw(rng, LIGHT, name="flat")], params=BiasParams())
    [said] = made.caveats
    assert said.startswith("flat: ")
    assert "unlike the other biases: light? It is left out" in said
    alone = master_bias(raw=night, params=BiasParams())
    assert read_noises(made.master_bias) == read_noises(alone.master_bias)
    assert np.array_equal(made.master_bias.data, alone.master_bias.data)
    assert all(abs(read_noises(made.master_bias)[k] / NOISE[k] - 1.0) < 0.05 for k in NOISE)


def test_a_faint_leak_of_light_counts_too_and_of_two_the_darker_is_believed() -> None:
    rng = np.random.default_rng(4)
    night = [raw(rng, name=f"bias{k}") for k in range(3)]
    made = master_bias(raw=[*night, raw(rng, 1e-3 * LIGHT, name="leak")], params=BiasParams())
    assert [one.partition(":")[0] for one in made.caveats] == ["leak"]
    with pytest.raises(BadData, match="bias0: one bias cannot tell hits from noise"):
        master_bias(raw=[night[0], raw(rng, LIGHT, name="flat")], params=BiasParams())
