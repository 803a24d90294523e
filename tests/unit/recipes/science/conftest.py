"""Hexagonal fields with a star, sky and noise, made with another quadrature and another code than the fit's."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tracecube.core.spectra import Spectra
from tracecube.kernels.atmosphere import refraction_shift
from tracecube.recipes.science.chromatic_fit import Prior
from tracecube.recipes.science.scene import Track
from tracecube.recipes.science.source_fit import Choices

PITCH, ANGLE, REFERENCE = 0.64, 0.3, 6200.0
AIRMASS, PARALLACTIC = (1.28, 1.32), (50.0, 53.0)
AIR = {"pressure": 630.0, "temperature": 9.0, "humidity": 30.0}
WAVE = np.arange(3800.0, 9250.0, 25.57)
NOISE = 3.0  # electron a pixel, three pixels deep
CORRELATION = 0.15


def field(number: int = 1900) -> tuple[np.ndarray, np.ndarray]:
    """Lenslets of a field of some 28 arcsec."""
    q, r = (index.ravel() for index in np.mgrid[-40:41, -40:41])
    x, y = PITCH * (q + r / 2), PITCH * r * np.sqrt(0.75)
    near = np.argsort(np.maximum(np.abs(x), np.abs(y)), kind="stable")[:number]
    x, y = x[near], y[near]
    return np.cos(ANGLE) * x - np.sin(ANGLE) * y, np.sin(ANGLE) * x + np.cos(ANGLE) * y


def hexagon(parts: int = 3) -> np.ndarray:
    """Centres of equal triangles that tile a lenslet."""
    points = []
    for k in range(6):
        a, b = (PITCH / np.sqrt(3) * np.exp(1j * (ANGLE + np.pi / 6 + (k + s) * np.pi / 3)) for s in (0, 1))
        points += [((i + 1 / 3) * a + (j + 1 / 3) * b) / parts for i in range(parts) for j in range(parts - i)]
        points += [((i + 2 / 3) * a + (j + 2 / 3) * b) / parts for i in range(parts) for j in range(parts - i - 1)]
    return np.array(points)


def density(radius2: np.ndarray, fwhm: float) -> np.ndarray:
    """Half Gaussian, half Moffat of exponent 2.5, both of the same full width."""
    sigma, beta = fwhm / 2.354820, 2.5
    alpha = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    gauss = np.exp(-0.5 * radius2 / sigma**2) / (2 * np.pi * sigma**2)
    return 0.5 * gauss + 0.5 * (beta - 1) / (np.pi * alpha**2) * (1 + radius2 / alpha**2) ** -beta


def track(wave: np.ndarray = WAVE) -> Track:
    east, north = refraction_shift(wave, REFERENCE, AIRMASS, PARALLACTIC, **AIR)
    return Track(east, north, np.log(wave / REFERENCE))


def light_of_star(
    flux: np.ndarray, x0: float, y0: float, *, seeing: float = 1.8, wave: np.ndarray = WAVE
) -> np.ndarray:
    """Electrons per Angstrom in every lenslet, (m, n)."""
    x, y = field()
    path, nodes = track(wave), hexagon()
    area = np.sqrt(0.75) * PITCH**2
    rows = []
    for k, at in enumerate(wave):
        gap = (x - x0 - path.east[k])[:, None] + nodes.real + 1j * ((y - y0 - path.north[k])[:, None] + nodes.imag)
        rows.append(flux[k] * area * density(np.abs(gap) ** 2, seeing * (at / 6500.0) ** -0.2).mean(axis=1))
    return np.array(rows)


def observe(light: np.ndarray, seed: int, *, sky: float = 30.0, wave: np.ndarray = WAVE) -> Spectra:
    """Add sky and noise that neighbouring samples share."""
    x, y = field()
    rng = np.random.default_rng(seed)
    total = light + sky
    step = np.gradient(wave)[:, None]
    variance = (total * step + 3 * NOISE**2) / step**2
    white = rng.standard_normal((wave.size + 1, x.size))
    a, b = (0.5 * (np.sqrt(1 + 2 * CORRELATION) + s * np.sqrt(1 - 2 * CORRELATION)) for s in (1, -1))
    noise = (a * white[1:] + b * white[:-1]) / np.hypot(a, b)
    sigma = np.sqrt(variance)
    shared = np.zeros_like(variance)
    shared[:-1] = a * b / (a * a + b * b) * sigma[:-1] * sigma[1:]
    return Spectra(
        flux=(total + sigma * noise).T,
        variance=variance.T,
        flags=np.zeros(total.T.shape, dtype=np.int32),
        covariance=shared.T,
        wave=wave,
        lsf_sigma=wave / 235.0,
        aperture=np.arange(x.size),
        x=x,
        y=y,
        dq=np.zeros(x.size, dtype=np.int32),
        meta={},
    )


def prior(x: float, y: float, error: float, *, fwhm: float = 1.8, width: float = 0.3) -> Prior:
    mean = [x, y, 0.0, 0.0, np.log(fwhm / 2.3548), 0.59, 0.18, -0.36, -0.2, 0.0, 0.0]
    sd = [error, error, 0.3, 0.044, width, 0.2, 0.35, 0.6, 0.1, 0.05, 0.05]
    return Prior(np.array(mean), np.array(sd))


def choices(**other: Any) -> Choices:
    usual = {
        "radius": 12.0,
        "host_radius": 9.0,
        "sky_degree": 1,
        "fit_low": 4000.0,
        "fit_high": 9200.0,
        "slices": 14,
        "clip": 5.0,
        "extended": False,
        "host_detail": 1.0,
        "pictures": 2,
        "minimum_gain": 5.0,
        "minimum_share": 0.0005,
        "minimum_sky_share": 0.02,
        "minimum_neighbour": 0.1,
        "blue": 5000.0,
        "red": 8000.0,
    }
    return Choices(**{**usual, **other})


@pytest.fixture(scope="session")
def star() -> np.ndarray:
    """A star of unit flux at (0.4, -0.7)."""
    return light_of_star(np.ones(WAVE.size), 0.4, -0.7)


@pytest.fixture(scope="session")
def sim() -> ModuleType:
    """The functions of this file, for tests."""
    return sys.modules[__name__]
