"""The rainbow camera while it guides, and the catalogue of the stars it sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray, IntArray, Scalar
from tracecube.instruments.sedm.simulation.headers import Pointing

__all__ = ["FIELD_PIXEL", "StarField", "draw_field", "guide_frame"]

FIELD_PIXEL = (1021.4, 1022.8)  # 0-based px of the whole camera where the spectrograph's field centre falls (night log)
_SCALE = 0.394  # arcsec / px
_WINDOW = (1041, 1016, 440)  # first column, first row, size of the section that is kept: the r quadrant's corner
_LEVEL, _READ_NOISE = 612.0, 12.0  # adu, electron at 2 MHz
_ZERO_POINT = 25.2  # r magnitude of one electron a second: 18,000 cm2 and 60 per cent throughput


@dataclass(frozen=True)
class StarField:
    """Stars around a target: arrays (n,).

    Parameters
    ----------
    name : str
    pointing : Pointing
        Field centre of the spectrograph.
    identifier : int array
    right_ascension, declination : degree
    magnitude
    """

    name: str
    pointing: Pointing
    identifier: IntArray
    right_ascension: FloatArray
    declination: FloatArray
    magnitude: FloatArray

    def offsets(self) -> tuple[FloatArray, FloatArray]:
        """East and north of the field centre on the tangent plane, arcsec."""
        ra, dec = np.radians(self.right_ascension), np.radians(self.declination)
        ra0, dec0 = np.radians(self.pointing.right_ascension), np.radians(self.pointing.declination)
        depth = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
        east = np.cos(dec) * np.sin(ra - ra0) / depth
        north = (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)) / depth
        return np.degrees(east) * 3600.0, np.degrees(north) * 3600.0


def draw_field(name: str, pointing: Pointing, first: int, rng: np.random.Generator, *, stars: int = 250) -> StarField:
    """Draw the stars within some arcminutes of a target; counts rise by 0.25 dex a magnitude."""
    magnitude = 20.5 + np.log10(rng.uniform(10.0 ** (-0.25 * 7.5), 1.0, stars)) / 0.25
    reach = 300.0 / 3600.0
    return StarField(
        name=name,
        pointing=pointing,
        identifier=first + np.arange(stars),
        right_ascension=pointing.right_ascension
        + rng.uniform(-reach, reach, stars) / np.cos(np.radians(pointing.declination)),
        declination=pointing.declination + rng.uniform(-reach, reach, stars),
        magnitude=magnitude,
    )


def guide_frame(
    field: StarField,
    exptime: float,
    rng: np.random.Generator,
    *,
    angle: float,
    gain: float,
    fwhm: float,
    trail: float = 0.0,
) -> tuple[NDArray[np.uint16], dict[str, Scalar]]:
    """Expose the guide camera.

    Parameters
    ----------
    field : StarField
    exptime : float, second
    rng : numpy Generator
    angle : float, degree
        By how much the camera's up differs from north, towards east.
    gain : float, electron / adu
    fwhm : float, arcsec
    trail : float, arcsec
        Length over which a failed guide star smears everything.

    Returns
    -------
    image : uint16 array (y, x)
    cards : dict
        Section, scale and level, as the camera writes them.
    """
    east, north = field.offsets()
    turn = np.radians(angle)
    x = FIELD_PIXEL[0] - (east * np.cos(turn) - north * np.sin(turn)) / _SCALE - _WINDOW[0]
    y = FIELD_PIXEL[1] + (east * np.sin(turn) + north * np.cos(turn)) / _SCALE - _WINDOW[1]
    electrons = exptime * 10.0 ** (-0.4 * (field.magnitude - _ZERO_POINT))
    size = _WINDOW[2]
    sky = exptime * _SCALE**2 * 10.0 ** (-0.4 * (20.8 - _ZERO_POINT))
    image = np.full((size, size), sky)
    yy, xx = np.mgrid[:size, :size]
    sigma = fwhm / 2.355 / _SCALE
    direction = rng.uniform(0.0, np.pi)
    steps = np.linspace(-0.5, 0.5, int(3.0 * trail / fwhm) + 2) * trail / _SCALE  # closer than a star is wide
    for k in np.nonzero((x > -20) & (x < size + 20) & (y > -20) & (y < size + 20))[0]:
        for step in steps:
            r2 = (xx - x[k] - step * np.cos(direction)) ** 2 + (yy - y[k] - step * np.sin(direction)) ** 2
            near = r2 < 400.0
            image[near] += electrons[k] / len(steps) * np.exp(-0.5 * r2[near] / sigma**2) / (2 * np.pi * sigma**2)
    counts = _LEVEL + (rng.poisson(image) + _READ_NOISE * rng.standard_normal(image.shape)) / gain
    a, b = _WINDOW[0] + 1, _WINDOW[1] + 1
    cards: dict[str, Scalar] = {
        "DETSEC": f"[{a}:{a + size - 1},{b}:{b + size - 1}]",
        "PIXSCALE": _SCALE,
        "BIASLEV": int(_LEVEL),
    }
    return np.clip(np.round(counts), 0, 65535).astype(np.uint16), cards
