"""Wings of lines along dispersion, from a frame of lasers that was extracted as all others are.

Every sample of a lenslet's spectrum is a sum over its lasers of amplitude times line: a core, free within 2.5 px, and
wings at three, four and five pixels on either side. What the profile across dispersion, learnt from white light, takes
wrongly for the light of one colour shows in the lasers of the traces beside, and is fitted with them. Where the wings
of two lasers overlap only their sum is known: they are drawn towards none by what wings usually are. Zones of the
detector tell how far the wings of one lenslet are from those of all.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.optics import LineWings

__all__ = ["laser_wings"]

F8 = NDArray[np.float64]

_CORE = 2.5  # px
_STEPS = np.array([-6.0, -5.0, -4.0, -3.0, *np.arange(-2.5, 2.51, 0.5), 3.0, 4.0, 5.0, 6.0])
"""Nodes of a line, px; at the outermost it ends."""
_OFFSET = np.array([-5.0, -4.0, -3.0, 3.0, 4.0, 5.0])
_WING, _LEAK = 0.01, 0.02  # usual sizes of a node of a wing (1 / px), and of a leak into the next trace
_LINE = 0.95  # px: width of what leaks
_MODEL, _TOLD = (
    5e-3,
    3e3,
)  # of a line's light a sample: what the model lacks; samples that are independent of each other
_FAINT, _UNLIKE = 0.05, 3.0  # of the brightest laser; between lenslets
_ZONES = 3  # a side of the detector
_LEAST = 20  # lenslets a zone
_FEWEST = 2  # zones that tell how unlike they are
_BLOCK = 1000  # lenslets at a time


def laser_wings(
    flux: FloatArray, wave: FloatArray, lasers: tuple[float, ...], beside: tuple[IntArray, IntArray], place: F8
) -> LineWings:
    """Measure the wings of lines along dispersion.

    Parameters
    ----------
    flux : array (n, m), electron
        Extracted lasers, NaN where not measured.
    wave : array (n, m), Angstrom
    lasers : tuple of float, Angstrom
    beside : (int array (n, m), int array (n, m))
        Row and sample of the light next across (`tracecube.recipes.extract.joint.TraceMatrix.beside`).
    place : array (n, 2)
        Of the lenslets on the detector, 0 to 1.

    Raises
    ------
    BadData
        No laser shines in enough lenslets, or in one part of the detector alone.
    """
    at, amplitude, lines = _lines(flux, wave, np.sort(np.array(lasers)))
    typical = np.nanmedian(amplitude, axis=0) if lines.size else np.zeros(0)
    with np.errstate(invalid="ignore"):
        alike = (amplitude > typical / _UNLIKE) & (amplitude < typical * _UNLIKE)
    used = np.flatnonzero(alike.all(axis=1) & (lines.size > 0))
    if used.size < _LEAST * _ZONES**2:
        raise BadData(f"lasers shine in {used.size} lenslets", hint="look at the WAVE,LAMP frame")
    zone = np.clip((place[used] * _ZONES).astype(int), 0, _ZONES - 1) @ np.array([_ZONES, 1])
    pairs = beside, _from_left(beside)
    count = lines.size * (_STEPS.size - 2) + 2 * lines.size
    normal, rhs, number = np.zeros((_ZONES**2, count, count)), np.zeros((_ZONES**2, count)), np.zeros(_ZONES**2)
    for which, matrix, data in _equations(flux, (at, amplitude), pairs, used, zone):
        normal[which] += matrix.T @ matrix
        rhs[which] += matrix.T @ data
        number[which] += data.size
    full = np.flatnonzero(number > _LEAST * flux.shape[1])
    if full.size < _FEWEST:
        raise BadData(
            f"lasers shine in {full.size} of {number.size} parts of the detector", hint="look at the WAVE,LAMP frame"
        )
    every = [_shares(normal[one], rhs[one], number[one], lines.size)[0] for one in full]
    whole, core = _shares(normal.sum(axis=0), rhs.sum(axis=0), number.sum(), lines.size)
    spread = np.std(every, axis=0)
    return LineWings(wave=lines, core=core, offset=_OFFSET.copy(), share=whole, error=np.asarray(spread))


def _lines(flux: FloatArray, wave: FloatArray, lasers: F8) -> tuple[F8, F8, F8]:
    """Place (sample) and light of each laser in each lenslet (n, l), NaN where not seen, and the lasers that shine."""
    number = np.arange(flux.shape[1], dtype=float)
    at = np.full((len(wave), lasers.size), np.nan)
    for row, one in enumerate(wave):
        on = np.isfinite(one)
        if on.sum() > 1:
            at[row] = np.interp(lasers, one[on], number[on], left=np.nan, right=np.nan)
    edge = np.abs(number - at[:, :, None])
    part = np.clip(_CORE + 0.5 - edge, 0.0, 1.0)
    light = np.einsum("nlm,nm->nl", np.nan_to_num(part), np.nan_to_num(flux))
    lost = (np.nan_to_num(part) * ~np.isfinite(flux)[:, None]).any(axis=2) | ~np.isfinite(at)
    light = np.where(lost, np.nan, light)
    seen = np.isfinite(light).sum(axis=0) >= _LEAST
    typical = np.array([np.nanmedian(one) if on else 0.0 for one, on in zip(light.T, seen, strict=True)])
    shines = seen & (typical > _FAINT * typical.max())
    return at[:, shines], light[:, shines], lasers[shines]


def _from_left(beside: tuple[IntArray, IntArray]) -> tuple[IntArray, IntArray]:
    """Row and sample (n, m) of the light next across on the other side, -1 where none is."""
    row, sample = (np.full(beside[0].shape, -1, np.int64) for _ in range(2))
    here = np.nonzero(beside[0] >= 0)
    there = beside[0][here], beside[1][here]
    row[there], sample[there] = here
    return row, sample


def _equations(
    flux: FloatArray,
    lines: tuple[F8, F8],
    pairs: tuple[tuple[IntArray, IntArray], ...],
    used: NDArray[np.intp],
    zone: IntArray,
) -> Iterator[tuple[int, F8, F8]]:
    """Zone, columns (k, p) and samples (k,) of some lenslets at a time, in units of their mean laser."""
    at, amplitude = lines
    number = np.arange(flux.shape[1], dtype=float)
    for which in np.unique(zone):
        inside = used[zone == which]
        for rows in np.array_split(inside, max(1, inside.size // _BLOCK)):
            unit = amplitude[rows].mean(axis=1)
            columns = [
                _hats(number - at[rows, k, None]) * (amplitude[rows, k] / unit)[:, None, None]
                for k in range(at.shape[1])
            ]
            for row, sample in pairs:
                there = np.maximum(row[rows], 0)
                away = np.where(row[rows] >= 0, sample[rows], np.nan)[..., None] - at[there]
                line = np.exp(-0.5 * (away / _LINE) ** 2) / (_LINE * np.sqrt(2.0 * np.pi))
                columns.append(np.nan_to_num(line * amplitude[there]) / unit[:, None, None])
            data = flux[rows] / unit[:, None]
            known = np.isfinite(data)
            yield int(which), np.concatenate(columns, axis=2)[known], data[known]


def _hats(away: F8) -> F8:
    """Linear interpolation (n, m, p) between the nodes of a line."""
    hats = [
        np.interp(away, _STEPS[k - 1 : k + 2], [0.0, 1.0, 0.0], left=0.0, right=0.0) for k in range(1, _STEPS.size - 1)
    ]
    return np.stack(hats, axis=-1)


def _shares(normal: F8, rhs: F8, number: float, lines: int) -> tuple[F8, F8]:
    """Light of the wings (l, 6) over that of the line, and widths of the cores (l,), px."""
    size, nodes = _STEPS.size - 2, _STEPS[1:-1]
    wing = np.abs(nodes) > _CORE
    usual = np.concatenate([np.tile(np.where(wing, _WING, np.inf), lines), np.full(2 * lines, _LEAK)])
    noise = _MODEL**2 * max(number / _TOLD, 1.0)  # what the model lacks is the same in all lenslets
    found = np.linalg.solve(normal / noise + np.diag(usual**-2.0), rhs / noise)[: lines * size].reshape(lines, size)
    core = np.maximum(found[:, ~wing], 0.0)
    light = core.sum(axis=1) * (nodes[~wing][1] - nodes[~wing][0])
    total = light + found[:, wing].sum(axis=1)
    width = [_width(nodes[~wing], one) for one in core]
    return found[:, wing] / total[:, None], np.array(width)


def _width(away: F8, line: F8) -> float:
    """Gaussian sigma of a line by its three highest nodes: ln of the fall from the middle to a pixel beside."""
    middle = line[np.abs(away) < 0.1].mean()  # noqa: PLR2004 - px
    beside = line[np.isclose(np.abs(away), 1.0)].mean()
    return float(np.sqrt(0.5 / np.log(max(middle / max(beside, 1e-9), 1.01))))
