"""Satellite spots: copies of the star at places that scale with wavelength, and the lenslets around them.

A periodic mirror shape diffracts star light into spots at a fixed number of lambda / D from the star.
Seen by a lenslet spectrograph, each spot runs outwards with wavelength on a straight line through
the star: one track a spot, told by few numbers for all channels together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tracecube.core.spectra import Spectra
from tracecube.kernels.airy import airy_density
from tracecube.kernels.psf import hexagon_area, hexagon_nodes, lattice_angle, lattice_pitch

__all__ = ["NAMES", "SpotPattern", "Track", "Window", "lenslet_nodes", "spot_place", "template", "windows"]

F8 = NDArray[np.float64]

NAMES = ("x", "y", "dispersion_x", "dispersion_y", "width")
"""Parameters of all tracks: star at the reference wavelength (arcsec), its refraction (arcsec), logarithm of the
spot width over that of the aperture. Then follow, for each diagonal, the logarithm of the radius over nominal and
the turn (radian): the two spots of a diagonal stand opposite each other, but no more is known so exactly. The
star's place rests on that symmetry alone."""

# Nodes and weights of a Gaussian line-spread function: Gauss-Hermite of degree 9.
_NODES, _WEIGHTS = (v.astype(np.float64) for v in np.polynomial.hermite_e.hermegauss(5))
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class SpotPattern:
    """Where satellite spots stand.

    Parameters
    ----------
    orders : float
        Distance from the star in lambda / D.
    directions : array (n_spot,), radian
        From +x towards +y.
    diagonals : int array (n_spot,)
        Which diagonal each spot lies on, from 0.
    diameter : float, m
        D of lambda / D.
    obstruction : float
        Central obstruction over diameter.
    """

    orders: float
    directions: F8
    diagonals: NDArray[np.int64]
    diameter: float
    obstruction: float

    @property
    def size(self) -> int:
        """Number of parameters of the tracks."""
        return len(NAMES) + 2 * (int(self.diagonals.max()) + 1)

    def resolution(self, wave: F8) -> F8:
        """Return lambda / D in arcsec of wavelengths in Angstrom."""
        return np.asarray(np.degrees(np.asarray(wave) * 1e-10 / self.diameter) * 3600.0)


@dataclass(frozen=True)
class Track:
    """Wavelengths of the channels and what depends on them alone.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom
    spread : array (n_wave,), Angstrom
        Standard deviation of the line-spread function.
    reference : float, Angstrom
        Wavelength at which the star's place is told.
    """

    wave: F8
    spread: F8
    reference: float

    def refraction(self, wave: F8) -> F8:
        """Residual refraction against wavelength: (reference / lambda)**2 - 1, Cauchy's first term."""
        return np.asarray((self.reference / np.asarray(wave)) ** 2 - 1.0)


@dataclass(frozen=True)
class Window:
    """The lenslets around one spot in one channel.

    Parameters
    ----------
    spot, channel : int
    x, y : array (n,), arcsec
    flux, variance : array (n,)
    """

    spot: int
    channel: int
    x: F8
    y: F8
    flux: F8
    variance: F8


def spot_place(values: F8, wave: F8, track: Track, pattern: SpotPattern, spot: int) -> tuple[F8, F8]:
    """Place (arcsec) of a spot at wavelengths (n,)."""
    bend = track.refraction(wave)
    own = len(NAMES) + 2 * int(pattern.diagonals[spot])
    radius = pattern.orders * pattern.resolution(wave) * np.exp(values[own])
    angle = pattern.directions[spot] + values[own + 1]
    return (
        np.asarray(values[0] + values[2] * bend + radius * np.cos(angle)),
        np.asarray(values[1] + values[3] * bend + radius * np.sin(angle)),
    )


def lenslet_nodes(spectra: Spectra) -> tuple[tuple[F8, F8, F8], float]:
    """Nodes of the area of a lenslet, and the area (arcsec**2), from the lattice itself."""
    placed = np.isfinite(spectra.x) & np.isfinite(spectra.y)
    x, y = np.asarray(spectra.x[placed], float), np.asarray(spectra.y[placed], float)
    pitch = lattice_pitch(x, y)
    return hexagon_nodes(pitch, lattice_angle(x, y)), hexagon_area(pitch)


