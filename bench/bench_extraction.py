"""Extraction of a full lenslet detector: 1900 spectra of 290 columns on 2048 x 2048 pixels.

Figures beside them: the same matrix as a general sparse one (SciPy), and what is published of the
instrument's present pipeline (30 min of eight processes for a night's calibrations).

    python bench/bench_extraction.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.kernels.solve import estimate, factorise, normal_equations
from tracecube.recipes.extract.joint import ExtractionParams, extract, trace_matrix

SHAPE = (2048, 2048)


def full_field() -> TraceSet:
    """Straight traces on the hexagonal lattice of the detector."""
    basis = 45.5 * np.array([[0.9622, -0.2723], [0.7169, 0.6973]])
    q, r = (v.ravel() for v in np.meshgrid(np.arange(-60, 90), np.arange(-60, 90)))
    place = np.stack([q, r], axis=1) @ basis + [60.0, 40.0]
    keep = (place[:, 0] > 0) & (place[:, 0] < SHAPE[1] - 284) & (place[:, 1] > 10) & (place[:, 1] < SHAPE[0] - 14)
    n, t, place = int(keep.sum()), np.arange(284), place[keep]
    centre = place[:, 1:] + 0.007 * (t - 142)
    u = np.linspace(-12, 12, 1201)
    return TraceSet(
        np.arange(n),
        place[:, 0].astype(int),
        q[keep],
        r[keep],
        np.zeros(n, np.int32),
        centre,
        np.full(centre.shape, 1.12),
        np.zeros(centre.shape, np.int32),
        u,
        np.exp(-0.5 * u**2) + 0.004 / (1 + (u / 2) ** 2),
    )


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Shortest of several runs, s."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print the figures."""
    traces, rng = full_field(), np.random.default_rng(1)
    matrix = trace_matrix(traces, SHAPE, half_width=12)
    data = rng.normal(100, 10, SHAPE).astype(np.float32)
    ivar = np.full(SHAPE, 0.01, np.float32)
    frame = Frame(data, 1 / ivar, np.zeros(SHAPE, np.int32), {})
    equations = normal_equations(matrix.a, data, ivar, band=matrix.band)
    plain = matrix.a.sparse()

    def general() -> object:
        return plain.T @ (plain.multiply(ivar.ravel()[:, None]).tocsr())

    rows = (
        (f"matrix A, {matrix.row.size} unknowns", best(lambda: trace_matrix(traces, SHAPE, half_width=12))),
        ("normal equations, banded", best(lambda: normal_equations(matrix.a, data, ivar, band=matrix.band))),
        ("normal equations, general sparse product", best(general, 2)),
        ("factors, spectra and covariance", best(lambda: estimate(factorise(equations), equations.rhs))),
        (
            "one frame, 3 passes with scattered light",
            best(lambda: extract(frame, matrix, ExtractionParams(), floor=16.0), 3),
        ),
    )
    for name, seconds in rows:
        print(f"{name:48s} {seconds:8.3f} s")


if __name__ == "__main__":
    main()
