"""What wings leave open of neighbours' light: the error is that of profiles drawn from their covariance."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.shapes import RowTraces
from tracecube.recipes.optics.profile_leak import leak_errors, level_covariance

U = np.linspace(-14.0, 14.0, 1401)
CENTRES = np.arange(-12.0, 13.0)
SPLINES = np.stack([np.maximum(0.0, 1.0 - np.abs(U - c)) for c in CENTRES])
CORE = np.exp(-0.5 * (CENTRES / 0.95) ** 2) / (0.95 * np.sqrt(2.0 * np.pi))


def test_the_error_is_the_scatter_of_what_wrong_profiles_leak() -> None:
    rng, spacing = np.random.default_rng(9), 5.1
    covariance = np.diag(np.where(np.abs(CENTRES) > 3.0, 1e-6, 1e-12))
    claimed = leak_errors(U, SPLINES, CORE[None], np.linalg.inv(covariance), spacing=spacing)
    x, places = np.arange(-60, 61), spacing * np.arange(-8, 9) + 0.2
    a = np.stack([np.interp(x - p, U, CORE @ SPLINES) for p in places], axis=1)
    found = []
    for _ in range(400):
        wrong = (CORE + np.sqrt(np.diag(covariance)) * rng.normal(size=CENTRES.size)) @ SPLINES
        sides = [
            np.linalg.lstsq(a, np.interp(x - places[8 + side], U, wrong, left=0.0, right=0.0), rcond=None)[0][8]
            for side in (-1, 1)
        ]
        found.append(np.mean(sides))
    assert np.std(found) == pytest.approx(claimed[0], rel=0.15)


def test_known_wings_leave_nothing_open() -> None:
    alone = leak_errors(U, SPLINES, np.tile(CORE, (3, 1)), 1e6 * np.eye(3 * CENTRES.size), spacing=5.1)
    less = leak_errors(U, SPLINES, np.tile(CORE, (3, 1)), 1e8 * np.eye(3 * CENTRES.size), spacing=5.1)
    assert alone == pytest.approx(10.0 * less)


def test_levels_along_a_spectrum_are_as_open_as_wrong_profiles_make_them() -> None:
    rng, spacing, count = np.random.default_rng(10), 5.1, 31
    node = np.arange(count) % 2  # beside each trace stand two that show the other end of the spectrum
    rows = RowTraces(np.arange(5) * count, np.tile(spacing * np.arange(count), 4), np.tile(node.astype(float), 4))
    covariance = np.where(np.abs(CENTRES) > 3.0, 1e-6, 1e-12)
    normal = np.diag(np.tile(1.0 / covariance, 2))
    both = np.tile(CORE, (2, 1))
    claimed = level_covariance(U, SPLINES, both, normal, rows, spacing=spacing)
    x, places = np.arange(-20, 175), spacing * np.arange(count) + 0.2
    a = np.stack([np.interp(x - p, U, CORE @ SPLINES) for p in places], axis=1)
    found = []
    for _ in range(300):
        wrong = (both + np.sqrt(covariance) * rng.normal(size=both.shape)) @ SPLINES
        lit = sum(np.interp(x - p, U, wrong[k], left=0.0, right=0.0) for p, k in zip(places, node, strict=True))
        flux = np.linalg.lstsq(a, lit, rcond=None)[0][8:-8]
        level = np.array([flux[node[8:-8] == k].mean() for k in (0, 1)])
        found.append(level - level.mean())
    assert np.std(found, axis=0) == pytest.approx(np.sqrt(np.diag(claimed)), rel=0.15)
    assert claimed.sum(axis=0) == pytest.approx([0.0, 0.0], abs=1e-9)  # against the mean of both
