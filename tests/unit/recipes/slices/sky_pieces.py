"""Pieces of slices under one sky: each slice with its own brightness, shift and width of lines."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tracecube.core.slices import SliceSegments

SIGMA = 1.1  # Angstrom, of a line

CARDS = {
    "ESO INS MODE": "WFM-NOAO-N",
    "RA": 53.16,
    "DEC": -27.8,
    "ESO INS DROT POSANG": 0.0,
    "EXPTIME": 600.0,
    "MJD-OBS": 58500.0,
    "ESO TEL AIRM START": 1.1,
    "ESO TEL AIRM END": 1.1,
    "ESO TEL PARANG START": 10.0,
    "ESO TEL PARANG END": 12.0,
}


@dataclass
class Sky:
    """Lines on a continuum (light relative to the lamp), and what slices make of them."""

    slices: int = 24
    pieces: int = 4
    noise: float = 0.01
    seed: int = 1
    line_wave: np.ndarray = field(init=False)
    strength: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(100)
        self.line_wave = np.sort(rng.uniform(4800.0, 9250.0, 130))
        self.strength = 10 ** rng.uniform(-0.7, 1.0, 130)
        rng = np.random.default_rng(self.seed)
        n = self.slices
        self.gain = 1.0 + rng.normal(0, 0.02, n)
        self.gain /= self.gain.mean()
        self.shift = rng.normal(0, 0.08, n)
        self.shift -= np.median(self.shift)
        self.excess = rng.normal(0, 0.1, n)
        self.excess -= np.median(self.excess)

    def seen(self, wave: np.ndarray, *, row: int | None = None) -> np.ndarray:
        """Sky at true wavelengths; as a slice sees it where one is given."""
        width = SIGMA if row is None else np.sqrt(SIGMA**2 + self.excess[row])
        made = 1.0 + 0.1 * (wave - 7000.0) / 2300.0
        for line, one in zip(self.line_wave, self.strength, strict=True):
            near = np.abs(wave - line) < 9.0
            made[near] += one * np.exp(-0.5 * ((wave[near] - line) / width) ** 2) * SIGMA / width
        return made if row is None else self.gain[row] * made

    def segments(
        self, detectors: int = 1, *, zero: float = 0.0, extra: np.ndarray | None = None
    ) -> list[SliceSegments]:
        """Spectra of the pieces; the day's wavelengths lack each slice's shift, and ``zero`` besides.

        ``extra`` (slices, pieces) is the continuum of objects, as smooth as they are.
        """
        rng = np.random.default_rng(self.seed + 1)
        each = self.slices // detectors
        found = []
        for number in range(detectors):
            rows = np.repeat(np.arange(number * each, (number + 1) * each), self.pieces)
            piece = np.tile(np.arange(self.pieces), each)
            start = 4640.0 + rng.uniform(0, 1.25, rows.size)
            true = start[:, None] + 1.25 * np.arange(3780)[None, :]
            clean = np.array([self.seen(one, row=row) for row, one in zip(rows, true, strict=True)])
            if extra is not None:
                clean = clean + extra[rows, piece][:, None] * (1.0 + 0.3 * (true - 7000.0) / 2300.0)
            variance = self.noise**2 * clean
            flux = clean + rng.normal(0, np.sqrt(variance))
            clear = (true > 5600) & (true < 7500)
            found.append(
                SliceSegments(
                    flux=flux.astype(np.float32),
                    variance=variance.astype(np.float32),
                    wave=true - self.shift[rows][:, None] - zero,
                    flags=np.zeros(flux.shape, np.int32),
                    aperture=(rows - number * each + 1).astype(np.int32),
                    piece=piece.astype(np.int32),
                    x=np.zeros(rows.size),
                    y=np.zeros(rows.size),
                    white=np.array([np.median(one[c]) for one, c in zip(flux, clear, strict=True)]),
                    white_error=np.full(rows.size, 1e-3),
                    spread=np.zeros(rows.size),
                    meta={**CARDS, "DETECTOR": f"CHAN{number + 1:02d}"},
                )
            )
        return found
