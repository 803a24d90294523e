"""How well a line could be seen at best: its flux over the Cramer-Rao bound of its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.instruments.virus.ccd import HALVES
from tracecube.instruments.virus.simulation.field import FIBRE_AREA, NODES, Air, Emitter, Source, Star, fibre_light
from tracecube.instruments.virus.simulation.geometry import amp_rows, bundle, in_plane
from tracecube.instruments.virus.simulation.headers import Unit
from tracecube.instruments.virus.simulation.light import electrons_of_flux, night_sky
from tracecube.instruments.virus.simulation.optics import Spectrograph

__all__ = ["Seen", "line_signal_to_noise"]

_OFFSETS = np.linspace(-4.0, 4.0, 81)  # standard deviations of a line


@dataclass(frozen=True)
class Seen:
    """What a bundle's fibres (448,) do with light, in the order of the bundle.

    Parameters
    ----------
    throughput : array (448,)
        Zero for fibres and amplifiers that are dead.
    noise : array (448,), electron
        Read noise of an extracted column: that of a pixel over the root of the sum of the squared profile.
    sigma : array (448,), Angstrom
        Of the line-spread function in the middle of the CCD.
    dispersion : array (448,), Angstrom a column
    place : (float, float), arcsec
        Of the bundle in the focal plane.
    """

    throughput: FloatArray
    noise: FloatArray
    sigma: FloatArray
    dispersion: FloatArray
    place: tuple[float, float]

    @classmethod
    def of(cls, unit: Unit, optics: Mapping[str, Spectrograph], dead: Sequence[str]) -> Seen:
        """Put together what the two CCDs of a unit are like."""
        values = np.zeros((4, 448))
        for side, amps in HALVES.items():
            one = optics[side]
            steps = round(1.0 / 0.02)  # of the profile's integral a pixel
            edges = one.cumulative[::steps].astype(float)
            rows_read = 1.0 / np.sum(np.diff(edges) ** 2)
            for number, amp in enumerate(amps):
                rows, mine = np.arange(448)[amp_rows(amp)], slice(112 * number, 112 * (number + 1))
                alive = ~one.dead[mine] & (amp not in dead)
                values[0, rows] = np.where(alive, one.throughput[mine], 0.0)
                values[1, rows] = unit.noise[amp] * np.sqrt(rows_read)
                values[2, rows] = one.lsf[mine, 0]
                values[3, rows] = one.dispersion()[mine, 516]
        throughput, noise, sigma, dispersion = values
        return cls(throughput, noise, sigma, dispersion, (unit.x, unit.y))


def line_signal_to_noise(sources: Sequence[Source], seen: Seen, exposures: Sequence[tuple[Air, float]]) -> list[float]:
    """Flux of each source over the smallest error that an unbiased measurement can have; NaN for no line.

    The place, the width and the light beneath the line are taken as known. The variance of each sample is that of
    the line's, the sky's and the stars' electrons, and of the rows of its profile.

    Parameters
    ----------
    sources : sequence of sources of one bundle
    seen : Seen
    exposures : sequence of (Air, seconds)
    """
    information = np.zeros(len(sources))
    for air, seconds in exposures:
        shares = fibre_light(list(sources), air)
        ill = air.illumination * air.relative(*in_plane(seen.place, bundle() + np.array(air.shift)))
        sky = night_sky(air.sky)
        for number, source in enumerate(sources):
            if not isinstance(source, Emitter):
                continue
            at = np.array([source.wave])
            beneath = np.full(448, float(sky.at(at, np.array([2.38]))[0]) * FIBRE_AREA)
            for other, near, part in shares:
                if isinstance(other, Star):
                    light = float(other.smooth.at(at, np.array([2.38]))[0]) * air.transparency
                    beneath[near] += light * _at(part, source.wave)
            _, near, part = shares[number]
            scale = (ill * seen.throughput)[near] * float(electrons_of_flux(at, seconds)[0])
            line = scale * source.flux * air.transparency * _at(part, source.wave)
            sigma = seen.sigma[near, None]
            shape = np.exp(-0.5 * _OFFSETS**2) / (np.sqrt(2.0 * np.pi) * sigma)
            floor = (scale * beneath[near] + seen.noise[near] ** 2 / seen.dispersion[near])[:, None]
            density = shape**2 / (floor + line[:, None] * shape)
            information[number] += np.sum(line**2 * np.trapezoid(density, _OFFSETS * sigma, axis=1))
    return [
        float(np.sqrt(value)) if isinstance(source, Emitter) else float("nan")
        for source, value in zip(sources, information, strict=True)
    ]


def _at(part: FloatArray, wave: float) -> FloatArray:
    """Share of each fibre (n,) at a wavelength, from shares at `NODES`."""
    at = (wave - NODES[0]) / (NODES[1] - NODES[0])
    below = int(at)
    return np.asarray(part[:, below] + (at - below) * (part[:, below + 1] - part[:, below]))
