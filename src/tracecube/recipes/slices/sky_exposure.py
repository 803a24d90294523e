"""The sky of an exposure from that of an exposure of the sky: its continuum, its lines refitted or as they are.

With L the lines of the sky exposure above its continuum C, the sky is C + (1 + a) L + b L' + c L'': a changes along the
spectrum by straight lines between nodes 150 A apart, for bands of lines brighten and fade apart; b and c, a shift and a
width, by parabolas. They are fitted to the exposure's own spectrum beside a free smooth continuum, samples far off left
out: lines of objects make no line of the sky brighter, and light of objects stays. That light is smooth but for what
air and objects take out of it, as brighter pieces show: a line of the sky upon a band of the air would seem fainter.

Bands overlap, and each brightens by itself: beyond a, single lines are stronger or weaker by some per cent. These
departures are drawn from a distribution of Student about 0, whose width the lines show (Lange, Little & Taylor 1989,
J. Am. Stat. Assoc. 84, 881), so that a faint line departs only as far as it is seen to. Samples that have not the shape
of the sky's lines, where an object has a line upon them, do not count, nor do those beside known gas.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter1d, median_filter, percentile_filter

from tracecube.core.slice_light import SliceSky
from tracecube.kernels import sky_spline
from tracecube.recipes.slices.object_bands import bands_at
from tracecube.recipes.slices.sky_fit import REFERENCE, SPAN, SkyFit, Windows

__all__ = ["BORDERS", "Borrowed", "borrowed_sky", "continuum_of", "sampled"]

F8 = NDArray[np.float64]

BORDERS = (4660.0, 9340.0)
"""Angstrom, between which the sky is known."""

_STEP = 0.3  # Angstrom, samples: half the distance of the spline's knots
_ENVELOPE, _SHARE = 120.0, 20.0  # Angstrom and per cent: the continuum lies at the lower end of such a window
_NODES, _SMOOTH = 150.0, 80.0  # Angstrom between nodes of the lines' strength and of the free continuum
_CLIP, _ROUNDS = 5.0, 5
_FLOOR = 0.02  # of the light of a line, by which samples may be off besides
_LINE = 6.0  # Angstrom between nodes of single lines' strength: two widths of a line
_AROUND = 300.0  # Angstrom over which noise is alike
_ALIKE = 2.5  # samples that go together: knots are two samples apart
_SHAPE = 0.01  # of the light of a line, by which its shape may differ: nothing is upon a bright one that is less
_MOST = 0.3  # by which a line may depart from its band
_EM, _TAIL = 15, 2.0  # rounds; degrees of freedom of Student's distribution
_SURE = 1.0  # information of a node, over that of the distribution, from which on it tells of its width
_WIDTH = 2.0  # Angstrom about samples far off, in which a line of an object may be


class Borrowed(NamedTuple):
    """The sky on the exposure's own scale.

    Coefficients, mean strength of its lines over those of the sky exposure, its scatter along the spectrum, rms of what
    is left over that of the lines, and by what share single lines depart from their bands.
    """

    coefficient: F8
    strength: float
    change: float
    left: float
    apart: float


def continuum_of(spectrum: F8, step: float) -> F8:
    """Return the continuum of a spectrum (k,) at even wavelengths ``step`` Angstrom apart: its lower envelope."""
    low = percentile_filter(spectrum, _SHARE, size=int(_ENVELOPE / step) | 1, mode="nearest")
    return np.asarray(gaussian_filter1d(low, 0.25 * _ENVELOPE / step, mode="nearest"))


def sampled(coefficient: F8, first: float, step: float) -> tuple[F8, F8]:
    """Return even wavelengths (Angstrom, of the spline's own scale) and the spectrum with two derivatives (3, k)."""
    wave = np.arange(*BORDERS, _STEP)
    return wave, sky_spline.derivatives(wave, np.asarray(coefficient, np.float64), first, step)[:3]


def borrowed_sky(  # noqa: PLR0913 - both skies, and how they lie to each other
    own: SkyFit,
    other: SliceSky,
    *,
    zero: tuple[float, float],
    scale: float,
    refit: bool,
    without: Windows = (),
) -> Borrowed:
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
    without : sequence of (float, float), Angstrom
        Ranges where ``own`` has lines of gas, which tell nothing.
    """
    wave = np.arange(*BORDERS, _STEP)
    z = (wave - REFERENCE) / SPAN
    there = wave + zero[0] - other.own_shift + (zero[1] - other.own_stretch) * z
    light = (
        scale * sky_spline.derivatives(there, np.asarray(other.coefficient, np.float64), other.first, other.step)[:3]
    )
    base = continuum_of(light[0], _STEP)
    made, strength, change, left, apart = light[0], 1.0, 0.0, float("nan"), 0.0
    if refit:
        spectrum = sky_spline.derivatives(wave, np.asarray(own.coefficient, np.float64), own.first, own.step)[0]
        gas = np.zeros(wave.size, bool)
        for low, high in without:
            gas |= (wave + zero[0] + zero[1] * z > low) & (wave + zero[0] + zero[1] * z < high)
        bands = bands_at(wave, own.objects, own.first, own.step)
        found = _refitted(wave, z, (light[0] - base, light[1], light[2]), spectrum - base, ~gas, bands)
        share, apart = _line_by_line(wave, found.lines, found.off, ~gas)
        made = base + found.lines * (1.0 + share)
        left = float(np.std((found.off - found.lines * share)[found.kept]) / max(np.std(light[0] - base), 1e-300))
        strength, change = float(np.mean(found.strength)), float(np.std(found.strength))
    matrix, rhs = np.zeros((sky_spline.BAND, own.coefficient.size)), np.zeros(own.coefficient.size)
    sky_spline.accumulate(wave, made, np.ones_like(wave), 1.0, own.first, own.step, matrix, rhs)
    return Borrowed(sky_spline.solve(matrix, rhs), strength, change, left, apart)


class _Refitted(NamedTuple):
    """Lines as they are in the exposure, their strength at the nodes, what is left of it, and where that tells."""

    lines: F8
    strength: F8
    off: F8
    kept: NDArray[np.bool_]


def _refitted(  # noqa: PLR0913 - both spectra, and what tells
    wave: F8, z: F8, lines: tuple[F8, F8, F8], target: F8, clear: NDArray[np.bool_], bands: F8
) -> _Refitted:
    """Return the lines as they are in ``target``, bands and all lines alike, where samples are ``clear``.

    ``bands`` (k,) is what is left of smooth light of objects.
    """
    strength, smooth = _hats(wave, _NODES), bands[:, None] * _hats(wave, _SMOOTH)
    parabola = np.stack([np.ones_like(z), z, z * z], axis=1)
    bent = [lines[1][:, None] * parabola, lines[2][:, None] * parabola]
    design = np.concatenate([lines[0][:, None] * strength, *bent, smooth], axis=1)
    kept = clear.copy()
    count = design.shape[1] - smooth.shape[1]
    found, off = np.zeros(design.shape[1]), target
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
        kept = clear & (np.abs(off) < _CLIP * max(spread, 1e-300) + _FLOOR * np.abs(lines[0]))
    return _Refitted(design[:, :count] @ found[:count], found[: strength.shape[1]], off, kept)


def _line_by_line(wave: F8, lines: F8, off: F8, kept: NDArray[np.bool_]) -> tuple[F8, float]:
    """Return by what share single lines are stronger (k,), and the width of the Gaussian of these shares.

    Parameters
    ----------
    wave : array (k,), Angstrom
    lines : array (k,)
        As bands of lines and the mean of all make them.
    off : array (k,)
        What is left of the exposure.
    kept : bool array (k,)
        Samples that tell.
    """
    quiet = np.abs(lines) < np.median(np.abs(lines))  # between the lines
    spread = median_filter(np.abs(off[quiet]), size=int(0.5 * _AROUND / _STEP) | 1, mode="nearest")
    noise = 1.4826 * np.maximum(np.interp(wave, wave[quiet], spread), 1e-300)
    sure = np.sqrt(noise**2 + (_SHAPE * lines) ** 2)
    nodes = np.arange(wave[0], wave[-1] + _LINE, _LINE)
    at = np.minimum(((wave - wave[0]) / _LINE).astype(int), nodes.size - 2)
    rise = (wave - nodes[at]) / _LINE
    hats = 1.0 - rise, rise

    def at_nodes(values: F8, power: int) -> F8:
        return np.asarray(sum(np.bincount(at + k, hat**power * values, nodes.size) for k, hat in enumerate(hats)))

    clear = kept & ~_beside(np.abs(off) > _CLIP * noise + _MOST * np.abs(lines))
    made, width = np.zeros(wave.size), 0.0
    for _ in range(_ROUNDS):
        counts = np.where(clear, noise**-2.0 / _ALIKE, 0.0)
        diagonal = at_nodes(counts * lines**2, 2)
        beside = np.asarray(np.bincount(at, counts * hats[0] * hats[1] * lines**2, nodes.size), np.float64)
        share, width = _drawn(diagonal, beside, at_nodes(counts * lines * off, 1))
        made = share[at] * hats[0] + share[at + 1] * hats[1]
        before, clear = clear, clear & ~_beside(np.abs(off - lines * made) > _CLIP * sure)
        if np.array_equal(before, clear):
            break
    return np.asarray(made), width


def _beside(far: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return samples that are, or lie within a line's width of, ones that are far off."""
    return np.asarray(binary_dilation(far, iterations=int(_WIDTH / _STEP)))


def _drawn(diagonal: F8, beside: F8, right: F8) -> tuple[F8, float]:
    """Return shares at the nodes (n,), drawn to 0, and the width of the distribution that they are drawn from.

    Parameters
    ----------
    diagonal, beside : array (n,)
        Of the normal equations: of each node, and of it with the next.
    right : array (n,)
    """
    variance = _MOST**2
    precision = np.full(right.size, 1.0 / variance)
    share = np.zeros(right.size)
    for _ in range(_EM):
        matrix = np.diag(diagonal + precision) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
        spread = np.linalg.inv(matrix)
        share = spread @ right
        power = share**2 + np.diag(spread)
        told = diagonal > _SURE / variance
        if told.any():
            variance = float(np.mean(((_TAIL + 1.0) * power / (_TAIL + power / variance))[told]))
        precision = (_TAIL + 1.0) / (_TAIL * variance + power)
    return share, float(np.sqrt(variance))


def _hats(wave: F8, step: float) -> F8:
    """Return straight-line interpolation between even nodes (k, nodes)."""
    count = int((wave[-1] - wave[0]) / step) + 1
    at = (wave - wave[0]) / (wave[-1] - wave[0]) * (count - 1) * (1 - 1e-12)
    j = at.astype(int)
    basis = np.zeros((wave.size, count))
    rows = np.arange(wave.size)
    basis[rows, j], basis[rows, j + 1] = 1.0 - (at - j), at - j
    return basis
