"""White images of a drawn field: stars as the air makes them, and light of any shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tracecube.core.spectra import Image

SIDE = 0.2  # arcsec
RA, DEC = 53.16, -27.8

Star = tuple[float, float, float]
"""Place along x and y (px), and flux."""


def light(y: np.ndarray, x: np.ndarray, stars: Sequence[Star], fwhm: float) -> np.ndarray:
    """Moffat stars, beta 2.8."""
    beta = 2.8
    core = fwhm / (2.0 * np.sqrt(2 ** (1.0 / beta) - 1.0))
    made = np.zeros_like(y)
    for column, row, flux in stars:
        made += flux * (beta - 1) / np.pi / core**2 * (1.0 + ((x - column) ** 2 + (y - row) ** 2) / core**2) ** -beta
    return made


def nebula(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Light that fills the field, with ripples."""
    return (
        30.0
        * np.exp(-0.5 * ((x - 130) / 95) ** 2 - 0.5 * ((y - 25) / 60) ** 2)
        * (1 + 0.3 * np.sin(x / 9) * np.sin(y / 7 + x / 30))
    )


def exposure(
    seed: int,
    stars: Sequence[Star],
    *,
    offset: tuple[float, float] = (0.0, 0.0),
    dither: tuple[float, float] = (0.0, 0.0),
    flux: float = 1.0,
    background: float = 0.0,
    fwhm: float = 4.0,
    extended: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    shape: tuple[int, int] = (50, 310),
    mjd: float = 58500.0,
) -> Image:
    """One exposure: everything appears displaced by ``offset`` (y, x; px) from where its header has it.

    ``dither`` (y, x; px) is where it points, and its header says so.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    y, x = y + dither[0] - offset[0], x + dither[1] - offset[1]
    seen = light(y, x, stars, fwhm) + (0.0 if extended is None else extended(y, x))
    seen = flux * seen + background
    variance = 1.0 + 0.01 * np.maximum(seen, 0.0)
    flags = np.full(shape, 64, np.int32)
    flags[6:-6, 4:] = 0
    data = np.where(flags == 0, seen + rng.normal(0, 1, shape) * np.sqrt(variance), np.nan)
    meta = {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "CRVAL1": RA,
        "CRVAL2": DEC,
        "CRPIX1": 155.0 - dither[1],
        "CRPIX2": 25.0 - dither[0],
        "CD1_1": -SIDE / 3600,
        "CD1_2": 0.0,
        "CD2_1": 0.0,
        "CD2_2": SIDE / 3600,
        "MJD-OBS": mjd,
        "DATE-OBS": f"2019-01-17T00:00:{round((mjd - 58500.0) * 1e4):02d}",
        "EXPTIME": 600.0,
    }
    return Image(data=data.astype(np.float32), variance=variance.astype(np.float32), flags=flags, meta=meta)
