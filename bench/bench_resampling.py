"""What it costs to make voxels of pixels, in ns a row of a pixel table: the solution, and every kind of weighted mean.

Rows are drawn as the slices of a channel lie, slab by slab as a cube is made; times are CPU times of one thread after
the first call. Beside them, of the same rows: what the noise of 3 x 3 and 5 x 5 bins exceeds that of their variances
by, what it scatters by over what is then claimed, and the widths of a star (full width at half maximum 3 voxels) and
of a line (2 planes) over their own. ``hits`` is the search for samples that stand out of those around.

    python bench/bench_resampling.py [planes]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tracecube.kernels.around import STATISTICS, standing_out
from tracecube.kernels.correlated_sums import noise_factor
from tracecube.kernels.weighted_voxels import METHODS, Weighting
from tracecube.recipes.slices.resampling import Part, correlation, fill, shared

ROWS, COLUMNS = 24, 300
INNER = (slice(14, -14), slice(3, -3), slice(3, -3))
STAR, LINE = 3.0 / 2.3548, 2.0 / 2.3548  # voxels: the narrowest images and the lines of the instrument


def pixels(planes: int, rng: np.random.Generator) -> np.ndarray:
    """Places of the pixels of slices that cover the grid and what is beside it: (k, 3), float32."""
    found = []
    for y in range(-2, ROWS + 2):
        z, x = np.meshgrid(np.arange(-12, planes + 12), np.arange(-2, COLUMNS + 2) * 0.985, indexing="ij")
        at = [
            z * 1.003 + rng.uniform() + 0.05 * rng.normal() * (x % 75.0),
            np.full(z.shape, y + 0.3),
            x + rng.uniform(),
        ]
        found.append(np.stack(at, axis=-1).reshape(-1, 3))
    return np.concatenate(found).astype(np.float32)


def seconds(call: Callable[[], Any]) -> float:
    """CPU time of a second call."""
    call()
    start = time.process_time()
    call()
    return time.process_time() - start


def binned(values: np.ndarray, n: int) -> np.ndarray:
    """Sums over n x n spaxels of every plane."""
    nz, ny, nx = values.shape
    return values[:, : ny // n * n, : nx // n * n].reshape(nz, ny // n, n, nx // n, n).sum(axis=(2, 4))


def width(part: Part, shape: tuple[int, int, int], how: Weighting | None, axis: int, sigma: float) -> float:
    """Width along an axis of light that is Gaussian along it, and of a star's shape or even across, over its own."""
    middle = [shape[0] // 2, shape[1] / 2, 3 + (shape[2] - 6) // 2]
    star = np.exp(-0.5 * ((part.place[:, 1:] - middle[1:]) ** 2).sum(axis=1) / sigma**2)
    line = np.exp(-0.5 * ((part.place[:, 0] - middle[0] - 0.3) / sigma) ** 2)
    found = fill(part._replace(value=(line if axis == 0 else star).astype(np.float32)), shape, how)[0][INNER]
    profile = np.nanmean(found, axis=(1, 2) if axis == 0 else (0, 1), dtype=float)
    at = np.arange(profile.size)
    mean = (profile * at).sum() / profile.sum()
    return float(np.sqrt((profile * (at - mean) ** 2).sum() / profile.sum())) / sigma


def measure(how: Weighting | None, part: Part, shape: tuple[int, int, int]) -> list[float]:
    """Time (ns a row), that of the correlation besides, factors and pulls of bins, widths of a star and a line."""
    each = 1e9 / len(part.value)
    row = [seconds(lambda: fill(part, shape, how)) * each, 0.0]
    told = correlation([])
    if how is not None:
        row[1] = seconds(lambda: shared(part, shape, how)) * each
        told = correlation([shared(part, shape, how)])
    data, variance = (one[INNER] for one in fill(part, shape, how))
    row.append(float(np.nanstd(data / np.sqrt(variance))))
    for n in (3, 5):
        factor = noise_factor(*told, (1, n, n))
        row += [factor, float(np.nanstd(binned(data, n) / np.sqrt(binned(variance, n)))) / factor]
    return [*row, width(part, shape, how, 2, STAR), width(part, shape, how, 0, LINE)]


def main() -> None:
    """Print the figures."""
    rng = np.random.default_rng(1)
    shape = (int(sys.argv[1]) if len(sys.argv) > 1 else 156, ROWS, COLUMNS)
    place = pixels(shape[0], rng)
    one = np.ones(len(place), np.float32)
    part = Part(place, rng.normal(0, 1, len(place)).astype(np.float32), one, one)
    names = ("way", "ns a row", "correlation", "1 x 1", "F 3 x 3", "pull", "F 5 x 5", "pull", "star", "line")
    print(f"{len(place)} rows\n{names[0]:14s}" + "".join(f"{name:>12s}" for name in names[1:]))
    for way in ("decorrelated", *METHODS):
        found = measure(Weighting(way, radius=1.25 * 3**0.5) if way in METHODS else None, part, shape)
        print(f"{way:14s}" + "".join(f"{value:12.1f}" if k < 2 else f"{value:12.3f}" for k, value in enumerate(found)))
    for statistic in STATISTICS:
        took = seconds(lambda s=statistic: standing_out(place, part.value, one, shape, statistic=s, limit=15.0))
        print(f"hits, {statistic:8s}{took / len(place) * 1e9:12.1f}")


if __name__ == "__main__":
    main()
