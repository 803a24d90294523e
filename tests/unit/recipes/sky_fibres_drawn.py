"""Fibres of one amplifier under a sky, drawn by the forward model: for tests of throughput, sky and their errors."""

from __future__ import annotations

import numpy as np

from tracecube.core.fibres import FibreSpectra

__all__ = ["STEP", "M", "N", "draw", "factors"]

N, M = 60, 400
STEP = 2.0


def sky(wave: np.ndarray, sigma: np.ndarray, level: float) -> np.ndarray:
    """Continuum, broad structure and one line, electrons / Angstrom."""
    smooth = level * (1.0 + 0.3 * np.sin(wave / 60.0))
    line = 4.0 * level * np.exp(-0.5 * ((wave - 4358.3) / sigma) ** 2) * 2.4 / sigma
    return np.asarray(smooth + line)


def draw(
    slot: int, throughput: np.ndarray, *, level: float, seed: int, extra: np.ndarray | float = 0.0
) -> FibreSpectra:
    """Draw the fibres of one amplifier: bent wavelengths, widths of their own, photon and read noise."""
    rng = np.random.default_rng(seed)
    row, column = np.arange(N)[:, None], np.arange(M)[None]
    wave = 4000.0 + STEP * column + 3.0 * (row / N - 0.5) ** 2 + 0.37 * (slot % 7) + 0.01 * row
    sigma = np.broadcast_to(2.4 + 0.004 * row, wave.shape)
    light = throughput[:, None] * (sky(wave, sigma, level) * STEP + extra)
    variance = 45.0 + light
    flux = light + rng.normal(0.0, 1.0, light.shape) * np.sqrt(variance)
    angle = np.arange(N) * 2.4
    place = 24.0 * np.sqrt(np.arange(N) / N)
    none = np.zeros((N, M), np.float32)
    names = {"unit": np.full(N, f"{slot:03d}/1/1/1"), "amp": np.full(N, "LL")}
    return FibreSpectra(
        flux=flux, variance=variance, flags=np.zeros((N, M), np.int32), wave=wave, lsf_sigma=sigma, blend=none,
        unit=names["unit"], ifuslot=np.full(N, slot), amp=names["amp"], fibre=np.arange(N), exp=np.ones(N, int),
        x=place * np.cos(angle), y=place * np.sin(angle), ra=np.full(N, np.nan), dec=np.full(N, np.nan),
        throughput=np.ones(N), dq=np.zeros(N, np.int32),
    )  # fmt: skip


def factors(seed: int) -> np.ndarray:
    """Throughputs about 1."""
    return np.random.default_rng(seed).normal(1.0, 0.07, N)
