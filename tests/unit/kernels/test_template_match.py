from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.log_spectrum import BINS, Flattened, grid, splines
from tracecube.kernels.template_match import Library, correlate, rlap, score, weights

RNG = np.random.default_rng(4)
SHIFTS = np.arange(0, 40)


def template(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = np.arange(BINS)
    lines = [rng.normal() * np.exp(-0.5 * ((x - c) / rng.uniform(4, 9)) ** 2) for c in rng.uniform(60, 460, 25)]
    return 0.3 * np.sum(lines, axis=0)


def library(count: int = 4) -> Library:
    flux = np.stack([template(k) for k in range(count)]).astype(np.float32)
    known = np.ones_like(flux)
    flux[:, :40] = known[:, :40] = 0.0
    return Library(flux, flux**2, known)


def spectrum(row: int, shift: int, noise: float = 0.02) -> Flattened:
    used = (grid() > 3800.0) & (grid() < 9200.0)
    moved = np.zeros(BINS)
    moved[shift:] = template(row)[: BINS - shift]
    value = np.where(used, moved + noise * RNG.normal(size=BINS), 0.0)
    return Flattened(value, np.where(used, noise**2, np.inf), np.ones(BINS), splines(3800.0, 9200.0), used)


def test_it_is_the_plain_filter() -> None:
    held, flat = library(), spectrum(1, 12)
    match = correlate(held, flat, SHIFTS)
    w = weights(flat)[flat.used]
    basis = flat.basis[flat.used]
    take = np.eye(len(w)) - basis @ np.linalg.solve(basis.T * w @ basis, basis.T * w)
    y = take @ flat.value[flat.used]
    for shift in (0, 12, 30):
        moved = np.zeros((4, BINS))
        moved[:, shift:] = held.flux[:, : BINS - shift]
        for row in range(4):
            t = take @ moved[row, flat.used]
            cross = (w * y * t).sum()
            if cross > 0.0:
                assert match.amplitude[row, shift] == pytest.approx(cross / (w * t * t).sum(), rel=1e-3)
                rho = cross / np.sqrt((w * t * t).sum() * (w * y * y).sum())
                assert match.correlation[row, shift] == pytest.approx(rho, rel=0.02)
            else:
                assert match.correlation[row, shift] == 0.0


def test_template_and_shift_are_found_with_their_amplitude() -> None:
    match = correlate(library(), spectrum(2, 17), SHIFTS)
    row, shift = np.unravel_index(score(match).argmax(), match.correlation.shape)
    assert (row, shift) == (2, 17)
    assert match.amplitude[2, 17] == pytest.approx(1.0, abs=0.05)


def test_what_the_continuum_can_take_does_not_matter() -> None:
    flat = spectrum(0, 5)
    bent = flat._replace(
        value=flat.value + np.where(flat.used, flat.basis @ np.linspace(-1, 1, flat.basis.shape[1]), 0)
    )
    one, two = (correlate(library(), each, SHIFTS) for each in (flat, bent))
    np.testing.assert_allclose(one.correlation, two.correlation, atol=2e-3)


def test_little_overlap_is_no_match() -> None:
    held = library()
    held.known[0, 200:] = held.flux[0, 200:] = held.square[0, 200:] = 0.0
    assert not correlate(held, spectrum(0, 3), SHIFTS).correlation[0].any()


def test_rlap_is_high_at_the_right_place_alone() -> None:
    flat = spectrum(2, 17)
    row = library().flux[2]
    assert rlap(row, flat, 17, 300.0) > 4.0 * abs(rlap(row, flat, 31, 300.0))
    louder = flat._replace(value=3.0 * flat.value)
    assert rlap(row, louder, 17, 300.0) == pytest.approx(rlap(row, flat, 17, 300.0), rel=1e-6)
    assert rlap(row, flat, 17, 150.0) == pytest.approx(rlap(row, flat, 17, 300.0) / 2.0)
