from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tracecube.core.detector import Detector
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.instruments.sedm.detectors import detector as sedm_detector
from tracecube.io.raw import read_raw
from tracecube.recipes.detector.badpixels import BadPixelParams
from tracecube.recipes.detector.bias import BiasParams, combine_biases
from tracecube.recipes.detector.calibrate import calibrate_frame, noise_floor
from tracecube.recipes.detector.cosmics import flag_cosmics, flag_residual_cosmics
from tracecube.simulate.detector import Camera, Hits, cosmic_rays

Shoot = Callable[..., RawFrame]
NIGHT = Path(__file__).parents[5] / "shared" / "nights" / "sedm" / "A"


@pytest.fixture(scope="session")
def exposure(camera: Camera, detector: Detector, shoot: Shoot, light: np.ndarray) -> tuple[Frame, Hits]:
    biases = [shoot(f"b{i}", seed=i) for i in range(5)]
    bias = combine_biases(biases, detector, BiasParams(), noise_range=(3.0, 6.0)).master_bias
    hits = cosmic_rays(camera, 8000.0, np.random.default_rng(5))
    return calibrate_frame(shoot("a", light, seed=7, hits=hits), bias, detector=detector), hits


def scores(frame: Frame, hits: Hits, sigma: np.ndarray) -> tuple[float, float]:
    """Share of hit pixels above five sigma that are found, and of others that are flagged."""
    found = frame.flags & int(Flag.COSMIC_RAY) > 0
    strong = (hits.electrons > 5.0 * sigma[hits.y, hits.x]) & (hits.x < 240)
    truth = np.zeros(found.shape, bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            truth[np.clip(hits.y + dy, 0, 255), np.clip(hits.x + dx, 0, 255)] = True
    return found[hits.y[strong], hits.x[strong]].mean(), (found & ~truth).mean()


def test_hits_are_found_and_lines_are_kept(exposure: tuple[Frame, Hits], light: np.ndarray) -> None:
    frame, hits = exposure
    flagged = flag_cosmics(frame, floor=noise_floor(frame))
    complete, false = scores(flagged, hits, np.sqrt(16.0 + light))
    assert complete > 0.97
    assert false < 1e-3
    assert np.array_equal(flagged.data, frame.data)  # a flagged sample keeps its value
    peaks = light > 350.0
    assert (flagged.flags[peaks] & int(Flag.COSMIC_RAY) > 0).mean() < 0.05


def test_dispersion_along_columns_gives_the_same_pixels(exposure: tuple[Frame, Hits]) -> None:
    frame, _ = exposure
    turned = Frame(*(np.ascontiguousarray(a.T) for a in (frame.data, frame.variance, frame.flags)), frame.meta)
    one = flag_cosmics(frame, floor=16.0).flags & int(Flag.COSMIC_RAY)
    two = flag_cosmics(turned, floor=16.0, axis=0).flags.T & int(Flag.COSMIC_RAY)
    assert (one != two).mean() < 1e-3  # L.A.Cosmic's separable medians look along rows first


def test_what_a_model_leaves_over(exposure: tuple[Frame, Hits], light: np.ndarray) -> None:
    frame, hits = exposure
    flagged = flag_residual_cosmics(frame, light, floor=noise_floor(frame))
    complete, false = scores(flagged, hits, np.sqrt(16.0 + light))
    assert complete > 0.98
    assert false < 2e-4


def test_an_imperfect_model_flags_no_light(exposure: tuple[Frame, Hits], light: np.ndarray) -> None:
    frame, hits = exposure
    wrong = 0.5 * (np.roll(light, 1, axis=0) - light) * 0.1 + 0.97 * light  # 0.05 px off, 3 per cent faint
    _, false = scores(flag_residual_cosmics(frame, wrong, floor=noise_floor(frame)), hits, np.sqrt(16.0 + light))
    assert false < 1e-3


def test_known_hits_stay_and_bad_pixels_do_not_grow(exposure: tuple[Frame, Hits], light: np.ndarray) -> None:
    frame, _ = exposure
    flags = np.zeros_like(frame.flags)
    flags[10, 10] = Flag.COSMIC_RAY
    flags[:, 90] = Flag.BAD_PIXEL
    data = light.copy()
    data[:, 90] += 1e4
    found = flag_residual_cosmics(Frame(data, frame.variance, flags, frame.meta), light, floor=16.0).flags
    assert found[10, 10] == Flag.COSMIC_RAY
    assert np.all(found[:, 90] == Flag.BAD_PIXEL)
    assert np.count_nonzero(found & int(Flag.COSMIC_RAY)) == 1


@pytest.mark.night
@pytest.mark.skipif(not NIGHT.is_dir(), reason="the given night is not here")
def test_given_night() -> None:
    raw = [read_raw(path, "BIAS") for path in sorted(NIGHT.glob("ifu20210421_00_0[56]*.fits.fz"))]
    chip = sedm_detector(raw[0].meta, raw[0].name)
    bias = combine_biases(raw, chip, BiasParams(), noise_range=(3.0, 6.0)).master_bias
    with fits.open(NIGHT / "truth" / "cosmics.fits") as truth:
        for name in ("ifu20210421_03_52_10", "ifu20210421_04_12_00"):
            frame = read_raw(NIGHT / f"{name}.fits.fz", "SCIENCE")
            calibrated = calibrate_frame(frame, bias, detector=chip, columns=BadPixelParams())
            found = flag_cosmics(calibrated, floor=noise_floor(calibrated)).flags & int(Flag.COSMIC_RAY) > 0
            table = truth[name.upper()].data
            strong = table["ELECTRONS"] > 5.0 * table["SIGMA"]
            assert found[table["Y"][strong], table["X"][strong]].mean() > 0.98
            found[table["Y"], table["X"]] = False
            assert found.mean() < 1e-3
