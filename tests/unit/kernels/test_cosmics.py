from __future__ import annotations

import numpy as np

from tracecube.kernels.cosmics import brightest_near, grow_along_rows, grow_in_residual


def test_growth_in_residual_follows_connected_pixels_only() -> None:
    significance = np.zeros((9, 9), np.float32)
    significance[4, 2:7] = 3.5
    significance[0, 0] = 3.5
    seed = np.zeros((9, 9), bool)
    seed[4, 4] = True
    found = grow_in_residual(seed, significance, 3.0)
    assert found[4, 2:7].all()
    assert found.sum() == 5


def test_a_track_along_a_row_is_followed_to_its_end() -> None:
    rng = np.random.default_rng(2)
    image = (50.0 + rng.normal(0, 8, (40, 200))).astype(np.float32)
    truth = np.zeros(image.shape, bool)
    truth[20, 60:72] = True  # as long as half the window
    truth[21, 70:72] = True
    image[truth] += 400.0
    seed = np.zeros(image.shape, bool)
    seed[20, 60] = True
    found = grow_along_rows(image, np.ones(image.shape, bool), seed, 16.0, 12, 4.0)
    assert found[truth].all()
    assert (found & ~truth).sum() <= 3


def test_bad_pixels_are_neither_followed_nor_counted() -> None:
    image = np.zeros((5, 40), np.float32)
    image[2, 10:14] = 500.0
    good = np.ones(image.shape, bool)
    good[2, 12] = False
    seed = np.zeros(image.shape, bool)
    seed[2, 10] = True
    found = grow_along_rows(image, good, seed, 16.0, 5, 4.0)
    assert found[2, 10:12].all()
    assert not found[2, 12:].any()


def test_brightest_neighbour() -> None:
    image = np.zeros((5, 5), np.float32)
    image[2, 2] = 3.0
    assert brightest_near(image)[1:4, 1:4].min() == 3.0
    assert brightest_near(image).sum() == 27.0
