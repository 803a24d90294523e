"""Columns of a slit: fluxes, shifts, departures and the mean profile, from columns whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tracecube.kernels.slit_columns import fit_columns, mean_equations
from tracecube.kernels.slit_profile import Curves, departures, with_square

F8 = NDArray[np.float64]
U = np.arange(-425, 426) * 0.02
ROWS, N, COLUMNS = 140, 14, 60


def profile(u: F8, scale: float | F8 = 1.0, variance: float = 3.0) -> F8:
    """A Gaussian of integral 1."""
    s = np.sqrt(variance) * scale
    return np.asarray(np.exp(-0.5 * (u / s) ** 2) / (s * np.sqrt(2.0 * np.pi)))


def slit() -> tuple[F8, F8]:
    """Centres and fluxes (N, COLUMNS)."""
    x = np.linspace(-1.0, 1.0, COLUMNS)
    centre = 12.0 + 8.8 * np.arange(N)[:, None] + 1.7 * x + 0.4 * x**2
    return centre, 3000.0 * (1.0 + 0.3 * x) * np.random.default_rng(1).uniform(0.7, 1.2, (N, 1))


def image(scale: F8, shift: float = 0.0, variance: float = 3.0) -> NDArray[np.float32]:
    """Light of the slit, scales (N,) of its fibres' profiles."""
    centre, flux = slit()
    u = np.arange(ROWS)[:, None, None] - centre - shift
    return np.asarray((flux * profile(u, scale[None, :, None], variance)).sum(axis=1), np.float32)


def test_fluxes_are_exact_and_nothing_is_left_where_the_model_is_right() -> None:
    centre, flux = slit()
    curves = departures(U, profile(U), 1)
    data = image(np.ones(N))
    none = np.zeros((N, COLUMNS, 2))
    found = fit_columns(data, np.ones_like(data), np.arange(0, COLUMNS, 3), centre, none, curves)
    assert np.allclose(found.flux, flux[:, ::3], rtol=2e-4)
    assert np.abs(found.model - data[:, ::3]).max() < 1e-3 * data.max()
    assert np.allclose(found.freedom.sum(), found.freedom.size - found.flux.size, rtol=0.01)


def test_a_bad_pixel_counts_for_nothing() -> None:
    centre, flux = slit()
    data = image(np.ones(N))
    ivar = np.ones_like(data)
    data[55, 10], ivar[55, 10] = 1e7, 0.0
    found = fit_columns(data, ivar, np.array([10]), centre, np.zeros((N, COLUMNS, 2)), departures(U, profile(U), 1))
    assert np.allclose(found.flux[:, 0], flux[:, 10], rtol=2e-4)
    assert found.freedom[55, 0] == 0.0


@pytest.mark.parametrize(("shift", "scale"), [(0.05, 1.0), (0.0, 1.03), (-0.04, 0.97)])
def test_shift_and_scale_of_a_fibre_follow_from_what_is_left(shift: float, scale: float) -> None:
    centre, flux = slit()
    data = image(np.full(N, scale), shift)
    curves = departures(U, profile(U), 1)
    amount, moved = np.zeros((N, COLUMNS, 1)), centre.copy()
    for _ in range(4):
        found = fit_columns(data, np.ones_like(data), np.arange(COLUMNS), moved, with_square(amount), curves)
        step = np.linalg.solve(found.information, found.score[..., None])[..., 0] / found.flux[..., None]
        moved, amount = moved + step[..., :1].mean(axis=1), amount + step[..., 1:].mean(axis=1, keepdims=True)
    assert np.allclose(moved - centre, shift, atol=1e-3)
    # pixels of this image do not widen with it: d(variance) / d(scale) is 2 (v - 1/12) in the curve and 2 v here
    assert np.allclose(amount, np.log(scale) * 3.0 / (3.0 - 1.0 / 12.0), atol=2e-3)
    assert np.allclose(found.flux, flux, rtol=2e-3)


def test_information_is_that_of_the_noise() -> None:
    """Shifts of single columns scatter by what the information says."""
    centre, _ = slit()
    rng = np.random.default_rng(5)
    data = image(np.ones(N))
    variance = 9.0 + data
    noisy = (data + rng.normal(size=data.shape) * np.sqrt(variance)).astype(np.float32)
    ivar = (1.0 / variance).astype(np.float32)
    found = fit_columns(
        noisy, ivar, np.arange(COLUMNS), centre, np.zeros((N, COLUMNS, 2)), departures(U, profile(U), 1)
    )
    pull = found.score[..., 0] / np.sqrt(found.information[..., 0, 0])
    assert pull.std() == pytest.approx(1.0, abs=0.06)
    assert abs(pull.mean()) < 0.15


def test_departures_move_neither_flux_nor_centroid() -> None:
    mean = profile(U)
    curves: Curves = departures(U, mean, 4)
    assert curves.shape.shape == (U.size, 6)
    assert np.abs(curves.shape[:, 1:].sum(axis=0) * 0.02).max() < 1e-6
    assert np.abs((U[:, None] * curves.shape[:, 1:5]).sum(axis=0) * 0.02).max() < 1e-3
    wider = curves.shape @ np.concatenate([[1.0], with_square(np.array([0.08, 0.0, 0.0, 0.0]))])
    s2 = 3.0 * np.exp(0.16) - np.expm1(0.16) / 12.0
    assert np.abs(wider - profile(U, 1.0, s2)).max() < 5e-4


def test_the_mean_profile_is_found_whatever_the_centres_lack() -> None:
    from tracecube.recipes.optics.fibre_profile import FibreProfileParams, fit_mean, gaussian_profile

    centre, _ = slit()
    data = image(np.ones(N))
    start = gaussian_profile(FibreProfileParams(), 1.9, N)
    for off in (0.0, 0.05):
        found = start
        for _ in range(4):
            found = fit_mean(
                data, np.full_like(data, 10.0), np.arange(0, COLUMNS, 2), centre + off, found, np.ones(N, bool)
            )
        assert np.abs(found.curves.shape[:, 0] - profile(U)).max() < 1e-3
    size = 7
    assert mean_equations(
        data,
        np.zeros_like(data),
        np.arange(3),
        (centre, np.zeros((N, COLUMNS, 2))),
        start.curves,
        np.ones((size, U.size)),
    ).matrix.shape == (size, size)
