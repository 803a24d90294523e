"""Cubes of exposures: what they lack is said."""

from __future__ import annotations

from tracecube.instruments.muse.object_steps import _lacking


def test_detectors_without_light_in_an_exposure_are_named() -> None:
    assert _lacking(("CHAN03", "CHAN01"), ("CHAN01", "CHAN03")) == ()
    [said] = _lacking(("CHAN02",), ("CHAN01", "CHAN02", "CHAN03"))
    assert said.startswith("no CHAN01, CHAN03 in this exposure")
