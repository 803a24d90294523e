"""Plate scale, anamorphism and distortion from a grid of pinholes."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import NoConvergence
from tracecube.recipes.optics.pinholes import PinholeParams, lattice_plane, map_sky

PITCH, GRID = 0.01295, 0.1677


def field(rng, turn=0.35, scale=(1.0059, 1.0011), cubic=0.0012, noise=20.0):
    q, r = (axis.ravel() for axis in np.meshgrid(np.arange(-75, 76), np.arange(-75, 76)))
    plane = lattice_plane(q, r)
    keep = np.hypot(*plane.T) < 65
    plane = plane[keep]
    u = plane / 65.0
    sky = plane * PITCH * np.array(scale) * (1 + cubic * (u**2).sum(axis=1))[:, None]
    angle = np.radians(turn)
    k = np.arange(-6, 7)
    holes = GRID * np.stack([axis.ravel() for axis in np.meshgrid(k, k)], axis=1) + np.array([0.03, -0.05])
    holes = holes @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    distance = ((sky[:, None] - holes[None]) ** 2).sum(axis=2)
    light = 4000.0 * np.exp(-0.5 * distance / 0.014**2).sum(axis=1)
    variance = light + noise**2
    return plane, sky, light + rng.normal(0, 1, light.size) * np.sqrt(variance), variance


def test_the_map_to_the_sky_comes_back() -> None:
    plane, sky, flux, variance = field(np.random.default_rng(1))
    flux[::97] = np.nan
    found, numbers = map_sky(flux, variance, plane, nominal_pitch=0.01292, params=PinholeParams())
    assert found.pitch == pytest.approx(PITCH * np.sqrt(1.0059 * 1.0011), rel=1e-3)
    assert found.anamorphism == pytest.approx(1.0059 / 1.0011, abs=5e-4)
    assert found.turn == pytest.approx(-0.35, abs=0.05) or found.turn == pytest.approx(0.35, abs=0.05)
    own = np.stack([found.x, found.y], axis=1)
    miss = own - sky - np.median(own - sky, axis=0)
    assert np.sqrt(np.mean(miss**2)) < 3e-4  # 0.3 mas
    assert {number.name for number in numbers} >= {"DISTMAP NPOINTS OBS", "DISTMAP PIXSCALE"}


def test_the_fit_is_as_good_as_the_noise_lets_it_be() -> None:
    chi = []
    for seed in range(3):
        plane, _, flux, variance = field(np.random.default_rng(seed), noise=60.0)
        _, numbers = map_sky(flux, variance, plane, nominal_pitch=0.01292, params=PinholeParams(fitting_order=4))
        chi.append([number.value for number in numbers if "POLFIT" in number.name])
    assert np.mean(chi, axis=0) == pytest.approx([1.0, 1.0], abs=0.25)


def test_no_pinholes_no_map() -> None:
    plane, _, _, variance = field(np.random.default_rng(2))
    noise = np.random.default_rng(3).normal(100, 10, len(plane))
    with pytest.raises(NoConvergence, match="pinhole"):
        map_sky(noise, variance, plane, nominal_pitch=0.01292, params=PinholeParams())


def test_pinholes_tell_the_distortion_where_they_stand() -> None:
    plane, _, flux, variance = field(np.random.default_rng(5), turn=0.0)
    mapped, _ = map_sky(flux, variance, plane, nominal_pitch=PITCH, params=PinholeParams())
    points = mapped.pattern
    used = points.used == 1
    assert used.sum() > 60
    seen, true = np.stack([points.x, points.y], axis=1), np.stack([points.grid_x, points.grid_y], axis=1)
    regular = (plane - plane.mean(axis=0)) * mapped.pitch
    nearest = np.argmin(((regular[:, None] - seen[None, used]) ** 2).sum(axis=2), axis=0)
    moved = (np.stack([mapped.x, mapped.y], axis=1) - regular)[nearest]
    off = (true - seen)[used] - moved  # the map's own distortion, at lenslets beside
    assert np.abs(moved).max() > 1e-3
    assert np.sqrt(np.mean(off**2)) < 1.5e-4
    assert np.std(off / points.error[used, None]) == pytest.approx(1.0, abs=0.2)
