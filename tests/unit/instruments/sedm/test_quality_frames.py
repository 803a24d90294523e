"""Each quality rule, hit by a frame: lenslet spectra with or without guide frame, target where it says or elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.instruments.sedm.star_exposures import FEIGE, FINE, TARGET, exposure, reference, supernova
from tests.unit.instruments.sedm.test_guider import META, catalogue, guide_frame
from tracecube.core.target import acceptable
from tracecube.instruments.sedm.star_parameters import ExtractStarParams
from tracecube.instruments.sedm.star_steps import extract_star

STARS = catalogue()
PLACE = (1.2, 2.0)
WHERE = {**TARGET, **{key: META[key] for key in ("OBJRA", "OBJDEC")}}
NOTHING = np.full(FINE.size, 1e-25)


def guided(target: tuple[float, float], **more: Any) -> dict[str, Any]:
    return {"guider": [guide_frame(STARS, target=target, **more)], "catalogue": STARS}


FRAMES: dict[str, tuple[int, str, dict[str, Any]]] = {
    "guider and source agree": (0, "astrom", {"spectra": (WHERE, supernova(), PLACE), **guided(PLACE)}),
    "a standard, by brightness": (0, "brightest", {"spectra": (FEIGE, reference("STD-Feige34"), PLACE)}),
    "a place by hand, no guider": (
        0, "manual", {"spectra": (WHERE, supernova(), PLACE), "params": {"centroid_x": 1.0, "centroid_y": 2.1}},
    ),
    "recovered": (1, "auto", {"spectra": (WHERE, supernova(), PLACE), "params": {"recovered": True}}),
    "the guider says outside": (3, "astrom", {"spectra": (WHERE, supernova(), PLACE), **guided((17.5, -9.0))}),
    "a place by hand outside": (
        3, "manual", {"spectra": (WHERE, supernova(), PLACE), "params": {"centroid_x": 17.5, "centroid_y": -9.0}},
    ),
    "noise where the guider says": (4, "astrom", {"spectra": (WHERE, NOTHING, PLACE), **guided(PLACE)}),
    "the guider trailed": (5, "auto", {"spectra": (WHERE, supernova(), PLACE), **guided(PLACE, trail=30.0)}),
    "no guide frame": (5, "auto", {"spectra": (WHERE, supernova(), PLACE)}),
    "noise, no guide frame: 5 comes first": (5, "auto", {"spectra": (WHERE, NOTHING, PLACE)}),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_gets_its_code(name: str) -> None:
    code, how, given = FRAMES[name]
    meta, flux, place = given["spectra"]
    sky = 2.0 if flux is NOTHING else 0.05
    params = ExtractStarParams(host="never", **given.get("params", {}))
    rest = {key: value for key, value in given.items() if key in {"guider", "catalogue"}}
    found = extract_star(spectra=exposure(meta, flux, place, seed=4, sky=sky), params=params, **rest)
    assert (found.target.quality, found.target.source_position) == (code, how)
    assert found.target.reason
    assert acceptable(code) == (code <= 2)
    assert (found.spectrum_uncal is None) == (code == 3)
    assert (found.finder is None) == ("guider" not in given)
