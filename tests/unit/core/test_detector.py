from __future__ import annotations

import numpy as np

from tracecube.core.detector import Amplifier, Detector, Section


def test_two_amplifiers_with_overscan_between_make_one_frame() -> None:
    left = Amplifier("L", Section(0, 8, 2, 6), (Section(0, 8, 0, 2),), 4.0, 5e4, 6e4)
    right = Amplifier("R", Section(0, 8, 6, 10), (Section(0, 8, 10, 12),), 4.0, 5e4, 6e4)
    found = Detector("two", (8, 12), (left, right), illuminated=Section(1, 7, 0, 8))
    assert found.shape == (8, 8)
    assert found.trimmed(left) == Section(0, 8, 0, 4)
    assert found.trimmed(right) == Section(0, 8, 4, 8)
    assert found.dark().sum() == 16
    image = np.arange(96).reshape(8, 12)
    assert found.frame.of(image)[0].tolist() == list(range(2, 10))
