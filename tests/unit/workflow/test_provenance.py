"""Provenance keys change with everything a product depends on, and with nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tracecube.archive.records import InputRecord
from tracecube.core.quality import QualityNumber
from tracecube.workflow.provenance import provenance_cards, provenance_key, quality_cards, quality_record


def given(role: str, name: str, *, raw: bool = True, **more: Any) -> InputRecord:
    fields = {"main": role == "raw", "tag": "BIAS", "path": f"/{name}", "sha256": f"sha-{name}", **more}
    return InputRecord(role=role, name=name, raw=raw, **fields)


@pytest.fixture
def task(small):
    return small.instrument.workflow.tasks[1]


INPUTS = (given("raw", "a"), given("raw", "b"), given("cal", "c", raw=False, tag="MASTER_BIAS"))


def test_key_of_equal_things_is_equal(task):
    one = provenance_key("i", task, {"a": 1, "b": 2.0}, INPUTS)
    assert provenance_key("i", task, {"b": 2.0, "a": 1}, INPUTS) == one
    assert len(one) == 64


def test_key_does_not_depend_on_places_and_levels(task):
    moved = [replace(one, path="/elsewhere/x", level=2) for one in INPUTS]
    assert provenance_key("i", task, {}, moved) == provenance_key("i", task, {}, INPUTS)


def test_key_of_a_product_does_not_depend_on_its_file_name(task):
    renamed = [*INPUTS[:2], replace(INPUTS[2], name="other")]
    assert provenance_key("i", task, {}, renamed) == provenance_key("i", task, {}, INPUTS)


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "new"},
        {"tag": "DARK"},
        {"name": "renamed"},
        {"role": "other"},
    ],
)
def test_key_depends_on_each_input(task, change):
    changed = [replace(INPUTS[0], **change), *INPUTS[1:]]
    assert provenance_key("i", task, {}, changed) != provenance_key("i", task, {}, INPUTS)


def test_key_depends_on_recipe_version_parameters_and_instrument(task):
    keys = {
        provenance_key("i", task, {}, INPUTS),
        provenance_key("j", task, {}, INPUTS),
        provenance_key("i", task, {"order": 1}, INPUTS),
        provenance_key("i", replace(task, name="other"), {}, INPUTS),
        provenance_key("i", replace(task, tags={}), {}, INPUTS),
        provenance_key("i", replace(task, recipe=replace(task.recipe, version="9")), {}, INPUTS),
        provenance_key("i", task, {}, INPUTS[:2]),
    }
    assert len(keys) == 7


def test_cards(task):
    cards = provenance_cards(task, "FLAT", "key", INPUTS)
    values = {name: value for name, (value, _) in cards.items()}
    assert values == {
        "PRODTAG": "FLAT",
        "RECIPE": "make_flat",
        "RECIVER": "1",
        "PROVKEY": "key",
        "RAW1": "a",
        "RAW1TAG": "BIAS",
        "RAW2": "b",
        "RAW2TAG": "BIAS",
        "CAL1": "c",
        "CAL1TAG": "MASTER_BIAS",
    }


def test_quality_numbers():
    numbers = (QualityNumber("READ NOISE", 4.0, "electron", high=5.0), QualityNumber("LOST", math.nan))
    assert quality_cards(numbers)["QC READ NOISE"] == (4.0, "[electron]")
    record = quality_record(numbers)
    assert record["READ NOISE"] == {"value": 4.0, "unit": "electron", "good": True}
    assert record["LOST"] == {"value": None, "unit": "", "good": False}
