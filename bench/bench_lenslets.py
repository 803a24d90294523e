"""Extraction of a frame of 18,900 short, crowded lenslet spectra, in three ways, and of the time to read the frame.

The frame is simulated: a full detector of SPHERE-IFS, a star's halo over warm glow. Published of the
CHARIS pipeline on such frames (chi-square extraction with refinement): 37 CPU s and 4.4 GB.

    python bench/bench_lenslets.py
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tracecube.core.frame import Frame, RawFrame
from tracecube.core.optics import TraceSet
from tracecube.instruments.sphere_ifs.guess import MODES
from tracecube.instruments.sphere_ifs.simulation.optics import Optics, draw_optics, paint, sampling
from tracecube.io.raw import read_raw, write_raw
from tracecube.recipes.extract.apertures import extract_by
from tracecube.recipes.extract.joint import ExtractionParams, trace_matrix

PEER_SECONDS, PEER_GB = 37.0, 4.4
FLOOR = 36.0


def traces_of(optics: Optics) -> TraceSet:
    """The true traces."""
    wave = np.linspace(*optics.mode.band, 400)
    place = [optics.place(float(one)) for one in wave]
    x, y = (np.stack(axis, axis=1) for axis in zip(*place, strict=True))
    start = np.floor(y[:, 0]).astype(int) - 1
    rows = start[:, None] + np.arange(42)
    centre = np.stack([np.interp(row, along, across) for row, along, across in zip(rows, y, x, strict=True)])
    centre[rows > y[:, -1:] + 1.5] = np.nan
    u = np.linspace(-14.0, 14.0, 1401)
    density = np.exp(-0.5 * (u / 0.95) ** 2) + 0.012 * (1.0 + (u / 2.4) ** 2) ** -1.25
    none, n = np.zeros(centre.shape, np.int32), optics.q.size
    return TraceSet(
        np.arange(n), start, optics.q, optics.r, none[:, 0], centre, np.ones(centre.shape), none, u, density, axis=0
    )


def frame_of(optics: Optics) -> Frame:
    """A star's halo, with noise."""
    wave, band = sampling(optics.mode)
    halo = 0.02 * (1.0 + np.hypot(optics.sky_x, optics.sky_y) / 0.1) ** -1.5
    light = paint(optics, wave, 40.0 * halo[:, None] * band)
    rng = np.random.default_rng(2)
    data = (rng.poisson(light) + rng.normal(0.0, FLOOR**0.5, light.shape)).astype(np.float32)
    return Frame(data, (FLOOR + np.maximum(data, 0.0)).astype(np.float32), np.zeros(data.shape, np.int32), {})


def cpu(work: Callable[[], object], rounds: int = 3) -> float:
    """Least CPU time of several runs, s."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def main() -> None:
    """Print the figures."""
    optics = draw_optics(MODES["YJH"], np.random.default_rng(1))
    traces, frame = traces_of(optics), frame_of(optics)
    shape = (frame.data.shape[0], frame.data.shape[1])
    matrix = trace_matrix(traces, shape, half_width=15)
    with tempfile.TemporaryDirectory() as folder:
        counts = np.round(frame.data / 1.8).astype(np.int16)
        path: Path = write_raw(folder, RawFrame("frame", "OBJECT", {}, {"": counts}, {}))
        reading = cpu(lambda: read_raw(path, "OBJECT"))
    print(f"{'read the raw frame':42s} {reading:7.2f} CPU s")
    print(f"{'matrix A of ' + str(matrix.row.size) + ' unknowns':42s} "
          f"{cpu(lambda: trace_matrix(traces, shape, half_width=15)):7.2f} CPU s")  # fmt: skip
    for method in ("joint", "optimal", "box"):
        params = ExtractionParams.model_validate({"half_width": 15, "method": method})
        spent = cpu(lambda params=params: extract_by(frame, matrix, params, floor=FLOOR))  # type: ignore[misc]
        beside = f", {spent / reading:5.1f} x reading, {PEER_SECONDS / spent:5.1f} x less than charis"
        print(f"{'extraction, ' + method:42s} {spent:7.2f} CPU s{beside}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{'peak memory, simulation included':42s} {memory:7.2f} GB (charis {PEER_GB} GB)")


if __name__ == "__main__":
    main()
