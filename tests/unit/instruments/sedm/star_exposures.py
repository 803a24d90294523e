"""Lenslet spectra of stars and targets as an exposure of the SED Machine would give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracecube.core.spectra import Spectra
from tracecube.instruments.sedm.observing import airmass
from tracecube.instruments.sedm.references import absorbers, extinction, standards
from tracecube.instruments.sedm.refraction import refraction
from tracecube.kernels.atmosphere import broadening_matrix, extinction_transmission
from tracecube.kernels.psf import Shape, hexagon_area, hexagon_nodes, lenslet_fractions
from tracecube.recipes.flux.standards import find_reference

PITCH = 0.64
WAVE = np.arange(3700.0, 9301.0, 25.57)
LSF = WAVE / 235.0
FINE = np.arange(3200.0, 9900.0, 2.0)
MIDDLE = (WAVE > 4000) & (WAVE < 9000)


def header(name: str, clock: str, masses: tuple[float, float], angles: tuple[float, float]) -> dict[str, Any]:
    kind = "Standard" if name.startswith("STD") else "Science"
    return {
        "OBJECT": name,
        "NAME": name,
        "IMGTYPE": kind,
        "UTC": f"2021-04-21T{clock}.000",
        "EXPTIME": 300.0,
        "AIRMASS": masses[0],
        "ENDAIR": masses[1],
        "TEL_RA": "14:04:04.38",
        "TEL_DEC": "+21:24:27.8",
        "TEL_PA": angles[0],
        "END_PA": angles[1],
        "OUT_AIR": 9.0,
        "OUT_HUM": 30.0,
    }


def efficiency(wave: np.ndarray) -> np.ndarray:
    """Electrons per erg."""
    return 6e14 * (wave / 6000.0) / (1 + np.exp(-(wave - 4000) / 150.0)) / (1 + np.exp((wave - 9200) / 350.0))


def rate(flux: np.ndarray, mass: float) -> np.ndarray:
    """Electrons a second and Angstrom of light above the atmosphere on the fine grid."""
    depth = mass ** absorbers().exponent
    seen = (
        flux * extinction_transmission(FINE, *extinction(), mass) * np.exp(depth @ absorbers().log_transmission(FINE))
    )
    return broadening_matrix(FINE, WAVE, LSF) @ (seen * efficiency(FINE))


def above(flux: np.ndarray) -> np.ndarray:
    return broadening_matrix(FINE, WAVE, LSF) @ flux


def reference(name: str) -> np.ndarray:
    star = find_reference(standards(), name, prefer="oke")
    return np.interp(FINE, star.wave, star.flux)


def supernova() -> np.ndarray:
    return 2e-15 * (FINE / 5500.0) ** -1.5 * (1 + 0.25 * np.sin(FINE / 170.0))


def lenslets() -> tuple[np.ndarray, np.ndarray]:
    q, r = (index.ravel() for index in np.mgrid[-26:27, -26:27])
    x, y = PITCH * (q + r / 2), PITCH * r * np.sqrt(0.75)
    inside = np.hypot(x, y) < 13.5
    return x[inside], y[inside]


def exposure(
    meta: dict[str, Any], flux: np.ndarray, place: tuple[float, float], *, seed: int, sky: float = 0.05
) -> Spectra:
    """A star at a place (arcsec, at the guider's wavelength) on an even sky."""
    x, y = lenslets()
    masses = airmass(meta, ""), airmass(meta, "", fraction=1.0)
    (east, north), _ = refraction(meta, "", WAVE, 6200.0)
    shape = Shape(sigma=0.78, alpha=1.6, beta=3.0, core=0.5, rho=-0.2, e1=0.0, e2=0.0)
    share = lenslet_fractions(
        x,
        y,
        (place[0] + east, place[1] + north),
        (WAVE / 6200.0) ** -0.2,
        shape,
        hexagon_nodes(PITCH, 0.0),
        area=hexagon_area(PITCH),
    )
    total = 300.0 * (rate(flux, float(np.mean(masses)))[:, None] * share + sky)
    variance = total / 25.57 + 0.05
    noise = np.random.default_rng(seed).standard_normal(total.shape)
    return Spectra(
        flux=(total + np.sqrt(variance) * noise).T,
        variance=variance.T,
        flags=np.zeros(total.T.shape, dtype=np.int32),
        covariance=np.zeros_like(total.T),
        wave=WAVE,
        lsf_sigma=LSF,
        aperture=np.arange(x.size),
        x=x,
        y=y,
        dq=np.zeros(x.size, dtype=np.int32),
        meta=meta,
    )


FEIGE = header("STD-Feige34", "03:52:10", (1.02, 1.03), (220.0, 218.0))
HZ44 = header("STD-HZ44", "11:20:30", (1.56, 1.58), (74.0, 74.0))
TARGET = header("ZTF21abc [A]", "10:47:05", (1.31, 1.37), (63.0, 64.0))
