from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.detector import Amplifier, Detector, Section
from tracecube.simulate.detector import Camera, Hits, cosmic_rays, expose, make_camera


@pytest.fixture(scope="module")
def camera() -> Camera:
    amplifier = Amplifier("1", Section(0, 200, 10, 190), (Section(0, 200, 190, 200),), 5.0, 5e4, 65535.0)
    detector = Detector("toy", (200, 200), (amplifier,), illuminated=Section(0, 200, 0, 170))
    flat = np.ones((200, 180), np.float32)
    return Camera(detector, 2.0, 5.0, np.full((200, 200), 600.0, np.float32), flat, np.zeros_like(flat), 13.5)


def test_counts_are_electrons_over_gain_above_the_bias(camera: Camera) -> None:
    image = expose(camera, np.full((200, 180), 1000.0), 10.0, np.random.default_rng(0))
    assert image.dtype == np.uint16
    lit, covered, scan = image[:, 10:180], image[:, 180:190], image[:, 190:]
    assert lit.mean() == pytest.approx(600 + 500, abs=0.6)
    assert lit.std() == pytest.approx(np.sqrt(1000 + 25) / 2.0, rel=0.03)
    assert covered.mean() == pytest.approx(600, abs=0.8)
    assert scan.std() == pytest.approx(np.sqrt(25 / 4 + 1 / 12), rel=0.05)


def test_few_electrons_are_poisson(camera: Camera) -> None:
    image = expose(camera, np.full((200, 180), 4.0), 1.0, np.random.default_rng(1))[:, 10:180].astype(float)
    assert (image.mean() - 600) * 2.0 == pytest.approx(4.0, abs=0.8)
    assert image.var() * 4.0 == pytest.approx(4.0 + 25.0 + 4.0 / 12.0, rel=0.05)


def test_full_converter_saturates(camera: Camera) -> None:
    assert expose(camera, np.full((200, 180), 1e6), 1.0, np.random.default_rng(1))[0, 50] == 65535


def test_cosmic_rays_by_the_minute_and_square_centimetre(camera: Camera) -> None:
    hits = cosmic_rays(camera, 1e5, np.random.default_rng(2))
    image = np.zeros((200, 180))
    image[hits.y, hits.x] = hits.electrons
    area = 200 * 180 * (13.5e-4) ** 2
    per_track = image.sum() / (2.0 / 60.0 * area * 1e5)
    assert 800.0 < per_track < 12000.0  # 16 um of silicon at 80 electrons a um, more when slanted
    assert hits.electrons.min() > 0.0


def test_hits_land_where_they_say(camera: Camera) -> None:
    hits = Hits(np.array([30]), np.array([40]), np.array([5000.0]))
    rng = np.random.default_rng
    with_hit, without = (expose(camera, None, 0.0, rng(3), hits=h) for h in (hits, None))
    difference = with_hit.astype(int) - without
    assert difference[40, 40] == 2500  # column 30 of the trimmed image
    assert np.count_nonzero(difference) == 1


def test_flaws_are_drawn_once_and_for_all(camera: Camera) -> None:
    one, two = (make_camera(camera.detector, np.random.default_rng(5), gain=2.0, read_noise=5.0) for _ in range(2))
    assert np.array_equal(one.pattern, two.pattern)
    assert np.array_equal(one.dark, two.dark)
    assert (one.dark.min(axis=0) > 0.04).sum() == 1  # the hot column
    assert one.response.mean() == pytest.approx(1.0, abs=0.03)
