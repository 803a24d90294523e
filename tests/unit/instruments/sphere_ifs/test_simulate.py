"""The simulator refuses what it can not make, and gives equal nights for equal seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracecube.cli.nights import simulator, write_night
from tracecube.core.errors import BadData
from tracecube.instruments.sphere_ifs.classify import classify
from tracecube.instruments.sphere_ifs.simulate import simulate


@pytest.mark.parametrize(
    "choices", [{"laser_off": "abc"}, {"mode": "YJ", "laser_off": "4"}, {"mode": "H"}, {"colour": "red"}]
)
def test_what_can_not_be_made_is_said(choices: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(BadData, match=next(iter(choices))):
        write_night(simulator("sphere_ifs"), tmp_path, 1, choices)


def test_equal_seeds_give_equal_frames_that_are_what_they_say() -> None:
    one, two, other = (next(simulate(seed=seed, size="day")) for seed in (1, 1, 2))
    assert np.array_equal(one.images[""], two.images[""])
    assert not np.array_equal(one.images[""], other.images[""])
    assert classify(one.name, one.meta).tag == one.tag == "DARK"
