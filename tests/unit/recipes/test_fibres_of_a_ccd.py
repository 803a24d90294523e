"""Fibres of a small CCD of two amplifiers: found, traced, and extracted against what was put in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.kernels.halo import power_law, scattered
from tracecube.recipes.extract.fibres import FibreExtractionParams, extract_fibres
from tracecube.recipes.optics.fibre_scatter import dark_pixels, mirrored
from tracecube.recipes.optics.fibre_search import SlitParams, slit_places
from tracecube.recipes.optics.fibre_traces import FibreOptics, FibreTraceParams, trace_fibres

HALF, COLUMNS, FIBRES = 240, 320, 24
SLIT = SlitParams(fibres=FIBRES, gaps=(7, 15), first=(5.0, 30.0))
PARAMS = FibreTraceParams(slit=SLIT, degree=4, common_degree=2)
DEAD = 10  # fibre of the lower amplifier
NOISE = 3.0
AMPLITUDE = 0.15
F8 = NDArray[np.float64]


def cumulative(u: F8) -> F8:
    """A flat-topped, leaning profile: two Gaussians, its centroid at 0."""
    parts = ((0.6, 1.2 - 0.08, 1.5), (0.4, -1.8 + 0.12, 1.6))
    return np.asarray(sum(w * 0.5 * (1.0 + erf((u - c) / (s * 2**0.5))) for w, c, s in parts))


def centres() -> F8:
    """True centres (2, n, columns), rows of the amplifier."""
    x = np.linspace(-1.0, 1.0, COLUMNS)
    place = slit_places(SLIT)
    y = 2.0 * place / place[-1] - 1.0
    bend = 0.9 * x**2 + 0.5 * y[:, None] * x + 0.2 * x**3
    jitter = np.random.default_rng(3).normal(0.0, 0.08, (2, FIBRES, 1))
    return np.stack([13.3 + 8.78 * place[:, None] + bend, 11.8 + 8.74 * place[:, None] - bend]) + jitter


def image_of(flux: F8, shift: float = 0.0) -> NDArray[np.float32]:
    """Light without noise (2 * HALF, COLUMNS) of fluxes (2, n, columns), scattered light included."""
    light = np.zeros((2 * HALF, COLUMNS))
    rows = np.arange(2 * HALF)[:, None]
    for k, centre in enumerate(centres()):
        for one, f in zip(centre, flux[k], strict=True):
            u = rows - one - shift - k * HALF
            light += f * (cumulative(u + 0.5) - cumulative(u - 0.5))
    kernel = power_law((2 * HALF // 4, COLUMNS // 4), 4, softening=0.5, steepness=2.0, scale=1.5, power=1.0)
    return (light + AMPLITUDE * scattered(light.astype(np.float32), kernel, 4)).astype(np.float32)


def frame_of(light: F8, seed: int, combined: int = 1) -> Frame:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, 1.0, light.shape) * np.sqrt((NOISE**2 + np.maximum(light, 0)) / combined)
    variance = np.full(light.shape, NOISE**2 / combined, np.float32)
    return Frame((light + noise).astype(np.float32), variance, np.zeros(light.shape, np.int32), {"NCOMBINE": combined})


@dataclass
class Scene:
    flux: F8
    frame: Frame
    optics: FibreOptics


@pytest.fixture(scope="module")
def lamp() -> Scene:
    flux = np.full((2, FIBRES, COLUMNS), 4000.0) * np.linspace(0.3, 1.0, COLUMNS)
    flux *= np.random.default_rng(4).uniform(0.8, 1.1, (2, FIBRES, 1))
    flux[0, DEAD] = 0.0
    frame = frame_of(image_of(flux), 1, 4)
    return Scene(flux, frame, trace_fibres(frame, PARAMS))


def test_missing_fibres_are_recognised_and_placed_by_their_neighbours(lamp: Scene) -> None:
    lower, upper = lamp.optics.traces
    assert lower is not None
    assert upper is not None
    assert list(np.flatnonzero(lower.dq)) == [DEAD]
    assert not upper.dq.any()
    assert np.all(lower.sample_dq[DEAD] == int(Flag.NOT_ILLUMINATED))
    assert np.abs(lower.centre[DEAD] - centres()[0, DEAD]).max() < 0.5


def test_centres_and_their_errors(lamp: Scene) -> None:
    for k, (one, error) in enumerate(zip(lamp.optics.traces, lamp.optics.centre_error, strict=True)):
        assert one is not None
        assert error is not None
        off = (one.centre - centres()[k])[one.dq == 0]
        assert abs(off.mean()) < 0.03  # the centroid of a profile with noisy wings, the same for all
        off -= off.mean()
        assert off.std() < 0.006
        assert np.abs(off).max() < 0.03
        assert 0.5 < np.sqrt(np.mean((off / error[one.dq == 0]) ** 2)) < 1.6


def departing(kind: str) -> tuple[F8, F8, FibreOptics]:
    """Traces of a bright lamp whose fibres' profiles differ along the slit; truth and result of all fibres."""
    rows, amount = np.arange(2 * HALF)[:, None], np.sin(np.linspace(0.0, 4.0, FIBRES))
    light = np.zeros((2 * HALF, COLUMNS))
    for k, centre in enumerate(centres()):
        for one, by in zip(centre, amount, strict=True):
            u = rows - one - k * HALF
            if kind == "scale":
                u, pixel = u / (1.0 + 0.05 * by), 0.5 / (1.0 + 0.05 * by)
                light += 20000.0 * (cumulative(u + pixel) - cumulative(u - pixel))
            else:  # a second image beside the first, on both sides: more blur, of a shape that no scale gives
                away, share = 2.5, 0.03 * (1.0 + by)
                for side, part in ((0.0, 1.0 - share), (-away, 0.5 * share), (away, 0.5 * share)):
                    light += 20000.0 * part * (cumulative(u + side + 0.5) - cumulative(u + side - 0.5))
    frame = frame_of(light.astype(np.float32), 8, 4)
    return centres(), amount, trace_fibres(frame, PARAMS)


