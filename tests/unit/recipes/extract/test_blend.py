"""What blended spectra share, against frames of noise drawn many times over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.small_field import SHAPE, frame, small_field
from tracecube.core.spectra import Spectra
from tracecube.kernels.beside import bins_beside
from tracecube.kernels.lattice import NEIGHBOURS
from tracecube.kernels.solve import factorise, normal_equations, solve
from tracecube.recipes.extract.blend import blended, variance_of_sum
from tracecube.recipes.extract.grid import GridParams, on_grid
from tracecube.recipes.extract.joint import ExtractionParams, extract, trace_matrix

DRAWS = 240
PLAIN = ExtractionParams(scatter_pieces=0, passes=1)
GRID = GridParams(wave_low=4200.0, wave_high=8800.0, n_wave=100)


@pytest.fixture(scope="module")
def drawn() -> tuple[Spectra, np.ndarray]:
    """Spectra of traces that blend with the next, and deviations (draw, n, n_wave) of many frames' from their mean."""
    field = small_field()
    field = replace(field, traces=replace(field.traces, sigma=2.4 * np.ones(field.traces.centre.shape)))
    matrix = trace_matrix(field.traces, SHAPE, half_width=16)
    light = field.image(np.full(field.traces.centre.shape, 400.0))
    rng, solution, flat = np.random.default_rng(6), field.solution(), field.flat()
    spectra = []
    for _ in range(DRAWS):
        found = extract(frame(light, rng), matrix, PLAIN, floor=16.0)
        spectra.append(
            on_grid(found, field.traces, solution, flat, field.layout, GRID, shift=0.0, meta={}, beside=matrix.beside())
        )
    flux = np.stack([one.flux for one in spectra]).astype(float)
    return spectra[0], flux - flux.mean(axis=0)


def test_correlation_with_the_spectrum_beside_is_what_is_told(drawn) -> None:
    told, noise = drawn
    sigma = noise.std(axis=0, ddof=1)
    lenslet, channel = np.nonzero((told.beside >= 0) & np.isfinite(sigma))
    other, at = told.beside[lenslet, channel], told.beside_sample[lenslet, channel].astype(int)
    strongest = 0.0
    for d in (-1, 0, 1):
        there = (at + d >= 0) & (at + d < sigma.shape[1])
        here, place = (lenslet[there], channel[there]), (other[there], at[there] + d)
        measured = (noise[:, here[0], here[1]] * noise[:, place[0], place[1]]).sum(axis=0) / (DRAWS - 1)
        measured /= sigma[here] * sigma[place]
        claimed = told.beside_correlation[:, :, d + 1][here]
        good = np.isfinite(measured)
        strong = claimed < np.median(claimed)
        for some in (good, good & strong, good & ~strong):
            assert np.mean(measured[some]) == pytest.approx(np.mean(claimed[some]), abs=0.015)
        strongest = max(strongest, float(np.abs(np.mean(claimed))))
    assert strongest > 0.02  # the test bites


@pytest.mark.parametrize(("width", "error"), [(10, 0.03), (80, 0.08)])  # the fewer sums, the less is known
def test_variance_of_sums_over_seven_lenslets_is_what_is_told(drawn, width, error) -> None:
    told, noise = drawn
    field = small_field().traces
    pulls: list[np.ndarray] = []
    number = {(q, r): i for i, (q, r) in enumerate(zip(field.q.tolist(), field.r.tolist(), strict=True))}
    for (q, r), i in number.items():
        group = [i, *(number[q + dq, r + dr] for dq, dr in NEIGHBOURS.tolist() if (q + dq, r + dr) in number)]
        if len(group) < 7:
            continue
        for first in range(10, 90, width):
            window = group, slice(first, first + width)
            weight = np.zeros(told.flux.shape)
            weight[window] = np.where(np.isfinite(noise[0][window]), 1.0, 0.0)
            sums = np.where(weight[group] != 0.0, noise[:, group], 0.0).sum(axis=(1, 2))
            pulls.append(sums**2 / variance_of_sum(told, weight) * DRAWS / (DRAWS - 1))
    assert len(pulls) >= 30
    assert np.mean(pulls) == pytest.approx(1.0, abs=error)


# With the spectrum beside alone it was 0.999, 0.87 and 0.44 of that.
@pytest.mark.parametrize(("sigma", "error"), [(1.5, 0.002), (2.4, 0.01), (3.2, 0.05)])
def test_sums_over_spectra_next_but_one_are_what_the_normal_matrix_says(sigma, error) -> None:
    field = small_field()
    traces = replace(field.traces, sigma=sigma * np.ones(field.traces.centre.shape))
    matrix = trace_matrix(traces, SHAPE, half_width=16)
    light = field.image(np.full(traces.centre.shape, 400.0))
    exposure = replace(frame(light, np.random.default_rng(6)), variance=(16.0 + light).astype(np.float32))
    found = extract(exposure, matrix, PLAIN, floor=16.0)
    none = np.zeros(found.flux.shape)
    told = Spectra(
        flux=found.flux, variance=found.variance, flags=none.astype(int), covariance=none, wave=field.wave(),
        lsf_sigma=none[0], aperture=traces.aperture, x=field.layout.x, y=field.layout.y, dq=traces.dq, medium="WAVE",
        **blended(found, matrix.beside()),
    )  # fmt: skip
    # Five neighbours across, far from the ends: the variance of their sum is wᵀ (AᵀWA)⁻¹ w.
    middle = np.abs(np.arange(SHAPE[1]) - 280) < 60
    order = np.argsort(traces.centre[:, 142])
    chosen = np.isin(np.arange(order.size), order[order.size // 2 - 2 : order.size // 2 + 3])
    along = traces.start[:, None] + np.arange(traces.centre.shape[1])
    weight = np.where(chosen[:, None] & middle[np.clip(along, 0, SHAPE[1] - 1)] & np.isfinite(found.flux), 1.0, 0.0)
    image, ivar = (matrix.canonical(a) for a in (exposure.data, 1.0 / exposure.variance))
    factor = factorise(normal_equations(matrix.a, image, ivar.astype(np.float32), band=matrix.band))
    at = matrix.gather(weight)
    assert variance_of_sum(told, weight) == pytest.approx(float(at @ solve(factor, at)), rel=error)


def test_bins_of_equal_width_share_what_their_samples_share() -> None:
    flux, blend = np.ones((2, 12)), np.stack([np.full(12, -0.2), np.zeros(12)])
    row = np.stack([np.ones(12, int), np.full(12, -1)])
    sample = np.stack([np.arange(12), np.full(12, -1)])
    edges = np.tile(np.arange(2.5, 10.0), (2, 1))
    beside, place, covariance = bins_beside(flux, blend, row, sample, edges, 1)
    assert (beside[0] == 1).all()
    assert (beside[1] == -1).all()
    assert place[0].tolist() == list(range(7))
    assert covariance[0, :, 1] == pytest.approx(-0.2)
    assert covariance[0, :, [0, 2]] == pytest.approx(0.0)
