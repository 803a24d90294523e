"""Cubes keep light, state their noise, and undo refraction."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from tracecube.core.spectra import Spectra
from tracecube.recipes.cube.hexagons import CubeParams, build_cube

PITCH = 0.64
WAVE = np.linspace(4000.0, 9000.0, 6)


def spectra(flux: np.ndarray | None = None, *, seed: int = 0) -> Spectra:
    q, r = (v.ravel().astype(float) for v in np.meshgrid(np.arange(-12, 13), np.arange(-12, 13)))
    x, y = PITCH * (q + 0.5 * r), PITCH * np.sqrt(0.75) * r
    keep = np.hypot(x, y) < 6.0
    x, y = x[keep], y[keep]
    n = x.size
    rng = np.random.default_rng(seed)
    values = rng.normal(100.0, 2.0, (n, WAVE.size)) if flux is None else flux(x, y)
    return Spectra(
        values,
        np.full((n, WAVE.size), 4.0),
        np.zeros((n, WAVE.size), np.int32),
        np.zeros((n, WAVE.size)),
        WAVE,
        np.full(WAVE.size, 20.0),
        np.arange(n),
        x,
        y,
        np.zeros(n, np.int32),
    )


NO_SHIFT = (np.zeros(WAVE.size), np.zeros(WAVE.size))


def star(x0: np.ndarray, y0: np.ndarray):
    def flux(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 1e4 * np.exp(-0.5 * ((x[:, None] - x0) ** 2 + (y[:, None] - y0) ** 2) / 0.8**2)

    return flux


def test_light_of_a_star_is_kept() -> None:
    given = spectra(star(np.zeros(6), np.zeros(6)))
    cube = build_cube(given, NO_SHIFT, CubeParams(), pitch=PITCH, pointing=None)
    assert np.nansum(cube.data, axis=(1, 2)) == pytest.approx(given.flux.sum(axis=0), rel=0.01)


def test_noise_is_what_is_stated() -> None:
    planes = [build_cube(spectra(seed=s), NO_SHIFT, CubeParams(), pitch=PITCH, pointing=None) for s in range(12)]
    data = np.stack([p.data for p in planes])
    good = np.isfinite(data).all(axis=0)
    spread = data.std(axis=0, ddof=1)[good] / np.sqrt(planes[0].variance[good])
    assert np.sqrt(np.mean(spread**2)) == pytest.approx(1.0, abs=0.05)
    right = dict(zip(map(tuple, planes[0].covariance_offset.tolist()), planes[0].covariance_value, strict=True))
    off = data - data.mean(axis=0)
    both = good[:, :, 1:] & good[:, :, :-1]
    pair = (off[:, :, :, 1:] * off[:, :, :, :-1]).mean(axis=0)[both] / (off[:, good] ** 2).mean()
    assert np.mean(pair) == pytest.approx(right[(0, 0, 1)], abs=0.08)


def test_refraction_is_undone() -> None:
    shift = np.linspace(0.8, -0.6, 6)
    given = spectra(star(shift, 0.3 * shift))
    cube = build_cube(given, (shift, 0.3 * shift), CubeParams(), pitch=PITCH, pointing=None)
    x = np.arange(cube.data.shape[2])
    centre = [np.nansum(np.nansum(p, axis=0) * x) / np.nansum(p) for p in cube.data]
    assert np.ptp(centre) * 0.5 < 0.05


def test_missing_spaxels_are_named_and_never_invented() -> None:
    given = spectra()
    given.flux[given.flux.shape[0] // 2] = np.nan
    cube = build_cube(given, NO_SHIFT, CubeParams(), pitch=PITCH, pointing=None)
    hole = ~np.isfinite(cube.data)
    assert (cube.flags[hole] != 0).all()
    assert np.isnan(cube.variance[hole]).all()


def test_north_is_up_and_east_is_left() -> None:
    cube = build_cube(spectra(), NO_SHIFT, CubeParams(), pitch=PITCH, pointing=(150.0, 20.0))
    sky = WCS(dict(cube.meta)).celestial
    ny, nx = cube.data.shape[1:]
    left = sky.pixel_to_world(0, ny // 2)
    middle = sky.pixel_to_world(nx // 2, ny // 2)
    assert left.ra > middle.ra
    assert sky.pixel_to_world(nx // 2, ny - 1).dec > middle.dec
    assert middle.ra.deg == pytest.approx(150.0, abs=1e-6)
