"""A star behind a coronagraph seen by a lenslet spectrograph while the field turns: spectra with known companions.

Speckles are the square of one complex wavefront that is magnified with wavelength about the star and
slowly forgets itself; a smooth halo changes its brightness; companions stand still on the sky.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.kernels.airy import airy_density
from tracecube.kernels.psf import hexagon_area

__all__ = ["CoronagraphScene", "CoronagraphSequence", "observe_star", "speckle_field", "speckle_intensity"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

DIAMETER = 8.0  # m
MICROARCSEC = 180.0 / np.pi * 3600.0


@dataclass(frozen=True)
class CoronagraphScene:
    """What is shone on the lenslets.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom
    star : array (n_wave,), electron / Angstrom
        Flux of the star in one exposure, without mask.
    east, north : array (n_companion,), arcsec
    contrast : array (n_companion, n_wave)
    angle : array (n_time,), degree
        Position angle of +y in each exposure.
    speckles : float
        Brightness of speckles at 10 lambda / D over the star's peak.
    halo : float
        The same of the smooth halo.
    memory : float
        Correlation of the speckles' wavefront from one exposure to the next.
    read_noise : float, electron
        Of a sample.
    pitch, radius : float, arcsec
        Of the lenslets, and of the field.
    wander : float, arcsec
        Of the star from exposure to exposure.
    """

    wave: F8
    star: F8
    east: F8
    north: F8
    contrast: F8
    angle: F8
    speckles: float = 2e-4
    halo: float = 3e-4
    memory: float = 0.98
    read_noise: float = 8.0
    pitch: float = 0.01295
    radius: float = 0.45
    wander: float = 5e-4


@dataclass(frozen=True)
class CoronagraphSequence:
    """Spectra, star centres and the star's image of a simulated sequence."""

    spectra: list[Spectra]
    centres: list[StarCentre]
    psf: StarPsf


def observe_star(scene: CoronagraphScene, seed: int) -> CoronagraphSequence:
    """Observe a scene; equal seeds give equal sequences."""
    rng = np.random.default_rng(seed)
    x, y = _lenslets(scene)
    unit = scene.wave * 1e-10 / DIAMETER * MICROARCSEC
    area = hexagon_area(scene.pitch)
    peak = scene.star * area / unit**2
    field = speckle_field(rng)
    spectra, centres = [], []
    for number, angle in enumerate(scene.angle):
        fresh = speckle_field(rng)
        field = scene.memory * field + np.sqrt(1.0 - scene.memory**2) * fresh if number else field
        at = scene.wander * rng.standard_normal(2)
        bright = 1.0 + 0.03 * rng.standard_normal()
        light = np.zeros((x.size, scene.wave.size))
        turn = np.radians(angle)
        for k in range(scene.wave.size):
            u, v = (x - at[0]) / unit[k], (y - at[1]) / unit[k]
            fall = (10.0 / np.maximum(np.hypot(u, v), 1.0)) ** 1.5
            light[:, k] = peak[k] * fall * (scene.halo * bright + scene.speckles * speckle_intensity(field, u, v))
            for e, n, c in zip(scene.east, scene.north, scene.contrast, strict=True):
                px, py = -(e * np.cos(turn) - n * np.sin(turn)), n * np.cos(turn) + e * np.sin(turn)
                shape = airy_density(np.hypot(u - px / unit[k], v - py / unit[k]), 0.0)[0]
                light[:, k] += c[k] * peak[k] * shape
        step = float(np.mean(np.diff(scene.wave)))
        variance = light / step + (scene.read_noise / step) ** 2
        flux = light + np.sqrt(variance) * rng.standard_normal(light.shape)
        spectra.append(_spectra(scene, (x, y), flux, variance))
        centres.append(_centre(scene, at, number))
    return CoronagraphSequence(spectra, centres, _psf(scene))


def _lenslets(scene: CoronagraphScene) -> tuple[F8, F8]:
    """Places of the lenslets, turned by some angle."""
    half = int(scene.radius / scene.pitch * 1.2) + 2
    i, j = (a.ravel().astype(float) for a in np.mgrid[-half : half + 1, -half : half + 1])
    x, y = scene.pitch * (i + 0.5 * j), scene.pitch * np.sqrt(0.75) * j
    turn = np.radians(10.9)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    inside = np.hypot(x, y) < scene.radius
    return x[inside], y[inside]


_GRID, _FINE = 256, 0.25  # points, and lambda / D between them: 64 lambda / D across


def speckle_field(rng: np.random.Generator) -> NDArray[np.complex128]:
    """Complex field in the focal plane of random light in a round pupil; mean intensity 1."""
    pupil = np.fft.fftfreq(_GRID, _FINE)
    inside = np.hypot(*np.meshgrid(pupil, pupil)) < 0.5
    noise = rng.standard_normal((2, _GRID, _GRID))
    field = np.fft.fft2(inside * (noise[0] + 1j * noise[1]))
    return np.asarray(field / np.sqrt(2.0 * np.count_nonzero(inside)))


def speckle_intensity(field: NDArray[np.complex128], u: Floats, v: Floats) -> F8:
    """Intensity of a complex field at places (n,) in lambda / D from the star."""
    place = np.stack([v / _FINE, u / _FINE]) % _GRID
    parts = [map_coordinates(part, place, order=3, mode="grid-wrap") for part in (field.real, field.imag)]
    return np.asarray(parts[0] ** 2 + parts[1] ** 2)


def _spectra(scene: CoronagraphScene, place: tuple[F8, F8], flux: F8, variance: F8) -> Spectra:
    n = place[0].size
    return Spectra(
        flux=flux,
        variance=variance,
        flags=np.zeros(flux.shape, np.int32),
        covariance=np.zeros(flux.shape),
        wave=scene.wave,
        lsf_sigma=np.zeros(scene.wave.size),  # light of a channel is its own here
        aperture=np.arange(n),
        x=place[0],
        y=place[1],
        dq=np.zeros(n, np.int32),
    )


def _centre(scene: CoronagraphScene, at: F8, number: int) -> StarCentre:
    one = np.ones(scene.wave.size)
    return StarCentre(
        file=np.array(["simulated"] * one.size),
        plane=np.full(one.size, number),
        wave=scene.wave,
        x=at[0] * one,
        y=at[1] * one,
        x_error=1e-4 * one,
        y_error=1e-4 * one,
        dq=np.zeros(one.size, np.int32),
        spot_flux=np.zeros((one.size, 4)),
        spot_variance=np.zeros((one.size, 4)),
        reference_wave=12500.0,
        centre_x=float(at[0]),
        centre_y=float(at[1]),
        centre_x_error=1e-4,
        centre_y_error=1e-4,
        refraction_x=0.0,
        refraction_y=0.0,
        method="spots",
    )


def _psf(scene: CoronagraphScene) -> StarPsf:
    waves = scene.wave.size
    radius = 0.02 * np.arange(400)
    profile = np.broadcast_to(airy_density(radius, 0.0)[0], (waves, radius.size)).copy()
    return StarPsf(
        wave=scene.wave,
        flux=scene.star,
        variance=(1e-4 * scene.star) ** 2,
        flags=np.zeros(waves, np.int32),
        radius=radius,
        profile=profile,
        profile_variance=np.zeros(profile.shape),
        x=np.zeros(1),
        y=np.zeros(1),
        share=np.zeros((waves, 1)),
        share_variance=np.zeros((waves, 1)),
        dit=16.0,
        width=1.0,
    )
