"""Arcs whose headers name another lamp than the one that shone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.frame import Frame
from tracecube.instruments.muse import optics_steps
from tracecube.instruments.muse.arc_lines import LAMPS, law, line_list
from tracecube.instruments.muse.ccd import Channel
from tracecube.instruments.muse.lamp_check import of_lamp
from tracecube.instruments.muse.simulation import tables
from tracecube.instruments.muse.simulation.lamps import line_list as lamp_lines
from tracecube.recipes.optics.lamp_pattern import column_spectra, likeness

ROWS, COLUMNS = 4112, 26
LISTED = lamp_lines(np.random.default_rng(3))
LISTS = line_list(tables.line_catalogue(LISTED))
HGCD, NE, XE = range(3)


def counts(lamp: int, seed: int = 1, leak: float = 0.0) -> np.ndarray:
    """Columns of a raw arc (adu), each dispersed and placed a little otherwise; with continuous light besides."""
    rng = np.random.default_rng(seed)
    y = np.arange(ROWS)
    light = np.full((ROWS, COLUMNS), 1000.0) + leak * np.hanning(ROWS)[:, None]
    for x in range(COLUMNS):
        place = np.random.default_rng(x)  # the optics are the same in all exposures
        wave = law(np.linspace(-1.0, 1.0, ROWS)) * place.uniform(0.997, 1.003) + place.uniform(-200.0, 200.0)
        for line, strength in zip(LISTS[lamp].wave, LISTS[lamp].strength, strict=True):
            at = np.interp(line, wave, y)
            low, high = max(int(at) - 6, 0), min(int(at) + 7, ROWS)
            light[low:high, x] += 3.0 * strength * np.exp(-0.5 * (y[low:high] - at) ** 2)
    return np.rint(rng.normal(light, np.sqrt(light))).astype(np.float32)


def exposure(name: str, lamp: int, seed: int, **more: float) -> Channel:
    return cast("Channel", SimpleNamespace(raw=SimpleNamespace(name=name), counts=counts(lamp, seed, **more)))


@pytest.mark.parametrize("leak", [0.0, 5000.0])
def test_a_lamp_is_known_by_its_lines_with_and_without_continuous_light(leak: float) -> None:
    for lamp in range(3):
        found = likeness(column_spectra(counts(lamp, leak=leak)), LISTS, law, shift=330.0)
        assert int(np.argmax(found)) == lamp
        assert found[lamp] > 2.5 * np.delete(found, lamp).max()
    assert likeness(np.zeros((3, 100)), LISTS, law, shift=330.0).tolist() == [0.0, 0.0, 0.0]


def test_an_exposure_of_another_lamp_is_named_and_goes_to_that_lamp() -> None:
    night = [exposure("a", NE, 1), exposure("b", XE, 2), exposure("c", NE, 3)]
    kept, strangers, [said] = of_lamp(night, NE, LISTS)
    assert [one.raw.name for one in kept] == ["a", "c"]
    assert [(lamp, raw.name) for lamp, raw in strangers] == [(XE, "b")]
    assert said.startswith("b: its lines are those of Xe, its header names Ne")


def test_headers_are_believed_without_a_list_and_where_no_line_is_seen() -> None:
    night = [exposure("a", XE, 1)]
    assert of_lamp(night, NE, ())[0] == night
    dark = cast("Channel", SimpleNamespace(raw=None, counts=np.full((ROWS, COLUMNS), 1000.0, np.float32)))
    assert of_lamp([dark], NE, LISTS)[0] == [dark]


def test_two_lamps_whose_headers_are_exchanged_are_taken_for_what_they_show(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {"arc0": XE, "arc1": NE, "arc2": HGCD, "arc3": HGCD}
    told = {"arc0": NE, "arc1": XE, "arc2": HGCD, "arc3": XE}
    groups: dict[int, list[Any]] = {}
    for name, lamp in told.items():
        groups.setdefault(lamp, []).append(SimpleNamespace(name=name))

    def mean_of(members: list[Channel]) -> Any:
        return SimpleNamespace(frame=[one.raw.name for one in members])

    def opened(raw: list[Any]) -> tuple[list[Channel], tuple[str, ...]]:
        return [exposure(one.name, shown[one.name], 5) for one in raw], ()

    monkeypatch.setattr(optics_steps, "_lit", lambda _: (groups, []))
    monkeypatch.setattr(optics_steps, "open_channels", opened)
    monkeypatch.setattr(optics_steps, "_mean_of", lambda members, *_: (mean_of(members), ()))
    monkeypatch.setattr(optics_steps, "_leak", lambda *_: ())
    bias = cast("Frame", None)
    means, absent, notes = optics_steps._by_lamp([], bias, lines=LISTS)
    assert {lamp: one.frame for lamp, one in means.items()} == {XE: ["arc0"], NE: ["arc1"], HGCD: ["arc2"]}
    assert not absent
    assert sum("its header names" in one for one in notes) == 3
    monkeypatch.setattr(optics_steps, "open_channels", lambda _: ([], ()))
    with pytest.raises(BadData, match="no exposure of this channel"):
        optics_steps._by_lamp([], bias, lines=LISTS)


def test_continuous_light_beside_the_lines_is_told() -> None:
    lines = np.where(np.arange(320)[:, None] % 40 < 4, 9000.0, 0.0) + np.zeros((1, 50))
    said = [optics_steps._leak(Frame(lines + ground, lines, lines.astype(np.int32), {}), XE) for ground in (30.0, 4e3)]
    assert said[0] == ()
    assert said[1][0].startswith("Xe: continuous light of 4000 electron between its lines")


def test_lamps_are_counted_as_the_lists_are() -> None:
    assert LAMPS == ("HgCd", "Ne", "Xe")
