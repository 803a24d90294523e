"""Light on the pixels of a channel: every slice's spectrum through its line-spread function, where the optics put it.

This is A f of the forward model d = A f + b + n for slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, erf, floor

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.instruments.muse.simulation.light import GRID
from tracecube.instruments.muse.simulation.lsf import NODES, OFFSET, LineSpread
from tracecube.instruments.muse.simulation.optics import COLUMNS, ROWS, SLICES, Optics, State
from tracecube.kernels.compiled import compiled

__all__ = ["ALONG", "EVEN", "SHARE_WAVES", "Beam", "Part", "paint", "smear", "smear_lines"]

_STEP = float(GRID[1] - GRID[0])
_REACH = 7.0  # Angstrom
_TABLE = float(OFFSET[1] - OFFSET[0])
_EDGE = 0.75  # px, standard deviation of the ends of a slice on the CCD
_ASIDE = 30.0  # px: where wavelengths are known on both sides of the middle

EVEN = np.linspace(-0.5, 0.5, 129)
"""Places along a slice, in its length, at which light that is nearly even is given."""

ALONG = 0.25 * np.arange(-160, 161)
"""Places along a slice (spaxel, to the west) at which light of sources is given."""

_NODES = 20
_BLUE, _RED = float(GRID[0]) ** -2, float(GRID[-1]) ** -2
SHARE_WAVES = np.linspace(_BLUE, _RED, _NODES) ** -0.5
"""Wavelengths (Angstrom) at which light of sources is given: evenly in what refraction goes with."""


@dataclass(frozen=True)
class Beam:
    """Where a channel's light falls in one state.

    Parameters
    ----------
    middle : array (48, y), px
    wave : array (48, y, 3), Angstrom
        Series of the wavelength in the distance from the middle.
    """

    middle: FloatArray
    wave: FloatArray

    @classmethod
    def of(cls, optics: Optics, state: State) -> Beam:
        """Follow the optics through all rows."""
        y = np.arange(ROWS, dtype=float)
        left, mid, right = np.moveaxis(optics.places(y, np.array([-_ASIDE, 0.0, _ASIDE]), state), 2, 0)
        bend = (0.5 * (left + right) - mid) / _ASIDE**2
        return cls(optics.middle(y, state), np.stack([mid, 0.5 * (right - left) / _ASIDE, bend], axis=-1))


@dataclass(frozen=True)
class Part:
    """Light of one spectrum, as each slice sees it.

    Parameters
    ----------
    spectrum : array (48, n_grid)
        Electrons an Angstrom, smeared.
    share : array (48, n_node, n_along)
        How much of it a spaxel catches, at `SHARE_WAVES` and `ALONG`.
    """

    spectrum: FloatArray
    share: FloatArray


def smear(spectrum: FloatArray, spread: LineSpread) -> FloatArray:
    """Spectra (48, n_grid) on `GRID` of a spectrum (n_grid,) through the line-spread functions of the slices."""
    half = round(_REACH / _STEP)
    at = np.rint((_STEP * np.arange(-half, half + 1) - OFFSET[0]) / _TABLE).astype(int)
    taps = spread.value[:, :, at]
    taps = taps / taps.sum(axis=2, keepdims=True)
    padded = np.pad(spectrum, half, mode="edge")
    return np.asarray(_convolve(padded, taps, GRID, NODES))


@compiled(fastmath=True)
def _convolve(padded: FloatArray, taps: FloatArray, grid: FloatArray, nodes: FloatArray) -> FloatArray:
    """Convolve with functions that change linearly between nodes; the function is that where the light ends up."""
    count, size = taps.shape[0], taps.shape[2]
    out = np.empty((count, grid.size), np.float32)
    for s in range(count):
        for i in range(grid.size):
            at = (grid[i] - nodes[0]) / (nodes[1] - nodes[0])
            k = min(max(int(at), 0), nodes.size - 2)
            part = min(max(at - k, 0.0), 1.0)
            low, high = 0.0, 0.0
            for j in range(size):
                value = padded[i + j]
                low += value * taps[s, k, size - 1 - j]
                high += value * taps[s, k + 1, size - 1 - j]
            out[s, i] = (1.0 - part) * low + part * high
    return out


def smear_lines(wave: FloatArray, strength: FloatArray, spread: LineSpread) -> FloatArray:
    """Spectra (48, n_grid) on `GRID` of lines (n,) without width of their own, of some strength (integral)."""
    return np.asarray(_lines(wave, strength, spread.value, OFFSET, GRID, NODES))


@compiled()
def _lines(  # noqa: PLR0913 - arrays of a kernel
    wave: FloatArray, strength: FloatArray, value: FloatArray, offset: FloatArray, grid: FloatArray, nodes: FloatArray
) -> FloatArray:
    """Put lines on the grid, linearly from the table of each slice."""
    out = np.zeros((value.shape[0], grid.size), np.float32)
    step, fine = grid[1] - grid[0], offset[1] - offset[0]
    half = int(10.0 / step)
    for n in range(wave.size):
        at = (wave[n] - nodes[0]) / (nodes[1] - nodes[0])
        k = min(max(int(at), 0), nodes.size - 2)
        part = min(max(at - k, 0.0), 1.0)
        centre = int((wave[n] - grid[0]) / step)
        for i in range(max(centre - half, 0), min(centre + half + 1, grid.size)):
            x = (grid[i] - wave[n] - offset[0]) / fine
            j = int(x)
            y = x - j
            for s in range(value.shape[0]):
                low = value[s, k, j] + y * (value[s, k, j + 1] - value[s, k, j])
                high = value[s, k + 1, j] + y * (value[s, k + 1, j + 1] - value[s, k + 1, j])
                out[s, i] += strength[n] * ((1.0 - part) * low + part * high)
    return out


def paint(
    beam: Beam, optics: Optics, brightness: FloatArray, smooth: FloatArray, even: FloatArray, *sources: Part
) -> FloatArray:
    """Electrons (4112, 4096) that are expected.

    Parameters
    ----------
    beam : Beam
    optics : Optics
    brightness : array (48,)
        Of the slices.
    smooth : array (48, n_grid)
        Spectrum that fills the slices, electrons an Angstrom and pixel along the slit.
    even : array (48, 129)
        How even all light is along the slices, at `EVEN`.
    *sources : Part
        Spectra that do not fill them.
    """
    kept = [part for part in sources if part.share.any()]
    spectra = np.stack([part.spectrum for part in kept]) if kept else np.zeros((0, SLICES, GRID.size), np.float32)
    shares = np.stack([part.share for part in kept]) if kept else np.zeros((0, SLICES, _NODES, ALONG.size), np.float32)
    image = np.zeros((ROWS, COLUMNS), np.float32)
    _paint(
        image,
        (beam.middle, beam.wave, optics.width, optics.length, brightness),
        (np.asarray(smooth, np.float32), np.asarray(even, np.float32)),
        (spectra.astype(np.float32), shares.astype(np.float32), shares.any(axis=(2, 3))),
        (float(GRID[0]), _STEP, _BLUE, _RED, float(ALONG[0]), float(ALONG[1] - ALONG[0]), _EDGE),
    )
    return image


@compiled(fastmath=True)
def _cubic(x: float) -> tuple[float, float, float, float]:
    """Weights of Lagrange's interpolation between four points at -1, 0, 1, 2."""
    return (
        -x * (x - 1.0) * (x - 2.0) / 6.0,
        (x + 1.0) * (x - 1.0) * (x - 2.0) / 2.0,
        -(x + 1.0) * x * (x - 2.0) / 2.0,
        (x + 1.0) * x * (x - 1.0) / 6.0,
    )


