"""Products of all detectors: the closest in time of each, and what is said where one is absent."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tracecube.core.errors import MissingInput
from tracecube.instruments.muse.of_detector import closest_by_detector


def product(detector: str, **cards: object) -> SimpleNamespace:
    return SimpleNamespace(meta={"DETECTOR": detector, **cards})


def test_the_closest_night_counts_and_not_the_last():
    nouns = [
        product("CHAN01", **{"MJD-OBS": 58500.0}), product("CHAN02", **{"MJD-OBS": 58500.0}),
        product("CHAN01", **{"MJD-OBS": 58520.0}), product("CHAN02", **{"DATE-OBS": "2019-01-20T00:00:00"}),
    ]  # fmt: skip
    found = closest_by_detector(nouns, {"MJD-OBS": 58502.5}, "traces")
    assert [found[name] for name in ("CHAN01", "CHAN02")] == [0, 3]  # 2019-01-20 is 58503
    assert found.detectors == ("CHAN01", "CHAN02")
    assert "CHAN03" not in found


def test_one_without_a_time_counts_only_where_there_is_no_other():
    nouns = [product("CHAN01"), product("CHAN01", **{"MJD-OBS": 58400.0}), product("CHAN02")]
    found = closest_by_detector(nouns, {"MJD-OBS": 58500.0}, "traces")
    assert (found["CHAN01"], found["CHAN02"]) == (1, 2)


def test_an_absent_channel_is_named():
    found = closest_by_detector([product("CHAN05")], {"MJD-OBS": 58500.0}, "wavelengths")
    with pytest.raises(MissingInput, match="no wavelengths of CHAN07; there are those of: CHAN05"):
        _ = found["CHAN07"]
