"""The measured limit leaves each object out, and counts classes alike."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tracecube.recipes.classify.kinds import CLASS_OF, CLASSES
from tracecube.recipes.classify.library import templates


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch):
    here = Path(__file__).parents[4] / "bench"
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.syspath_prepend(str(here / "spectral_types"))
    yield __import__("classify_limit")
    for name in ("classify_limit", "draws"):
        sys.modules.pop(name, None)


def test_no_object_is_asked_about_itself(bench) -> None:
    found = bench.asked(8, bench.CLEAN, seed=3)
    assert (np.bincount(found.label, minlength=4) == 2).all()
    assert (found.best[np.arange(8), found.object] == 0.0).all()
    assert (found.best.max(1) > 0.0).all()
    for log in (found.networks, found.templates, found.together):
        assert log.shape == (8, len(CLASSES))


def test_templates_that_know_the_class_are_right_and_without_the_one_that_does_they_are_not(bench) -> None:
    held = templates()
    of_object = CLASS_OF[held.kind[held.first]]
    label = np.arange(4)
    best = (of_object[None] == label[:, None]).astype(float)
    found = bench.Asked(label, label, np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 4)), best)
    assert bench.by_share(found, 0) == pytest.approx([1.0] * len(bench.SHARES))
    best[:] = 0.0
    best[label, [np.flatnonzero(of_object == k)[0] for k in label]] = 1.0
    told = bench.by_share(found, 0)
    assert told[-1] == 1.0
    assert told[0] < 0.7
