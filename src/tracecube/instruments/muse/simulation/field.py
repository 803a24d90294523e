"""What is on the sky: stars, galaxies, glowing gas, and how much of each a place in a slice sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.instruments.muse.simulation.observing import Aim
from tracecube.instruments.muse.simulation.optics import SLICES, Optics
from tracecube.instruments.muse.simulation.paint import ALONG, SHARE_WAVES
from tracecube.kernels.compiled import compiled

__all__ = ["BETA", "GAS_LINES", "SEEING_POWER", "Field", "Source", "draw_sources", "seeing", "shares"]

Field = Literal["stars", "one_star", "crowd", "nebula", "deep", "empty"]

BETA = 2.8
"""Exponent of the Moffat profile of stars."""

SEEING_POWER = -0.2
_REFERENCE = 5000.0  # Angstrom of the seeing
_FAINTEST = 4.0e-23  # erg/s/cm2/Angstrom/spaxel: where wings of stars are cut, a thousandth of the sky's noise

GAS_LINES = (
    ("Hbeta", 4861.33, 0.35), ("OIII4959", 4958.91, 0.23), ("OIII5007", 5006.84, 0.70), ("NII6548", 6548.05, 0.10),
    ("Halpha", 6562.80, 1.00), ("NII6583", 6583.45, 0.30), ("SII6716", 6716.44, 0.20), ("SII6731", 6730.82, 0.15),
)  # fmt: skip
"""Air wavelength at rest, and flux over that of H alpha (Osterbrock & Ferland 2006)."""


@dataclass(frozen=True)
class Source:
    """One source; places in spaxels of 0.2 arcsec from the target.

    Parameters
    ----------
    kind : {"star", "galaxy", "gas"}
    x, y : float, spaxel
        Along the axes of the field: west and north at position angle 0.
    flux : float, erg/s/cm2/Angstrom
        Of the continuum at 6000 Angstrom, above the air.
    slope : float
        Flux goes with wavelength to this power.
    lines : {"none", "sun", "hydrogen"}
        Absorption.
    long, short : float, spaxel
        Size of galaxy (half-light radius) and gas (standard deviations).
    turn : float, degree
        Of the long axis, from west to north.
    halpha : float, erg/s/cm2
        Of gas.
    redshift : float
        Of gas, barycentric.
    """

    kind: Literal["star", "galaxy", "gas"]
    x: float
    y: float
    flux: float
    slope: float = 0.0
    lines: Literal["none", "sun", "hydrogen"] = "none"
    long: float = 0.0
    short: float = 0.0
    turn: float = 0.0
    halpha: float = 0.0
    redshift: float = 0.0

    @property
    def norm(self) -> float:
        """What makes the profile of a galaxy one in total."""
        if self.kind != "galaxy":
            return 1.0
        y, x = np.mgrid[-60:60, -60:60] + 0.5
        return float(
            1.0 / _profile(x * self.long / 6.0, y * self.long / 6.0, _shape(self)).sum() / (self.long / 6) ** 2
        )

    def continuum(self, wave: FloatArray) -> FloatArray:
        """Smooth part of the spectrum."""
        return np.asarray(self.flux * (np.asarray(wave) / 6000.0) ** self.slope)


def _shape(source: Source) -> FloatArray:
    kind = {"star": 0.0, "galaxy": 1.0, "gas": 2.0}[source.kind]
    return np.array([kind, source.long, source.short, np.radians(source.turn)])


def seeing(zenith: float, wave: FloatArray, airmass: float) -> FloatArray:
    """Full width of stars at half maximum, spaxel; ``zenith`` (arcsec) holds at zenith and 5000 Angstrom."""
    return np.asarray(zenith * (np.asarray(wave) / _REFERENCE) ** SEEING_POWER * airmass**0.6 / 0.2)


def draw_sources(rng: np.random.Generator, kind: Field, channels: tuple[int, ...]) -> list[Source]:
    """Draw what lies in the strips of some channels."""
    middle = (12.5 - np.array(channels, dtype=float)) * 12.03

    def place(near: float = 5.5) -> tuple[float, float]:
        return float(rng.uniform(-140.0, 140.0)), float(rng.choice(middle) + rng.uniform(-near, near))

    def star(low: float, high: float, near: float = 5.5) -> Source:
        series: Literal["sun", "hydrogen"] = "hydrogen" if rng.random() < 0.3 else "sun"
        slope = rng.uniform(-3.0, -1.5) if series == "hydrogen" else rng.uniform(-1.5, 1.0)
        return Source("star", *place(near), float(10 ** rng.uniform(low, high)), float(slope), series)

    if kind == "empty":
        return []
    if kind == "one_star":
        one = star(-15.4, -15.2, 2.0)
        return [replace(one, x=float(rng.uniform(-60.0, 60.0)))]
    if kind == "crowd":
        return [star(-18.2, -15.6) for _ in range(180)]
    if kind == "nebula":
        return _nebula(rng, middle) + [star(-16.3, -15.3, 4.0) for _ in range(2 * middle.size)]
    if kind == "deep":
        faint = [star(-17.0, -16.0, 4.0) for _ in range(middle.size)]
        return faint + [_galaxy(rng, place(), 0.3) for _ in range(4 * middle.size)] + [_emitter(rng, place())]
    stars = [
        replace(star(-16.2, -15.1), x=x + float(rng.uniform(-10.0, 10.0)), y=float(y + rng.uniform(-4.5, 4.5)))
        for y in middle
        for x in (-105.0, -38.0, 38.0, 105.0)
    ]
    glow = Source("gas", 0.0, float(middle.mean()), 2.0e-17, 0.0, "none", 7.0, 4.0, 25.0, 6.0e-15, 2.0e-4)
    far = float(rng.choice([-72.0, 72.0]))
    return [*stars, glow, replace(_galaxy(rng, place(3.0), 2.0), x=far)]


def _galaxy(rng: np.random.Generator, place: tuple[float, float], bright: float) -> Source:
    size, flat = float(rng.uniform(3.0, 6.0)), float(rng.uniform(0.4, 0.9))
    flux, slope = bright * float(rng.lognormal(0.0, 0.5)) * 1.0e-16, float(rng.uniform(-0.5, 1.0))
    return Source("galaxy", *place, flux, slope, "sun", size, size * flat, float(rng.uniform(0, 180)))


def _emitter(rng: np.random.Generator, place: tuple[float, float]) -> Source:
    """A compact galaxy seen by its lines alone."""
    return Source("gas", *place, 0.0, 0.0, "none", 2.0, 2.0, 0.0, 2.0e-16, float(rng.uniform(0.05, 0.3)))


def _nebula(rng: np.random.Generator, middle: FloatArray) -> list[Source]:
    """Gas that fills the field, brighter here and there, in two velocities."""
    sky = Source("gas", 30.0, float(middle.mean()), 4.0e-14, -0.5, "none", 160.0, 90.0, 20.0, 1.2e-11, 1.5e-4)
    knots = []
    for i in range(8):
        size = float(rng.uniform(6.0, 25.0))
        west, north = float(rng.uniform(-140, 140)), float(middle.mean() + rng.normal(0.0, 8.0))
        bright = float(rng.lognormal(0.0, 0.5)) * 6.0e-17 * size**2
        turn = float(rng.uniform(0.0, 180.0))
        shift = (1.5e-4, 3.0e-4)[i % 2]
        knots.append(Source("gas", west, north, 2.0e-3 * bright, 0.0, "none", size, 0.6 * size, turn, bright, shift))
    return [sky, *knots]


def shares(
    sources: list[Source],
    weights: FloatArray,
    told: tuple[FloatArray, FloatArray],
    aim: Aim,
    optics: Optics,
    fwhm: FloatArray,
) -> FloatArray:
    """How much of some sources each place sees: array (48, n_node, n_along), in an area of one spaxel.

    Parameters
    ----------
    sources : list of Source
    weights : array (n_source, n_node)
        How bright each is at `SHARE_WAVES`.
    told : (array (n_source,), array (n_source,)), spaxel
        East and north of the centre of the field.
    aim : Aim
    optics : Optics
    fwhm : array (n_node,), spaxel
        Of stars.
    """
    out = np.zeros((SLICES, SHARE_WAVES.size, ALONG.size))
    east, north = aim.refraction(SHARE_WAVES)
    turn = np.radians(optics.angle)[:, None]
    sub = 0.5 / np.sqrt(3.0)  # two points of Gauss and Legendre, along and across
    for along in (-sub, sub):
        for across in (-sub, sub):
            t = ALONG[None, :] + along * (optics.length / optics.width)[:, None]
            x = optics.x[:, None] + t * np.cos(turn) - across * np.sin(turn)
            y = optics.y[:, None] + t * np.sin(turn) + across * np.cos(turn)
            e, n = aim.sky(x, y)
            for i, source in enumerate(sources):
                shape = _shape(source)
                place = np.stack([told[0][i] + east, told[1][i] + north])
                reach = _reach(source, float(weights[i].max()), float(fwhm.max()))
                _add(out, e, n, (place, fwhm, 0.25 * weights[i] * source.norm, shape, reach, BETA))
    return out


def _reach(source: Source, bright: float, fwhm: float) -> float:
    """Distance (spaxels) beyond which a source's light is left out."""
    if source.kind != "star":
        return 6.0 * max(source.long, source.short)
    wide = (0.5 * fwhm) ** 2 / (2.0 ** (1.0 / BETA) - 1.0)
    peak = bright * (BETA - 1.0) / np.pi / wide
    return float(np.clip(np.sqrt(wide) * (peak / _FAINTEST) ** (0.5 / BETA), 10.0, 60.0))


