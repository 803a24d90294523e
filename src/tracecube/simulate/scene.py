"""What shines: supernovae, galaxies, the night sky, and the seeing that smears them over a field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray

__all__ = [
    "GALAXY",
    "SUPERNOVAE",
    "Seeing",
    "flux_of_magnitude",
    "galaxy_spectrum",
    "hexagon_points",
    "moonlight",
    "planck",
    "point_fractions",
    "supernova_spectrum",
]

_C = 2.99792458e18  # Angstrom / s
_HC_K = 1.43877688e8  # Angstrom K, second radiation constant
_C_KMS = 299792.458
_WIDTH_R = (5900.0, 6800.0)  # Angstrom, a box that stands for the r band


@dataclass(frozen=True)
class Feature:
    """A P-Cygni line: rest wavelength (Angstrom), blueshift of its absorption (km/s), depth and emission."""

    wave: float
    velocity: float
    depth: float
    emission: float


# Rest wavelengths in vacuum and velocities near maximum light, for shape only: Filippenko 1997, ARA&A 35, 309
SUPERNOVAE: dict[str, tuple[float, tuple[Feature, ...]]] = {
    "Ia": (
        12000.0,
        (
            Feature(3951.0, 13000.0, 0.55, 0.25),  # Ca II H, K
            Feature(4482.0, 11000.0, 0.30, 0.15),  # Mg II, Fe
            Feature(5040.0, 10500.0, 0.35, 0.20),  # Fe II, Si II
            Feature(5642.0, 10500.0, 0.30, 0.10),  # S II W
            Feature(6357.0, 11000.0, 0.50, 0.20),  # Si II
            Feature(8580.0, 12000.0, 0.35, 0.20),  # Ca II triplet
        ),
    ),
    "II": (
        9000.0,
        (
            Feature(4862.7, 8500.0, 0.30, 0.20),  # H beta
            Feature(5170.0, 6500.0, 0.20, 0.10),  # Fe II
            Feature(5891.0, 7500.0, 0.20, 0.15),  # Na I, He I
            Feature(6564.6, 9000.0, 0.25, 0.90),  # H alpha
            Feature(8580.0, 8000.0, 0.25, 0.25),  # Ca II triplet
        ),
    ),
}
"""Kind -> temperature (K) and features."""

GALAXY = (5200.0, ((3728.5, 12.0, 0.6), (4862.7, 8.0, 0.15), (5008.2, 8.0, 0.3), (6564.6, 8.0, 0.8)))
"""Temperature (K) and emission lines (Angstrom, width, strength over the continuum) of a spiral arm."""


def planck(wave: FloatArray, temperature: float) -> FloatArray:
    """Black body per Angstrom (n_wave,), one at 6000 Angstrom."""
    x, x0 = _HC_K / (wave * temperature), _HC_K / (6000.0 * temperature)
    return np.asarray((6000.0 / wave) ** 5 * np.expm1(x0) / np.expm1(x))


def flux_of_magnitude(wave: FloatArray, magnitude: float) -> FloatArray:
    """Flux (erg/s/cm2/Angstrom) of a constant AB magnitude (Oke & Gunn 1983)."""
    return np.asarray(10.0 ** (-0.4 * (magnitude + 48.60)) * _C / wave**2)


def _normalised(wave: FloatArray, shape: FloatArray, magnitude: float) -> FloatArray:
    """Scale a spectrum to a magnitude in the box around 6350 Angstrom."""
    box = (wave > _WIDTH_R[0]) & (wave < _WIDTH_R[1])
    return np.asarray(shape * (flux_of_magnitude(wave, magnitude)[box].sum() / shape[box].sum()))


def supernova_spectrum(wave: FloatArray, kind: str, redshift: float, magnitude: float) -> FloatArray:
    """Spectrum of a supernova-like source, in analytic form.

    A black body with P-Cygni lines: each takes light out around its blueshifted absorption and gives
    some back around its rest wavelength. It looks like the kind it is named after; it is not a model of
    one.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom
    kind : {"Ia", "II"}
    redshift : float
    magnitude : float
        AB, around 6350 Angstrom.

    Returns
    -------
    array (n_wave,), erg/s/cm2/Angstrom
    """
    temperature, features = SUPERNOVAE[kind]
    rest = wave / (1.0 + redshift)
    shape = planck(rest, temperature) / (1.0 + np.exp((3900.0 - rest) / 250.0))  # metals blanket the ultraviolet
    for line in features:
        width = line.wave * 0.45 * line.velocity / _C_KMS
        bottom = line.wave * (1.0 - line.velocity / _C_KMS)
        shape = shape * (1.0 - line.depth * np.exp(-0.5 * ((rest - bottom) / width) ** 2))
        shape = shape * (1.0 + line.emission * np.exp(-0.5 * ((rest - line.wave) / (1.3 * width)) ** 2))
    return _normalised(wave, shape, magnitude)


def galaxy_spectrum(wave: FloatArray, redshift: float, magnitude: float) -> FloatArray:
    """Spectrum (erg/s/cm2/Angstrom) of a star-forming galaxy in analytic form; AB magnitude around 6350 Angstrom."""
    temperature, lines = GALAXY
    rest = wave / (1.0 + redshift)
    shape = planck(rest, temperature) * (1.0 - 0.35 / (1.0 + np.exp((rest - 3990.0) / 40.0)))  # 4000 Angstrom break
    for centre, width, strength in lines:
        shape = shape * (1.0 + strength * np.exp(-0.5 * ((rest - centre) / width) ** 2))
    return _normalised(wave, shape, magnitude)


def moonlight(wave: FloatArray, solar: FloatArray, brightness: float) -> FloatArray:
    """Scattered sunlight of the Moon (erg/s/cm2/Angstrom/arcsec2) of a surface brightness in AB mag/arcsec2.

    Rayleigh scattering makes it bluer than the Sun: the power lies between that of molecules (-4) and of
    aerosols (about -1), since both scatter (Krisciunas & Schaefer 1991, PASP 103, 1033).
    """
    return _normalised(wave, solar * (wave / 5500.0) ** -1.5, brightness)


@dataclass(frozen=True)
class Seeing:
    """A seeing disc with a core and wings.

    Parameters
    ----------
    fwhm : float, arcsec
        Of the Moffat core at 6500 Angstrom.
    rho : float
        Widths go with wavelength to this power.
    beta : float
        Exponent of the core; Kolmogorov turbulence looks like 4.765 (Trujillo et al. 2001).
    halo : float
        Share of the light in a halo three times as wide.
    """

    fwhm: float
    rho: float = -0.2
    beta: float = 3.5
    halo: float = 0.08

    def density(self, radius: FloatArray, wave: float) -> FloatArray:
        """Light an arcsec2 at a distance (arcsec) from the source; integrates to one over the plane."""
        fwhm = self.fwhm * (wave / 6500.0) ** self.rho
        return (1.0 - self.halo) * _moffat(radius, fwhm, self.beta) + self.halo * _moffat(radius, 3.0 * fwhm, 3.0)


def _moffat(radius: FloatArray, fwhm: float, beta: float) -> FloatArray:
    """Moffat 1969 profile of unit integral."""
    alpha = 0.5 * fwhm / np.sqrt(2.0 ** (1.0 / beta) - 1.0)
    return np.asarray((beta - 1.0) / (np.pi * alpha**2) * (1.0 + (radius / alpha) ** 2) ** -beta)


def hexagon_points(pitch: float, angle: float) -> FloatArray:
    """Points (37, 2) that share a hexagonal lenslet evenly, from its centre, arcsec.

    Parameters
    ----------
    pitch : float, arcsec
        Distance between neighbouring lenslets.
    angle : float, degree
        Direction of one neighbour from +x towards +y.
    """
    # the lattice q, r within three steps has 37 points and the shape of a hexagon whose corners point at
    # neighbours; lenslets have their sides there, so it is turned by 30 degrees and made as large as a lenslet
    q, r = np.array([(q, r) for q in range(-3, 4) for r in range(-3, 4) if abs(q + r) <= 3]).T
    step = pitch / np.sqrt(37.0)  # equal areas: 37 small hexagons make a lenslet
    turn = np.radians(angle + 30.0)
    x, y = step * (q + 0.5 * r), step * np.sqrt(0.75) * r
    return np.column_stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)])


def point_fractions(
    field: tuple[FloatArray, FloatArray],
    lenslet: FloatArray,
    centre: tuple[FloatArray, FloatArray],
    wave: FloatArray,
    seeing: Seeing,
) -> FloatArray:
    """Share of a point source's light that each lenslet catches.

    Parameters
    ----------
    field : (array (n,), array (n,)), arcsec
        Places of the lenslets, east and north.
    lenslet : array (k, 2), arcsec
        Points that share a lenslet evenly, from `hexagon_points`.
    centre : (array (n_wave,), array (n_wave,)), arcsec
        Place of the source at each wavelength.
    wave : array (n_wave,), Angstrom
    seeing : Seeing

    Returns
    -------
    array (n, n_wave)
        Times the area of a lenslet over an arcsec2: multiply by that area to get shares.
    """
    out = np.empty((field[0].size, wave.size))
    for i, (east, north, w) in enumerate(zip(*centre, wave, strict=True)):
        radius = np.hypot(field[0][:, None] + lenslet[:, 0] - east, field[1][:, None] + lenslet[:, 1] - north)
        out[:, i] = seeing.density(radius, float(w)).mean(axis=1)
    return out
