"""An illumination flat of another temperature is told."""

from __future__ import annotations

from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.exposure_steps import _warmth


def frame(name: str, degree: float | None) -> RawFrame:
    cards = {} if degree is None else {"ESO INS TEMP7 VAL": degree, "ESO INS TEMP11 VAL": degree + 0.2}
    return RawFrame(name, "ILLUM", cards, {}, {})


def test_a_flat_that_is_warmer_than_the_exposure_is_named() -> None:
    [said] = _warmth(frame("illum", 12.0), frame("object0", 7.5))
    assert said.startswith("illum: taken 4.5 degrees warmer than the exposure")
    [said] = _warmth(frame("illum", 5.0), frame("object0", 7.5))
    assert "2.5 degrees colder" in said


def test_a_flat_of_the_night_and_cards_that_are_absent_are_no_reason() -> None:
    assert not _warmth(frame("illum", 8.4), frame("object0", 8.0))
    assert not _warmth(frame("illum", 12.0), frame("object0", None))
    assert not _warmth(None, frame("object0", 8.0))