def _profile(west: FloatArray, north: FloatArray, shape: FloatArray) -> FloatArray:
    """Profile of a galaxy or of gas, see `_extended`."""
    return np.asarray(np.vectorize(lambda w, n: _extended(w, n, shape))(west, north))


@compiled()
def _extended(west: float, north: float, shape: FloatArray) -> float:
    """Sersic profile of index 1.5, or a Gaussian of unit integral, at a distance from its centre."""
    c, s = np.cos(shape[3]), np.sin(shape[3])
    a, b = west * c + north * s, north * c - west * s
    if shape[0] == 2.0:
        return float(np.exp(-0.5 * ((a / shape[1]) ** 2 + (b / shape[2]) ** 2)) / (2.0 * np.pi * shape[1] * shape[2]))
    flat = shape[2] / shape[1]
    return float(np.exp(-2.67 * (np.sqrt(a**2 + (b / flat) ** 2 + 0.5) / shape[1]) ** (1.0 / 1.5)))


@compiled()
def _add(out: FloatArray, east: FloatArray, north: FloatArray, source: tuple[Any, ...]) -> None:
    """Add one source to all places that it reaches."""
    place, fwhm, weight, shape, reach, beta = source
    for s in range(out.shape[0]):
        for j in range(out.shape[2]):
            for m in range(out.shape[1]):
                w, n = place[0, m] - east[s, j], north[s, j] - place[1, m]
                r2 = w * w + n * n
                if r2 > reach * reach:
                    continue
                if shape[0] == 0.0:
                    wide = 0.25 * fwhm[m] ** 2 / (2.0 ** (1.0 / beta) - 1.0)
                    value = (beta - 1.0) / (np.pi * wide) * (1.0 + r2 / wide) ** -beta
                else:
                    value = _extended(w, n, shape)
                out[s, m, j] += weight[m] * value