@pytest.mark.parametrize("kind", ["scale", "blur"])
def test_profiles_that_differ_are_followed_as_far_as_the_lamp_asks(kind: str) -> None:
    truth, amount, optics = departing(kind)
    numbers = {number.name: number.value for number in optics.quality}
    assert numbers["TRACE CHI2"] < 1.05
    assert numbers["PROFILE DEPARTURES"] >= {"scale": 1.0, "blur": 2.0}[kind]
    for k, one in enumerate(optics.traces):
        assert one is not None
        assert one.mix is not None
        off = one.centre - truth[k]
        assert (off - off.mean()).std() < 0.005
        if kind == "scale":
            found = one.mix[1].mean(axis=1)
            assert np.allclose(found - found.mean(), 0.05 * (amount - amount.mean()), atol=0.004)


def test_scatter_of_the_pixels_response_is_told_by_the_lamp() -> None:
    light = image_of(np.full((2, FIBRES, COLUMNS), 20000.0))
    response = 1.0 + 0.008 * np.random.default_rng(11).standard_normal(light.shape)
    optics = trace_fibres(frame_of((light * response).astype(np.float32), 12, 4), PARAMS)
    numbers = {number.name: number.value for number in optics.quality}
    assert numbers["PIXEL RESPONSE SCATTER"] == pytest.approx(0.008, rel=0.05)
    assert numbers["TRACE CHI2"] == pytest.approx(1.0, abs=0.03)


def test_amplitude_of_scattered_light(lamp: Scene) -> None:
    assert lamp.optics.halo.amplitude == pytest.approx(AMPLITUDE, rel=0.06)
    assert np.all(np.abs(lamp.optics.halo.level) < 1.0)


