"""Instruments with a simulator: what it makes is known for what it is, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tracecube.core.frame import RawFrame
from tracecube.core.instrument import Instrument
from tracecube.io.headers import bare_name, read_header
from tracecube.io.raw import read_raw, write_raw
from tracecube.workflow.discover import discover

ABLE = {name: found.instrument for name, found in discover().items() if found.instrument.simulate is not None}


def night(instrument: Instrument, seed: int) -> Iterator[RawFrame]:
    """The first frames of a night by default choices."""
    assert instrument.simulate is not None
    return islice(instrument.simulate(seed=seed), 2)


@pytest.mark.parametrize("name", ABLE)
def test_raw_files_are_what_the_simulator_says_and_read_back_as_they_were(name: str, tmp_path: Path) -> None:
    instrument = ABLE[name]
    for frame, again in zip(night(instrument, 3), night(instrument, 3), strict=True):
        path = write_raw(tmp_path, frame)
        header = read_header(path)
        assert [one for one, other in ABLE.items() if other.recognises(path.name, header)] == [name]
        assert instrument.classify(bare_name(path), header).tag == frame.tag
        assert frame.tag in instrument.raw_tags
        back = read_raw(path, frame.tag)
        for images in (back.images, again.images):
            assert list(images) == list(frame.images)
            assert all(np.array_equal(images[key], frame.images[key]) for key in images)


def test_all_instruments_of_the_house_can_simulate() -> None:
    assert {"muse", "sedm", "sphere_ifs", "virus"} <= set(ABLE)
