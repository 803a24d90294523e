"""The sky of an exposure from that of an exposure of the sky: its continuum, its lines refitted or as they are.

With L the lines of the sky exposure above its continuum C, the sky is C + (1 + a) L + b L' + c L'': a changes along the
spectrum by straight lines between nodes 150 A apart, for bands of lines brighten and fade apart; b and c, a shift and a
width, by parabolas. They are fitted to the exposure's own spectrum beside a free smooth continuum, samples far off left
out: lines of objects make no line of the sky brighter, and light of objects stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, percentile_filter

from tracecube.core.slice_light import SliceSky
from tracecube.kernels import sky_spline
from tracecube.recipes.slices.sky_fit import REFERENCE, SPAN, SkyFit

__all__ = ["BORDERS", "Borrowed", "borrowed_sky", "continuum_of", "sampled"]

F8 = NDArray[np.float64]

BORDERS = (4660.0, 9340.0)
"""Angstrom, between which the sky is known."""

_STEP = 0.3  # Angstrom, samples: half the distance of the spline's knots
_ENVELOPE, _SHARE = 120.0, 20.0  # Angstrom and per cent: the continuum lies at the lower end of such a window
_NODES, _SMOOTH = 150.0, 80.0  # Angstrom between nodes of the lines' strength and of the free continuum
_CLIP, _ROUNDS = 5.0, 5


class Borrowed(NamedTuple):
    """The sky on the exposure's own scale.

    Coefficients, mean strength of its lines over those of the sky exposure, its scatter along the spectrum, and rms of
    what is left over that of the lines.
    """

    coefficient: F8
    strength: float
    change: float
    left: float


def continuum_of(spectrum: F8, step: float) -> F8:
    """Return the continuum of a spectrum (k,) at even wavelengths ``step`` Angstrom apart: its lower envelope."""
    low = percentile_filter(spectrum, _SHARE, size=int(_ENVELOPE / step) | 1, mode="nearest")
    return np.asarray(gaussian_filter1d(low, 0.25 * _ENVELOPE / step, mode="nearest"))


def sampled(coefficient: F8, first: float, step: float) -> tuple[F8, F8]:
    """Return even wavelengths (Angstrom, of the spline's own scale) and the spectrum with two derivatives (3, k)."""
    wave = np.arange(*BORDERS, _STEP)
    return wave, sky_spline.derivatives(wave, np.asarray(coefficient, np.float64), first, step)[:3]


def borrowed_sky(own: SkyFit, other: SliceSky, *, zero: tuple[float, float], scale: float, refit: bool) -> Borrowed:
    """Return the sky of an exposure as an exposure of the sky has it.

    Parameters
    ----------
    own : SkyFit
    other : SliceSky
        Of the exposure of the sky.
    zero : (float, float), Angstrom
        Shift and stretch from the scale of ``own`` to wavelengths.
    scale : float
        Exposure time over that of ``other``.
    refit : bool
        Strength, shift and width of lines are those of ``own``.
    """
    wave = np.arange(*BORDERS, _STEP)
    z = (wave - REFERENCE) / SPAN
    there = wave + zero[0] - other.own_shift + (zero[1] - other.own_stretch) * z
    light = (
        scale * sky_spline.derivatives(there, np.asarray(other.coefficient, np.float64), other.first, other.step)[:3]
    )
    base = continuum_of(light[0], _STEP)
    made, strength, change, left = light[0], 1.0, 0.0, float("nan")
    if refit:
        spectrum = sky_spline.derivatives(wave, np.asarray(own.coefficient, np.float64), own.first, own.step)[0]
        made, factor, left = _refitted(wave, z, (light[0] - base, light[1], light[2]), spectrum - base)
        made = made + base
        strength, change = float(np.mean(factor)), float(np.std(factor))
    matrix, rhs = np.zeros((sky_spline.BAND, own.coefficient.size)), np.zeros(own.coefficient.size)
    sky_spline.accumulate(wave, made, np.ones_like(wave), 1.0, own.first, own.step, matrix, rhs)
    return Borrowed(sky_spline.solve(matrix, rhs), strength, change, left)


def _refitted(wave: F8, z: F8, lines: tuple[F8, F8, F8], target: F8) -> tuple[F8, F8, float]:
    """Return the lines as they are in ``target``, their strength at the nodes, and what is left over the lines' rms."""
    strength, smooth = _hats(wave, _NODES), _hats(wave, _SMOOTH)
    parabola = np.stack([np.ones_like(z), z, z * z], axis=1)
    bent = [lines[1][:, None] * parabola, lines[2][:, None] * parabola]
    design = np.concatenate([lines[0][:, None] * strength, *bent, smooth], axis=1)
    kept = np.ones(wave.size, bool)
    count = design.shape[1] - smooth.shape[1]
    found = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        some = design[kept]
        matrix = some.T @ some
        prior = np.zeros(len(matrix))
        prior[: strength.shape[1]] = 1e-6 * np.trace(matrix[:count, :count]) / count  # nodes without lines stay at 1
        rhs = (
            some.T @ target[kept] + prior * np.r_[np.ones(strength.shape[1]), np.zeros(len(prior) - strength.shape[1])]
        )
        found = np.linalg.lstsq(matrix + np.diag(prior), rhs, rcond=1e-12)[0]
        off = target - design @ found
        spread = 1.4826 * float(np.median(np.abs(off - np.median(off))))
        kept = np.abs(off) < _CLIP * max(spread, 1e-300) + 0.02 * np.abs(lines[0])
    left = float(np.std(off[kept]) / max(np.std(lines[0]), 1e-300))
    return design[:, :count] @ found[:count], found[: strength.shape[1]], left


def _hats(wave: F8, step: float) -> F8:
    """Return straight-line interpolation between even nodes (k, nodes)."""
    count = int((wave[-1] - wave[0]) / step) + 1
    at = (wave - wave[0]) / (wave[-1] - wave[0]) * (count - 1) * (1 - 1e-12)
    j = at.astype(int)
    basis = np.zeros((wave.size, count))
    rows = np.arange(wave.size)
    basis[rows, j], basis[rows, j + 1] = 1.0 - (at - j), at - j
    return basis
