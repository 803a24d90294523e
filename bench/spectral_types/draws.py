"""Spectra as a low-resolution spectrograph would take them of the templates: what is learnt from and tested on.

The library holds no continua, so they are invented: a black body times a smooth curve. Then a host galaxy is added, the
whole smoothed, sampled, made noisy, and given the faults that reduced spectra have: ends, bands of oxygen, spikes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tracecube.kernels.log_spectrum import STEP, Flattened, flatten, grid, to_grid
from tracecube.recipes.classify.kinds import CLASS_OF, KINDS
from tracecube.recipes.classify.library import FWHM, Templates

WAVE = 3700.0 + 25.57 * np.arange(220)
LOW, HIGH = 3800.0, 9200.0
MIDDLE = (WAVE > 4000.0) & (WAVE < 8000.0)
FEWEST = 110  # samples that a template must cover
HOSTLESS = ("Galaxy", "Star", "AGN")
DISTANT = ("SLSN", "TDE", "AGN", "LFBOT")


@dataclass(frozen=True)
class Draw:
    """One simulated spectrum and what it is of."""

    row: int
    kind: int
    z: float
    snr: float
    host: float
    flux: np.ndarray
    variance: np.ndarray
    covered: np.ndarray

    def flat(self) -> Flattened:
        wave = WAVE[self.covered]
        flux, variance = to_grid(wave, self.flux[self.covered], self.variance[self.covered])
        return flatten(flux, variance, LOW, HIGH)


@dataclass(frozen=True)
class Settings:
    """What is drawn: ``snr`` of even logarithm; ``faults``: spikes, uncertain resolution and wavelengths.

    ``far``: share of distant kinds beyond ``z``. ``blend``: share of spectra that are a mean of two objects of one kind
    and age, their features made stronger and weaker along the spectrum: objects that might be.
    """

    snr: tuple[float, float] = (5.0, 100.0)
    z: tuple[float, float] = (0.002, 0.18)
    far: float = 0.0
    hostless: float = 0.4
    host: float = 0.6
    faults: bool = True
    blend: float = 0.0


def planck(wave: np.ndarray, temperature: float) -> np.ndarray:
    return wave**-5.0 / np.expm1(np.clip(1.4388e8 / (wave * temperature), 1e-3, 60.0))


def smooth_curve(rng: np.random.Generator, amplitude: float, order: int = 5) -> np.ndarray:
    x = np.clip((WAVE - 6500.0) / 2800.0, -1.0, 1.0)
    terms = rng.normal(0.0, amplitude, order) / np.sqrt(np.arange(1, order + 1))
    return np.exp(np.polynomial.legendre.legval(x, np.r_[0.0, terms]))


def seen(held: Templates, row: int, z: float, resolution: float, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Features of a template at a redshift, sampled, and where it is known."""
    flux = held.flux[row].astype(np.float64)
    known = np.isfinite(flux)
    width = 1.0 / (resolution * FWHM * STEP)
    share = gaussian_filter1d(known.astype(np.float64), width)
    value = gaussian_filter1d(np.where(known, flux, 0.0), width) / np.maximum(share, 1e-3)
    bins = (np.log((WAVE + shift) / (1.0 + z)) - np.log(grid()[0])) / STEP
    at = np.arange(flux.size)
    inside = np.interp(bins, at, known.astype(np.float64), left=0.0, right=0.0) > 0.999
    return np.interp(bins, at, np.where(known, value, 0.0)), inside


def partner(held: Templates, row: int, fold: np.ndarray, rng: np.random.Generator) -> int | None:
    """Template of another object of the same kind, age and fold."""
    mine, age = held.object[row], held.age[row]
    fits = (held.kind == held.kind[row]) & (held.object != mine) & (fold[held.object] == fold[mine])
    if np.isfinite(age):
        fits &= np.abs(held.age - age) < 4.0 + 0.1 * abs(age)
    rows = np.flatnonzero(fits)
    return int(rng.choice(rows)) if rows.size else None


