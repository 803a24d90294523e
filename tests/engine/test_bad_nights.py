"""Whole simulated nights with something wrong: the message names it, and the rest of the night goes on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import products
from tracecube.archive.summary import RunSummary
from tracecube.core.frame import RawFrame
from tracecube.io.raw import write_raw
from tracecube.workflow.discover import Found, load
from tracecube.workflow.executor import LocalPool
from tracecube.workflow.reduce import reduce_folder

pytestmark = pytest.mark.night

SEDM = "tracecube.instruments.sedm:instrument"


@pytest.fixture(scope="module")
def frames() -> list[RawFrame]:
    """Calibrations of a night and its first standard star."""
    simulate = load(SEDM).simulate
    assert simulate is not None
    return list(takewhile(lambda frame: frame.tag != "GUIDER", simulate(seed=3)))


def overexposed(frame: RawFrame) -> RawFrame:
    """Show the same scene, exposed much too long."""
    bias = 600.0  # adu
    images = {
        key: np.clip(bias + 100.0 * (image - bias), 0, 65535).astype(np.uint16) for key, image in frame.images.items()
    }
    return replace(frame, images=images)


def reduce(frames: list[RawFrame], folder: Path, pool: LocalPool, target: str) -> tuple[RunSummary, Path]:
    for frame in frames:
        write_raw(folder / "raw", frame)
    found = {"sedm": Found(SEDM, load(SEDM))}
    summary = reduce_folder(
        folder / "raw", folder / "out", pool, targets=[target], instruments=lambda: found
    )  # fmt: skip
    return summary, folder / "out"


def test_without_xenon_and_with_one_saturated_dome_the_night_is_reduced(frames, tmp_path, pool):
    domes = [frame.name for frame in frames if frame.tag == "DOME"]
    given = [overexposed(f) if f.name == domes[1] else f for f in frames if f.tag != "ARC_XE"]
    summary, out = reduce(given, tmp_path, pool, "spectra")
    assert {result.state for result in summary.results} == {"done"}
    caveats = {result.task: result.caveats for result in summary.results}
    [left_out] = caveats["traces"]
    assert left_out.startswith(f"left out: {domes[1]}: ")
    assert left_out.endswith(
        " per cent of the pixels are saturated (>= 65535 adu) "
        "(try: expose for less time, or look for light in the dome; leave the frame out)"
    )
    assert left_out in caveats["static_badpix"]
    assert caveats["wavelength_calibration"] == (
        "no Xe arcs: its part of the spectrum rests on the smooth model (try: take Xe arcs)",
    )
    with Ledger.open(out) as ledger:
        made = {product.tag: product for product in products(ledger)}
    assert {"TRACES", "WAVELENGTH", "STATIC_BADPIX", "LENSLET_FLAT", "CALIBRATED", "SPECTRA", "CUBE"} <= set(made)
    shutil.rmtree(tmp_path)


def test_with_all_domes_saturated_the_message_names_them_and_what_needs_no_dome_is_made(frames, tmp_path, pool):
    given = [overexposed(f) if f.tag == "DOME" else f for f in frames if f.tag not in {"TWILIGHT", "ARC_HG"}]
    first = min(frame.name for frame in frames if frame.tag == "DOME")
    summary, _ = reduce(given, tmp_path, pool, "spectra")
    states = {result.task: result.state for result in summary.results}
    assert states == {
        "bias": "done",
        "static_badpix": "done",
        "traces": "failed",
        "wavelength_calibration": "blocked",
        "lenslet_flat": "blocked",
        "ifu": "blocked",
    }
    [failed] = summary.of("failed")
    assert f"BadData: {first}: " in failed.reason
    assert "saturated (>= 65535 adu) (try: expose for less time" in failed.reason
    assert all(f"{first}: " in result.reason for result in summary.of("blocked"))
    [badpix] = (result for result in summary.results if result.task == "static_badpix")
    assert any(caveat.startswith(f"DOME not used: {first}: ") for caveat in badpix.caveats)
    shutil.rmtree(tmp_path)
