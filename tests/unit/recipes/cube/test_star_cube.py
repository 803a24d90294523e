"""Cubes about a star: light kept, noise as stated, north where it belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS

from tests.unit.recipes.star_field import lattice, source, spectra_of
from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.recipes.cube.star_cube import StarCubeParams, StarFrame, build_star_cube

WAVE = np.linspace(9600.0, 16400.0, 3)
SPREAD = np.full(3, 150.0)
PARAMS = StarCubeParams(size=71)
X, Y = lattice(0.32)


def field(light: np.ndarray, variance: float = 1e-6):
    return spectra_of(X, Y, WAVE, SPREAD, light, np.full(light.shape, variance))


def test_light_does_not_depend_on_the_place_within_a_pixel() -> None:
    rng, found = np.random.default_rng(1), []
    axis = PARAMS.pixel * (np.arange(71) - 35)
    gx, gy = np.meshgrid(axis, axis)
    for _ in range(6):
        x0, y0 = rng.uniform(-6e-3, 6e-3, 2)
        cube = build_star_cube(
            field(source(X, Y, WAVE, SPREAD, lambda w, x0=x0, y0=y0: (x0, y0), 1.0)), PARAMS, frame=None
        )
        window = np.exp(-((np.hypot(gx - x0, gy - y0) / 0.1) ** 4))
        found.append(np.nansum(cube.data * window, axis=(1, 2)))
    assert np.std(found, axis=0).max() / np.mean(found) < 0.003


def test_surface_brightness_is_kept() -> None:
    cube = build_star_cube(field(np.full((X.size, 3), 5.0)), PARAMS, frame=None)
    ratio = PARAMS.pixel**2 / (np.sqrt(0.75) * 12.92e-3**2)
    assert cube.data[np.isfinite(cube.data)] == pytest.approx(5.0 * ratio, rel=1e-5)


def test_noise_and_its_correlation_are_what_is_stated() -> None:
    rng = np.random.default_rng(2)
    cubes = [build_star_cube(field(rng.normal(0.0, 2.0, (X.size, 3)), 4.0), PARAMS, frame=None) for _ in range(14)]
    data = np.stack([c.data for c in cubes]).astype(float)
    good = np.isfinite(data).all(axis=0)
    pull = data[:, good] / np.sqrt(cubes[0].variance[good])
    assert np.sqrt(np.mean(pull**2)) == pytest.approx(1.0, abs=0.05)
    stated = dict(zip(map(tuple, cubes[0].covariance_offset.tolist()), cubes[0].covariance_value, strict=True))
    z = data / np.sqrt(cubes[0].variance)
    for (dy, dx), pair in {
        (0, 1): (z[..., 1:], z[..., :-1]),
        (1, 0): (z[..., 1:, :], z[..., :-1, :]),
        (0, 2): (z[..., 2:], z[..., :-2]),
    }.items():
        assert np.nanmean(pair[0] * pair[1]) == pytest.approx(stated[(0, dy, dx)], abs=0.03)


def test_bad_lenslets_are_left_out_and_holes_are_named() -> None:
    given = field(np.full((X.size, 3), 5.0))
    middle = int(np.argmin(np.hypot(X, Y)))
    flags, flux = given.flags.copy(), given.flux.copy()
    flags[middle, 0], flux[middle, 0] = int(Flag.BAD_PIXEL), 1e6
    cube = build_star_cube(replace(given, flux=flux, flags=flags), PARAMS, frame=None)
    known = np.isfinite(cube.data[0])
    assert np.ptp(cube.data[0][known]) < 1e-3
    assert cube.flags[0, 35, 35] == Flag.NOT_MEASURED
    assert np.isnan(cube.data[0, 35, 35])
    assert np.isfinite(cube.data[1, 35, 35])
    assert cube.flags[0, 0, 0] == Flag.NOT_ILLUMINATED


@pytest.mark.parametrize("angle", [0.0, 33.8, 214.0])
def test_north_is_where_the_position_angle_says(angle: float) -> None:
    frame = StarFrame(8e-3, -5e-3, angle, 44.5, -32.1)
    cube = build_star_cube(field(np.ones((X.size, 3))), PARAMS, frame=frame)
    keys = ("CTYPE", "CUNIT", "CRVAL", "CRPIX", "CD")
    sky = WCS({k: v for k, v in cube.meta.items() if k.startswith(keys)}).celestial
    dx, dy = 0.12, 0.07
    pa = np.arctan2(-dx, dy) + np.radians(angle)
    pixel = [35 + (v + s) / PARAMS.pixel for v, s in ((frame.x, dx), (frame.y, dy))]
    ra, dec = sky.wcs_pix2world(*pixel, 0)
    east, north = (ra - 44.5) * np.cos(np.radians(-32.1)) * 3600.0, (dec + 32.1) * 3600.0
    assert east == pytest.approx(np.hypot(dx, dy) * np.sin(pa), abs=1e-6)
    assert north == pytest.approx(np.hypot(dx, dy) * np.cos(pa), abs=1e-6)


def test_uneven_wavelengths_are_refused() -> None:
    given = field(np.ones((X.size, 3)))
    with pytest.raises(BadData, match="linear"):
        build_star_cube(replace(given, wave=np.array([1e4, 1.1e4, 1.3e4])), PARAMS, frame=None)
