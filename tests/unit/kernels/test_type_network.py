from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tracecube.kernels.log_spectrum import BINS, Flattened, flatten, to_grid
from tracecube.kernels.type_network import FIRST, LAST, Networks, energies, inputs

WAVE = 3700.0 + 25.57 * np.arange(220)
PAIRS = (LAST - FIRST) // 2


def spectrum() -> Flattened:
    flux = 1.0 + 0.3 * np.sin(WAVE / 90.0)
    return flatten(*to_grid(WAVE, flux, np.full(WAVE.size, 0.01)), 3800.0, 9200.0)


def networks(count: int) -> Networks:
    rng = np.random.default_rng(1)
    sizes = [(2 * PAIRS + 2, 5), (5, 4), (4, 3)]
    parts = [rng.normal(size=(count, *s)) for pair in sizes for s in (pair, pair[1:])]
    return Networks(*(part.astype(np.float32) for part in parts))


def test_a_shift_moves_what_is_seen() -> None:
    seen = inputs(spectrum(), np.array([0, 10]))
    assert seen.shape == (2, 2 * PAIRS + 2)
    both = (seen[0, PAIRS + 5 : 2 * PAIRS] > 0) & (seen[1, PAIRS : 2 * PAIRS - 5] > 0)
    ratio = seen[1, : PAIRS - 5][both] / seen[0, 5:PAIRS][both]
    assert np.ptp(ratio[np.isfinite(ratio)]) < 0.01  # the same features, five pairs of bins on


def test_strength_does_not_matter_without_noise() -> None:
    flat = spectrum()
    faint = flat._replace(value=0.5 * flat.value)
    one, two = (inputs(each, np.array([0]))[0, :PAIRS] for each in (flat, faint))
    assert np.corrcoef(one, two)[0, 1] > 0.99999
    assert 0.8 < two.std() / one.std() < 1.0


def test_what_is_not_known_is_zero() -> None:
    flat = spectrum()
    seen = inputs(flat, np.array([60]))[0]
    beyond = np.arange(FIRST, LAST, 2) + 60 >= BINS
    assert not seen[:PAIRS][beyond].any()
    assert not seen[PAIRS : 2 * PAIRS][beyond].any()


def test_networks_are_averaged() -> None:
    nets, seen = networks(3), inputs(spectrum(), np.arange(4))
    each = [energies(nets.chosen(np.array([k])), seen) for k in range(3)]
    np.testing.assert_allclose(energies(nets, seen), np.mean(each, axis=0), rtol=1e-5)
    w1, b1, w2, b2, w3, b3 = (part[0] for part in nets)
    plain = np.maximum(np.maximum(seen @ w1 + b1, 0) @ w2 + b2, 0) @ w3 + b3
    np.testing.assert_allclose(each[0], plain, rtol=1e-4)


def test_training_sees_what_is_seen_here() -> None:
    sys.path.insert(0, str(Path(__file__).parents[3] / "bench" / "spectral_types"))
    try:
        import learn
    finally:
        sys.path.pop(0)
    flat = spectrum()
    variance = np.where(flat.used, flat.variance, learn.NOT_KNOWN).astype(np.float32)
    for shift in (0, 33):
        theirs = learn.inputs(flat.value[None].astype(np.float32), variance[None], np.array([shift]))
        np.testing.assert_allclose(theirs[0], inputs(flat, np.array([shift]))[0], atol=2e-5)