def blended(
    held: Templates, row: int, place: tuple[float, float, float], rng: np.random.Generator, fold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Features of an object that might be, and where they are known."""
    features, covered = seen(held, row, *place)
    other = partner(held, row, fold, rng)
    if other is not None:
        theirs, known = seen(held, other, *place)
        share = rng.uniform(0.0, 0.5)
        features = np.where(known, (1.0 - share) * features + share * theirs, features)
    return features * smooth_curve(rng, 0.15) * rng.uniform(0.8, 1.2), covered


def drawn(
    held: Templates, row: int, rng: np.random.Generator, settings: Settings, fold: np.ndarray | None = None
) -> Draw:
    kind = int(held.kind[row])
    z = float(rng.uniform(*settings.z))
    if KINDS[kind] in DISTANT and rng.random() < settings.far:
        z = float(rng.uniform(settings.z[1], 0.35))
    if KINDS[kind] == "Star":
        z = 0.0
    host = 0.0
    if KINDS[kind] not in HOSTLESS and rng.random() > settings.hostless:
        host = float(rng.uniform(0.0, settings.host))
    snr = float(np.exp(rng.uniform(*np.log(settings.snr))))
    resolution = 100.0 * (rng.uniform(0.8, 1.25) if settings.faults else 1.0)
    shift = rng.normal(0.0, 3.0) if settings.faults else 0.0
    if fold is not None and rng.random() < settings.blend:
        features, covered = blended(held, row, (z, resolution, shift), rng, fold)
    else:
        features, covered = seen(held, row, z, resolution, shift)
    temperature = (
        rng.uniform(3500.0, 7000.0) if KINDS[kind] == "Galaxy" else np.exp(rng.uniform(*np.log([3500.0, 16000.0])))
    )
    continuum = planck(WAVE / (1.0 + z), temperature) * smooth_curve(rng, 0.15)
    flux = continuum * np.maximum(1.0 + features, 0.02)
    flux /= np.median(flux[MIDDLE])
    if host > 0.0:
        galaxies = np.flatnonzero((held.type == "Galaxy") & (held.object != held.object[row]))
        theirs, _ = seen(held, int(rng.choice(galaxies)), z, resolution, shift)
        light = planck(WAVE / (1.0 + z), rng.uniform(3500.0, 7000.0)) * (1.0 + theirs) * smooth_curve(rng, 0.05)
        flux = (1.0 - host) * flux + host * light / np.median(light[MIDDLE])
    flux, variance = observed(flux, continuum / np.median(continuum), snr, rng, settings)
    return Draw(row, kind, z, snr, host, flux, variance, covered)


def observed(
    flux: np.ndarray, continuum: np.ndarray, snr: float, rng: np.random.Generator, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """Noise and faults. S/N is the median over samples of 4000 to 8000 Angstrom."""
    shape = np.interp(
        WAVE, [3700, 4000, 4500, 5500, 6500, 7600, 8500, 9200], [0.45, 0.7, 0.95, 1.05, 1.1, 1.0, 0.75, 0.5]
    )
    shape = shape * np.exp(rng.normal(0.0, 0.25) * (WAVE - 6500.0) / 2700.0)
    sigma = np.sqrt(np.clip(0.5 + 0.5 * continuum, 0.3, 4.0)) / shape
    sigma *= np.median(flux[MIDDLE]) / snr / np.median(sigma[MIDDLE])
    noisy = flux + rng.normal(0.0, 1.0, WAVE.size) * sigma
    ends = (
        1.0
        + rng.normal(0.0, 0.05) * np.exp(-(WAVE - 3700.0) / 200.0)
        + rng.normal(0.0, 0.05) * np.exp((WAVE - 9300.0) / 200.0)
    )
    oxygen = rng.normal(0.0, 0.07) * np.exp(-0.5 * ((WAVE - 7620.0) / 35.0) ** 2) + rng.normal(0.0, 0.03) * np.exp(
        -0.5 * ((WAVE - 6880.0) / 25.0) ** 2
    )
    noisy = noisy * ends * (1.0 + oxygen)
    if settings.faults and rng.random() < 0.3:
        places = rng.integers(0, WAVE.size, rng.integers(1, 4))
        noisy[places] += rng.exponential(4.0, places.size) * sigma[places] * rng.choice([-1.0, 1.0], places.size)
    return noisy, sigma**2


class Sampler:
    """Draws rows: classes alike, objects of a class alike, spectra of an object alike."""

    def __init__(self, held: Templates, rng: np.random.Generator, fold: np.ndarray | None = None) -> None:
        self.held, self.rng, self.fold = held, rng, fold
        of_object = CLASS_OF[held.kind[held.first]]
        self.objects = [np.flatnonzero(of_object == k) for k in range(4)]
        self.rows = [np.flatnonzero(held.object == k) for k in range(len(held.objects))]

    def draw(self, settings: Settings, label: int) -> Draw:
        while True:
            one = int(self.rng.choice(self.objects[label]))
            for _ in range(5):
                row = int(self.rng.choice(self.rows[one]))
                made = drawn(self.held, row, self.rng, settings, self.fold)
                if made.covered.sum() > FEWEST:
                    return made
