"""The cubes of a field in one: what is asked for is looked for before anything long is begun."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import MissingInput
from tracecube.core.frame import RawFrame
from tracecube.core.spectra import CubeOnDisk
from tracecube.instruments.muse.combine_steps import CombineParams, _alike, combine_exposures

WAVE = np.array([5000.0, 6000.0])
FILTERS = RawFrame("filters", "FILTER_LIST", {}, {}, {"JOHNSON_V": {"lambda": WAVE, "throughput": WAVE}})


class _Unread:
    """A cube that must not be looked at."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


@pytest.mark.parametrize(("table", "said"), [(FILTERS, "no filter Johnson_B"), (None, "no FILTER_LIST for Johnson_V")])
def test_a_filter_that_is_not_there_is_told_before_cubes_are_read(table, said):
    params = CombineParams(filters="white, Johnson_V, Johnson_B")
    with pytest.raises(MissingInput, match=said):
        combine_exposures(cubes=[_Unread()], offsets=_Unread(), filter_list=table, params=params)


def _told(offset, value) -> CubeOnDisk:
    return CubeOnDisk((1, 1, 1), lambda *_: (), {}, np.array(offset, np.int32).reshape(-1, 3), np.array(value))


def test_voxels_of_a_mean_correlate_as_those_of_its_cubes_do():
    offset, value = _alike([_told([(0, 0, 1), (0, 1, 0)], [0.2, 0.4]), _told([(0, 1, 0)], [0.2]), _told([], [])])
    assert dict(zip(map(tuple, offset.tolist()), value, strict=True)) == pytest.approx(
        {(0, 0, 1): 0.2 / 3, (0, 1, 0): 0.2}
    )
    assert _alike([_told([], [])])[0].shape == (0, 3)
