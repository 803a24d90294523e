from __future__ import annotations

import pytest

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
        (False, False, True, True, 0.0, 1),
        (False, False, True, True, 0.5, 4),
        (True, False, False, True, 0.0, 0),
        (True, False, False, True, 0.5, 4),
    ],
)
def test_the_rule_cases(standard: bool, located: bool, manual: bool, inside: bool, negative: float, code: int) -> None:
    found = quality_code(standard=standard, located=located, manual=manual, inside=inside, negative=negative)
    assert found == code
    assert REASONS[found]
