from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.columns import column_offsets, column_response


def spectra(rng: np.random.Generator, shape: tuple[int, int] = (512, 300)) -> np.ndarray:
    """Nearly horizontal stripes, of random brightness each and staggered ends."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    image = np.zeros(shape)
    for centre in np.arange(3.0, shape[0], 6.3):
        start = rng.uniform(-200, 250)
        lit = (x > start) & (x < start + 280)
        image += np.where(lit, 300.0 * np.exp(-0.5 * ((y - centre - 0.007 * x) / 1.1) ** 2), 0.0)
    return image


@pytest.fixture
def scene() -> np.ndarray:
    rng = np.random.default_rng(5)
    light = spectra(rng)
    return (light + rng.normal(0, 4, light.shape) + rng.normal(0, 1, light.shape) * np.sqrt(light)).astype(np.float32)


def test_offsets_of_whole_and_partial_columns(scene: np.ndarray) -> None:
    scene[:, 100] += 60.0
    scene[256:, 200] -= 60.0
    found = column_offsets(scene, np.ones(scene.shape, bool), rows=128, clip=6.0, least=2.0)
    assert found[:, 100].mean() > 0.7
    assert found[256:, 200].mean() > 0.7
    assert not found[:256, 200].any()
    other = np.delete(found, [100, 200], axis=1)
    assert other.mean() < 2e-3


def test_response_of_columns(scene: np.ndarray) -> None:
    scene[:, 150] *= 0.8
    found = column_response(scene, np.ones(scene.shape, bool), 30.0, rows=256, clip=6.0, least=0.03)
    assert found[:, 150].all()
    assert np.delete(found, 150, axis=1).mean() < 5e-3


def test_bad_pixels_do_not_count(scene: np.ndarray) -> None:
    good = np.ones(scene.shape, bool)
    scene[:, 50] = 1e6
    good[:, 50] = False
    found = column_offsets(scene, good, rows=128, clip=6.0, least=2.0)
    assert not found[:, 50].any()
