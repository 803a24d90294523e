"""A night of the toy spectrograph, and ways to reduce it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

TOY = Path(__file__).parent / "toy"
NIGHT = "2021-04-21"
START = 59325.0
"""MJD of the first frame."""


def write_frame(folder: Path, name: str, kind: str, *, minutes: float, seed: int, **cards: Any) -> Path:
    """Write one raw frame."""
    pixels = np.random.default_rng(seed).integers(100, 200, (16, 24)).astype(np.uint16)
    header = fits.Header()
    content = {
        "INSTRUME": "TOY", "KIND": kind, "MJD-OBS": START + minutes / 1440, "EXPTIME": 60.0, "SPEED": 0.1,
        "NIGHT": NIGHT, "OBJECT": kind.lower(), **cards,
    }  # fmt: skip
    header.update({key: value for key, value in content.items() if value is not None})
    path = folder / f"{name}.fits"
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(pixels, header).writeto(path)
    return path


def write_night(folder: Path) -> Path:
    """Write three biases, two lamps, two standards, three targets, a guider frame and a catalogue."""
    for i in range(3):
        write_frame(folder, f"b{i}", "BIAS", minutes=i, seed=i, EXPTIME=0.0)
    for i in range(2):
        write_frame(folder, f"l{i}", "LAMP", minutes=10 + i, seed=10 + i)
    for i in range(2):
        write_frame(folder, f"std{i}", "STANDARD", minutes=20 + i, seed=20 + i, OBJECT=f"HZ{i}")
    for i in range(3):
        write_frame(folder, f"sci{i}", "SCIENCE", minutes=30 + 2 * i, seed=30 + i, OBJECT=f"SN{i}")
    write_frame(folder, "g0", "GUIDE", minutes=30.5, seed=40)
    (folder / "stars.csv").write_text("ra,dec,rmag\n1.0,2.0,15.0\n1.1,2.1,16.0\n")
    return folder


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install the toy spectrograph for one test."""
    from tracecube.workflow.discover import discover

    monkeypatch.syspath_prepend(str(TOY))
    return {"toy": discover()["toy"]}


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Write the raw frames."""
    return write_night(tmp_path / "raw")


@pytest.fixture
def pool() -> Iterator[Any]:
    """Start two worker processes."""
    from tracecube.workflow.executor import LocalPool

    pool = LocalPool(2)
    yield pool
    pool.close()


@pytest.fixture
def inline() -> Any:
    """Run jobs in this process."""
    from tracecube.workflow.executor import InProcess

    return InProcess()


def command(*arguments: str | Path) -> list[str]:
    """Return the command line of a `tracecube` that knows the toy."""
    start = f"import sys; sys.path.insert(0, {str(TOY)!r}); from tracecube.cli.main import app; app()"
    return [sys.executable, "-c", start, *map(str, arguments)]


@pytest.fixture
def tracecube() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call the command line in a process of its own."""

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=120)

    return call


def content(out: Path) -> dict[str, bytes]:
    """Return all products under a folder by relative path."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.fits"))}
