"""What lines of all fibres have in common, and how far their places depend on it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from tracecube.recipes.optics.fibre_line_shape import fit_common
from tracecube.recipes.optics.fibre_lines import FibreArc, FibreLine, LineShape, fit_lines

LINES = (
    FibreLine(3610.5, "Cd", (3612.9,)),
    FibreLine(3650.2, "Hg", (3654.8,)),
    FibreLine(4400.0, "Hg"),
    FibreLine(5200.0, "Cd"),
)
PLACE = np.array([66.0, 86.0, 460.0, 860.0])
OFFSETS = np.array([[1.2], [2.3], [0.0], [0.0]])
RATIOS = np.array([[0.25], [0.3], [0.0], [0.0]])
N, M, SIGMA = 60, 1032, 1.12


def arcs(rng: np.random.Generator) -> tuple[dict[str, FibreArc], np.ndarray]:
    """Spectra of Gaussian lines with noise, and their places (N, 4)."""
    place = PLACE + rng.uniform(-2.0, 2.0, (N, 1))
    edge = np.arange(M + 1) - 0.5
    made = {}
    for lamp in ("Hg", "Cd"):
        clean = np.zeros((N, M))
        for j, line in enumerate(LINES):
            for off, ratio in ((0.0, 1.0), (OFFSETS[j, 0], RATIOS[j, 0])):
                if line.lamp == lamp:
                    clean += 6e3 * ratio * np.diff(ndtr((edge - place[:, j, None] - off) / SIGMA), axis=1)
        variance = clean + 50.0
        made[lamp] = FibreArc(clean + np.sqrt(variance) * rng.normal(size=clean.shape), variance, np.zeros((N, M), int))
    return made, place


def measured(seed: int) -> tuple[np.ndarray, np.ndarray, LineShape]:
    """Mean error of each line's place, what is expected of it, and the shape (px)."""
    rng = np.random.default_rng(seed)
    made, place = arcs(rng)
    at = 2.0 * PLACE / (M - 1.0) - 1.0
    shape = LineShape(np.full((N, 4), SIGMA), np.zeros((4, 4)), OFFSETS, 0.6 * RATIOS)
    start = place + 0.1
    for _ in range(4):
        fits = fit_lines(made, LINES, start, shape, with_width=True)
        shape = shape._replace(sigma=np.full((N, 4), np.nanmean(fits.sigma[:, 1:])))
        shape, common = fit_common(made, LINES, fits, shape, at)
    fits = fit_lines(made, LINES, start, shape, with_width=False)
    alone = np.nanmean(fits.x_error**2, axis=0) / N
    return np.nanmean(fits.x - place, axis=0), np.sqrt(np.diag(common) + alone), shape


def test_places_of_blended_lines_are_known_as_well_as_is_said() -> None:
    found = [measured(seed) for seed in range(12)]
    pull = np.array([off / error for off, error, _ in found])
    assert np.sqrt((pull[:, 1:] ** 2).mean()) == pytest.approx(1.0, abs=0.3)
    assert np.sqrt((pull[:, 0] ** 2).mean()) < 1.3
    close, apart = (np.mean([error[j] for _, error, _ in found]) for j in (0, 2))
    assert close > 3.0 * apart


def test_the_shape_does_not_change_along_the_spectrum_without_need() -> None:
    shapes = [measured(seed)[2] for seed in range(3)]
    assert np.mean([np.ptp(shape.tails, axis=0) < 1e-4 for shape in shapes]) > 0.6
    for shape in shapes:
        assert np.abs(shape.tails).max() < 0.02
        assert shape.ratios[:2, 0] == pytest.approx(RATIOS[:2, 0], abs=0.04)
