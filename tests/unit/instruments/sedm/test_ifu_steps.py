"""Exposures of the SED Machine: what is said of saturated spectra and of read-outs."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.instruments.sedm.ifu_steps import read_out, saturated_spectra


def three_spectra() -> TraceSet:
    """In rows 20, 40, 60 of 80, columns 10 to 89."""
    lanes = np.array([20.0, 40.0, 60.0])
    known = np.ones((3, 80))
    number = np.arange(3, dtype=np.int32)
    start, none = np.full(3, 10, np.int32), np.zeros((3, 80), np.int32)
    density = np.ones(5)
    return TraceSet(
        number, start, number, number, none[:, 0], lanes[:, None] + 0.0 * known, known, none, density, density
    )


def test_a_saturated_spectrum_is_told_from_hits_and_hot_pixels() -> None:
    traces = three_spectra()
    flags = np.zeros((80, 100), np.int32)
    assert saturated_spectra(flags, traces) == 0
    flags[41, 30:50] = int(Flag.SATURATED)  # a star
    flags[20, 30:36] = int(Flag.SATURATED)  # a hit
    flags[60, 30:80] = int(Flag.COSMIC_RAY)
    assert saturated_spectra(flags, traces) == 1


@pytest.mark.parametrize(
    ("columns", "count"),
    [
        (np.r_[30:36, 50:56], 0),  # two hits
        (np.arange(12, 84, 6), 0),  # lone hot pixels
        (np.r_[30:39, 40:49], 0),
        (np.arange(30, 40), 1),
        (np.arange(10, 20), 1),  # at the ends of the spectrum
        (np.arange(80, 90), 1),
    ],
)
def test_saturated_pixels_count_where_they_lie_side_by_side(columns: np.ndarray, count: int) -> None:
    flags = np.zeros((80, 100), np.int32)
    flags[40, columns] = int(Flag.SATURATED)
    assert saturated_spectra(flags, three_spectra()) == count


def test_a_read_out_that_is_noisy_or_not_all_there_is_named() -> None:
    flags = np.zeros((100, 100), np.int32)
    blank = np.zeros((100, 100), np.float32)
    bias = Frame(blank, blank, flags, {"RDNOISE1": 4.0})
    assert read_out(Frame(blank, blank, flags, {"NOISEFLR": 4.8**2}), bias) == ()
    [noisy] = read_out(Frame(blank, blank, flags, {"NOISEFLR": 81.0}), bias)
    assert noisy.startswith("reads with 9.0 electron of noise, 4.0 in its biases")
    flags[:5] = int(Flag.NOT_MEASURED)
    [lost] = read_out(Frame(blank, blank, flags, {"NOISEFLR": 16.0}), bias)
    assert lost.startswith("5 per cent of the pixels read nothing")
