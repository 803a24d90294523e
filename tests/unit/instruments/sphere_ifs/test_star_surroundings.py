"""What is said of the star's light behind the mask."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.instruments.sphere_ifs.test_stacked import centre, dit
from tracecube.instruments.sphere_ifs.star_surroundings import (
    _comparable,
    _halo_caveats,
    _level_caveats,
    _level_numbers,
    _odd_caveats,
    _own_spots,
    paired,
)
from tracecube.recipes.science.strehl import Strehl

DITS = [SimpleNamespace(meta={"ARCFILE": "a.fits", "PLANE": k}) for k in (1, 2, 3)]


def test_dits_whose_halo_tells_nothing_are_named_and_do_not_count() -> None:
    level = Strehl(np.ones((3, 4)), 0.03, 0.02, 0.01, np.array([1.1, np.nan, 1.3]))
    [caveat] = _level_caveats(level, DITS, 0.04)
    assert "these DITs (a, DIT 2)" in caveat
    assert caveat.endswith("contrasts are uncertain by 4.0%")
    numbers = {one.name: one.value for one in _level_numbers(level)}
    assert numbers["HALO RATIO"] == pytest.approx(1.2)
    assert _level_caveats(replace(level, halo=np.ones(3)), DITS, 0.04) == []
    assert "any DIT" in _level_caveats(replace(level, halo=np.full(3, np.nan)), DITS, 0.04)[0]
    silent = replace(level, change=np.nan, halo=np.full(3, np.nan))
    [caveat] = _level_caveats(silent, DITS, 0.04)
    assert caveat.startswith("no satellite spots tell")
    assert np.isnan(_level_numbers(silent)[2].value)


def test_a_halo_with_more_than_all_of_the_stars_light_or_next_to_none_is_said() -> None:
    for usual in (0.05, 0.3, float("nan")):
        assert _halo_caveats(usual) == []
    [thick], [thin] = _halo_caveats(15.4), _halo_caveats(0.005)  # ND_2.0 taken for none, and for ND_3.5
    assert thick.startswith("the halo around the mask holds 1540.0 % of the star's light by the flux frame")
    assert "holds 0.5 % of" in thin
    assert "contrasts are not to be trusted" in thin
    assert "ESO INS4 FILT2 NAME" in thin


def test_a_flux_of_another_star_is_said_and_spots_of_one_tell_nothing() -> None:
    frame = replace(dit(0), meta={**dit(0).meta, "OBJECT": "HIP 2"})
    ours, theirs = ({"OBJECT": name} for name in ("HIP 2", "HD 1"))
    spots = replace(centre(0), meta=ours)
    psf = SimpleNamespace(meta=ours, dit=16.0)
    assert _comparable([frame], psf, [(spots, frame)])[1:] == ([(spots, frame)], [])
    assert _comparable([frame], psf, [(replace(spots, meta=theirs), frame)]) == ([frame], [], [])
    _, with_spots, [caveat] = _comparable([frame], SimpleNamespace(meta=theirs, dit=16.0), [(spots, frame)])
    assert with_spots == []
    assert caveat.startswith("the flux frame is of HD 1, not of HIP 2: contrasts are over another star (try: ")


def test_odd_dits_are_named_with_how_much_they_scatter() -> None:
    assert _odd_caveats(np.ones(3), DITS) == []
    [caveat] = _odd_caveats(np.array([1.0, 49.0, 1.0]), DITS)
    assert "(a, DIT 2, 7 times theirs)" in caveat
    assert caveat.endswith("was the loop open, the star off its mask?")


def test_each_frame_with_spots_goes_with_its_own_channels_and_dits_with_spots_join_them() -> None:
    frames = [replace(dit(k), meta={**dit(k).meta, "ARCFILE": f"{k}.fits", "PLANE": 1}) for k in range(9)]
    stars = [replace(centre(0), file=np.full(3, str(k)), plane=np.ones(3, int)) for k in (2, 0, 11)]
    found = paired(stars, frames[:3])
    assert [None if one is None else one.meta["ARCFILE"] for _, one in found] == ["2.fits", "0.fits", None]
    assert [c is star for (c, _), star in zip(found, stars, strict=True)] == [True] * 3
    ways = [replace(centre(0), method=how) for how in ("spots", "halo", *["spots"] * 7)]
    own = _own_spots(frames, ways)
    assert len(own) == 6
    assert {id(one) for one, _ in own} <= {id(c) for c in ways if c.method == "spots"}
    assert (own[0][1] is frames[0], own[-1][1] is frames[8]) == (True, True)
    assert _own_spots(frames[:2], [replace(centre(0), method="halo")] * 2) == []
