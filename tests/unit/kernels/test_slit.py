"""Extraction column by column against plain NumPy and SciPy, and its errors against noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.signal import savgol_filter

from tracecube.kernels.cosmics import grow_in_residual
from tracecube.kernels.forward import DesignMatrix, project
from tracecube.kernels.shapes import mixed_matrix
from tracecube.kernels.slit_light import Footprints, SlitLight, footprints, phase_table
from tracecube.kernels.slit_moves import Changes, move_equations
from tracecube.kernels.slit_noise import Limits, dark_rest, first_weights, flood, judge, open_pixels
from tracecube.kernels.slit_samples import Samples, measure_samples
from tracecube.kernels.slit_smooth import expected_light
from tracecube.kernels.slit_solve import Pixels, solve_slit
from tracecube.kernels.solve import estimate, factorise, normal_equations

F8 = NDArray[np.float64]
M, ROWS, N, HALF = 30, 104, 11, 7
U = np.round(np.arange(-325, 326) * 0.02, 9)
NOISE = 3.0


def shapes() -> F8:
    """A leaning core whose ends are 0, and two departures."""
    core = np.exp(-0.5 * ((U - 0.1) / 1.4) ** 2) * (1.0 - (U / 6.5) ** 2) / 3.5
    wider = -(core + U * np.gradient(core, U))
    return np.stack([core, 0.3 * U * core, wider], axis=1)


class Slit(NamedTuple):
    light: SlitLight
    feet: Footprints
    a: DesignMatrix
    slope: DesignMatrix


def slit(*, first: float = 8.0) -> Slit:
    rng = np.random.default_rng(2)
    centre = first + 8.76 * np.arange(N) + np.linspace(0.0, 1.3, M)[:, None] + rng.normal(0.0, 0.1, (M, N))
    mix = np.stack([np.ones((M, N)), rng.normal(0.0, 0.2, (M, N)), rng.normal(0.0, 0.01, (M, N))], axis=2)
    table = phase_table(U, shapes(), HALF)[None]
    light = SlitLight(centre, mix.astype(np.float32), np.zeros(N, np.int64), table, HALF)
    made = [
        mixed_matrix(
            np.repeat(np.arange(M, dtype=float), N), centre.ravel(), mix.reshape(M * N, 3).T.astype(np.float32),
            U, shapes(), shape=(ROWS, M), half_width=HALF, shift_across=slope,
        )
        for slope in (False, True)
    ]  # fmt: skip
    return Slit(light, footprints(light, ROWS), made[0], made[1])


def pixels(one: Slit, flux: F8, seed: int, bad: float = 0.03) -> Pixels:
    """Noisy columns of light, their variances known."""
    rng = np.random.default_rng(seed)
    light = project(one.a, flux.ravel()).T.astype(float)
    variance = NOISE**2 + light
    data = (light + rng.normal(0.0, 1.0, light.shape) * np.sqrt(variance)).astype(np.float32)
    lost = rng.random(light.shape) < bad
    lost[12, 30:50] = bad > 0.0
    floor = np.where(lost, np.inf, NOISE**2).astype(np.float32)
    ivar = np.where(lost, 0.0, 1.0 / variance).astype(np.float32)
    return Pixels(np.where(lost, 0.0, data).astype(np.float32), floor, np.full_like(data, 0.25), ivar)


def spectra(seed: int = 1) -> F8:
    return np.random.default_rng(seed).uniform(20.0, 400.0, (M, N))


def plain(one: Slit, p: Pixels) -> tuple[F8, F8, F8]:
    """Flux, variance and covariance with the next, by `kernels.solve`."""
    data, ivar = np.ascontiguousarray((p.data - p.ground).T), np.ascontiguousarray(p.ivar.T)
    equations = normal_equations(one.a, data, ivar, band=2)
    found = estimate(factorise(equations), equations.rhs)
    return found.flux.reshape(M, N), found.covariance[0].reshape(M, N), found.covariance[1].reshape(M, N)


@pytest.mark.parametrize("first", [8.0, 3.0])
def test_footprints_are_the_profile_read_at_every_pixel(first: float) -> None:
    one = slit(first=first)
    inside = one.feet.first[:, :, None] + np.arange(2 * HALF + 1) >= 0
    expected = one.a.weight[:, :, 0].reshape(M, N, -1)
    assert np.abs(np.where(inside, one.feet.weight[:, :, : 2 * HALF + 1] - expected, 0.0)).max() < 1e-6
    assert not one.feet.weight[:, :, 2 * HALF + 1 :].any()
    assert np.array_equal(one.feet.first.ravel(), one.a.origin[:, 0])
    away = footprints(one.light._replace(centre=one.light.centre + 500.0), ROWS)
    assert not away.weight.any()


def test_light_and_covariance_are_those_of_the_plain_solver() -> None:
    one = slit()
    p = pixels(one, spectra(), 3)
    flux, variance, blend = plain(one, p)
    dead = ~np.isfinite(flux)
    assert 0 < dead.sum() < 5
    off = np.abs(solve_slit(one.feet, p) - np.where(dead, 0.0, flux)) / np.sqrt(np.where(dead, 1.0, variance))
    assert off.max() < 1e-4
    zero = np.zeros((M, ROWS), np.uint8)
    found = measure_samples(one.feet, one.light.centre, p, zero, zero, 5.0)
    assert np.array_equal(np.isnan(found.flux), dead)
    assert found.variance[~dead] == pytest.approx(variance[~dead], rel=1e-5)
    assert found.blend[:, :-1] == pytest.approx(blend[:, :-1], rel=1e-4, abs=1e-4)


def test_chi_square_and_lost_light_are_summed_under_each_footprint() -> None:
    one = slit()
    p = pixels(one, spectra(), 4)
    rng = np.random.default_rng(5)
    marks = np.where(rng.random((M, ROWS)) < 0.02, rng.integers(1, 4, (M, ROWS)), 0).astype(np.uint8)
    state = np.where(rng.random((M, ROWS)) < 0.02, 2, 0).astype(np.uint8)
    found = measure_samples(one.feet, one.light.centre, p, marks, state, 5.0)
    a = one.a.sparse()
    flux, variance, _ = plain(one, p)
    ivar = p.ivar.T.ravel().astype(float)
    left = (p.data - p.ground).T.ravel() - a @ np.nan_to_num(flux).ravel()
    freedom = a.T @ np.where(
        ivar > 0, np.maximum(1.0 - (a.power(2) @ np.nan_to_num(variance).ravel()) * ivar, 0.0), 0.0
    )
    good = np.isfinite(flux)
    assert found.chi2[good] == pytest.approx(((a.T @ (left**2 * ivar)) / freedom).reshape(M, N)[good], rel=1e-3)
    squares = a.power(2)
    for value, mask in ((found.hit, marks >= 2), (found.full, state == 2)):
        share = (squares.T @ mask.T.ravel().astype(float)) / (squares.T @ np.ones(M * ROWS))
        assert value == pytest.approx(share.reshape(M, N), abs=1e-5)


def test_an_aperture_differs_from_the_fit_as_its_variance_says() -> None:
    one, flux = slit(), spectra()
    zero, flat = np.zeros((M, ROWS), np.uint8), np.zeros((M, ROWS), np.float32)

    def samples(p: Pixels) -> Samples:
        return measure_samples(one.feet, one.light.centre, p._replace(ground=flat), zero, zero, 5.0)

    all_ = [samples(pixels(one, flux, k, 0.0)) for k in range(60)]
    pulls = np.array([s.off / np.sqrt(s.off_variance) for s in all_])
    assert abs(pulls.mean()) < 0.02
    assert pulls.std() == pytest.approx(1.0, abs=0.03)
    quiet = project(one.a, flux.ravel()).T
    found = samples(Pixels(quiet, flat + 9.0, flat, flat + 0.1))
    box = np.clip(3.0 - np.abs(np.arange(ROWS)[None, :, None] - one.light.centre[:, None, :]), 0.0, 1.0)
    assert found.box == pytest.approx(np.einsum("mrn,mr->mn", box, quiet), rel=1e-4)
    assert np.abs(found.off).max() < 1e-2


def test_expected_light_is_the_common_spectrum_and_what_is_smooth() -> None:
    rng = np.random.default_rng(6)
    flux = rng.normal(60.0, 15.0, (310, 40)).astype(np.float32)
    flux[:, 7] += 500.0
    flux[100] *= 5.0
    y = flux.T.astype(float)
    level = np.maximum(uniform_filter1d(y, 201, axis=1), 1e-3 * y.mean())
    common = level * median_filter(y / level, (11, 1), mode="nearest")
    expected = np.maximum(common + savgol_filter(y - common, 9, 2, axis=1), 0.0)
    assert pytest.approx(expected, rel=1e-4, abs=1e-2) == expected_light(flux).T


def test_moves_are_the_step_of_a_dense_fit_with_the_fluxes_free() -> None:
    one, flux = slit(), spectra()
    p = pixels(one, flux, 7)
    place = 2.0 * one.light.centre / ROWS - 1.0
    table = phase_table(U, -np.gradient(shapes(), U, axis=0), HALF)[None]
    wide = one.light._replace(mix=np.ones((M, N, 1), np.float32), table=phase_table(U, shapes()[:, 2:], HALF)[None])
    changes = Changes(one.light._replace(table=table), wide, place)
    matrix, rhs = move_equations(one.feet, changes, flux.astype(np.float32), p, 1, 1)
    widths = mixed_matrix(
        np.repeat(np.arange(M, dtype=float), N), one.light.centre.ravel(), np.ones((1, M * N), np.float32), U,
        shapes()[:, 2:], shape=(ROWS, M), half_width=HALF,
    )  # fmt: skip
    x = np.broadcast_to(np.linspace(-1.0, 1.0, M)[:, None], (M, N))
    terms = [one.slope.sparse() @ (flux * t).ravel() for t in (np.ones((M, N)), place, x)]
    jacobian = np.stack([*terms, widths.sparse() @ flux.ravel()], axis=1)
    w = np.sqrt(p.ivar.T.ravel().astype(float))
    a = one.a.sparse().toarray() * w[:, None]
    a = a[:, np.isfinite(plain(one, p)[0]).ravel()]
    basis = np.linalg.qr(a)[0]
    left = [v - basis @ (basis.T @ v) for v in (jacobian * w[:, None], w * (p.data - p.ground).T.ravel())]
    assert matrix[0] == pytest.approx(left[0].T @ left[0], rel=2e-3, abs=2e-4 * np.abs(matrix).max())
    step = np.linalg.solve(matrix[0], rhs[0])
    dense = np.linalg.lstsq(left[0], left[1])[0]
    assert np.abs(step - dense).max() < 0.02 * np.sqrt(np.diag(np.linalg.inv(matrix[0]))).min()


def test_frames_are_turned_and_weighed_by_a_median_along_the_spectra() -> None:
    rng = np.random.default_rng(8)
    data = rng.normal(40.0, 9.0, (ROWS, M)).astype(np.float32)
    variance, flags = np.full_like(data, 9.0), np.zeros(data.shape, np.int32)
    data[3, 4], variance[5, 6], flags[7, 8], flags[9, 10] = np.nan, 0.0, 1, 4
    lost = np.arange(ROWS) >= ROWS - 2
    p, state = open_pixels((data, variance, flags), 1, 4, lost)
    bad = ~np.isfinite(data) | (variance == 0.0) | (flags == 1) | lost[:, None]
    assert np.array_equal((state & 1).T != 0, bad)
    assert list(np.argwhere((state & 2) != 0)[0]) == [10, 9]
    clean = np.where(bad, 0.0, data)
    assert np.array_equal(p.data.T, clean)
    first_weights(p, 0.5)
    light = np.maximum(median_filter(clean, (1, 5), mode="nearest"), 0.0)
    assert np.allclose(p.ivar.T, np.where(bad, 0.0, 1.0 / (variance.clip(1e-3) + 0.5 * light)), rtol=1e-6)


def test_hits_are_grown_as_in_a_residual_and_weigh_nothing() -> None:
    one, flux = slit(), spectra()
    p = pixels(one, flux, 9)
    rng = np.random.default_rng(10)
    at = rng.integers(0, M, 40), rng.integers(2, ROWS - 2, 40)
    p.data[at] += 300.0
    p.data[at[0], at[1] + 1] += 40.0
    p.data[4, 50] = -400.0
    both = flux.astype(np.float32), (0.97 * flux).astype(np.float32)
    marks = judge(one.feet, both, p, 0.5, Limits(6.0, 3.0, 8.0, 0.05))
    model, smooth = (project(one.a, one_.ravel()).T for one_ in both)
    variance = p.floor + 0.5 * np.maximum(smooth + p.ground, 0.0)
    assert p.ivar == pytest.approx(1.0 / variance, rel=1e-5)
    away = (p.data - model - p.ground) / np.sqrt(variance + (0.05 * np.maximum(model + p.ground, 0.0)) ** 2)
    away = np.where(np.isfinite(p.floor), away, 0.0).astype(np.float32)
    flood(marks, p)
    expected = grow_in_residual(away > 6.0, away, 3.0) | (away < -8.0)
    assert expected.sum() > 50
    assert np.array_equal(marks >= 2, expected)
    assert not p.ivar[expected].any()


def test_bins_of_light_and_the_pixels_that_no_fibre_lights() -> None:
    one, flux = slit(), spectra()
    p = pixels(one, flux, 11)
    both = flux.astype(np.float32), (0.9 * flux).astype(np.float32)
    few, dark = dark_rest(one.feet, one.light.centre, both, p, 4.1, 2)
    light, smooth = (project(one.a, v.ravel()).T for v in both)
    assert few == pytest.approx(smooth.reshape(M // 2, 2, ROWS // 2, 2).sum(axis=(1, 3)), rel=1e-4, abs=1e-3)
    far = np.abs(np.arange(ROWS)[None, :, None] - one.light.centre[:, None, :]).min(axis=2) > 4.1
    expected = np.flatnonzero(far & (p.ivar > 0))
    assert np.array_equal(dark.at, expected)
    assert dark.rest == pytest.approx((p.data - light).ravel()[expected], abs=1e-3)
