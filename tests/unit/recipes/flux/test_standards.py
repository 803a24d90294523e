from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.flux.standards import StandardTable, canonical_name, find_reference


@pytest.fixture
def table() -> StandardTable:
    wave = np.arange(3000.0, 11000.1, 4.0)
    flux = 1e-13 * (wave / 5500.0) ** -4.0
    short = np.where((wave > 3200) & (wave < 9200), flux, np.nan)
    names, libraries = ["bd28d4211", "bd28d4211", "gd71"], ["oke", "calspec", "calspec"]
    return StandardTable(wave, np.array(names), np.array(libraries), np.array([short, 1.01 * flux, flux]))


@pytest.mark.parametrize(
    ("header", "packed"),
    [
        ("STD-BD+28d4211", "bd28d4211"),
        ("BD+28 4211", "bd28d4211"),
        ("STD-HZ44", "hz44"),
        ("std_Feige34", "feige34"),
        ("Feige 34", "feige34"),
        ("G191-B2B", "g191b2b"),
        ("GRW+70d5824", "grw70d5824"),
        ("SA95-42", "sa95_42"),
        ("STD-HZ2", "hz2"),
    ],
)
def test_spellings_of_one_star_agree(header: str, packed: str) -> None:
    assert canonical_name(header) == canonical_name(packed)


def test_neighbours_in_the_list_stay_apart() -> None:
    names = ["HZ2", "HZ21", "HZ4", "HZ44", "GD50", "GD153", "Feige34", "Feige66", "Feige67"]
    assert len({canonical_name(name) for name in names}) == len(names)


def test_preferred_library_then_the_other(table: StandardTable) -> None:
    assert find_reference(table, "STD-BD+28d4211", prefer="oke").library == "oke"
    assert find_reference(table, "STD-BD+28d4211", prefer="calspec").library == "calspec"
    assert find_reference(table, "GD71", prefer="oke").library == "calspec"
    assert find_reference(table, "Vega", prefer="oke") is None


def test_tables_are_continued_by_their_own_slope(table: StandardTable) -> None:
    found = find_reference(table, "BD+28d4211", prefer="oke")
    assert found.high == pytest.approx(9196.0)
    assert found.low == pytest.approx(3204.0)
    np.testing.assert_allclose(found.flux, 1e-13 * (found.wave / 5500.0) ** -4.0, rtol=1e-6)