def test_own_shift_and_fluxes_of_a_frame(lamp: Scene) -> None:
    flux = 0.06 * lamp.flux
    frame = frame_of(image_of(flux, 0.31), 2)
    found = extract_fibres(frame, lamp.optics.traces, lamp.optics.halo, FibreExtractionParams())
    for k in (0, 1):
        move, value, variance, flags = found.move[k], found.flux[k], found.variance[k], found.flags[k]
        assert move is not None
        assert value is not None
        assert variance is not None
        assert flags is not None
        assert move.value[0] == pytest.approx(0.31, abs=4.0 * move.error[0] + 0.01)
        good = flags == 0
        assert good[[i for i in range(FIBRES) if k or i != DEAD]].mean() > 0.995
        pull = (value - flux[k])[good] / np.sqrt(variance[good])
        assert abs(pull.mean()) < 0.08
        assert pull.std() == pytest.approx(1.0, abs=0.04)
    assert found.flags[0] is not None
    assert np.all(found.flags[0][DEAD] != 0)


@pytest.mark.parametrize("shift", [0.05, -0.3, 0.6])
def test_drifts_across_are_found_to_a_few_thousandths_of_a_pixel(lamp: Scene, shift: float) -> None:
    flux = 0.3 * lamp.flux  # as many electrons in all as a full CCD has from the sky
    still = extract_fibres(frame_of(image_of(flux), 20), lamp.optics.traces, lamp.optics.halo, FibreExtractionParams())
    found = extract_fibres(
        frame_of(image_of(flux, shift), 21), lamp.optics.traces, lamp.optics.halo, FibreExtractionParams()
    )
    for before, after in zip(still.move, found.move, strict=True):
        assert before is not None
        assert after is not None
        error = np.hypot(before.error[0], after.error[0])
        assert error < 0.005
        assert abs(after.value[0] - before.value[0] - shift) < 4.0 * error


def test_noise_is_within_three_per_cent_of_the_bound_of_cramer_and_rao(lamp: Scene) -> None:
    flux = 0.06 * lamp.flux
    light = image_of(flux)
    columns = np.arange(COLUMNS)
    bound = []
    rows = np.arange(2 * HALF)[:, None]
    for x in columns[::16]:
        true = np.concatenate([centres()[k, :, x] + k * HALF for k in (0, 1)])
        a = (cumulative(rows - true + 0.5) - cumulative(rows - true - 0.5)) / np.sqrt(NOISE**2 + light[:, x, None])
        a = np.delete(a, DEAD, axis=1)
        bound.append(np.sqrt(np.diag(np.linalg.inv(a.T @ a))))
    found = [
        extract_fibres(frame_of(light, 30 + k), lamp.optics.traces, lamp.optics.halo, FibreExtractionParams())
        for k in range(12)
    ]
    live = np.delete(np.arange(2 * FIBRES), DEAD)
    values = np.array([np.concatenate([np.asarray(v) for v in one.flux])[live][:, ::16] for one in found])
    scatter = np.sqrt(np.nanmean(values.var(axis=0, ddof=1) / np.array(bound).T ** 2))
    assert scatter == pytest.approx(1.0, abs=0.03)
    told = np.concatenate([np.asarray(v) for v in found[0].variance])[live][:, ::16]
    assert np.nanmedian(np.sqrt(told) / np.array(bound).T) == pytest.approx(1.0, abs=0.03)


def test_a_fibre_whose_light_is_shaped_otherwise_differs_in_its_aperture(lamp: Scene) -> None:
    flux = 0.3 * lamp.flux
    odd = np.zeros_like(flux)
    odd[1, 6] = 0.5 * flux[1, 6]
    light = image_of(flux - odd) + 0.5 * (image_of(odd, 1.6) + image_of(odd, -1.6))
    found = extract_fibres(frame_of(light, 9), lamp.optics.traces, lamp.optics.halo, FibreExtractionParams())
    assert found.differ[1] is not None
    assert np.abs(found.differ[1]).argmax() == 6
    assert set(np.flatnonzero(np.abs(found.differ[1]) > 5.0)) <= {5, 6, 7}  # its neighbours' apertures hold its wings
    assert found.differ[0] is not None
    assert np.nanmax(np.abs(found.differ[0])) < 5.0 < np.abs(found.differ[1][6])
    assert next(q.value for q in found.quality if q.name == "APERTURE DIFFERS") in {1.0, 2.0, 3.0}


