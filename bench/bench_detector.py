"""Figures of the detector steps on full frames: master bias, calibration, cosmic rays, combination, a simulated frame.

Run by ``make bench``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from tracecube.core.frame import Frame, RawFrame
from tracecube.instruments.sedm.detectors import detector
from tracecube.instruments.sedm.simulate import simulate
from tracecube.recipes.detector.bias import BiasParams, combine_biases
from tracecube.recipes.detector.calibrate import calibrate_frame, noise_floor
from tracecube.recipes.detector.combine import combine_frames
from tracecube.recipes.detector.cosmics import flag_cosmics, flag_residual_cosmics

Bench = Callable[..., Any]


@pytest.fixture(scope="module")
def night() -> list[RawFrame]:
    """Three biases, three domes, two arcs."""
    return list(islice(simulate(seed=1), 8))


@pytest.fixture(scope="module")
def bias(night: list[RawFrame]) -> Frame:
    return combine_biases(night[:3], detector(night[0].meta, "bias"), BiasParams(), noise_range=(3.0, 6.0)).master_bias


@pytest.fixture(scope="module")
def domes(night: list[RawFrame], bias: Frame) -> list[Frame]:
    return [calibrate_frame(raw, bias, detector=detector(raw.meta, raw.name)) for raw in night[3:6]]


def test_master_bias(benchmark: Bench, night: list[RawFrame]) -> None:
    chip = detector(night[0].meta, "bias")
    benchmark(combine_biases, night[:3], chip, BiasParams(), noise_range=(3.0, 6.0))


def test_calibrate(benchmark: Bench, night: list[RawFrame], bias: Frame) -> None:
    benchmark(calibrate_frame, night[3], bias, detector=detector(night[3].meta, night[3].name))


def test_combine_three(benchmark: Bench, domes: list[Frame]) -> None:
    benchmark(combine_frames, domes)


def test_cosmics_by_shape(benchmark: Bench, domes: list[Frame]) -> None:
    benchmark(flag_cosmics, domes[0], floor=noise_floor(domes[0]))


def test_cosmics_in_residual(benchmark: Bench, domes: list[Frame]) -> None:
    benchmark(flag_residual_cosmics, domes[0], domes[1].data, floor=noise_floor(domes[0]))


def test_simulated_dome(benchmark: Bench) -> None:
    benchmark.pedantic(lambda: list(islice(simulate(seed=1), 4)), rounds=1)
