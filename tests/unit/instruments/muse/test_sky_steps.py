"""What is said of pieces that were taken for sky and have lines of their own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from tracecube.instruments.muse.sky_steps import _lit
from tracecube.recipes.slices.sky_fit import SkyFit


@pytest.mark.parametrize(
    ("share", "method", "masked", "said"),
    [
        (0.0, "own", False, None),
        (0.2, "own", False, None),
        (0.2, "own", True, "20 per cent of the pieces that SKY_MASK takes for sky have lines"),
        (
            0.7,
            "own",
            False,
            "70 per cent of the pieces taken for sky have lines of their own: an object",
        ),
        (0.7, "own", True, "give a SKY exposure or a SKY_MASK"),
        (0.7, "subtract-model", False, None),
        (0.7, "none", False, None),
    ],
)
def test_pieces_of_sky_with_lines_of_their_own_are_told(share, method, masked, said):
    caveats = _lit(cast("SkyFit", SimpleNamespace(lit=share)), method, masked=masked)
    assert len(caveats) == (said is not None)
    assert said is None or said in caveats[0]
