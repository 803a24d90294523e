"""Profile of lenslet spectra by zone and node, and its mix for every sample."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.kernels.forward import project
from tracecube.kernels.shapes import BASIS_STEP
from tracecube.recipes.extract.joint import ExtractionParams, extract, trace_matrix
from tracecube.recipes.optics.lenslet_profile import ProfileParams, fit_lenslet_profile

SHAPE, LENGTH = (164, 240), 41
PARAMS = ProfileParams(profile_zones=1, profile_nodes=2, profile_reach=10.0, profile_every=1, profile_shapes=2)


def traces(rng) -> TraceSet:
    """Columns of spectra 5.1 px apart, each column filled end to end, staggered as lenslets are."""
    x = np.arange(14.0, 226.0, 5.1)
    start, column = [], []
    for i, at in enumerate(x):
        first = -int(14.7 * i) % LENGTH - LENGTH
        rows = np.arange(first, SHAPE[0], LENGTH)
        start += rows.tolist()
        column += [at] * rows.size
    start, n = np.array(start), len(start)
    centre = np.array(column)[:, None] + rng.normal(0, 0.3, (n, 1)) + np.zeros((n, LENGTH))
    u = np.arange(-500, 501) * BASIS_STEP
    return TraceSet(
        aperture=np.arange(n), start=start, q=np.arange(n), r=np.zeros(n, int), dq=np.zeros(n, np.int32),
        centre=centre, sigma=np.ones((n, LENGTH)), sample_dq=np.zeros((n, LENGTH), np.int32), profile_u=u,
        profile=truth(u)[:, None], mix=np.ones((1, n, LENGTH), np.float32), axis=0,
    )  # fmt: skip


def truth(u):
    core = 0.9 * np.exp(-0.5 * (u / 0.95) ** 2) / 0.95 / np.sqrt(2 * np.pi)
    wing = 0.1 * 2.0 / np.pi * 2.5**3 / (2.5**2 + u**2) ** 2
    return core + wing


def lit(made, flux, rng) -> Frame:
    a = trace_matrix(made, SHAPE, half_width=11)
    level = made.aperture * 0.0 + flux
    light = project(a.a, level[a.row] * rng.uniform(0.97, 1.03, a.row.size)).T
    variance = light + 16.0
    data = light + rng.normal(0, 1, SHAPE) * np.sqrt(variance)
    return Frame(data.astype(np.float32), variance.astype(np.float32), np.zeros(SHAPE, np.int32), {})


@pytest.fixture(scope="module")
def measured():
    rng = np.random.default_rng(1)
    made = traces(rng)
    n = made.aperture.size
    even = lit(made, rng.uniform(4000, 6000, n), rng)
    holes = lit(made, np.where(rng.random(n) < 0.08, rng.uniform(5000, 20000, n), 0.0), rng)
    node = np.tile(np.linspace(0, 1, LENGTH), (n, 1))
    profile, numbers = fit_lenslet_profile([even, holes], [0.1, 1.0], made.start, made.centre, node, PARAMS, sigma=1.1)
    return made, profile, numbers, node


def test_core_and_wings_come_back(measured) -> None:
    _, profile, numbers, _ = measured
    mean = profile.value[:, 0]
    want = np.interp(profile.u, np.arange(-500, 501) * BASIS_STEP, truth(np.arange(-500, 501) * BASIS_STEP))
    assert mean.sum() * BASIS_STEP == pytest.approx(1.0, abs=1e-4)
    assert np.abs(mean - want).max() < 0.012 * want.max()
    for low, high in ((2.5, 4.0), (4.0, 6.2), (6.2, 9.0)):
        ring = (np.abs(profile.u) >= low) & (np.abs(profile.u) < high)
        assert mean[ring].sum() * BASIS_STEP == pytest.approx(want[ring].sum() * BASIS_STEP, abs=0.004)
    assert 0.5 < numbers[0].value < 1.5


def test_mix_has_a_weight_for_every_sample(measured) -> None:
    made, profile, _, node = measured
    rows = made.start[:, None] + np.arange(LENGTH)
    mix = profile.mix(made.centre, rows.astype(float), node)
    assert mix.shape == (profile.value.shape[1], *made.centre.shape)
    assert np.isfinite(mix).all()
    assert mix[0] == pytest.approx(1.0)


def test_little_of_a_bright_spectrum_is_found_in_its_neighbours(measured) -> None:
    """Goal: 0.2 per cent of a bright neighbour's light."""
    made, profile, _, node = measured
    rng = np.random.default_rng(9)
    rows = made.start[:, None] + np.arange(LENGTH)
    own = TraceSet(
        **{**{name: getattr(made, name) for name in made.__dataclass_fields__},
           "profile_u": profile.u, "profile": profile.value, "mix": profile.mix(made.centre, rows.astype(float), node)}
    )  # fmt: skip
    bright = np.zeros(made.aperture.size)
    middle = np.flatnonzero(
        (made.start > 30) & (made.start < 90) & (made.centre[:, 0] > 40) & (made.centre[:, 0] < 200)
    )
    bright[middle[::9]] = 30000.0
    frame = lit(made, bright, rng)
    settings = ExtractionParams(half_width=10, scatter_pieces=0)
    found = extract(frame, trace_matrix(own, SHAPE, half_width=10), settings, floor=16.0)
    total = np.nansum(found.flux, axis=1)
    assert total[middle[::9]] == pytest.approx(np.full(middle[::9].size, 30000.0 * LENGTH), rel=0.01)
    dark = np.setdiff1d(middle, middle[::9])
    assert np.abs(np.median(total[dark])) < 0.002 * 30000.0 * LENGTH
