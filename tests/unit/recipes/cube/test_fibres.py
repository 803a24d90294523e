"""Cubes of fibre bundles keep light and places, and state their noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS

from tests.unit.recipes.fibre_bundle import CENTRE, REFRACTION, SLOT, Bundle, Source, without
from tracecube.core.flags import Flag
from tracecube.core.spectra import Cube
from tracecube.recipes.cube.fibres import FibreCubeParams, build_fibre_cube

PARAMS = FibreCubeParams(wave_range=(3600.0, 5400.0), wave_step=100.0)
COARSE = (3470.0, 5540.0, 60)


def cube(*sources: Source, seed: int | None = None, params: FibreCubeParams = PARAMS) -> Cube:
    bundle = Bundle(rows=13, wave=COARSE, sources=list(sources))
    return build_fibre_cube(bundle.draw(seed), REFRACTION, params, ifuslot=SLOT, centre=CENTRE)


def test_a_stars_sum_over_the_cube_is_its_flux() -> None:
    ratios = []
    for x, y in np.random.default_rng(3).uniform(-6.0, 6.0, (12, 2)):
        ratios.append(np.nansum(cube(Source(x, y, continuum=1e-16)).data, axis=(1, 2)).mean() / 1e-16)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)
    assert np.std(ratios) < 0.04  # fibres do not sample the sky evenly


def test_a_star_stands_where_the_axes_say_at_every_wavelength() -> None:
    star = Source(3.3, -4.2, continuum=1e-16)
    made = cube(star)
    axes = WCS(made.meta)
    x, y = axes.celestial.all_world2pix(*star.sky, 0)
    row, column = np.indices(made.data.shape[1:])
    for plane in made.data[[0, 8, 17]]:
        light = np.nan_to_num(plane)
        near = np.hypot(row - y, column - x) < 4.0
        assert np.sum(light[near] * column[near]) / np.sum(light[near]) == pytest.approx(x, abs=0.12)
        assert np.sum(light[near] * row[near]) / np.sum(light[near]) == pytest.approx(y, abs=0.12)
    assert axes.celestial.wcs.cdelt[0] < 0 < axes.celestial.wcs.cdelt[1]
    assert axes.wcs.ctype[2] == "AWAV"


def test_a_flat_sky_is_flat_and_in_the_unit_of_the_card() -> None:
    flat = [replace(one, flux=np.full_like(one.flux, 2e-17)) for one in Bundle(rows=13, wave=COARSE).draw(None)]
    made = build_fibre_cube(flat, REFRACTION, PARAMS, ifuslot=SLOT)
    inside = np.isfinite(made.data)
    assert np.allclose(made.data[inside], 2e-17 / (np.pi * 0.75**2), rtol=1e-3)
    assert made.meta["BUNIT"] == "erg/s/cm2/Angstrom/arcsec2"


def test_noise_is_as_stated() -> None:
    drawn = np.stack([cube(seed=s).data for s in range(24)])
    made = cube(seed=0)
    inside = np.isfinite(made.data)
    assert np.mean(drawn.var(axis=0, ddof=1)[inside] / made.variance[inside]) == pytest.approx(1.0, abs=0.03)
    pull = np.nan_to_num(drawn / np.sqrt(made.variance))
    for (_, dy, dx), stated in list(zip(made.covariance_offset, made.covariance_value, strict=True))[1:6]:
        a, b = pull[:, :, : pull.shape[2] - dy, : pull.shape[3] - dx], pull[:, :, dy:, dx:]
        both = (a != 0) & (b != 0)
        assert np.mean(a[both] * b[both]) == pytest.approx(stated, abs=0.05)


def test_where_fibres_are_dead_is_said() -> None:
    exposures = [without(one, np.arange(100, 140)) for one in Bundle(rows=13, wave=COARSE).draw(0)]
    made = build_fibre_cube(exposures, REFRACTION, PARAMS, ifuslot=SLOT)
    missing = (made.flags & Flag.NOT_MEASURED) != 0
    assert missing.any()
    assert np.array_equal(np.isnan(made.data), made.flags != 0)
