"""A bundle of fibres in three dithered exposures, with what is put into it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from tracecube.core.fibres import FibreSpectra
from tracecube.kernels.fibre_psf import fibre_share
from tracecube.kernels.tangent_plane import plane_to_sky
from tracecube.recipes.science.fibre_field import Refraction
from tracecube.recipes.science.fibre_lines import Seeing

SLOT = 53
CENTRE = (214.81, 52.6)
ANGLE = np.radians(197.2)
DITHER = np.array([(0.0, 0.0), (1.27, -0.73), (1.27, 0.73)])
SEEING = Seeing(np.array([1, 2, 3]), np.array([1.6, 1.75, 1.85]), 3.5)
_WAVE = np.linspace(3470.0, 5540.0, 40)
REFRACTION = Refraction(_WAVE, 0.5 - 9.4e6 / _WAVE**2 * 0.5 * 2.0, 0.04 - 0.07 * (4700.0 / _WAVE) ** 2 + 0.03)
ROTATION = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])


def places(rows: int = 23) -> np.ndarray:
    """Fibres of the bundle, (n, 2) arcsec."""
    out = []
    for r in range(rows):
        count = 20 if r % 2 == 0 else 19
        out += [((c - (count - 1) / 2) * 2.54, (r - (rows - 1) / 2) * 2.2) for c in range(count)]
    return np.array(out)


def to_plane(xy: np.ndarray) -> np.ndarray:
    """Bundle coordinates to east and north."""
    return xy @ ROTATION.T


@dataclass(frozen=True)
class Source:
    """A point source at bundle coordinates: a line, or a continuum."""

    x: float
    y: float
    wave: float = 4500.0
    flux: float = 0.0
    sigma: float = 1.2
    continuum: float = 0.0

    @property
    def sky(self) -> tuple[float, float]:
        east, north = to_plane(np.array([self.x, self.y]))
        ra, dec = plane_to_sky(east, north, *CENTRE)
        return float(ra), float(dec)


@dataclass(frozen=True)
class Bundle:
    """What the exposures look like."""

    rows: int = 23
    wave: tuple[float, float, int] = (3470.0, 5540.0, 1032)
    noise: float = 1.0e-18  # erg/s/cm2/Angstrom
    blend: float = 0.0  # correlation with the next row
    lsf: float = 2.4
    sources: list[Source] = field(default_factory=list)

    def draw(self, seed: int | None = 0) -> list[FibreSpectra]:
        rng = np.random.default_rng(seed)
        return [self._exposure(e, rng, seed is None) for e in (1, 2, 3)]

    def _exposure(self, number: int, rng: np.random.Generator, quiet: bool) -> FibreSpectra:
        xy = places(self.rows)
        n, m = len(xy), self.wave[2]
        pixel = (self.wave[1] - self.wave[0]) / (m - 1)
        wave = np.linspace(*self.wave)[None, :] + 0.7 * pixel * np.sin(np.arange(n))[:, None]
        level = self.noise * (1.0 + 1.5 * np.exp(-(wave - 3470.0) / 400.0))
        at = xy + DITHER[number - 1]
        flux = np.zeros((n, m))
        for one in self.sources:
            flux += self._light(one, at, wave, number)
        noise = rng.normal(size=(n + 1, m))
        mixed = _mixed(noise, self.blend)
        ra, dec = plane_to_sky(*to_plane(at).T, *CENTRE)
        pairs = np.zeros((n, m))
        pairs[:-1] = self.blend * level[:-1] * level[1:]
        return FibreSpectra(
            flux=flux if quiet else flux + level * mixed, variance=level**2, flags=np.zeros((n, m), np.int32),
            wave=wave, lsf_sigma=np.full((n, m), self.lsf), blend=pairs, unit=np.full(n, "053/320/020/0093"),
            ifuslot=np.full(n, SLOT), amp=np.full(n, "LL"), fibre=np.arange(n), exp=np.full(n, number), x=xy[:, 0],
            y=xy[:, 1], ra=ra, dec=dec, throughput=np.ones(n), dq=np.zeros(n, np.int32),
            meta={"BUNIT": "erg/s/cm2/Angstrom"},
        )  # fmt: skip

    def _light(self, one: Source, at: np.ndarray, wave: np.ndarray, number: int) -> np.ndarray:
        share = fibre_share(float(SEEING.fwhm[number - 1]), SEEING.beta, SEEING.fibre_radius, 30.0)
        sx, sy = (np.interp(wave, REFRACTION.wave, v) for v in (REFRACTION.x, REFRACTION.y))
        part = share(np.hypot(at[:, :1] - one.x - sx, at[:, 1:] - one.y - sy))
        width = np.sqrt(self.lsf**2 + one.sigma**2 + np.gradient(wave, axis=1) ** 2 / 12.0)
        line = np.exp(-0.5 * ((wave - one.wave) / width) ** 2) / (np.sqrt(2.0 * np.pi) * width)
        return np.asarray(part * (one.flux * line + one.continuum))


def _mixed(noise: np.ndarray, correlation: float) -> np.ndarray:
    """Noise whose neighbouring rows have this correlation (at most 0.5 either way)."""
    angle = 0.5 * np.arcsin(2.0 * correlation)
    return np.asarray(np.cos(angle) * noise[:-1] + np.sin(angle) * noise[1:])


def without(spectra: FibreSpectra, rows: np.ndarray, bit: int = 1) -> FibreSpectra:
    """The same with some fibres dead."""
    dq = spectra.dq.copy()
    dq[rows] = bit
    return replace(spectra, dq=dq)
