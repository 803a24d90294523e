from __future__ import annotations

import pytest

from tracecube.core.target import acceptable
from tracecube.instruments.sedm.quality import REASONS, quality_code


@pytest.mark.parametrize(
    ("standard", "located", "manual", "inside", "negative", "code"),
    [
        (False, True, False, True, 0.0, 0),
        (False, True, False, True, 0.2, 0),
        (False, True, False, True, 0.21, 4),
        (False, True, False, False, 0.0, 3),
        (False, False, False, True, 0.0, 5),
        (False, False, False, True, 0.5, 5),
        (False, False, True, True, 0.0, 0),
        (False, False, True, False, 0.0, 3),
        (False, False, True, True, 0.5, 4),
        (True, False, False, True, 0.0, 0),
        (True, False, False, True, 0.5, 4),
    ],
)
def test_the_rule_cases(standard: bool, located: bool, manual: bool, inside: bool, negative: float, code: int) -> None:
    found = quality_code(standard=standard, located=located, manual=manual, inside=inside, negative=negative)
    assert found == code
    assert REASONS[found]


def test_what_a_person_recovers_is_1_and_only_a_5_can_be() -> None:
    given = {"standard": False, "manual": False, "inside": True}
    assert quality_code(**given, located=False, negative=0.5, recovered=True) == 1
    assert quality_code(**given, located=True, negative=0.0, recovered=True) == 0
    assert quality_code(**given, located=True, negative=0.5, recovered=True) == 4


def test_major_problems_are_neither_classified_nor_sent() -> None:
    assert [code for code in REASONS if acceptable(code)] == [0, 1, 2]
    assert not acceptable(-1)
