"""Zeros and darks of a simulated unit with faults among them: each is named, and the rest of the night goes on."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tracecube.core.frame import RawFrame
from tracecube.io.raw import write_raw
from tracecube.workflow.discover import Found, load
from tracecube.workflow.reduce import reduce_folder

pytestmark = pytest.mark.night

VIRUS = "tracecube.instruments.virus:instrument"
FULL = 65535


@pytest.fixture(scope="module")
def frames() -> list[RawFrame]:
    """Zeros and darks of one unit."""
    simulate = load(VIRUS).simulate
    assert simulate is not None
    made = simulate(seed=5, ifus=1, exposures=0)
    return [frame for frame in takewhile(lambda frame: frame.tag != "FLAT", made) if frame.tag in {"ZERO", "DARK"}]


def bare(frame: RawFrame) -> str:
    """Return the name that messages have."""
    return Path(frame.name).name.removesuffix(".fits")


def amplifier(frame: RawFrame) -> str:
    return f"{frame.meta['CCDPOS']}{frame.meta['CCDHALF']}"


def full_columns(image: np.ndarray) -> np.ndarray:
    made = image.copy()
    made[200:, 400:404] = FULL
    return made


def test_each_fault_is_named_and_the_rest_is_used(frames, tmp_path: Path, pool) -> None:
    """One fault an amplifier, and a file that ends too early; of four exposures three or two are left to each."""
    first = {
        amp: min(bare(f) for f in frames if amplifier(f) == amp and f.tag == "ZERO") for amp in ("LL", "LU", "RL", "RU")
    }
    faults = {
        first["LL"]: lambda image: np.where(np.arange(1064) < 900, FULL, image).astype(np.uint16),
        first["LU"]: lambda image: image[:, :1032],
        first["RL"]: full_columns,
        first["RU"]: lambda image: image[::2],
    }
    for frame in frames:
        images = {"": faults[bare(frame)](frame.data)} if bare(frame) in faults else frame.images
        write_raw(tmp_path / "raw", replace(frame, images=images))
    last = max(bare(f) for f in frames if amplifier(f) == "RU" and f.tag == "DARK")
    [path] = (tmp_path / "raw").rglob(f"{last}.fits")
    path.write_bytes(path.read_bytes()[:1_000_000])
    found = {"virus": Found(VIRUS, load(VIRUS))}
    summary = reduce_folder(tmp_path / "raw", tmp_path / "out", pool, targets=["virus_dark"], instruments=lambda: found)
    assert {result.state for result in summary.results} == {"done"}
    said = " | ".join(caveat for result in summary.results for caveat in result.caveats)
    assert f"{first['LL']}: amplifier LL is saturated: 85 per cent of the pixels read 65535" in said
    assert f"{first['LU']}: image of (1032, 1032) pixels (y, x), an amplifier has (1032, 1064)" in said
    assert f"{first['RU']}: image of (516, 1064) pixels" in said
    assert first["RL"] not in said  # four full columns are flagged, and the other pixels are as good as ever
    [cut] = summary.unclassified
    assert Path(cut.path).name == path.name
    assert "truncated" in cut.reason
    numbers: dict[str, float] = {}
    for product in (tmp_path / "out").rglob("*_MASTER_DARK.fits"):
        numbers |= {key.removeprefix("QC "): value for key, value in fits.getheader(product).items() if "QC " in key}
    told = {amplifier(frame): float(frame.meta["RDNOISE"]) for frame in frames}
    for amp, noise in told.items():
        assert numbers[f"READ NOISE {amp}"] == pytest.approx(noise, rel=0.03)
