"""A star through the telescope: its image, the halo and speckles behind the mask, satellite spots, companions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray
from tracecube.instruments.sphere_ifs.filters import neutral_density
from tracecube.instruments.sphere_ifs.simulation.light import star_light, thermal_light
from tracecube.instruments.sphere_ifs.simulation.optics import PITCH, Optics
from tracecube.kernels.airy import airy_density
from tracecube.simulate.coronagraph import speckle_intensity
from tracecube.simulate.scene import hexagon_points

__all__ = ["COMPANIONS", "Air", "Companion", "Sky"]

DIAMETER = 8.0  # m
OBSTRUCTION = 0.14
SPOT_RADIUS = 10.0 * np.sqrt(2.0) * 0.97  # lambda / D
SPOT_ANGLES = 57.3 + 90.0 * np.arange(4)  # degree from +x
SPOT_SHARE = 3e-3  # of the star's light in one spot at 1.25 um; the mirror's phase goes with 1 / lambda
BESIDE = (-0.31, 0.24)  # arcsec: the star in a frame beside the mask
_INNER = 0.09  # arcsec: half of a companion's light passes the mask's edge here
_MAS = 1e-10 / DIAMETER * 180.0 / np.pi * 3600.0  # arcsec a lambda / D and Angstrom
_HALO = 7.0  # lambda / D: where the halo begins to fall


@dataclass(frozen=True)
class Companion:
    """A companion: arcsec, degree, contrast to the star at 1.2 micrometres, and its power with wavelength."""

    name: str
    separation: float
    angle: float
    contrast: float
    colour: float

    def spectrum(self, wave: FloatArray) -> FloatArray:
        """Contrast (k,) against wavelength, with a band of water."""
        water = 1.0 - 0.5 * np.exp(-0.5 * ((wave - 11400.0) / 250.0) ** 2)
        return np.asarray(self.contrast * (wave / 12000.0) ** self.colour * water)


COMPANIONS = (Companion("b", 0.42, 128.0, 1.5e-4, 2.0), Companion("c", 0.60, 292.0, 6e-5, 1.0))
"""Brightest first."""


@dataclass(frozen=True)
class Air:
    """State of the air and of the adaptive optics in one integration.

    Parameters
    ----------
    wavefront : float, Angstrom
        Error that is left.
    transmission : float
    x, y, dispersion : float, arcsec
        Place of the star, and what is left of refraction along x.
    """

    wavefront: float
    transmission: float
    x: float
    y: float
    dispersion: float

    def strehl(self, wave: FloatArray) -> FloatArray:
        """Strehl ratio (Marechal)."""
        return np.asarray(np.exp(-((2.0 * np.pi * self.wavefront / wave) ** 2)))

    def place(self, wave: float) -> tuple[float, float]:
        """Place of the star at a wavelength: what the corrector of dispersion leaves goes with wave**-2."""
        return self.x + self.dispersion * ((12500.0 / wave) ** 2 - 1.0), self.y


@dataclass(frozen=True)
class Sky:
    """Light of one integration on every lenslet.

    Parameters
    ----------
    optics : Optics
    wave, band : array (k,), Angstrom
    speckles : complex array
        Of the optics behind the mask, the same all night.
    """

    optics: Optics
    wave: FloatArray
    band: FloatArray
    speckles: NDArray[np.complex128]

    def background(self, dit: float) -> FloatArray:
        """Electrons of the warm instrument (n, k)."""
        glow = thermal_light(self.wave, self.optics.mode) * self.band * dit
        return np.broadcast_to(glow, (self.optics.q.size, self.wave.size)).copy()

    def star(self, kind: str, air: Air, angle: float, dit: float) -> FloatArray:
        """Electrons of star and companions (n, k).

        Parameters
        ----------
        kind : {"FLUX", "CENTER", "OBJECT"}
        air : Air
        angle : float, degree
            Position angle of +y.
        dit : float, second
        """
        light = star_light(self.wave, self.optics.mode) * self.band * dit * air.transmission
        if kind == "FLUX":
            light = light * np.interp(self.wave, *neutral_density({"ESO INS4 FILT2 NAME": "ND_2.0"}, "simulated"))
        strehl = air.strehl(self.wave)
        out = np.empty((self.optics.q.size, self.wave.size))
        for k, wave in enumerate(self.wave):
            unit = _MAS * float(wave)
            x, y = air.place(float(wave))
            u, v = (self.optics.sky_x - x) / unit, (self.optics.sky_y - y) / unit
            area = np.sqrt(0.75) * (PITCH / unit) ** 2
            shape = self._shape(kind, (u, v), float(strehl[k]), area, float(wave))
            if kind != "FLUX":
                shape += self._companions((u, v), angle, k, unit) * strehl[k] * area
            out[:, k] = light[k] * shape
        return out

    def _shape(
        self, kind: str, place: tuple[FloatArray, FloatArray], strehl: float, area: float, wave: float
    ) -> FloatArray:
        """Share of the star's light in each lenslet (n,)."""
        radius, unit = np.hypot(*place), _MAS * wave
        halo = (1.0 - strehl) * (1.0 + (radius / _HALO) ** 2) ** -1.4 * 0.4 / (np.pi * _HALO**2)
        if kind == "FLUX":
            return area * (halo + strehl * _airy(place, (0.0, 0.0), unit))
        passed = 1.0 / (1.0 + (_INNER / unit / np.maximum(radius, 1e-6)) ** 6)
        rings = 3e-4 * (5.0 / np.maximum(radius, 3.0)) ** 2 * speckle_intensity(self.speckles, *place)
        shape = area * passed * (halo + rings)
        if kind == "CENTER":
            for turn in np.radians(SPOT_ANGLES):
                spot = SPOT_RADIUS * np.cos(turn), SPOT_RADIUS * np.sin(turn)
                shape += SPOT_SHARE * (12500.0 / wave) ** 2 * strehl * area * _airy(place, spot, unit)
        return np.asarray(shape)

    def _companions(self, place: tuple[FloatArray, FloatArray], angle: float, k: int, unit: float) -> FloatArray:
        """Density of the companions' light over the star's (n,)."""
        total = np.zeros(place[0].size)
        for one in COMPANIONS:
            turn = np.radians(one.angle - angle)
            spot = -one.separation * np.sin(turn) / unit, one.separation * np.cos(turn) / unit
            total += one.spectrum(self.wave[k : k + 1])[0] * _airy(place, spot, unit)
        return total


def _airy(place: tuple[FloatArray, FloatArray], centre: tuple[float, float], unit: float) -> FloatArray:
    """Density of a point source averaged over each lenslet (n,), 1 / (lambda / D)**2."""
    points = hexagon_points(PITCH / unit, 0.0)
    density = np.zeros(place[0].size)
    for du, dv in points:
        radius = np.hypot(place[0] + du - centre[0], place[1] + dv - centre[1])
        density += airy_density(radius, OBSTRUCTION)[0]
    return np.asarray(density / len(points))
