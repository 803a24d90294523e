"""Box and optimal extraction beside the joint one, on the frames of the docs page."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.unit.recipes.small_field import SHAPE, frame, small_field
from tracecube.core.flags import Flag
from tracecube.recipes.extract.apertures import extract_by
from tracecube.recipes.extract.joint import Extraction, ExtractionParams, extract, trace_matrix

SCRIPT = Path(__file__).parents[4] / "docs" / "images" / "three_extractions.py"
FIELD = small_field()
MATRIX = trace_matrix(FIELD.traces, SHAPE, half_width=12)


def settings(method: str) -> ExtractionParams:
    return ExtractionParams.model_validate({"method": method, "scatter_pieces": 0, "box": 7})


def alone() -> np.ndarray:
    """Spectra of every tenth lenslet: none near another."""
    flux = np.full(FIELD.traces.centre.shape, 0.0)
    flux[::10] = 2000.0
    return flux


@pytest.mark.parametrize("method", ["box", "optimal"])
def test_lenslets_far_from_others_come_out_right(method: str) -> None:
    flux = alone()
    found = extract_by(frame(FIELD.image(flux), np.random.default_rng(1)), MATRIX, settings(method), floor=16.0)
    pull = ((found.flux - flux) / np.sqrt(found.variance))[::10]
    assert np.nanstd(pull) == pytest.approx(1.0, abs=0.05)
    assert abs(np.nanmean(pull)) < 0.1


@pytest.mark.parametrize("method", ["box", "optimal"])
def test_flagged_pixels_count_for_nothing(method: str) -> None:
    rng, flux = np.random.default_rng(2), alone()
    seen = frame(FIELD.image(flux), rng)
    hit = rng.random(SHAPE) < 0.02
    seen.data[hit] = 1e5
    seen.flags[hit] |= Flag.BAD_PIXEL
    found = extract_by(seen, MATRIX, settings(method), floor=16.0)
    pull = ((found.flux - flux) / np.sqrt(found.variance))[::10]
    assert np.nanstd(pull) == pytest.approx(1.0, abs=0.07)
    assert np.isfinite(pull).mean() > 0.98


def test_a_box_of_even_width_takes_half_of_the_pixels_at_its_ends() -> None:
    def of(width: float) -> Extraction:
        params = ExtractionParams.model_validate({"method": "box", "scatter_pieces": 0, "box": width})
        return extract_by(seen, MATRIX, params, floor=16.0)

    flux = alone()
    seen = frame(FIELD.image(flux), np.random.default_rng(4))
    noise = [float(np.nanmedian(of(width).variance[1::10])) for width in (5.0, 6.0, 7.0)]
    assert noise[0] < noise[1] < noise[2]
    pull = ((of(6.0).flux - flux) / np.sqrt(of(6.0).variance))[::10]
    assert np.nanstd(pull) == pytest.approx(1.0, abs=0.05)
    assert abs(np.nanmean(pull)) < 0.1


def test_joint_is_the_default() -> None:
    seen = frame(FIELD.image(alone()), np.random.default_rng(3))
    plain = ExtractionParams(scatter_pieces=0)
    one, two = extract_by(seen, MATRIX, plain, floor=16.0), extract(seen, MATRIX, plain, floor=16.0)
    assert np.array_equal(one.flux, two.flux, equal_nan=True)


def test_the_page_of_three_extractions_says_what_is_so() -> None:
    spec = importlib.util.spec_from_file_location("three_extractions", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules["three_extractions"] = script  # dataclasses look their module up
    spec.loader.exec_module(script)
    rows = script.compare(10)[0]
    joint = rows["joint"]
    assert abs(joint.bias) < 0.3
    assert joint.crosstalk < 0.1
    assert joint.pull == pytest.approx(1.0, abs=0.05)
    assert joint.wrong < 0.01
    for name in ("box", "optimal"):
        assert rows[name].bias > 5 * abs(joint.bias)
        assert rows[name].crosstalk > joint.crosstalk
