"""Light on fibres is told from none: by what stands above the gaps between them."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.instruments.virus.ccd import HALF
from tracecube.instruments.virus.unlit import contrast, unlit

FIBRES, NOISE = 112, 2.6


def places() -> np.ndarray:
    """Bent a little, as fibres are; the tenth is dead."""
    x = np.linspace(-1.0, 1.0, HALF)
    centre = 20.0 + 8.8 * np.arange(FIBRES)[:, None] + 3.0 * x**2
    centre[10] = np.nan
    return centre


def drawn(sky: float, *, line: float = 0.0, seed: int = 1) -> np.ndarray:
    """Draw an amplifier: light (electron a column) of a sky or of one line, over an even background, with hits."""
    rng = np.random.default_rng(seed)
    y, centre = np.arange(HALF)[:, None], np.nan_to_num(places(), nan=-100.0)
    light = np.full(HALF, sky)
    light[400:405] += line
    image = 7.0 + rng.normal(0.0, NOISE, (HALF, HALF))
    for one in centre:
        image += light * np.exp(-0.5 * ((y - one) / 2.0) ** 2) / (2.0 * (2.0 * np.pi) ** 0.5)
    hits = rng.integers(0, HALF, (2, 300))
    image[hits[0], hits[1]] += 3000.0
    return image


def traces(centre: np.ndarray) -> TraceSet:
    known = np.isfinite(centre)
    number = np.arange(FIBRES, dtype=np.int32)
    dead = np.where(known[:, 0], 0, 1).astype(np.int32)
    none = np.zeros(centre.shape, np.int32)
    ones = np.ones(5)
    return TraceSet(number, 0 * number, number, number, dead, centre, np.full_like(centre, 2.0), none, ones, ones)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_bundle_that_is_not_plugged_in_shows_nothing(seed: int) -> None:
    assert abs(contrast(drawn(0.0, seed=seed), places())) < 0.05


def test_a_faint_sky_and_one_line_of_an_arc_are_light() -> None:
    assert contrast(drawn(3.0), places()) == pytest.approx(3.0 * 0.2 * 0.9, rel=0.25)
    assert contrast(drawn(0.0, line=300.0), places()) > 0.2


def test_nothing_known_is_not_called_dark() -> None:
    assert contrast(np.full((HALF, HALF), np.nan), places()) == float("inf")


def test_the_dark_amplifier_is_named_and_the_other_is_not() -> None:
    data = np.concatenate([drawn(0.0), drawn(30.0)]).astype(np.float32)
    frame = Frame(data, np.ones_like(data), np.zeros(data.shape, np.int32), {"CCDPOS": "L"})
    found = unlit(frame, {"LL": traces(places()), "LU": traces(places())})
    assert list(found) == ["LL"]
    assert "amplifier LL: no light on its fibres" in found["LL"]
    assert "was the bundle plugged in" in found["LL"]
