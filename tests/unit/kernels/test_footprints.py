"""Footprints painted and summed: the two ways of memory give what the matrix written out gives."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.footprints import painted, summed, turned
from tracecube.kernels.forward import DesignMatrix

SHAPE = (40, 35)


@pytest.mark.parametrize("wide", [1, 3])
def test_painting_and_summing_are_the_matrix_and_its_transpose(wide: int) -> None:
    rng = np.random.default_rng(10)
    origin = np.stack([rng.integers(-4, 38, 60), rng.integers(0, 35, 60)], axis=1).astype(np.int32)
    a = DesignMatrix(origin, rng.random((60, 7, wide)).astype(np.float32), SHAPE)
    flux, image = rng.normal(size=60), rng.normal(size=SHAPE).astype(np.float32)
    matrix = a.sparse().toarray()
    assert np.allclose(painted(a.origin, a.weight, flux, SHAPE), (matrix @ flux).reshape(SHAPE), atol=1e-5)
    assert np.allclose(summed(a.origin, a.weight, image), matrix.T @ image.ravel(), atol=1e-5)


def test_an_image_turned_is_its_transpose() -> None:
    image = np.random.default_rng(11).normal(size=(70, 45)).astype(np.float32)
    assert np.array_equal(turned(image), image.T)
    assert turned(image).flags.c_contiguous
