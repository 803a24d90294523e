"""Twilights that show nothing cost the correction they would have given, never the night."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.optics import Throughput
from tracecube.core.quality import QualityNumber
from tracecube.instruments.sedm.optics_steps import lenslet_flat

ONE = np.ones((1, 3), np.float32)


@pytest.fixture
def flat_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what makes a flat of twilights, by their names; those that begin with bad are saturated."""
    from tracecube.instruments.sedm import exposure
    from tracecube.recipes.detector import calibrate
    from tracecube.recipes.extract import apertures, joint
    from tracecube.recipes.optics import throughput

    dome = Throughput(np.arange(1), np.zeros(1, np.int32), np.ones(1), np.ones((1, 3)), np.ones((1, 3)), np.arange(3.0))

    def measured(raw: RawFrame, *_: Any) -> Any:
        if raw.name.startswith("bad"):
            raise BadData(f"{raw.name}: 40.0 per cent of the pixels are saturated", hint="leave the frame out")
        return SimpleNamespace(extraction=raw.name)

    def lit(sky: str, _: Any, flat: Throughput, *__: Any, **___: Any) -> Any:
        return flat, (QualityNumber(f"SKY {sky}", 1.0, ""),)

    monkeypatch.setattr(exposure, "measure_exposure", measured)
    monkeypatch.setattr(throughput, "illumination", lit)
    monkeypatch.setattr(throughput, "relative_throughput", lambda *_: (dome, ()))
    monkeypatch.setattr(calibrate, "noise_floor", lambda _: 1.0)
    monkeypatch.setattr(apertures, "extract_by", lambda *_, **__: None)
    monkeypatch.setattr(joint, "trace_matrix", lambda *_, **__: None)
    frame = Frame(ONE, ONE, np.zeros((1, 3), np.int32), {})
    rest = {"master_bias": frame, "traces": None, "wavelength": None, "layout": None}

    def make(*names: str) -> Any:
        twilight = [RawFrame(name, "TWILIGHT", {}, {}, {}) for name in names]
        params = lenslet_flat.params()
        return lenslet_flat(master_dome=frame, twilight=twilight, params=params, **rest)

    return make


def test_the_first_good_twilight_counts(flat_of: Any) -> None:
    made = flat_of("dusk", "dawn")
    assert [number.name for number in made.quality] == ["SKY dawn"]
    assert made.caveats == ()


def test_a_bad_twilight_is_named_and_the_next_one_taken(flat_of: Any) -> None:
    made = flat_of("bad_dusk", "dawn")
    assert [number.name for number in made.quality] == ["SKY dawn"]
    [caveat] = made.caveats
    assert caveat.startswith("twilight not used: bad_dusk: 40.0 per cent")


def test_without_a_good_twilight_the_dome_stands_alone(flat_of: Any) -> None:
    made = flat_of("bad_dusk")
    assert made.caveats[-1] == "no twilight frame: the dome's illumination of the field is not corrected"
    assert flat_of().caveats == made.caveats[-1:]
