"""What a recipe says of its inputs, also where several recipes share them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tracecube.core.optics import TraceSet
from tracecube.core.params import Params
from tracecube.core.pixels import BadPixels, Master
from tracecube.core.recipe import Inputs, Outputs, recipe


@pytest.fixture
def small_master() -> Master:
    zero = np.zeros((2, 2), np.float32)
    return Master(zero, zero.astype(np.int32), zero, zero, zero)


@dataclass(frozen=True, kw_only=True)
class Shared(Inputs):
    """Given to several."""

    dark: Master
    bad: BadPixels | None = None


@dataclass(frozen=True, kw_only=True)
class Made(Outputs):
    """One number."""

    dark: Master


@recipe(version="1")
def gathered(*, traces: TraceSet | None = None, shared: Shared, params: Params) -> Made:
    """Give the dark back."""
    said = ("bad pixels given",) if shared.bad is not None else ()
    return Made(dark=shared.dark, caveats=said)


def test_fields_of_shared_inputs_are_inputs_of_the_recipe() -> None:
    told = [(one.name, one.noun, one.optional) for one in gathered.inputs]
    assert told == [("traces", TraceSet, True), ("dark", Master, False), ("bad", BadPixels, True)]
    assert gathered.name == "gathered"
    assert gathered.text == "Give the dark back."


def test_shared_inputs_are_put_together(small_master: Master) -> None:
    assert gathered(dark=small_master, params=Params()).dark is small_master
    flags = BadPixels(small_master.flags)
    assert gathered(dark=small_master, bad=flags, params=Params()).caveats == ("bad pixels given",)
