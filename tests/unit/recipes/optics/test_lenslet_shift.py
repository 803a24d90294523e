"""How far lenslet spectra have moved: across by the traces, along by the band's ends and the air."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from tracecube.core.errors import NoConvergence
from tracecube.core.frame import Frame
from tracecube.core.optics import LampSpectrum, TraceSet
from tracecube.core.spectra import Spectra
from tracecube.kernels.forward import project
from tracecube.recipes.extract.joint import ExtractionParams, extract, trace_matrix
from tracecube.recipes.optics.lenslet_shift import Expected, Shift, moved, shift_across
from tracecube.recipes.optics.night_shift import AirTransmission, ShiftParams, Transmission, mean_spectrum, shift_along

SHAPE = (240, 240)
OPEN = Expected(Shift(), 1.0, np.inf, 1e-3)


def traces() -> tuple[TraceSet, np.ndarray]:
    """Short spectra along y, 5.1 px apart, in rows of 40."""
    x = np.arange(12.0, 228.0, 5.1)
    start = np.array([10, 60, 110, 160]).repeat(x.size)
    n, m = start.size, 40
    centre = np.tile(x, 4)[:, None] - 0.003 * np.arange(m)
    u = np.linspace(-8, 8, 321)
    density = np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)
    made = TraceSet(
        aperture=np.arange(n), start=start, q=np.arange(n), r=np.zeros(n, int), dq=np.zeros(n, np.int32),
        centre=centre, sigma=np.ones((n, m)), sample_dq=np.zeros((n, m), np.int32),
        profile_u=u, profile=density, axis=0,
    )  # fmt: skip
    return made, np.tile(9500.0 + 190.0 * np.arange(m), (n, 1))


def observed(shift: Shift, rng) -> Frame:
    made, wave = traces()
    there, _ = moved(made, wave, shift, SHAPE)
    matrix = trace_matrix(there, SHAPE, half_width=8)
    light = project(matrix.a, rng.uniform(200, 600, matrix.row.size)).T
    variance = light + 25.0
    data = light + rng.normal(0, 1, SHAPE) * np.sqrt(variance)
    return Frame(data.astype(np.float32), variance.astype(np.float32), np.zeros(SHAPE, np.int32), {})


def measured(frame: Frame, expected: Expected = OPEN) -> Shift:
    made, wave = traces()
    now = Shift()
    for _ in range(3):
        here, _ = moved(made, wave, now, SHAPE)
        a, slope = (trace_matrix(here, SHAPE, half_width=8, derivative=d) for d in (False, True))
        found = extract(frame, a, ExtractionParams(half_width=8, scatter_pieces=0, passes=1), floor=25.0)
        now = shift_across(frame, a, slope, found, here, now=now, expected=expected)
    return now


def test_shift_turn_and_stretch_come_back() -> None:
    rng = np.random.default_rng(1)
    truth = Shift(dx=0.31, turn=2e-4, stretch=-3e-4)
    found = measured(observed(truth, rng))
    assert found.dx == pytest.approx(0.31, abs=0.004)
    assert found.turn == pytest.approx(2e-4, abs=4e-5)
    assert found.stretch == pytest.approx(-3e-4, abs=4e-5)


def test_pulls_of_the_shift_have_unit_width() -> None:
    rng = np.random.default_rng(2)
    pulls = []
    for _ in range(24):
        truth = float(rng.normal(0, 0.1))
        found = measured(observed(Shift(dx=truth), rng))
        pulls.append((found.dx - truth) / found.dx_error)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.35)  # 24 of them: 0.14 rms
    assert abs(np.mean(pulls)) < 0.7


def test_a_dark_frame_keeps_what_was_expected() -> None:
    rng = np.random.default_rng(3)
    dark = Frame(
        rng.normal(0, 5, SHAPE).astype(np.float32), np.full(SHAPE, 25, np.float32), np.zeros(SHAPE, np.int32), {}
    )
    found = measured(dark, Expected(Shift(dx=0.3, turn=1e-5), 0.01, 0.01, 1e-6))
    assert found.dx == pytest.approx(0.3, abs=0.03)
    assert found.turn == pytest.approx(1e-5, abs=3e-6)


def night(dy: float, rng, thick: float = 1.3) -> tuple[Spectra, LampSpectrum, AirTransmission]:
    fine = np.arange(8500.0, 18500.0, 10.0)
    band = 1.0 / (1 + np.exp(-(fine - 9700) / 70)) / (1 + np.exp((fine - 16400) / 90))
    air = np.ones(fine.size)
    for centre, width, depth in ((11300.0, 150.0, 0.6), (13800.0, 300.0, 2.5), (14600.0, 150.0, 1.0)):
        air *= np.exp(-depth * np.exp(-0.5 * ((fine - centre) / width) ** 2))
    n, m, pixel = 60, 42, 190.0
    wave = 9400.0 + pixel * (np.arange(m) + rng.uniform(-0.5, 0.5, (n, 1)))
    star = band * air**thick * (12000.0 / fine) ** 2
    flux = np.array([np.interp(row - dy * pixel, fine, star) for row in wave]) * 1000.0
    flux += rng.normal(0, 3.0, flux.shape)
    zero = np.zeros((n, m), np.int32)
    spectra = Spectra(
        flux=flux, variance=np.full((n, m), 9.0), flags=zero, covariance=np.zeros((n, m)), wave=wave,
        lsf_sigma=np.full(m, 190.0), aperture=np.arange(n), x=np.zeros(n), y=np.zeros(n), dq=np.zeros(n, np.int32),
    )  # fmt: skip
    white = band * (1 + 0.1 * np.sin(fine / 2000))
    seen = replace(spectra, flux=np.array([np.interp(row, fine, white) for row in wave]) * 1000.0)
    return spectra, LampSpectrum(*mean_spectrum(seen)[:2]), AirTransmission(fine, air)


@pytest.mark.parametrize("dy", [-0.6, 0.0, 0.35])
def test_shift_along_by_the_ends_of_the_band_and_the_air(dy: float) -> None:
    spectra, lamp, air = night(dy, np.random.default_rng(4))
    found, error = shift_along(spectra, lamp, air, ShiftParams(), lsf=0.05)
    assert found == pytest.approx(dy, abs=0.06)
    assert 0 < error < 0.1


def test_a_night_without_bands_of_the_air_has_a_shift_by_its_ends() -> None:
    spectra, lamp, air = night(0.2, np.random.default_rng(5), thick=-0.05)  # less than none can not be fitted
    found, error = shift_along(spectra, lamp, air, ShiftParams(), lsf=0.05)
    assert np.isfinite(error)
    assert found == pytest.approx(0.2, abs=0.2)


@pytest.mark.parametrize("colour", [-4.0, 4.0])
def test_the_colour_of_the_star_does_not_move_its_light(colour: float) -> None:
    spectra, _, air = night(0.2, np.random.default_rng(6))
    fine, pixel = air.wave, 190.0
    band = 1.0 / (1 + np.exp(-(fine - 9700) / 70)) / (1 + np.exp((fine - 16400) / 90))
    star = band * air.transmission * (12000.0 / fine) ** -colour
    star *= 1.0 - 0.12 * sum(np.exp(-0.5 * ((fine - line) / 35.0) ** 2) for line in (10052.1, 10941.1, 12821.6))
    white = band * (1 + 0.1 * np.sin(fine / 2000))
    after = [gaussian_filter1d(light, 1.05 * pixel / 10.0) for light in (star, white)]
    seen, day = (
        replace(spectra, flux=np.array([np.interp(row - dy * pixel, fine, light) for row in spectra.wave]) * 1000.0)
        for light, dy in zip(after, (0.2, 0.0), strict=True)
    )
    found, error = shift_along(seen, LampSpectrum(*mean_spectrum(day)[:2]), air, ShiftParams(), lsf=1.05)
    assert found == pytest.approx(0.2, abs=0.04)
    assert error < 0.06


def test_the_mean_spectrum_ends_where_most_spectra_do() -> None:
    spectra, _, _ = night(0.0, np.random.default_rng(7))
    wave, flux, pixel, noise = mean_spectrum(spectra)
    assert np.sum(spectra.wave[:, 0] <= wave[0]) >= 0.9 * len(spectra.wave)
    assert np.sum(spectra.wave[:, -1] >= wave[-1]) >= 0.9 * len(spectra.wave)
    assert pixel == pytest.approx(190.0)
    assert np.isfinite(flux).all()
    assert np.median(noise) == pytest.approx(3.0 / np.sqrt(60.0), rel=0.1)


def test_a_star_in_few_lenslets_is_not_drowned_by_what_the_background_left_in_all_others() -> None:
    rng = np.random.default_rng(8)
    star, lamp, air = night(0.3, rng)
    left = 3.0 * np.exp(-0.5 * ((star.wave - 15900.0) / 900.0) ** 2)  # brighter in the mean than the star
    rest = np.concatenate([left + rng.normal(0.0, 3.0, left.shape) - 2.0 for _ in range(20)])
    drowned = replace(star, flux=np.concatenate([star.flux[:6] * 0.3, rest]), variance=np.full((1206, 42), 9.0))
    for name in ("wave", "flags", "covariance"):
        part = getattr(star, name)
        drowned = replace(drowned, **{name: np.concatenate([part[:6], *[part] * 20])})
    drowned = replace(drowned, **{name: np.zeros(1206) for name in ("x", "y")}, aperture=np.arange(1206))
    drowned = replace(drowned, dq=np.zeros(1206, np.int32))
    found, error = shift_along(drowned, lamp, air, ShiftParams(), lsf=0.05)
    assert found == pytest.approx(0.3, abs=0.1)
    assert abs(found - 0.3) < 3.0 * error
    with pytest.raises(NoConvergence, match="no spectrum has light"):
        shift_along(replace(star, flux=rng.normal(0.0, 3.0, star.flux.shape)), lamp, air, ShiftParams(), lsf=0.05)


def test_a_steep_filter_does_not_move_the_night() -> None:
    spectra, _, air = night(0.2, np.random.default_rng(6))
    fine, pixel, dy = air.wave, 190.0, 0.2
    band = 1.0 / (1 + np.exp(-(fine - 9700) / 70)) / (1 + np.exp((fine - 16400) / 90))
    curve = Transmission(fine, 0.02 * np.exp(-((fine - 9400.0) / 300.0)) + 0.003)
    lights = band * air.transmission * (12000.0 / fine) ** 2 * curve.transmission, band
    star, white = (gaussian_filter1d(light, 1.05 * pixel / 10.0) for light in lights)
    seen, day = (
        replace(spectra, flux=np.array([np.interp(row - by * pixel, fine, light) for row in spectra.wave]) * scale)
        for light, by, scale in ((star, dy, 1e5), (white, 0.0, 1e3))
    )
    lamp = LampSpectrum(*mean_spectrum(day)[:2])
    found, error = shift_along(seen, lamp, air, ShiftParams(), lsf=1.05, passed=curve)
    plain, _ = shift_along(seen, lamp, air, ShiftParams(), lsf=1.05)
    assert abs(found - dy) < 0.04
    assert abs(plain - dy) > 2.0 * abs(found - dy)
    assert error < 0.08
