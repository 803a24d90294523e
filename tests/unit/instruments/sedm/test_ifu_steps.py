"""Exposures of the SED Machine: what is said of saturated spectra."""

from __future__ import annotations

import numpy as np

from tracecube.core.flags import Flag
from tracecube.core.optics import TraceSet
from tracecube.instruments.sedm.ifu_steps import saturated_spectra


def test_a_saturated_spectrum_is_told_from_hits_and_hot_pixels() -> None:
    lanes = np.array([20.0, 40.0, 60.0])
    known = np.ones((3, 80))
    number = np.arange(3, dtype=np.int32)
    start, none = np.full(3, 10, np.int32), np.zeros((3, 80), np.int32)
    density = np.ones(5)
    traces = TraceSet(
        number, start, number, number, none[:, 0], lanes[:, None] + 0.0 * known, known, none, density, density
    )
    flags = np.zeros((80, 100), np.int32)
    assert saturated_spectra(flags, traces) == 0
    flags[41, 30:50] = int(Flag.SATURATED)  # a star
    flags[20, 30:36] = int(Flag.SATURATED)  # a hit
    flags[60, 30:80] = int(Flag.COSMIC_RAY)
    assert saturated_spectra(flags, traces) == 1
