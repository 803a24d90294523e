"""Figures of point-source extraction: a star on an empty field, and one in a host galaxy.

Run by ``make bench``. The scene is the one on which psfcube was measured: 1900 lenslets, 220 samples,
seeing of 1.8 arcsec, airmass 1.3 (53 to 90 s there, 12 to 17 per cent of bias, 4.5 per cent in colour).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tracecube.core.spectra import Spectra
from tracecube.instruments.sedm.psf_prior import place_and_shape
from tracecube.instruments.sedm.star_light import Field, by_psf
from tracecube.instruments.sedm.star_parameters import ExtractStarParams
from tracecube.instruments.sedm.star_place import Start
from tracecube.kernels.atmosphere import refraction_shift
from tracecube.kernels.psf import Shape, hexagon_area, hexagon_nodes, lenslet_fractions
from tracecube.recipes.science.scene import Scene, Track, make_scene

Bench = Callable[..., Any]
WAVE = np.linspace(3700.0, 9300.0, 220)
AIR = {"pressure": 630.0, "temperature": 9.0, "humidity": 30.0}


def track() -> Track:
    east, north = refraction_shift(WAVE, 6200.0, (1.28, 1.32), (50.0, 53.0), **AIR)
    return Track(east, north, np.log(WAVE / 6200.0))


def scene(level: float, *, galaxy: float) -> Scene:
    """A star at (0.4, -0.7) on a sky of 30 electrons per Angstrom, and a disc 3.9 arcsec away."""
    q, r = (index.ravel() for index in np.mgrid[-26:27, -26:27])
    x, y = 0.64 * (q + r / 2), 0.64 * r * np.sqrt(0.75)
    keep = np.argsort(np.hypot(x, y), kind="stable")[:1900]
    x, y, path = x[keep], y[keep], track()
    shape = Shape(sigma=0.77, alpha=1.6, beta=2.5, core=0.5, rho=-0.2, e1=0.0, e2=0.0)
    nodes, area = hexagon_nodes(0.64, 0.0), hexagon_area(0.64)
    centre = 0.4 + path.east, -0.7 + path.north
    share = lenslet_fractions(x, y, centre, (WAVE / 6200.0) ** -0.2, shape, nodes, area=area)
    radius2 = (x - 3.8 - path.east[:, None]) ** 2 + (y - 1.2 - path.north[:, None]) ** 2
    disc = sum(part * np.exp(-0.5 * radius2 / s**2) / s**2 for part, s in ((0.2, 1.2), (0.5, 2.5), (0.3, 4.5)))
    total = level * share + galaxy * level * area / (2 * np.pi) * disc * (WAVE / 6500.0)[:, None] ** 1.5 + 30.0
    variance = total / 25.6 + 0.05
    flux = total + np.sqrt(variance) * np.random.default_rng(1).standard_normal(total.shape)
    none = np.zeros(total.T.shape, dtype=np.int32)
    spectra = Spectra(
        flux=flux.T,
        variance=variance.T,
        flags=none,
        covariance=0.0 * total.T,
        wave=WAVE,
        lsf_sigma=WAVE / 235.0,
        aperture=np.arange(x.size),
        x=x,
        y=y,
        dq=none[:, 0],
    )
    return make_scene(spectra)


@pytest.mark.parametrize(("level", "galaxy"), [(5e4, 0.0), (5e3, 0.0), (500.0, 3.0)])
def test_point_source(benchmark: Bench, level: float, galaxy: float) -> None:
    start = Start(0.5, -0.6, 0.15, "astrom", 1.8)
    field = Field(scene(level, galaxy=galaxy), None, track(), start, standard=False, known=[])
    prior = place_and_shape(0.5, -0.6, 0.15, fwhm=1.8, measured=True)
    found = benchmark(by_psf, field, prior, ExtractStarParams())
    middle = (WAVE > 4000) & (WAVE < 9000)
    ratio = found.flux / level
    benchmark.extra_info["bias"] = float(ratio[middle].mean() - 1)
    benchmark.extra_info["colour"] = float(
        ratio[middle & (WAVE < 5000)].mean() / ratio[middle & (WAVE > 8000)].mean() - 1
    )
