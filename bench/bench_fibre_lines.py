"""Figures of the search for emission lines in one fibre bundle.

Run by ``make bench``. Full size: 448 fibres, three exposures, 1032 samples, 1.8 arcsec seeing. Remedy's
``detect_sources`` takes 8.5 s a bundle, on a cube without covariance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.recipes.fibre_bundle import REFRACTION, SEEING, SLOT, Bundle, Source
from tracecube.recipes.science.fibre_lines import FibreLinesParams, find_lines

Bench = Callable[..., Any]
_SOURCES = [Source(x, y, w, 2e-16, 1.3) for x, y, w in ((-7.0, -6.0, 4100.0), (3.0, 4.1, 4800.0), (10.2, -2.0, 5300.0))]


@pytest.mark.parametrize("sources", [[], _SOURCES], ids=["noise", "three-lines"])
def test_lines_of_a_bundle(benchmark: Bench, sources: list[Source]) -> None:
    exposures = Bundle(sources=sources).draw(1)

    def search() -> Any:
        return find_lines(exposures, SEEING, REFRACTION, FibreLinesParams(), ifuslot=SLOT)

    lines, quality = benchmark.pedantic(search, rounds=2, warmup_rounds=1)
    numbers = {one.name: one.value for one in quality}
    print(f"\n{len(lines.sn)} lines, {numbers['LINES FALSE EXPECTED']:.1f} of noise expected")
