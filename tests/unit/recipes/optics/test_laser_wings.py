"""Wings of lines along dispersion: measured with lasers, and taken off spectra."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.optics import LineWings
from tracecube.recipes.extract.joint import Extraction
from tracecube.recipes.extract.line_wings import without_wings
from tracecube.recipes.optics.laser_wings import laser_wings

LASERS = (9877.2, 11237.1, 13093.7)
M, PIXEL = 44, 170.0
OFFSET = np.array([-5.0, -4.0, -3.0, 3.0, 4.0, 5.0])
SHARE = np.array([0.001, 0.004, 0.012, 0.016, 0.008, 0.002])
"""At whole pixels; between them the wing is straight, and it ends at six."""


def line(away: np.ndarray, sigma: float = 0.95) -> np.ndarray:
    """Light a pixel of a line that sums up to 1."""
    nodes = np.array([-6.0, *OFFSET[:3], -2.5, 2.5, *OFFSET[3:], 6.0])
    wing = np.interp(away, nodes, [0.0, *SHARE[:3], 0.0, 0.0, *SHARE[3:], 0.0])
    core = np.exp(-0.5 * (away / sigma) ** 2) / sigma / np.sqrt(2.0 * np.pi)
    return (1.0 - SHARE.sum()) * core + wing


def field(rng: np.random.Generator, leak: float = -0.02) -> tuple[np.ndarray, np.ndarray, tuple, np.ndarray]:
    """Lasers in 900 lenslets, each beside the next with its rows 15 on; some of the light is lost to that."""
    n = 900
    start = 9000.0 + PIXEL * rng.uniform(-0.5, 0.5, n)
    wave = start[:, None] + PIXEL * np.arange(M)
    bright = rng.normal(1.0, 0.05, (n, len(LASERS))) * 2000.0
    at = (np.array(LASERS) - start[:, None]) / PIXEL
    flux = sum(bright[:, k, None] * line(np.arange(M) - at[:, k, None]) for k in range(len(LASERS)))
    row, sample = np.full((n, M), -1), np.full((n, M), -1)
    row[:-1, 15:] = np.arange(1, n)[:, None]
    sample[:-1, 15:] = np.arange(M - 15)
    for k in range(len(LASERS)):
        away = np.where(row >= 0, sample, np.nan) - at[np.maximum(row, 0), k]
        core = np.exp(-0.5 * (away / 0.95) ** 2) / 0.95 / np.sqrt(2.0 * np.pi)
        flux += leak * np.nan_to_num(core * bright[np.maximum(row, 0), k])
    flux += rng.normal(0.0, 15.0, flux.shape)
    place = np.stack([(np.arange(n) % 30 + 0.5) / 30.0, (np.arange(n) // 30 + 0.5) / 30.0], axis=1)
    return flux, wave, (row, sample), place


def test_the_wings_of_lasers_are_found_beside_what_leaks_from_the_next_traces() -> None:
    flux, wave, beside, place = field(np.random.default_rng(2))
    found = laser_wings(flux, wave, (*LASERS, 15451.0), beside, place)
    assert found.wave == pytest.approx(LASERS)  # the fourth does not shine
    assert np.abs(found.share - SHARE).max() < 0.006
    assert np.abs(found.share.mean(axis=0) - SHARE).max() < 0.002
    assert found.share.sum(axis=1) == pytest.approx(SHARE.sum(), abs=0.008)
    assert (found.error < 0.006).all()
    assert found.core == pytest.approx(0.95, abs=0.03)


def test_a_dark_frame_has_no_wings() -> None:
    flux, wave, beside, place = field(np.random.default_rng(3))
    with pytest.raises(BadData, match="lasers shine in"):
        laser_wings(np.full_like(flux, np.nan), wave, LASERS, beside, place)


def known(error: float) -> LineWings:
    """The wings, the same at all lasers."""
    three = np.ones((3, 1))
    return LineWings(np.array(LASERS), np.full(3, 0.95), OFFSET, three * SHARE, np.full((3, 6), error))


def extraction(light: np.ndarray, wave: np.ndarray) -> Extraction:
    """What the extraction finds of light (n, m) in samples."""
    away = np.arange(M)[:, None] - np.arange(M)
    flux = light @ line(away.astype(float)).T
    none = np.zeros((2, 2))
    return Extraction(flux, np.full(flux.shape, 4.0), np.zeros(flux.shape), none, none, none.astype(bool), 1.0)


def test_a_dark_band_is_no_longer_filled_and_smooth_light_stays() -> None:
    wave = np.tile(9000.0 + PIXEL * np.arange(M), (3, 1))
    wings = LineWings(
        wave=np.array(LASERS),
        core=np.full(3, 0.95),
        offset=OFFSET,
        share=np.tile(SHARE, (3, 1)),
        error=np.zeros((3, 6)),
    )
    light = np.full((3, M), 1000.0)
    light[0, 18:25] = 20.0
    light[1, :10] *= 6.0
    seen = extraction(light, wave)
    core = np.exp(-0.5 * ((np.arange(M)[:, None] - np.arange(M)) / 0.95) ** 2) / 0.95 / np.sqrt(2.0 * np.pi)
    wanted = light @ core.T
    before = np.abs(seen.flux - wanted)[:, 8:36]
    after = without_wings(seen, wave, wings)
    assert before[0].max() > 20.0
    assert np.abs(after.flux - wanted)[:, 8:36].max() < 0.25 * before.max()
    assert after.flux[2, 8:36] == pytest.approx(1000.0, rel=1e-3)
    assert after.variance[2, 20] == pytest.approx(4.0 / (1.0 - SHARE.sum()) ** 2, rel=2e-3)


def test_what_is_not_known_of_wings_is_in_the_variance_and_gaps_stay_gaps() -> None:
    wave = np.tile(9000.0 + PIXEL * np.arange(M), (1, 1))
    seen = extraction(np.full((1, M), 1000.0), wave)
    seen.flux[0, 20] = seen.variance[0, 20] = np.nan
    one, other = (without_wings(seen, wave, known(error)) for error in (0.0, 0.003))
    assert np.isnan(one.flux[0, 20])
    assert np.isfinite(np.delete(one.flux[0], 20)).all()
    assert one.flux[0, 23] == pytest.approx(1000.0, rel=1e-3)
    assert other.variance[0, 30] - one.variance[0, 30] == pytest.approx(
        6.0 * (3.0 / (1.0 - SHARE.sum())) ** 2, rel=0.02
    )


def test_parts_of_the_detector_without_lasers_do_not_count() -> None:
    flux, wave, beside, place = field(np.random.default_rng(2))
    upper = place[:, 1] > 2.0 / 3.0
    found = laser_wings(np.where(upper[:, None], np.nan, flux), wave, LASERS, beside, place)
    assert np.abs(found.share.mean(axis=0) - SHARE).max() < 0.003
    assert (found.error > 0.0).all()
    assert (found.error < 0.008).all()
    with pytest.raises(BadData, match="1 of 9 parts"):  # one part does not tell how unlike parts are
        laser_wings(flux, wave, LASERS, beside, np.full_like(place, 0.5))
