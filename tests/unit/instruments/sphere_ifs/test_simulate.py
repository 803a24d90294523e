"""The simulator refuses what it can not make, and gives equal nights for equal seeds."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tracecube.cli.nights import simulator, write_night
from tracecube.core.errors import BadData
from tracecube.instruments.sphere_ifs.classify import classify
from tracecube.instruments.sphere_ifs.guess import MODES
from tracecube.instruments.sphere_ifs.simulate import simulate
from tracecube.instruments.sphere_ifs.simulation import light
from tracecube.instruments.sphere_ifs.simulation.optics import sampling
from tracecube.instruments.sphere_ifs.static_data import air_transmission


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


def test_a_star_is_dimmed_by_the_mean_of_the_air_over_each_bin() -> None:
    wave = sampling(MODES["YJ"])[0]
    air = air_transmission()
    fine = np.arange(9500.0, 13400.0, 1.0)
    through = np.interp(fine, air.wave, air.transmission)
    ends = (wave[1:] + wave[:-1]) / 2
    expected = [through[(fine >= low) & (fine < high)].mean() for low, high in pairwise(ends[10:61])]
    assert light.air_between(wave)[11:61] == pytest.approx(expected, abs=0.03)
