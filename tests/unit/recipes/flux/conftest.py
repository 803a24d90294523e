"""A night of standards through a known response, extinction and telluric bands."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from tracecube.kernels.atmosphere import broadening_matrix, extinction_transmission
from tracecube.recipes.flux.standards import Reference
from tracecube.recipes.flux.star_response import Observation
from tracecube.recipes.flux.telluric import Absorbers

WAVE = np.arange(3700.0, 9301.0, 25.57)
LSF = WAVE / 235.0
FINE = np.arange(3000.0, 11000.1, 4.0)
EXTINCTION = (np.array([3200.0, 4000.0, 5000.0, 7000.0, 11000.0]), np.array([1.06, 0.38, 0.18, 0.07, 0.03]))


def absorbers() -> Absorbers:
    wave = np.arange(5000.0, 10000.0, 3.0)
    rng = np.random.default_rng(3)
    combs = rng.random(wave.size)
    oxygen = np.where((wave > 7595) & (wave < 7700), combs, 1.0) * np.where(
        (wave > 6868) & (wave < 6950), combs**0.3, 1.0
    )
    water = np.where((wave > 8915) & (wave < 9900), combs**0.6, 1.0) * np.where(
        (wave > 8150) & (wave < 8350), combs**0.2, 1.0
    )
    return Absorbers(wave, np.clip([oxygen, water], 0.0, 1.0), np.array([0.58, 0.40]), np.array([0.1, 0.2]))


def response(wave: np.ndarray) -> np.ndarray:
    """Electrons per erg: steep in the blue, falling in the red, with a ripple."""
    shape = 1 / (1 + np.exp(-(wave - 4000) / 150.0)) / (1 + np.exp((wave - 9200) / 350.0))
    return 1e15 * (wave / 6000.0) * shape * (1 + 0.03 * np.sin(wave / 300.0))


def reference(level: float = 1e-13, depth: float = 0.4) -> Reference:
    """A hot star with Balmer lines; the table ends at 9200."""
    flux = level * (FINE / 5500.0) ** -3.9
    for line in (4102.9, 4341.7, 4862.7, 6564.6):
        flux = flux * (1 - depth * np.exp(-0.5 * ((FINE - line) / 12.0) ** 2))
    return Reference("star", "oke", FINE, flux, 3200.0, 9200.0)


def counts(star: Reference, airmass: float, depths: tuple[float, float], *, grey: float = 1.0) -> np.ndarray:
    fine = np.arange(3200.0, 9800.0, 1.0)
    light = np.interp(fine, star.wave, star.flux) * extinction_transmission(fine, *EXTINCTION, airmass)
    light = light * np.exp(np.array(depths) @ absorbers().log_transmission(fine)) * response(fine)
    return grey * (broadening_matrix(fine, WAVE, LSF) @ light)


def observation(airmass: float, depths: tuple[float, float], *, grey: float = 1.0, seed: int = 0) -> Observation:
    star = reference()
    rate = counts(star, airmass, depths, grey=grey)
    electrons = 120.0 * 25.57  # seconds times Angstrom a sample
    sigma = np.sqrt((rate + 2.0) / electrons)
    noisy = rate + sigma * np.random.default_rng(seed).standard_normal(rate.size)
    return Observation(
        wave=WAVE,
        rate=noisy,
        variance=sigma**2,
        covariance=np.zeros(rate.size),
        good=np.ones(rate.size, dtype=bool),
        lsf_sigma=LSF,
        airmass=airmass,
        reference=star,
    )


@pytest.fixture(scope="session")
def night() -> ModuleType:
    """The functions of this file, for tests."""
    return sys.modules[__name__]
