"""Association against a brute-force oracle; the order of files and copies of them change nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.core.workflow import Association, Instead, Match
from tracecube.workflow.associate import Candidates, Choice, choose, middle, reference
from tracecube.workflow.items import DAY, Item

TIMES = st.one_of(st.none(), st.integers(0, 12).map(lambda k: 59000 + k / 4), st.floats(59000, 59003))
SETUPS = st.fixed_dictionaries(
    {"night": st.sampled_from(["a", "b", None]), "speed": st.sampled_from([0.1, 2.0, None])},
)
TAGS = st.sampled_from(["BIAS", "DOME"])
SECONDS = st.sampled_from([None, 0.0, DAY / 4, DAY])


@st.composite
def items(draw) -> list[Item]:
    """Frames of which some have equal times, and some are copies."""
    count = draw(st.integers(0, 9))
    made = [
        Item(
            tag=draw(TAGS),
            name=f"f{i}",
            identity=f"{draw(st.integers(0, 6)) if draw(st.booleans()) else i + 100:03d}",
            path=f"/raw/{i}",
            setup=draw(SETUPS),
            mjd=draw(TIMES),
            exptime=draw(SECONDS),
        )
        for i in range(count)
    ]
    first: dict[str, Item] = {}  # one content is one file: copies agree in all but their path
    return [replace(first.setdefault(item.identity, item), path=item.path) for item in made]


RUNGS = st.builds(
    Match,
    level=st.integers(-1, 3),
    same=st.sampled_from([(), ("night",), ("speed",), ("night", "speed")]),
    days=st.sampled_from([(-1e9, 1e9), (0.0, 0.0), (-0.25, 0.25), (-1.0, 0.0), (0.5, 2.0)]),
    during=st.booleans(),
)
RULES = st.builds(
    Association,
    argument=st.just("x"),
    tags=st.sampled_from([("BIAS",), ("DOME",), ("BIAS", "DOME")]),
    ladder=st.lists(RUNGS, min_size=1, max_size=3).map(tuple),
    minimum=st.integers(0, 3),
    maximum=st.sampled_from([None, 1, 2]),
    where=st.sampled_from([{}, {"speed": (0.1, None)}, {"night": ("a",)}]),
)
MAINS = st.lists(
    st.builds(
        Item,
        tag=st.just("SCIENCE"),
        name=st.just("s"),
        identity=st.uuids().map(str),
        path=st.just("/s"),
        setup=SETUPS,
        mjd=TIMES,
        exptime=SECONDS,
    ),
    min_size=1,
    max_size=3,
)


def oracle(members: list[Item], files: list[Item], rule: Association) -> Choice | None:
    """The rules of the language said again, slowly, with no index and no shortcut."""
    common = {k: v for k, v in members[0].setup.items() if all(m.setup.get(k) == v for m in members)}
    times = [m.mjd for m in members if m.mjd is not None]
    mjd = (min(times) + max(times)) / 2 if times else None
    for rung in rule.ladder:
        fit: list[Item] = []
        for file in files:
            good = file.tag in rule.tags and file.identity not in [f.identity for f in fit]
            good &= all(file.setup.get(k) in v for k, v in rule.where.items())
            good &= all(common.get(k) is not None and file.setup.get(k) == common.get(k) for k in rung.same)
            if rung.days != (-1e9, 1e9):
                known = file.mjd is not None and mjd is not None
                good &= known and rung.days[0] <= file.mjd - mjd <= rung.days[1]
            if rung.during:
                spans = [(m.mjd, m.mjd + (m.exptime or 0.0) / 86400.0) for m in members if m.mjd is not None]
                good &= file.mjd is not None and any(a <= file.mjd <= b for a, b in spans)
            if good:
                fit.append(file)
        if len(fit) >= max(rule.minimum, 1):
            taken: list[Item] = []
            while fit and (rule.maximum is None or len(taken) < rule.maximum):
                best = fit[0]
                for other in fit[1:]:
                    if nearer(other, best, mjd):
                        best = other
                fit.remove(best)
                taken.append(best)
            return Choice(tuple(taken), rung.level)
    return None


def nearer(one: Item, other: Item, mjd: float | None) -> bool:
    far = float("inf")
    gaps = [far if f.mjd is None or mjd is None else abs(f.mjd - mjd) for f in (one, other)]
    if gaps[0] != gaps[1]:
        return gaps[0] < gaps[1]
    starts = [far if f.mjd is None else f.mjd for f in (one, other)]
    if starts[0] != starts[1]:
        return starts[0] < starts[1]
    return one.identity < other.identity


def chosen(members: list[Item], files: list[Item], rule: Association) -> Choice | None:
    return choose(reference(members), Candidates(files, rule), rule)


def said(choice: Choice | None) -> tuple[list[str], int] | None:
    """What was chosen, by content: a copy is as good as its original."""
    return None if choice is None else ([item.identity for item in choice.items], choice.level)


@settings(max_examples=1000, deadline=None)
@given(MAINS, items(), RULES)
def test_equals_the_brute_force_oracle(members, files, rule):
    assert said(chosen(members, files, rule)) == said(oracle(members, files, rule))


@settings(max_examples=500, deadline=None)
@given(MAINS, items(), RULES, st.randoms(use_true_random=False))
def test_order_and_copies_of_files_change_nothing(members, files, rule, chance: random.Random):
    before = said(chosen(members, files, rule))
    shuffled = [replace(file, path=f"/elsewhere{i}") for i, file in enumerate(files * 2) if i < len(files) or i % 2]
    chance.shuffle(shuffled)
    chance.shuffle(members)
    assert said(chosen(members, shuffled, rule)) == before


@settings(max_examples=300, deadline=None)
@given(MAINS, items(), RULES)
def test_one_index_serves_many_mains_alike(members, files, rule):
    shared = Candidates(files, rule)
    for member in members:
        assert said(choose(reference([member]), shared, rule)) == said(chosen([member], files, rule))


def frame(name: str, mjd: float | None, **setup: Any) -> Item:
    return Item(tag="BIAS", name=name, identity=name, path=f"/{name}", setup={"night": "a", **setup}, mjd=mjd)


NEAREST = Association("x", ("BIAS",), (Match(0, same=("night",)), Match(1, days=(-2, 2))))


def test_closest_in_time_and_equal_times_by_content():
    main = [frame("main", 10.0)]
    assert chosen(main, [frame("far", 11.0), frame("near", 10.4)], NEAREST).items[0].name == "near"
    assert chosen(main, [frame("b", 10.4), frame("a", 10.4)], NEAREST).items[0].name == "a"
    assert chosen(main, [frame("after", 10.5), frame("before", 9.5)], NEAREST).items[0].name == "before"


def test_levels_are_kept_and_the_first_rung_wins_whatever_is_closer():
    main = [frame("main", 10.0)]
    same, other = frame("same", 11.5), frame("other", 10.1, night="b")
    assert said(chosen(main, [other, same], NEAREST)) == (["same"], 0)
    assert said(chosen(main, [other], NEAREST)) == (["other"], 1)
    assert chosen(main, [frame("old", 7.9, night="b")], NEAREST) is None


def test_a_rung_may_hold_some_of_the_tags():
    rule = replace(NEAREST, tags=("DOME", "BIAS"), ladder=(Match(0, tags=("BIAS",)), Match(1, tags=("DOME",))))
    main, dome = [frame("main", 10.0)], replace(frame("dome", 10.0), tag="DOME")
    assert said(chosen(main, [dome, frame("bias", 11.0)], rule)) == (["bias"], 0)
    assert said(chosen(main, [dome], rule)) == (["dome"], 1)


def test_bounds_of_an_interval_belong_to_it():
    for mjd, found in ((8.0, True), (12.0, True), (7.999999, False)):
        assert (chosen([frame("main", 10.0)], [frame("x", mjd, night="b")], NEAREST) is not None) == found


def test_unknown_is_never_equal_to_unknown():
    rule = Association("x", ("BIAS",), (Match(0, same=("speed",)),))
    assert chosen([frame("main", 1.0, speed=None)], [frame("x", 1.0, speed=None)], rule) is None
    assert chosen([frame("main", 1.0)], [frame("x", 1.0)], rule) is None


def test_a_file_without_time_fits_a_rung_without_times():
    rule = Association("x", ("BIAS",), (Match(0, days=(-1, 1)), Match(3)))
    assert said(chosen([frame("main", 1.0)], [frame("table", None)], rule)) == (["table"], 3)
    assert said(chosen([frame("main", 1.0)], [frame("table", None), frame("x", 500.0)], rule)) == (["x"], 3)


def test_during_is_within_any_exposure_of_the_group():
    rule = Association("x", ("BIAS",), (Match(0, during=True),))
    main = [replace(frame(f"m{t}", t), exptime=DAY / 10) for t in (1.0, 2.0)]
    for mjd, found in ((1.0, True), (1.1, True), (1.5, False), (2.05, True), (0.99, False)):
        assert (chosen(main, [frame("g", mjd)], rule) is not None) == found, mjd


def test_the_raw_file_tells_exposures_of_one_start_apart():
    rule = Association("x", ("BIAS",), (Match(0, same=("night", "raw")),))
    main = replace(frame("main", 1.0), raw="f2")
    verdicts = [replace(frame(f"v{i}", 1.0), raw=f"f{i}") for i in range(4)]
    assert said(chosen([main], verdicts, rule)) == (["v2"], 0)
    assert chosen([main, replace(main, raw="f3")], verdicts, rule) is None  # a group descends from no single file
    assert chosen([frame("main", 1.0)], [frame("v", 1.0)], rule) is None


def test_the_main_input_is_not_its_own_calibration():
    main = frame("main", 1.0)
    rule = Association("x", ("BIAS",), (Match(0),))
    own = {main.identity}
    assert choose(reference([main]), Candidates([main], rule), rule, own=own) is None
    other = choose(reference([main]), Candidates([main, frame("o", 5.0)], rule), rule, own=own)
    assert said(other) == (["o"], 0)


def test_a_rung_needs_enough():
    rule = Association("x", ("BIAS",), (Match(0, same=("night",)), Match(2)), minimum=2, maximum=None)
    main = [frame("main", 1.0)]
    assert said(chosen(main, [frame("a", 1.0), frame("b", 2.0, night="z")], rule)) == (["a", "b"], 2)


@pytest.mark.parametrize(("times", "expected"), [([], None), ([None], None), ([2.0], 2.0), ([1.0, 1.1, 3.0], 2.0)])
def test_middle(times, expected):
    assert middle(times) == expected


def _of(detector: str, tag: str, mjd: float, night: str | None = "a") -> Item:
    return Item(
        tag=tag, name=tag, identity=f"{tag}{detector}{mjd}", path="", setup={"night": night, "on": detector}, mjd=mjd
    )


INSTEAD = Instead(("GIVEN",), Match(level=1, same=("on",)), key="on")


def test_what_is_given_goes_before_the_nearest_of_the_ladder():
    own, other = _of("A", "OWN", 1.0), _of("A", "GIVEN", 900.0, None)
    rule = Association("x", ("OWN", "GIVEN"), (Match(level=0, same=("night",)),), instead=INSTEAD)
    main = reference([_of("A", "MAIN", 1.0)])
    assert choose(main, Candidates([own, other], rule), rule) == Choice((other,), 1)
    assert choose(main, Candidates([own], rule), rule) == Choice((own,), 0)
    assert choose(main, Candidates([other], rule), rule) == Choice((other,), 1)
    assert choose(reference([_of("B", "MAIN", 1.0)]), Candidates([own, other], rule), rule) == Choice((own,), 0)


def test_what_is_given_is_no_choice_once_it_failed():
    own, first, second = _of("A", "OWN", 1.0), _of("A", "GIVEN", 1.0), _of("A", "GIVEN", 900.0)
    rule = Association("x", ("OWN", "GIVEN"), (Match(level=0, same=("night",)),), instead=INSTEAD)
    main = reference([_of("A", "MAIN", 1.0)])
    candidates = Candidates([own, first, second], rule)
    assert choose(main, candidates, rule, own={first.identity}) == Choice((second,), 1)
    assert choose(main, candidates, rule, own={first.identity, second.identity}) == Choice((own,), 0)


def test_of_many_each_takes_the_place_of_its_like_and_the_others_stay():
    own = [_of("A", "OWN", 1.0), _of("B", "OWN", 1.0)]
    other = _of("B", "GIVEN", 5.0, None)
    instead = replace(INSTEAD, match=Match(level=1))
    rule = Association("x", ("OWN", "GIVEN"), (Match(level=2, same=("night",)),), maximum=None, instead=instead)
    main = reference([_of("C", "MAIN", 1.0)])
    assert choose(main, Candidates([*own, other], rule), rule) == Choice((other, own[0]), 2)
    both = [other, _of("A", "GIVEN", 5.0, None)]
    found = choose(main, Candidates([*own, *both], rule), rule)
    assert found is not None
    assert ({item.identity for item in found.items}, found.level) == ({item.identity for item in both}, 1)
