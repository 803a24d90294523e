"""A small lenslet spectrograph with known optics, for tests of the recipes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.frame import Frame
from tracecube.core.optics import Layout, Throughput, TraceSet, WavelengthSolution
from tracecube.kernels.forward import Footprints, cumulative_profile, design_matrix, project
from tracecube.recipes.optics.arcs import DispersionGuess

SHAPE = (420, 560)
LENGTH = 284
LSF = 1.1
U = np.linspace(-8.0, 8.0, 801)
DENSITY = np.exp(-0.5 * U**2) + 0.004 / (1 + (U / 2) ** 2)
FIDUCIAL = (1066.97198, -5.82924699, 9.12740701e-3, -5.84149923e-6, -7.65158285e-10)


def nominal_law() -> DispersionGuess:
    pixel = np.arange(-8.0, 272.0)
    wave = 10.0 * np.polynomial.chebyshev.chebval(pixel, FIDUCIAL)
    order = np.argsort(wave)
    return DispersionGuess(wave[order], pixel[order])


@dataclass(frozen=True)
class SmallField:
    """About 120 lenslets: traces, true pixel of a wavelength, throughput, places on the sky."""

    traces: TraceSet
    zero: np.ndarray
    scale: np.ndarray
    throughput: np.ndarray
    layout: Layout

    def pixel(self, wave: np.ndarray) -> np.ndarray:
        """True detector column (n, k): the nominal law, stretched by a per cent over the field, and bent."""
        law = nominal_law()
        p = np.interp(wave, law.wave, law.pixel)
        t = (p - 130.0) / 130.0
        return self.zero[:, None] + 130.0 * self.scale[:, None] * t + 1.5 * t**2 + 0.4 * t**3

    def wave(self) -> np.ndarray:
        """True wavelength of every trace sample."""
        table = np.arange(3300.0, 10900.0, 5.0)
        x = self.pixel(table)
        at = self.traces.start[:, None] + np.arange(self.traces.centre.shape[1])
        wave = np.stack([np.interp(-a, -row, table) for a, row in zip(at, x, strict=True)])
        return np.where(np.isfinite(self.traces.centre), wave, np.nan)

    def solution(self) -> WavelengthSolution:
        """The true wavelength solution."""
        wave, none = self.wave(), np.zeros(0)
        n = self.zero.size
        lsf = np.where(np.isfinite(wave), LSF, np.nan)
        return WavelengthSolution(
            self.traces.aperture,
            self.traces.start,
            np.zeros(n, np.int32),
            wave,
            0 * wave,
            lsf,
            none.astype(int),
            none,
            none,
            none,
            none,
            none.astype(int),
        )

    def flat(self) -> Throughput:
        """The true throughput."""
        table = np.arange(3500.0, 9900.0, 100.0)
        value = np.repeat(self.throughput[:, None], table.size, axis=1)
        return Throughput(
            self.traces.aperture, np.zeros(value.shape[0], np.int32), self.throughput, value, 0.001 * value, table
        )

    def image(self, flux: np.ndarray, *, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        """Expected electrons of spectra (n, m) given on the trace samples, moved across only."""
        row, sample = np.nonzero(np.isfinite(self.traces.centre))
        zero = np.zeros(row.size)
        along = (self.traces.start[row] + sample).astype(float)
        across = self.traces.centre[row, sample] + shift[1]
        foot = Footprints(along, across, zero, self.traces.sigma[row, sample], zero)
        a = design_matrix(foot, cumulative_profile(U, DENSITY), SHAPE, half_width=12)
        return project(a, flux[row, sample])

    def lines(self, wave: np.ndarray, strength: np.ndarray, *, shift: float = 0.0) -> np.ndarray:
        """Expected electrons of emission lines (k,) of given strengths in all lenslets."""
        x = self.pixel(wave) + shift
        n, k = x.shape
        sample = np.clip(x - self.traces.start[:, None], 0, self.traces.centre.shape[1] - 1)
        across = np.stack([np.interp(s, np.arange(c.size), c) for s, c in zip(sample, self.traces.centre, strict=True)])
        flux = (self.throughput[:, None] * strength).ravel()
        inside = ((x > self.traces.start[:, None]) & (x < self.traces.start[:, None] + LENGTH)).ravel()
        one = np.ones(n * k)
        foot = Footprints(x.ravel(), across.ravel(), 0.007 * one, 1.12 * one, LSF * one)
        a = design_matrix(Footprints(*(v[inside] for v in foot)), cumulative_profile(U, DENSITY), SHAPE, half_width=12)
        return project(a, flux[inside])


def small_field(seed: int = 0) -> SmallField:
    """Make the field."""
    rng = np.random.default_rng(seed)
    basis = 45.5 * np.array([[0.9622, -0.2723], [0.7169, 0.6973]])
    q, r = (v.ravel() for v in np.meshgrid(np.arange(-15, 25), np.arange(-15, 25)))
    place = np.stack([q, r], axis=1) @ basis + [60.0, 40.0]
    keep = (
        (place[:, 0] > 5) & (place[:, 0] < SHAPE[1] - LENGTH - 5) & (place[:, 1] > 15) & (place[:, 1] < SHAPE[0] - 18)
    )
    q, r, place = q[keep], r[keep], place[keep]
    n = q.size
    start = np.floor(place[:, 0]).astype(int)
    t = np.arange(LENGTH)
    centre = place[:, 1:] + 0.007 * (t - 142) + 2e-6 * (t - 142) ** 2
    traces = TraceSet(
        np.arange(n),
        start,
        q,
        r,
        np.zeros(n, np.int32),
        centre,
        np.full(centre.shape, 1.12),
        np.zeros(centre.shape, np.int32),
        U,
        DENSITY,
    )
    scale = 1.0 + 0.01 * (place[:, 0] / SHAPE[1] - place[:, 1] / SHAPE[0])
    layout = Layout(
        np.arange(n), 0.01407 * (place[:, 0] - 140), 0.01407 * (place[:, 1] - 210), np.zeros(n, np.int32), 0.64, 104.3
    )
    return SmallField(traces, place[:, 0] + 142.0, scale, rng.uniform(0.8, 1.1, n), layout)


def frame(expected: np.ndarray, rng: np.random.Generator, *, floor: float = 16.0) -> Frame:
    """A noisy frame of expected electrons."""
    data = rng.poisson(np.maximum(expected, 0)) + rng.normal(0, floor**0.5, expected.shape)
    variance = (floor + np.maximum(expected, 0)).astype(np.float32)
    return Frame(data.astype(np.float32), variance, np.zeros(expected.shape, np.int32), {"NOISEFLR": floor})
