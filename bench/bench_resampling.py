"""What it costs to make voxels of pixels, in ns a row of a pixel table: the solution, and every kind of weighted mean.

Rows are drawn as the slices of a channel lie, slab by slab as a cube is made; times are CPU times of one thread after
the first call. Beside them, of the same rows: what the noise of 3 x 3 and 5 x 5 bins exceeds that of their variances
by, what it scatters by over what is then claimed, and the width of a star (full width at half maximum 3 voxels) over
its own. ``hits`` is the search for samples that stand out of those around, for each statistic.

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
SIGMA = 1.274  # voxels


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


def measure(how: Weighting | None, part: Part, light: np.ndarray, shape: tuple[int, int, int]) -> list[float]:
    """Time (ns a row), that of the correlation besides, factors and pulls of bins, width of the star."""
    each = 1e9 / len(part.value)
    row = [seconds(lambda: fill(part, shape, how)) * each, 0.0]
    told = correlation([])
    if how is not None:
        row[1] = seconds(lambda: shared(part, shape, how)) * each
        told = correlation([shared(part, shape, how)])
    inner = (slice(14, -14), slice(3, -3), slice(3, -3))
    data, variance = (one[inner] for one in fill(part, shape, how))
    row.append(float(np.nanstd(data / np.sqrt(variance))))
    for n in (3, 5):
        factor = noise_factor(*told, (1, n, n))
        row += [factor, float(np.nanstd(binned(data, n) / np.sqrt(binned(variance, n)))) / factor]
    star = np.nanmean(fill(part._replace(value=light), shape, how)[0][inner], axis=0, dtype=float)
    x = np.arange(star.shape[1]) - star.shape[1] // 2
    return [*row, float(np.sqrt((star * x**2).sum() / star.sum())) / SIGMA]


def main() -> None:
    """Print the figures."""
    rng = np.random.default_rng(1)
    shape = (int(sys.argv[1]) if len(sys.argv) > 1 else 156, ROWS, COLUMNS)
    place = pixels(shape[0], rng)
    one = np.ones(len(place), np.float32)
    part = Part(place, rng.normal(0, 1, len(place)).astype(np.float32), one, one)
    middle = 3 + (COLUMNS - 6) // 2
    light = np.exp(-0.5 * ((place[:, 1] - ROWS / 2) ** 2 + (place[:, 2] - middle) ** 2) / SIGMA**2).astype(np.float32)
    names = ("way", "ns a row", "correlation", "1 x 1", "F 3 x 3", "pull", "F 5 x 5", "pull", "width")
    print(f"{len(place)} rows\n{names[0]:14s}" + "".join(f"{name:>12s}" for name in names[1:]))
    for way in ("decorrelated", *METHODS):
        found = measure(Weighting(way, radius=1.25 * 3**0.5) if way in METHODS else None, part, light, shape)
        print(f"{way:14s}" + "".join(f"{value:12.1f}" if k < 2 else f"{value:12.3f}" for k, value in enumerate(found)))
    for statistic in STATISTICS:
        took = seconds(lambda s=statistic: standing_out(place, part.value, one, shape, statistic=s, limit=15.0))
        print(f"hits, {statistic:8s}{took / len(place) * 1e9:12.1f}")


if __name__ == "__main__":
    main()
