"""Rows of accuracy beside ESO's pipeline: numbers that both were judged by, which is closer to the truth, targets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TARGETS = {
    "trace centre max [px]": 0.02,
    "wavelength rms after convention [A]": 0.004,
    "night wavelength rms after convention [A]": 0.01,
    "point-source flux error [%]": 1.0,
    "line flux error OIII5007 [%]": 0.5,
    "line flux error Halpha [%]": 0.5,
    "slice-to-slice rms [% of sky]": 0.15,
    "voxel scatter / sqrt(STAT)": 0.03,
    "3x3 scatter / predicted": 0.03,
    "5x5 scatter / predicted": 0.03,
    "sky residual at lines, rms / line peak [%]": 0.4,
    "alignment error [arcsec]": 0.01,
}
"""What is asked for: the largest absolute value, of ratios the largest departure from 1."""

_ONE = ("scatter / ", "noise at OH lines", "response / optics")  # ratios, whose truth is 1
_TOLD = (
    "stars fitted", "common offset", "line flux noise", "object-free", "slices measured", "gains injected",
    "found, wanted", "flux scale", "line-centre convention",
)  # fmt: skip
"""Rows that tell of the field, not how good a reduction is."""


def size(name: str, value: Any) -> float | None:
    """Return how far a value is from the truth; None where it does not tell, or is not finite."""
    if any(part in name for part in _TOLD) or isinstance(value, str) or value is None:
        return None
    one = 1.0 if any(part in name for part in _ONE) else 0.0
    off = [abs(float(each) - one) for each in (value if isinstance(value, list) else [value])]
    return max(off) if off and max(off) < float("inf") else None


def known_rows(theirs: Path | None) -> Mapping[str, Any]:
    """Return ESO's rows; of the reference file of the generator those of the realistic night."""
    known: Mapping[str, Any] = json.loads(theirs.read_text("utf-8")) if theirs else {}
    return known.get("realistic", known)


def accuracy_rows(ours: Sequence[Path], theirs: Path | None) -> None:
    """Print every number that both were judged by, and marks; and how many rows each of them leads."""
    known = known_rows(theirs)
    led = {"ours": 0, "ESO": 0, "missed": 0}
    for path in ours:
        for name, value in json.loads(path.read_text("utf-8")).items():
            own, other = size(name, value), size(name, known.get(name))
            target = TARGETS.get(re.sub(r"^\w+: ", "", name))
            marks = []
            if own is not None and other is not None:
                led["ESO" if other < own else "ours"] += 1
                marks += ["ESO"] if other < own else []
            if own is not None and target is not None and own > target:
                led["missed"] += 1
                marks.append(f"missed ({target:g})")
            print(f"{name:70s} {_text(value):>34s} {_text(known.get(name, '')):>34s}  {' '.join(marks)}")
    print(f"closer to the truth: ours in {led['ours']} rows, ESO's in {led['ESO']}; targets missed: {led['missed']}")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(each) for each in value)[:34]
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:34]
