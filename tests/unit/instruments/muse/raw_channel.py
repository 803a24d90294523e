"""Raw images of one channel, small, in the layout of the detector: four quadrants with prescan and overscan."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracecube.core.frame import RawFrame

WIDE, HIGH, EDGE = 48, 256, 32
GAIN = {1: 1.10, 2: 1.15, 3: 1.05, 4: 1.20}
NOISE = {1: 2.5, 2: 2.8, 3: 3.0, 4: 2.6}  # electron
LEVEL = {1: 1900.0, 2: 2000.0, 3: 2100.0, 4: 1950.0}  # adu
ORIGIN = {1: (False, False), 2: (True, False), 3: (True, True), 4: (False, True)}
"""Whether an output lies at the right, and above."""


def cards() -> dict[str, Any]:
    """The cards that describe the outputs."""
    made: dict[str, Any] = {"EXPTIME": 0.0, "DETECTOR": "CHAN07", "ESO DET CHIP LIVE": True}
    for output, (right, upper) in ORIGIN.items():
        values = {
            "X": 2 * WIDE if right else 1, "Y": 2 * HIGH if upper else 1, "NX": WIDE, "NY": HIGH,
            "PRSCX": EDGE, "PRSCY": EDGE, "OVSCX": EDGE, "OVSCY": EDGE, "GAIN": GAIN[output], "RON": NOISE[output],
        }  # fmt: skip
        made |= {f"ESO DET OUT{output} {key}": value for key, value in values.items()}
    return made


def bend(output: int) -> np.ndarray:
    """What the bias level does along y (adu)."""
    u = np.linspace(-1.0, 1.0, HIGH)
    return LEVEL[output] + 3.0 * output * u + 1.5 * u**2


def raw(rng: np.random.Generator, light: np.ndarray | None = None, *, name: str = "raw", **more: Any) -> RawFrame:
    """A raw image (adu); ``light`` (y, x) is what falls on the chip, electron."""
    image = np.zeros((2 * HIGH + 4 * EDGE, 2 * WIDE + 4 * EDGE))
    for output, (right, upper) in ORIGIN.items():
        x0, y0 = EDGE + (WIDE + 2 * EDGE if right else 0), EDGE + (HIGH + 2 * EDGE if upper else 0)
        half_y, half_x = image.shape[0] // 2, image.shape[1] // 2
        part = image[
            half_y if upper else 0 : None if upper else half_y, half_x if right else 0 : None if right else half_x
        ]
        part += LEVEL[output]
        image[y0 : y0 + HIGH, half_x if right else 0 : None if right else half_x] += (bend(output) - LEVEL[output])[
            :, None
        ]
        part += rng.normal(0.0, NOISE[output] / GAIN[output], part.shape)
        if light is not None:
            chip = light[HIGH if upper else 0 :, WIDE if right else 0 :][:HIGH, :WIDE]
            image[y0 : y0 + HIGH, x0 : x0 + WIDE] += rng.poisson(chip) / GAIN[output]
    return RawFrame(name, "BIAS", {**cards(), **more}, {"CHAN07": np.rint(image).astype(np.float32)}, {})