def test_neighbours_of_a_bright_fibre(lamp: Scene) -> None:
    flux = np.full((2, FIBRES, COLUMNS), 30.0)
    flux[0, DEAD] = 0.0
    flux[1, 11] = 30000.0
    light = image_of(flux, 0.1)
    found = extract_fibres(frame_of(light, 5), lamp.optics.traces, lamp.optics.halo, FibreExtractionParams())
    value, blend = found.flux[1], found.blend[1]
    assert value is not None
    assert blend is not None
    leak = np.median(value[[10, 12]] - 30.0, axis=1) / 30000.0
    assert np.abs(leak).max() < 0.002
    assert np.all(blend[8:14] < 0.0)  # light given to one is taken from the next


def test_hits_are_found_and_lines_kept(lamp: Scene) -> None:
    x = np.arange(COLUMNS)
    flux = np.full((2, FIBRES, COLUMNS), 40.0) * (1.0 + 60.0 * np.exp(-0.5 * ((x - 200.0) / 1.2) ** 2))
    flux[0, DEAD] = 0.0
    frame = frame_of(image_of(flux), 6)
    rng = np.random.default_rng(7)
    fibre, at = rng.integers(0, FIBRES, 60), rng.integers(5, 180, 60)
    rows = np.rint(centres()[1, fibre, at]).astype(int) + rng.integers(-1, 2, 60)
    frame.data[rows + HALF, at] += rng.uniform(120.0, 2000.0, 60).astype(np.float32)
    found = extract_fibres(frame, lamp.optics.traces, lamp.optics.halo, FibreExtractionParams())
    assert found.flags[1] is not None
    assert found.flags[0] is not None
    assert np.mean((found.flags[1][fibre, at] & Flag.COSMIC_RAY) != 0) >= 0.98
    line = [i for i in range(FIBRES) if i != DEAD]
    assert np.mean(found.flags[0][line, 190:211] != 0) < 0.01


def test_a_dead_amplifier_leaves_the_other(lamp: Scene) -> None:
    data, flags = lamp.frame.data.copy(), lamp.frame.flags.copy()
    data[:HALF], flags[:HALF] = np.nan, int(Flag.BAD_PIXEL)
    frame = Frame(data, lamp.frame.variance, flags, lamp.frame.meta)
    found = trace_fibres(frame, PARAMS)
    assert found.traces[0] is None
    assert found.traces[1] is not None
    assert found.caveats
    spectra = extract_fibres(frame, found.traces, found.halo, FibreExtractionParams())
    assert spectra.flux[0] is None
    assert spectra.flux[1] is not None
    assert np.nanmedian(spectra.flux[1] / lamp.flux[1]) == pytest.approx(1.0, abs=0.01)
    flags[:] = int(Flag.BAD_PIXEL)
    with pytest.raises(BadData):
        trace_fibres(Frame(data, lamp.frame.variance, flags, lamp.frame.meta), PARAMS)


def test_scattered_light_is_the_sum_over_the_kernel() -> None:
    light = np.zeros((40, 24), np.float32)
    light[13, 9] = 100.0
    kernel = power_law((40, 24), 1, softening=0.5, steepness=2.0, scale=1.5, power=1.0)
    found = scattered(light, kernel, 1)
    r = np.hypot(20 - 13, 15 - 9)
    norm = 1.0 / (0.5 + 2.0 * r / 1.5) / (1.0 / (0.5 + 2.0 * 10.0 / 1.5))
    assert found[20, 15] / found[23, 9] == pytest.approx(norm, rel=0.01)


def test_pixels_away_from_all_centres_and_the_mirror_of_a_half() -> None:
    dark = dark_pixels(np.array([[3.0], [12.0]]), (20, 1), 4.0)
    assert list(np.flatnonzero(dark[:, 0])) == [17, 18, 19]
    light = np.arange(8.0)[:, None]
    assert list(mirrored(light, np.array([True, False]))[:, 0]) == [7, 6, 5, 4, 4, 5, 6, 7]
