"""Where fibres lie: in their bundle, in the focal plane, on the sky, and in their amplifier."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.instruments.virus.layout import slot_on

__all__ = ["AMPS", "FIBRES", "Pointing", "amp_rows", "bundle", "in_plane", "slots"]

FIBRES = 112
"""Fibres of an amplifier."""

AMPS = ("LL", "LU", "RL", "RU")

_ROWS, _ROW_PITCH, _PITCH = 23, 2.2036, 2.5417  # arcsec: IFUcen_HETDEX
_FIRST = {"LU": 0, "LL": 112, "RL": 224, "RU": 336}
_RADIUS = 560.0  # arcsec: bundles fill a field of 22 arcmin across, but for its very middle
_ROTATION = 91.55  # degree beyond the parallactic angle


def bundle() -> FloatArray:
    """Places (448, 2) of the fibres in their bundle, arcsec: 23 rows of 19 and 20 in turn."""
    rows = []
    for row in range(_ROWS):
        count = 19 + row % 2
        x = _PITCH * (np.arange(count) - 0.5 * (count - 1))
        rows.append(np.column_stack([x, np.full(count, _ROW_PITCH * (row - _ROWS // 2))]))
    return np.round(np.concatenate(rows), 2)


def amp_rows(amp: str) -> slice:
    """Return which fibres of the bundle an amplifier reads, from its bottom."""
    first = _FIRST[amp]
    return slice(first + FIBRES - 1, first - 1 if first else None, -1)


def in_plane(slot: tuple[float, float], places: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return x and y (arcsec) in the focal plane of places (n, 2) in the bundle of a slot: its axes are exchanged."""
    return slot[0] + places[:, 1], slot[1] + places[:, 0]


def slots(rng: np.random.Generator, count: int, night: date) -> list[tuple[int, float, float]]:
    """Choose slots: number, and place (arcsec) in the focal plane, which is a little off the grid.

    Those that headers of that night take for others stay empty.
    """
    every = []
    for column in range(1, 11):
        for row in range(10):
            x, y = 100.0 * (column - 5.5), 100.0 * (4.5 - row)
            if 80.0 < np.hypot(x, y) < _RADIUS:
                every.append((10 * column + row, x, y))
    order = [i for i in rng.permutation(len(every)) if slot_on(every[i][0], night) == every[i][0]]
    chosen = sorted(order[:count])
    shift = np.round(rng.normal(0.0, 0.3, (len(every), 2)), 3)
    return [(every[i][0], every[i][1] + shift[i, 0], every[i][2] + shift[i, 1]) for i in chosen]


@dataclass(frozen=True)
class Pointing:
    """Where the field's centre is, and how it is turned.

    Parameters
    ----------
    ra, dec : float, degree
    parallactic : float, degree
        As the headers have it.
    offset : float, degree
        Error of the rotation that the header gives.
    """

    ra: float
    dec: float
    parallactic: float
    offset: float = 0.0

    @property
    def rotation(self) -> float:
        """Angle of the tangent plane, degree."""
        return 360.0 - (self.parallactic + _ROTATION) + self.offset

    def sky(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Right ascension and declination (degree) of places in the focal plane (arcsec), gnomonic.

        The first axis of the tangent plane is y, and its scale is -1 arcsec (as the reduction in use at the telescope
        has it).
        """
        turn = np.radians(self.rotation)
        first, second = np.asarray(y, float), np.asarray(x, float)
        xi = np.radians((-first * np.cos(turn) - second * np.sin(turn)) / 3600.0)
        eta = np.radians((-first * np.sin(turn) + second * np.cos(turn)) / 3600.0)
        return _deproject(xi, eta, np.radians(self.ra), np.radians(self.dec))


def _deproject(xi: FloatArray, eta: FloatArray, ra0: float, dec0: float) -> tuple[FloatArray, FloatArray]:
    """Gnomonic plane to the sphere, degree (Calabretta & Greisen 2002, A&A 395, 1077, section 5.1.3)."""
    down = np.cos(dec0) - eta * np.sin(dec0)
    ra = ra0 + np.arctan2(xi, down)
    dec = np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, down))
    return np.degrees(ra) % 360.0, np.degrees(dec)