@compiled(fastmath=True)
def _paint(
    image: FloatArray,
    slices: tuple[FloatArray, ...],
    flat: tuple[FloatArray, FloatArray],
    sources: tuple[FloatArray, FloatArray, FloatArray],
    scale: tuple[float, ...],
) -> None:
    """Add up the light of all slices, row by row."""
    middle, wave, width, length, brightness = slices
    smooth, even = flat
    spectra, shares, lit = sources
    first, step, blue, red, west, space, soft = scale
    rows, columns = image.shape
    count, places = spectra.shape[0], even.shape[1] - 1
    for y in range(rows):
        for s in range(middle.shape[0]):
            mid, half = middle[s, y], 0.5 * width[s]
            before, after = max(y - 1, 0), min(y + 1, rows - 1)
            disp = (wave[s, after, 0] - wave[s, before, 0]) / (after - before) * brightness[s]
            node = (wave[s, y, 0] ** -2 - blue) / (red - blue) * (shares.shape[2] - 1)
            n = min(max(int(node), 1), shares.shape[2] - 3)
            nw = _cubic(node - n)
            for x in range(max(ceil(mid - half - 4.0), 0), min(floor(mid + half + 4.0) + 1, columns)):
                d = x - mid
                near = half - abs(d)
                edge = 1.0 if near > 4.0 else 0.5 * (1.0 + erf(near / (soft * 1.4142135623730951)))
                at = (wave[s, y, 0] + d * (wave[s, y, 1] + d * wave[s, y, 2]) - first) / step
                i = min(max(int(at), 1), smooth.shape[1] - 3)
                g = _cubic(at - i)
                t = min(max(0.5 - d / width[s], 0.0), 0.999999) * places
                e = int(t)
                level = even[s, e] + (t - e) * (even[s, e + 1] - even[s, e])
                q = smooth[s]
                light = g[0] * q[i - 1] + g[1] * q[i] + g[2] * q[i + 1] + g[3] * q[i + 2]
                a = (-d / width[s] * length[s] - west) / space
                j = min(max(int(a), 1), shares.shape[3] - 3)
                aw = _cubic(a - j)
                for k in range(count):
                    if lit[k, s]:
                        part = 0.0
                        for m in range(4):
                            z = shares[k, s, n - 1 + m]
                            part += nw[m] * (aw[0] * z[j - 1] + aw[1] * z[j] + aw[2] * z[j + 1] + aw[3] * z[j + 2])
                        q = spectra[k, s]
                        light += part * (g[0] * q[i - 1] + g[1] * q[i] + g[2] * q[i + 1] + g[3] * q[i + 2])
                image[y, x] += disp * edge * level * light
