"""Large exposures combined band by band."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.recipes.detector.bands import BAND, Band, combine_bands, relative_scales

SHAPE, NOISE = (8 * BAND + 40, 60), 3.0
LIGHT = np.linspace(200.0, 3000.0, SHAPE[1])[None, :] * np.ones((SHAPE[0], 1))


def reader(image, flags=None):
    def read(y0, y1):
        some = np.zeros(image.shape, np.int32) if flags is None else flags
        return Band(
            image[y0:y1].astype(np.float32), np.full((y1 - y0, SHAPE[1]), NOISE**2, np.float32), some[y0:y1].copy()
        )

    return read


def exposures(rng, scales):
    return [scale * LIGHT + rng.normal(0, np.sqrt(scale * LIGHT + NOISE**2)) for scale in scales]


def combined(images, scale=None, flags=None, tolerance=0.0):
    readers = [reader(image, None if flags is None else flags[k]) for k, image in enumerate(images)]
    scale = np.ones(len(images)) if scale is None else scale
    return combine_bands(readers, SHAPE, scale=scale, clip=5.0, tolerance=tolerance)


def test_brightness_of_each_exposure_is_found():
    scales = np.array([0.8, 1.0, 1.3])
    images = exposures(np.random.default_rng(1), scales)
    found = relative_scales([reader(image) for image in images], SHAPE[0], names=["a", "b", "c"])
    assert np.allclose(found, scales / scales.mean(), atol=3e-4)


def test_the_mean_has_pulls_of_one():
    scales = np.array([0.9, 1.0, 1.1])
    found = combined(exposures(np.random.default_rng(2), scales), scales)
    pulls = (found.data - LIGHT) / np.sqrt(found.variance)
    assert abs(pulls.std() - 1.0) < 0.02
    assert abs(pulls.mean()) < 0.02
    assert not found.flags.any()
    assert np.array_equal(found.scale, scales)


def test_hits_are_left_out_and_counted():
    images = exposures(np.random.default_rng(3), [1.0, 1.0, 1.0])
    rng = np.random.default_rng(4)
    y, x = rng.integers(0, SHAPE[0], 60), rng.integers(0, SHAPE[1], 60)
    images[1][y, x] += 5000.0
    found = combined(images)
    assert len(set(zip(y, x, strict=True))) <= found.rejected < 70
    assert np.abs((found.data - LIGHT)[y, x] / np.sqrt(found.variance[y, x])).max() < 5.0
    assert np.median(found.variance[y, x] / (LIGHT + NOISE**2)[y, x]) == pytest.approx(0.5, rel=0.1)


def test_what_all_have_bad_is_flagged_and_what_one_has_is_not():
    images = exposures(np.random.default_rng(5), [1.0, 1.0])
    flags = np.zeros((2, *SHAPE), np.int32)
    flags[:, 300, 5] = int(Flag.BAD_PIXEL)
    flags[0, 300, 6] = int(Flag.BAD_PIXEL)
    flags[0, 300, 7], flags[1, 300, 7] = int(Flag.BAD_PIXEL), int(Flag.SATURATED)
    images[0][300, 6] = 1e6
    found = combined(images, flags=flags)
    assert found.flags[300, 5] == int(Flag.BAD_PIXEL)
    assert found.flags[300, 6] == 0
    assert abs(found.data[300, 6] - LIGHT[300, 6]) < 6 * np.sqrt(LIGHT[300, 6] + NOISE**2)
    assert found.flags[300, 7] == int(Flag.NOT_MEASURED)
    assert np.isfinite(found.data).all()
    assert np.isfinite(found.variance).all()


def test_flicker_is_tolerated_when_it_is_told():
    images = [1.05 * LIGHT * 100, LIGHT * 100, LIGHT * 100]
    assert combined(images).rejected > 0.9 * LIGHT.size
    assert combined(images, tolerance=0.1).rejected == 0


def test_dark_exposures_are_refused():
    rng = np.random.default_rng(6)
    names = ["a", "b", "c"]
    dark = [rng.normal(0, NOISE, SHAPE) for _ in names]
    with pytest.raises(BadData, match="a and 2 more: no pixel holds light"):
        relative_scales([reader(image) for image in dark], SHAPE[0], names=names)
    images = exposures(rng, [1.0, 0.1, 1.0])
    with pytest.raises(BadData, match=r"b: 0\.10 of the light"):
        relative_scales([reader(image) for image in images], SHAPE[0], names=names)
