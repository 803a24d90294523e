"""Lines that the air scatters from a laser, whose brightness changes over the field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, meta

__all__ = ["ScatteredLines"]


@dataclass(frozen=True)
class ScatteredLines:
    """Brightness of groups of lines over the field, beside what the sky has of them in the mean.

    Parameters
    ----------
    wave : array (n,), Angstrom
        Lines, air, observed.
    share : array (n,)
        Of the light of their group.
    group : int array (n,)
    number : int array (g,)
        Of each group.
    coefficient : array (g, 6)
        Light relative to the lamp times Angstrom: of 1, x, y, x^2, x y, y^2, with x and y in units of ``unit``.
    covariance : array (g, 6, 6)
    sigma : float, Angstrom
        Width of a line.
    unit : float, arcsec
    """

    wave: FloatArray = column("LINES", "wave", unit="Angstrom")
    share: FloatArray = column("LINES", "share")
    group: IntArray = column("LINES", "group")
    number: IntArray = column("GROUPS", "group")
    coefficient: FloatArray = column("GROUPS", "coefficient")
    covariance: FloatArray = column("GROUPS", "covariance")
    sigma: float = card("RAMSIGMA", unit="Angstrom", text="width of a line")
    unit: float = card("RAMUNIT", unit="arcsec", text="unit of places in the polynomial")
    meta: Meta = meta()

    def band(self, number: int) -> tuple[float, float]:
        """Return first and last wavelength (Angstrom) that a group lights."""
        own = self.wave[self.group == number]
        return float(own.min() - 5.0 * self.sigma), float(own.max() + 5.0 * self.sigma)

    def density(self, number: int, wave: FloatArray) -> FloatArray:
        """Return light of a group of strength 1 (1 / Angstrom)."""
        total = np.zeros(np.shape(wave))
        for line, share in zip(self.wave[self.group == number], self.share[self.group == number], strict=True):
            total += share * np.exp(-0.5 * ((wave - line) / self.sigma) ** 2)
        return np.asarray(total / (self.sigma * np.sqrt(2.0 * np.pi)))

    def terms(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the polynomial's terms (..., 6) at places (arcsec)."""
        u, v = np.asarray(x) / self.unit, np.asarray(y) / self.unit
        return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)

    def seen(self, x: FloatArray, y: FloatArray, wave: FloatArray) -> FloatArray:
        """Return light relative to the lamp at places (arcsec) and wavelengths (Angstrom) of one shape."""
        total = np.zeros(np.shape(wave))
        for row, number in enumerate(self.number):
            low, high = self.band(int(number))
            near = (wave > low) & (wave < high)
            if near.any():
                total[near] += self.density(int(number), wave[near]) * (
                    self.terms(x[near], y[near]) @ self.coefficient[row]
                )
        return np.asarray(total)
