"""A simulated night: its geometry, its light, its headers, and that it is always the same."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from tracecube.instruments.sedm import instrument
from tracecube.instruments.sedm.classify import classify, recognises
from tracecube.instruments.sedm.detectors import detector
from tracecube.instruments.sedm.simulate import simulate
from tracecube.instruments.sedm.simulation.guider import FIELD_PIXEL, draw_field, guide_frame
from tracecube.instruments.sedm.simulation.headers import Pointing, header
from tracecube.instruments.sedm.simulation.light import arc_light, dome_light, efficiency, sky_light
from tracecube.instruments.sedm.simulation.optics import BLUE, RED, Optics, SpectralGrid, draw_optics, paint
from tracecube.instruments.sedm.simulation.schedule import CAMERAS, calibrations, visits
from tracecube.instruments.sedm.simulation.targets import WAVE, Air, Source, disc_points, source_light, standard_flux
from tracecube.simulate.scene import Seeing


@pytest.fixture(scope="module")
def optics() -> Optics:
    return draw_optics(np.random.default_rng(1))


@pytest.fixture(scope="module")
def grid(optics: Optics) -> SpectralGrid:
    return SpectralGrid.of(optics)


def test_field_is_that_of_the_instrument_page(optics: Optics) -> None:
    assert 1850 < optics.q.size < 2100
    assert np.ptp(optics.east) == pytest.approx(28.0, abs=3.0)
    i = {(q, r): k for k, (q, r) in enumerate(zip(optics.q, optics.r, strict=True))}
    a, b, c = i[0, 0], i[1, 0], i[0, 1]
    steps = [np.hypot(optics.east[a] - optics.east[k], optics.north[a] - optics.north[k]) for k in (b, c)]
    assert steps == pytest.approx([0.640, 0.640], abs=0.002)


def test_dispersion_is_the_prism_law(optics: Optics) -> None:
    ends = optics.column(np.array([RED, 6500.0, BLUE]))
    assert np.all(np.diff(ends, axis=1) > 0)  # red at low x
    assert np.median(ends[:, 2] - ends[:, 0]) == pytest.approx(277.0, abs=5.0)
    assert np.allclose(ends[:, 1], optics.x_ref)
    red, blue, coefficients = optics.chebyshev()
    wave = np.linspace(3600.0, 10000.0, 50)
    u = 2.0 * (optics.column(wave)[7] - red[7]) / (blue[7] - red[7]) - 1.0
    assert np.allclose(chebyshev.chebval(u, coefficients[7]), wave, atol=0.05)


def test_light_moves_with_flexure(optics: Optics) -> None:
    moved = optics.shifted(0.3, -0.2)
    wave = np.array([5000.0])
    assert np.allclose(moved.column(wave) - optics.column(wave), 0.3)
    x = optics.column(wave)
    assert np.allclose(moved.row(x + 0.3) - optics.row(x), -0.2)


def test_electrons_are_conserved_on_the_detector(grid: SpectralGrid) -> None:
    shape = (2048, 2048)
    electrons = np.zeros_like(grid.wave)
    inside = np.nonzero(grid.optics.full & ~grid.optics.dead & (np.abs(grid.optics.y_ref - 1024) < 900))[0][::50]
    electrons[inside] = dome_light(grid, 1000.0)[inside]
    image = paint(grid, electrons, shape)
    expected = (electrons.sum(axis=1) * grid.optics.throughput).sum()
    assert image.sum() == pytest.approx(expected, rel=2e-3)
    assert image.min() >= 0.0


def test_lines_fall_on_their_wavelengths(grid: SpectralGrid) -> None:
    k = int(np.nonzero(grid.optics.full & ~grid.optics.dead)[0][600])
    lines = grid.lines(np.array([5462.268]), np.array([1e5]))
    assert lines[k].sum() == pytest.approx(1e5)
    alone = np.zeros_like(lines)
    alone[k] = lines[k]
    image = paint(grid, alone, (2048, 2048))
    y, x = np.mgrid[:2048, :2048]
    column = grid.optics.column(np.array([5462.268]))
    assert (image * x).sum() / image.sum() == pytest.approx(column[k, 0], abs=2e-3)
    assert (image * y).sum() / image.sum() == pytest.approx(grid.optics.row(column)[k, 0], abs=2e-3)


def test_dead_lenslets_are_dark(grid: SpectralGrid) -> None:
    dead = np.nonzero(grid.optics.dead)[0]
    alone = np.zeros_like(grid.wave)
    alone[dead] = 100.0
    assert paint(grid, alone, (2048, 2048)).max() == 0.0


def test_lamps_and_sky(grid: SpectralGrid) -> None:
    for lamp in ("Hg", "Cd", "Xe"):
        assert arc_light(grid, lamp, 900.0)[700].sum() > 1e4
    dark, moonlit = (
        sky_light(np.random.default_rng(1), moon=moon).electrons(grid, 900.0)[700].sum() for moon in (None, 20.0)
    )
    assert moonlit > 2.0 * dark > 0.0
    assert efficiency(np.array([3300.0, 6500.0, 10500.0])).argmax() == 1


def test_star_light_is_all_there(grid: SpectralGrid) -> None:
    air = Air((1.2, 1.2), (30.0, 30.0), Seeing(1.7))
    source = Source("STD-Feige34", "star", 0.0, 0.0, 0.4, -0.3)
    electrons = source_light(grid, source, air, 100.0)
    band = (grid.wave > 6000) & (grid.wave < 6100)
    expected = np.interp(6050.0, WAVE, source.flux() * air.transmission() * WAVE / 1.98644586e-8 * efficiency(WAVE))
    assert (electrons * band).sum() == pytest.approx(expected * 18000.0 * 100.0 * 100.0, rel=0.03)
    assert np.isfinite(standard_flux("STD-BD+28d4211")).all()


def test_a_galaxy_is_a_smooth_disc_with_all_its_light() -> None:
    disc = disc_points(3.0, 300)
    radius = np.hypot(*disc.T)
    assert np.allclose(disc.mean(axis=0), 0.0, atol=0.1)
    assert np.mean(radius) == pytest.approx(6.0, rel=0.02)  # of an exponential disc: twice its scale
    inner = disc[radius < 6.0]
    gap = np.hypot(*(inner[:, None] - inner).T) + 9.0 * np.eye(len(inner))
    assert gap.min(axis=0).max() < 1.2  # well below the width of the best seeing


def test_refraction_lifts_blue_light_towards_the_zenith() -> None:
    east, north = Air((1.5, 1.5), (90.0, 90.0), Seeing(1.7)).shift(np.array([4000.0, 6200.0, 9000.0]))
    assert east[0] > 0.5 > east[1] == pytest.approx(0.0, abs=1e-9)
    assert east[2] < 0.0
    assert np.allclose(north, 0.0, atol=1e-9)


@pytest.mark.parametrize("camera", ["pixis", "andor"])
@pytest.mark.parametrize("size", ["small", "night"])
def test_headers_classify_as_what_they_are(size: str, camera: str) -> None:
    robot = CAMERAS[camera]
    shots = calibrations(3, size, robot)
    plan = visits(3, size, robot, np.random.default_rng(0))
    tags = {"bias": "BIAS", "dome": "DOME", "Hg": "ARC_HG", "Cd": "ARC_CD", "Xe": "ARC_XE", "twilight": "TWILIGHT"}
    for shot in [*shots, *(visit.shot for visit in plan)]:
        cards = header(shot)
        found = classify(shot.name, cards)
        assert recognises(shot.name, cards)
        assert found.tag == tags.get(shot.bare, shot.kind.upper())
        assert found.setup["generation"] == camera
        assert found.setup["night"] == "2021-05-08"
        assert 1.0 <= cards["AIRMASS"] < 2.5
        assert detector(cards, shot.name).shape == (2048, 2048)
    times = [shot.start for shot in shots] + [visit.shot.start for visit in plan]
    assert times == sorted(times)
    assert {visit.source.quality for visit in plan} == {0, 3, 5}


def test_guide_frame_shows_the_catalogue(optics: Optics) -> None:
    rng = np.random.default_rng(2)
    field = draw_field("ZTF21abc", Pointing(150.0, 30.0), 1, rng)
    image, cards = guide_frame(field, 60.0, rng, angle=0.0, gain=1.77, fwhm=1.8)
    assert cards["DETSEC"] == "[1042:1481,1017:1456]"
    east, north = field.offsets()
    x = FIELD_PIXEL[0] - east / 0.394 - 1041
    y = FIELD_PIXEL[1] + north / 0.394 - 1016
    seen = (x > 10) & (x < 430) & (y > 10) & (y < 430) & (field.magnitude < 18.0)
    assert seen.sum() >= 2
    for u, v in zip(x[seen], y[seen], strict=True):
        stamp = image[int(v) - 2 : int(v) + 4, int(u) - 2 : int(u) + 4]
        assert stamp.max() > np.median(image) + 8 * 1.4826 * np.median(np.abs(image - np.median(image)))


def test_same_seed_same_night() -> None:
    one, two, other = (list(islice(simulate(seed=seed), 4)) for seed in (4, 4, 5))
    for a, b, c in zip(one, two, other, strict=True):
        assert (a.name, a.meta) == (b.name, b.meta)
        assert np.array_equal(a.data, b.data)
        assert not np.array_equal(a.data, c.data)
    assert [frame.tag for frame in one] == ["BIAS", "BIAS", "BIAS", "DOME"]
    assert np.percentile(one[3].data, 99) > np.percentile(one[0].data, 99) + 300


def test_the_instrument_announces_its_simulator() -> None:
    assert instrument.simulate is not None
    first = next(iter(instrument.simulate(seed=2, camera="andor")))
    assert first.data.shape == (2048, 2088)
    assert first.data.dtype == np.uint16
