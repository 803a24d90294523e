"""Conservative rebinning: closed forms, conservation, noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.kernels.resample import rebin


@given(st.lists(st.floats(0.3, 3.0), min_size=3, max_size=20), st.floats(1.0, 5.0), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_light_is_kept(widths: list[float], first: float, seed: int) -> None:
    edges = first + np.concatenate([[0.0], np.cumsum(widths)])
    flux = np.random.default_rng(seed).uniform(1, 10, (1, 80))
    whole = rebin(flux, np.ones_like(flux), np.array([[edges[0], edges[-1]]]))[0][0, 0]
    parts = rebin(flux, np.ones_like(flux), edges[None])[0][0]
    assert parts.sum() == pytest.approx(whole, rel=1e-9)


def test_a_parabola_is_rebinned_exactly() -> None:
    def integral(x: np.ndarray) -> np.ndarray:
        return 2.0 * x + 0.3 * x**2 + 0.01 * x**3

    pixel = np.arange(40)
    flux = (integral(pixel + 0.5) - integral(pixel - 0.5))[None]
    edges = np.linspace(3.2, 30.7, 50)
    assert rebin(flux, flux, edges[None])[0][0] == pytest.approx(np.diff(integral(edges)), rel=1e-9)


def test_falling_edges_give_the_same_bins() -> None:
    flux = np.random.default_rng(1).uniform(1, 2, (1, 50))
    edges = np.linspace(5.0, 40.0, 20)
    up, down = rebin(flux, flux, edges[None])[0][0], rebin(flux, flux, edges[None, ::-1].copy())[0][0]
    assert down[::-1] == pytest.approx(up)


def test_variance_and_covariance_are_those_of_the_operator() -> None:
    rng = np.random.default_rng(5)
    edges = np.linspace(3.1, 30.4, 45)
    variance = rng.uniform(0.5, 2.0, (1, 40))
    _, var, cov, _ = rebin(np.zeros((1, 40)), variance, edges[None])
    operator = np.stack([rebin(row[None], variance, edges[None])[0][0] for row in np.eye(40)], axis=1)
    exact = operator @ np.diag(variance[0]) @ operator.T
    assert var[0] == pytest.approx(np.diag(exact), rel=1e-9)
    assert cov[0, :-1] == pytest.approx(np.diag(exact, 1), abs=1e-9)


def test_a_spectrum_owes_nothing_to_the_one_before_it() -> None:
    rng = np.random.default_rng(6)
    flux, variance = rng.uniform(1, 2, (5, 50)), rng.uniform(1, 2, (5, 50))
    edges = np.sort(rng.uniform(-5, 55, (5, 40)), axis=1)
    together = rebin(flux, variance, edges)
    for i in range(5):
        alone = rebin(flux[i : i + 1], variance[i : i + 1], edges[i : i + 1])
        assert all(np.array_equal(a[i], b[0], equal_nan=True) for a, b in zip(together, alone, strict=True))


def test_missing_pixels_are_made_up_for_or_named() -> None:
    flux = np.ones((1, 30))
    flux[0, 12] = np.nan
    bins, _, _, cover = rebin(flux, np.ones((1, 30)), np.array([[4.5, 8.5, 11.7, 12.3, 20.5]]))
    assert np.isnan(bins[0, 2])
    assert bins[0, [0, 3]] == pytest.approx([4.0, 8.2], rel=1e-9)
    assert cover[0, 2] == 0.0
