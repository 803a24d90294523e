"""The lamp's slope across the field from the star's halo: found where it is, and no wider than it says."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.stamps import Profile, lattice_of
from tracecube.recipes.science.halo_slope import evened, expected_slope, halo_slope
from tracecube.recipes.science.star_sequence import StarSequence

CENTRE = np.array([0.004, -0.007])


def hexagons(half: float = 0.8, pitch: float = 0.0165) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(-int(half / pitch / 0.866), int(half / pitch / 0.866) + 1)
    places = [
        (pitch * (i + 0.5 * (j % 2)), pitch * 0.866 * j)
        for j in rows
        for i in range(-int(half / pitch), int(half / pitch))
    ]
    return tuple(np.array(places).T)


def halo(
    seed: int, slope=(0.0, 0.0), *, stretched: float = 0.0, speckles: float = 0.0, tint: float = 0.0, companion=False
) -> StarSequence:
    """Four exposures of six channels of a star's halo over a flat whose lamp had a slope."""
    rng = np.random.default_rng(seed)
    x, y = hexagons()
    wave = np.linspace(10000.0, 16000.0, 6)
    unit = np.degrees(wave * 1e-10 / 8.0) * 3600.0
    dx, dy = x - CENTRE[0], y - CENTRE[1]
    radius = np.hypot(dx, dy)
    light = 1000.0 * (0.1 + radius) ** -1.5 * (1.0 + stretched * (dx**2 - dy**2) / (0.05 + radius**2))
    shape = np.ones((wave.size, x.size))
    if speckles:  # standing in the magnified plane, as wide as lambda / D
        px, py = rng.uniform(-0.9, 0.9, (2, 2000))
        strength = rng.exponential(size=2000) - 1.0
        for k, w in enumerate(wave / wave[0]):
            for a, b, s in zip(px * w, py * w, strength, strict=True):
                near = np.flatnonzero((np.abs(dx - a) < 0.05) & (np.abs(dy - b) < 0.05))
                shape[k, near] += (
                    speckles * s * np.exp(-((dx[near] - a) ** 2 + (dy[near] - b) ** 2) / (0.4 * unit[k]) ** 2)
                )
    colour = 1.0 + tint * (wave - wave.mean()) / wave.mean()
    lamp = 1.0 + (slope[0] * dx + slope[1] * dy) * colour[:, None]
    flux = np.broadcast_to(light * shape * lamp, (4, wave.size, x.size)).copy()
    if companion:
        flux[:, :, np.hypot(x - 0.5, y) < 0.03] *= 30.0
    sigma = np.sqrt(flux.clip(1.0))
    flux += sigma * rng.normal(size=flux.shape)
    star = np.broadcast_to(CENTRE[:, None, None], (2, 4, wave.size))
    one = np.ones(wave.size)
    return StarSequence(
        wave=wave,
        unit=unit,
        flux=flux,
        weight=sigma**-2.0,
        star_x=star[0],
        star_y=star[1],
        angle=np.linspace(0.0, 30.0, 4),
        brightness=np.ones((4, wave.size)),
        lattice=lattice_of(x, y, 0.03),
        profile=Profile(np.ones((wave.size, 3)), 1.0, unit),
        light=1e5 * one,
        light_error=0.0 * one,
        lsf_sigma=0.0 * one,
        tilt=0.0 * one,
    )


def test_a_slope_is_found_whatever_is_even_about_the_star() -> None:
    found = halo_slope(halo(1, (-0.03, 0.02), stretched=0.3, companion=True))
    assert found is not None
    assert found.slope == pytest.approx([-0.03, 0.02], abs=0.004)
    assert (found.error < 0.004).all()
    assert np.abs(found.slope - [-0.03, 0.02]).max() < 4.0 * found.error.max()


def test_standing_speckles_are_in_the_error() -> None:
    pulls = []
    for seed in range(8):
        found = halo_slope(halo(seed, speckles=1.0))
        assert found is not None
        pulls += list(found.slope / found.error)
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1.0, abs=0.45)  # of sixteen


def test_channels_that_do_not_agree_are_in_the_error() -> None:
    same, unlike = (halo_slope(halo(3, (-0.05, 0.0), tint=tint)) for tint in (0.0, 2.0))
    assert same is not None
    assert unlike is not None
    assert unlike.error[0] > 3.0 * same.error[0]
    assert unlike.error[0] > 0.01


def test_too_little_of_the_field_tells_nothing() -> None:
    sequence = halo(1)
    assert halo_slope(sequence.only(np.flatnonzero(sequence.lattice.x > 0.1))) is None
    sequence.weight[1:, :, ::2] = 0.0
    sequence.weight[0, :, 1::2] = 0.0
    assert halo_slope(sequence) is None


def test_what_is_measured_is_weighed_against_what_is_usual() -> None:
    found = halo_slope(halo(1, (-0.03, 0.02)))
    assert found is not None
    slope, error = expected_slope(found, 1.0)
    assert slope == pytest.approx(found.slope, rel=1e-3)
    assert error == pytest.approx(found.error, rel=1e-3)
    slope, error = expected_slope(found, 0.0)
    assert slope == pytest.approx([0.0, 0.0])
    assert error == pytest.approx([0.0, 0.0])
    half = float(found.error[0])
    slope, error = expected_slope(found, half)
    assert slope[0] == pytest.approx(0.5 * found.slope[0])
    assert error[0] == pytest.approx(half / np.sqrt(2.0))


def test_an_evened_sequence_has_no_slope_and_keeps_the_star_and_the_errors() -> None:
    sequence, at = halo(1, (-0.03, 0.02)), np.array([-0.3, 0.24])
    even = evened(sequence, np.array([-0.03, 0.02]), at)
    left = halo_slope(even)
    assert left is not None
    assert left.slope == pytest.approx([0.0, 0.0], abs=0.004)
    here = int(np.argmin(np.hypot(sequence.lattice.x - at[0], sequence.lattice.y - at[1])))
    assert even.flux[..., here] == pytest.approx(sequence.flux[..., here], rel=1e-3)
    assert even.flux**2 * even.weight == pytest.approx(sequence.flux**2 * sequence.weight)
