"""Where the telescope points: hour angle, airmass, parallactic angle, and the axes of the field on the sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.kernels.atmosphere import air_to_vacuum, refractive_index
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane

__all__ = ["LATITUDE", "LONGITUDE", "REFERENCE", "SPAXEL", "Aim", "sidereal"]

LATITUDE, LONGITUDE = -24.627, -70.404  # degree
SPAXEL = 0.2  # arcsec
REFERENCE = 7000.0
"""Wavelength (Angstrom) at which sources stay where they are."""

_WEATHER = {"pressure": 743.0, "temperature": 12.0, "humidity": 15.0}
_INSTANTS = 7  # of an exposure, over which refraction is averaged


def sidereal(mjd: float) -> float:
    """Mean sidereal time on Paranal, degree (Astronomical Almanac, to 0.1 s)."""
    return float((280.46061837 + 360.98564736629 * (mjd - 51544.5) + LONGITUDE) % 360.0)


@dataclass(frozen=True)
class Aim:
    """One exposure's place on the sky.

    Parameters
    ----------
    ra, dec : float, degree
        Centre of the field.
    angle : float, degree
        Position angle of the field's y axis, from north through east.
    mjd : float
        Start.
    seconds : float
    """

    ra: float
    dec: float
    angle: float
    mjd: float
    seconds: float

    def at(self, share: float) -> tuple[float, float, float, float]:
        """Airmass, parallactic angle, altitude, azimuth (degree, from north through east) at a time.

        ``share`` is that of the exposure that has passed.
        """
        hour = np.radians(sidereal(self.mjd + share * self.seconds / 86400.0) - self.ra)
        dec, lat = np.radians(self.dec), np.radians(LATITUDE)
        sine = np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(hour)
        parallactic = np.arctan2(np.sin(hour), np.tan(lat) * np.cos(dec) - np.sin(dec) * np.cos(hour))
        azimuth = np.arctan2(np.sin(hour), np.cos(hour) * np.sin(lat) - np.tan(dec) * np.cos(lat))
        turn, height, around = (
            float(np.degrees(a)) for a in (parallactic, np.arcsin(sine), (azimuth + np.pi) % (2 * np.pi))
        )
        return float(1.0 / sine), turn, height, around

    @property
    def airmass(self) -> float:
        """In the middle of the exposure."""
        return self.at(0.5)[0]

    def refraction(self, wave: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How far east and north (spaxels) light of wavelengths (n,) stands of the reference's, mean of the exposure.

        The first term, (n - 1) tan z (Filippenko 1982, PASP 94, 715), towards the zenith.
        """
        vacuum = air_to_vacuum(np.append(np.asarray(wave, dtype=float), REFERENCE))
        index = refractive_index(vacuum, **_WEATHER)
        size = np.degrees(index[:-1] - index[-1]) * 3600.0 / SPAXEL
        steps = np.array([self.at((i + 0.5) / _INSTANTS)[:2] for i in range(_INSTANTS)])
        tangent, q = np.sqrt(steps[:, 0] ** 2 - 1.0), np.radians(steps[:, 1])
        return size * float(np.mean(tangent * np.sin(q))), size * float(np.mean(tangent * np.cos(q)))

    def sky(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """East and north of the centre (spaxels) of places in the field (spaxels)."""
        turn = np.radians(self.angle)
        return -x * np.cos(turn) + y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)

    def field(self, east: FloatArray, north: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Places in the field of places on the sky, all in spaxels from the centre."""
        turn = np.radians(self.angle)
        return -east * np.cos(turn) + north * np.sin(turn), east * np.sin(turn) + north * np.cos(turn)

    def offsets(self, ra: FloatArray, dec: FloatArray) -> tuple[FloatArray, FloatArray]:
        """East and north of the centre (spaxels) of directions (degree), on the plane that touches the sky there."""
        east, north = sky_to_plane(ra, dec, self.ra, self.dec)
        return east / SPAXEL, north / SPAXEL

    def directions(self, east: FloatArray, north: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Right ascension and declination (degree) of places east and north of the centre (spaxels)."""
        return plane_to_sky(np.asarray(east) * SPAXEL, np.asarray(north) * SPAXEL, self.ra, self.dec)

    def shifted(self, east: float, north: float) -> Aim:
        """The same exposure with its centre moved by arcsec to the east and north."""
        ra, dec = self.directions(np.array(east / SPAXEL), np.array(north / SPAXEL))
        return Aim(float(ra), float(dec), self.angle, self.mjd, self.seconds)
