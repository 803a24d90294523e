"""Thresholds of few samples against VIP's (Gomez Gonzalez et al. 2017), where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.few_samples import few_sample_threshold

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("elements", [8.0, 20.0, 60.0])
def test_threshold_is_five_sigma_to_vip(elements: float) -> None:
    metrics = pytest.importorskip("vip_hci.metrics")
    # VIP counts all elements of the ring, the companion's own among them.
    radius = (elements + 1.0) / (2.0 * np.pi)
    signal = few_sample_threshold(np.array([elements]))[0] / np.sqrt(1.0 + 1.0 / elements)
    found = metrics.significance(signal, radius, 1.0, student_to_gauss=True, verbose=False)
    assert found == pytest.approx(5.0, abs=0.02)
