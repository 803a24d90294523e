"""Raw frames of the toy spectrograph, and its command line in a process of its own."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

HERE = Path(__file__).parent
NIGHT = "2021-04-21"
START = 59325.0
"""MJD of the first frame."""


def write_frame(folder: Path, name: str, kind: str, *, minutes: float, seed: int, **cards: Any) -> Path:
    """Write one raw frame; a card given as None is left out."""
    pixels = np.random.default_rng(seed).integers(100, 200, (16, 24)).astype(np.uint16)
    content = {
        "INSTRUME": "TOY",
        "KIND": kind,
        "MJD-OBS": START + minutes / 1440,
        "EXPTIME": 60.0,
        "SPEED": 0.1,
        "NIGHT": NIGHT,
        "OBJECT": kind.lower(),
        **cards,
    }
    header = fits.Header([(key, value) for key, value in content.items() if value is not None])
    path = folder / f"{name}.fits"
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(pixels, header).writeto(path)
    return path


def write_night(folder: Path, **cards: Any) -> Path:
    """Write three biases, two lamps, two standards, three targets, a guider frame and a catalogue."""
    for i in range(3):
        write_frame(folder, f"b{i}", "BIAS", minutes=i, seed=i, **{"EXPTIME": 0.0, **cards})
    for i in range(2):
        write_frame(folder, f"l{i}", "LAMP", minutes=10 + i, seed=10 + i, **cards)
        write_frame(folder, f"std{i}", "STANDARD", minutes=20 + i, seed=20 + i, OBJECT=f"HZ{i}", **cards)
    for i in range(3):
        write_frame(folder, f"sci{i}", "SCIENCE", minutes=30 + 2 * i, seed=30 + i, OBJECT=f"SN{i}", **cards)
    write_frame(folder, "g0", "GUIDE", minutes=30.5, seed=40, **cards)
    (folder / "stars.csv").write_text("ra,dec,rmag\n1.0,2.0,15.0\n1.1,2.1,16.0\n")
    return folder


def command(*arguments: str | Path) -> list[str]:
    """Return the command line of a `tracecube` that knows the toy."""
    start = f"import sys; sys.path.insert(0, {str(HERE)!r}); from tracecube.cli.main import app; app()"
    return [sys.executable, "-c", start, *map(str, arguments)]


def hashes(out: Path) -> dict[str, str]:
    """Return relative path -> SHA-256 of every product file under a folder."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*.fits"))
    }