def template(
    values: F8, window: Window, track: Track, pattern: SpotPattern, nodes: tuple[F8, F8, F8], *, area: float
) -> tuple[F8, F8]:
    """Share of a spot's light that each lenslet of a window collects over the channel, and its derivatives.

    Parameters
    ----------
    values : array (p,)
        Parameters of the tracks.
    nodes : (array, array, array)
        Of the area of a lenslet.
    area : float, arcsec**2
        Of a lenslet.

    Returns
    -------
    share : array (n,)
    derivatives : array (p, n)
        With respect to the parameters.
    """
    share, slopes = np.zeros(window.x.size), np.zeros((values.size, window.x.size))
    wave = track.wave[window.channel] + track.spread[window.channel] * _NODES
    at_x, at_y = spot_place(values, wave, track, pattern, window.spot)
    moves = _place_derivatives(values, wave, track, pattern, window.spot)
    unit = pattern.resolution(wave) * np.exp(values[4])
    for i, weight in enumerate(_WEIGHTS * area):
        dx = window.x[:, None] + nodes[0] - at_x[i]
        dy = window.y[:, None] + nodes[1] - at_y[i]
        radius = np.maximum(np.hypot(dx, dy) / unit[i], 1e-9)
        density, slope = airy_density(radius, pattern.obstruction)
        scale = weight / unit[i] ** 2
        share += scale * (density @ nodes[2])
        along = slope / (radius * unit[i] ** 2)
        slopes -= scale * np.outer(moves[0][:, i], (along * dx) @ nodes[2])
        slopes -= scale * np.outer(moves[1][:, i], (along * dy) @ nodes[2])
        slopes[4] -= scale * ((2.0 * density + slope * radius) @ nodes[2])
    return share, slopes


def _place_derivatives(values: F8, wave: F8, track: Track, pattern: SpotPattern, spot: int) -> tuple[F8, F8]:
    """Derivatives of a spot's place with respect to the parameters, two arrays (p, n)."""
    x, y = (np.zeros((values.size, wave.size)) for _ in range(2))
    bend, own = track.refraction(wave), len(NAMES) + 2 * int(pattern.diagonals[spot])
    radius = pattern.orders * pattern.resolution(wave) * np.exp(values[own])
    angle = pattern.directions[spot] + values[own + 1]
    x[0], y[1] = 1.0, 1.0
    x[2], y[3] = bend, bend
    x[own], y[own] = radius * np.cos(angle), radius * np.sin(angle)
    x[own + 1], y[own + 1] = -radius * np.sin(angle), radius * np.cos(angle)
    return x, y


def windows(
    spectra: Spectra, values: F8, track: Track, pattern: SpotPattern, *, reach: float, good: NDArray[np.bool_]
) -> list[Window]:
    """Cut out the lenslets within ``reach`` lambda / D of every spot in every channel.

    Windows of which more than half lies outside the field or is bad are left out.
    """
    placed = np.flatnonzero(np.isfinite(spectra.x) & np.isfinite(spectra.y))
    x, y = np.asarray(spectra.x[placed], float), np.asarray(spectra.y[placed], float)
    tree = cKDTree(np.column_stack([x, y]))
    cell = np.sqrt(0.75) * lattice_pitch(x, y) ** 2
    found = []
    for spot in range(pattern.directions.size):
        at_x, at_y = spot_place(values, track.wave, track, pattern, spot)
        radius = reach * pattern.resolution(track.wave)
        for channel in range(track.wave.size):
            near = np.asarray(tree.query_ball_point([at_x[channel], at_y[channel]], radius[channel]), dtype=int)
            near = near[good[placed[near], channel]] if near.size else near
            if near.size < 0.5 * np.pi * radius[channel] ** 2 / cell:
                continue
            rows = placed[near]
            flux, variance = spectra.flux[rows, channel], spectra.variance[rows, channel]
            found.append(Window(spot, channel, x[near], y[near], np.asarray(flux, float), np.asarray(variance, float)))
    return found
