"""Draws of each test are its own, whatever ran before it."""

from __future__ import annotations

import pytest

from tests.unit.instruments.muse.small_products import RNG

_START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def own_draws():
    RNG.bit_generator.state = _START
