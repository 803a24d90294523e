"""Lasers and white light of one prism under a header of the other."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.optics import WavelengthSolution
from tracecube.instruments.sphere_ifs.guess import MODES
from tracecube.instruments.sphere_ifs.other_prism import check_lasers, check_white_ends, ends_of_light
from tracecube.instruments.sphere_ifs.simulation.light import lamp_light
from tracecube.kernels.spots import SpotFit, gaussian_template, render_spots
from tracecube.recipes.optics.lasers import find_lattice

SIDE = 400


def lasers(mode: str, off: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """A frame of lasers through one prism, without those that are off, and its weights."""
    rng = np.random.default_rng(4)
    guess = MODES[mode].lattice
    q, r = (axis.ravel() for axis in np.mgrid[-25:26, -25:26])
    first = np.stack([q, r], axis=1) @ guess.basis + np.array([SIDE / 2 + 3.0, SIDE / 2 - 2.0])
    image = np.zeros((SIDE, SIDE), np.float32)
    for laser, offset in enumerate(guess.offsets):
        if laser in off:
            continue
        place = first + np.array([0.0, offset])
        place = place[((place > 6) & (place < SIDE - 7)).all(axis=1)]
        zero = np.zeros(len(place))
        flux = 3000.0 * rng.uniform(0.7, 1.3, len(place))
        spots = SpotFit(flux, place[:, 0], place[:, 1], *[zero] * 5, np.ones(len(place), bool))
        render_spots(image, spots, gaussian_template(guess.sigma))
    variance = 20.0 + image
    image += rng.normal(0, 1, image.shape).astype(np.float32) * np.sqrt(variance)
    return image, np.asarray(1.0 / variance, np.float32)


def checked(header: str, mode: str, off: tuple[int, ...] = ()) -> None:
    image, ivar = lasers(mode, off)
    named = MODES[header]
    check_lasers(image, ivar, find_lattice(image, ivar, named.lattice, distortion=2), named, "laser.fits")


@pytest.mark.parametrize(("header", "mode"), [("YJH", "YJ"), ("YJ", "YJH")])
def test_lasers_of_the_other_prism_are_refused_by_name_and_rule(header, mode):
    with pytest.raises(
        BadData, match=rf"laser\.fits: lasers at .* where {mode} has them; those of {header} are at"
    ) as error:
        checked(header, mode)
    assert "ESO INS2 COMB IFS" in error.value.hint


@pytest.mark.parametrize(
    ("mode", "off"),
    [("YJH", ()), ("YJH", (1,)), ("YJH", (3,)), ("YJH", (1, 2)), ("YJ", ()), ("YJ", (1,)), ("YJ", (2,))],
)
def test_a_laser_that_is_off_is_no_other_prism(mode, off):
    checked(mode, mode, off)


def white_spectra(header: str, mode: str, shift: float = 0.0) -> tuple[np.ndarray, WavelengthSolution]:
    """White light through one prism on the spectra that the header's prism makes, electron a row."""
    rng = np.random.default_rng(5)
    named, true = MODES[header], MODES[mode]
    low, high = named.law(np.array(named.band))
    first = rng.uniform(0.0, 1.0, 300)  # rows of the lenslets' first lasers, below the start of their traces
    rows = np.arange(int(high - low) + 5)
    along = low - 1.8 + rows - first[:, None]
    along = np.where(along < high + 1.8, along, np.nan)
    fine = np.linspace(9000.0, 17500.0, 8001)
    wave = np.where(np.isfinite(along), np.interp(along, named.law(fine), fine), np.nan)
    place = true.law(fine) + shift
    grid = np.arange(-9.0, 60.0, 0.05)
    electrons = np.interp(grid, place, lamp_light(fine, true) / np.gradient(place, fine))
    core = np.exp(-0.5 * (np.arange(-4.0, 4.01, 0.05) / 0.95) ** 2)
    light = 500.0 * np.interp(along, grid, np.convolve(electrons, core / core.sum(), mode="same"))
    flux = np.where(np.isfinite(along), light + 30.0 * rng.normal(size=along.shape), np.nan)
    none = np.zeros(0)
    solution = WavelengthSolution(
        np.arange(300), np.zeros(300, int), np.zeros(300, np.int32), wave, 0 * wave, 1 + 0 * wave,
        none.astype(int), none, none, none, none, none.astype(np.int32),
    )  # fmt: skip
    return flux, solution


@pytest.mark.parametrize(("header", "mode"), [("YJH", "YJ"), ("YJ", "YJH")])
@pytest.mark.parametrize("shift", [-0.4, 0.0, 0.4])
def test_white_light_of_the_other_prism_is_refused_by_name_and_rule(header, mode, shift):
    match = rf"flat\.fits: white light from .* as through {mode} .* that of {header}"
    with pytest.raises(BadData, match=match) as error:
        check_white_ends(*white_spectra(header, mode, shift), MODES[header], "flat.fits")
    assert "ESO INS2 COMB IFS" in error.value.hint


@pytest.mark.parametrize("mode", ["YJH", "YJ"])
@pytest.mark.parametrize("shift", [-0.4, 0.0, 0.4])
def test_white_light_of_the_own_prism_ends_where_its_band_does(mode, shift):
    flux, solution = white_spectra(mode, mode, shift)
    check_white_ends(flux, solution, MODES[mode], "flat.fits")
    band = MODES[mode].law(np.array(MODES[mode].band))
    assert ends_of_light(flux, solution, MODES[mode])[0] == pytest.approx(band + shift, abs=0.5)
