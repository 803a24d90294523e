"""Recipes that make several products of a kind: told apart by object, reused, retired when they no longer exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.workflow.discover import Found, load


@pytest.fixture(scope="session")
def installed(toy):
    return lambda: {"toy": Found("toymany:instrument", load("toymany:instrument"))}


def pieces(out):
    with Ledger.open(out) as ledger:
        return {(made.raw, made.object): made.path for made in queries.products(ledger, tag="PIECE")}


def test_each_piece_is_a_product_of_its_own(raw, tmp_path, reduced):
    assert reduced(raw, tmp_path).good
    found = pieces(tmp_path)
    assert {name for _, name in found} == {"b", "c"}
    assert found["sci0", "b"].endswith("sci0_PIECE_b.fits")
    assert not reduced(raw, tmp_path).of("done")


def test_a_lost_piece_is_made_again(raw, tmp_path, reduced):
    assert reduced(raw, tmp_path).good
    Path(pieces(tmp_path)["sci1", "c"]).unlink()
    assert [result.label for result in reduced(raw, tmp_path).of("done")] == ["pieces sci1"]


def test_a_piece_that_is_not_found_any_more_goes(raw, tmp_path, reduced):
    assert reduced(raw, tmp_path).good
    assert reduced(raw, tmp_path, settings={"pieces": {"pieces": 1}}).good
    assert {name for _, name in pieces(tmp_path)} == {"b"}
    assert not list(tmp_path.rglob("*_PIECE_c.fits"))
