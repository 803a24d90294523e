"""Extraction of a frame of 18,900 short, crowded lenslet spectra, in three ways, and of the time to read the frame.

The frame is simulated: a full detector of SPHERE-IFS, a star's halo over warm glow.

    python bench/bench_lenslets.py
    python bench/bench_lenslets.py --charis PYTHON --calibrations FOLDER --frame RAW.fits

The second form runs the CHARIS pipeline (charis 2.0.1, Brandt et al. 2017, Samland et al. 2022) beside ours: its
chi-square extraction with refinement of the first integration of RAW.fits, a frame of Y-H in the observatory's format,
uncompressed. PYTHON is an interpreter that has it, FOLDER what its ``buildcal`` made. It is not on PyPI; it installs
from its repository (PrincetonUniversity/charis-dep) with numpy >= 2, cython < 3.1 and
``SETUPTOOLS_SCM_PRETEND_VERSION``. Snapshots lack its large files (masks, pixel flats, background templates),
so none of them is used: it does less work than on real nights. Without these arguments figures measured
earlier are printed, and named so.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
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

# Measured earlier on two such cores, a frame made of its own PSFlets; templates without and with upsampling.
PEER_SECONDS, PEER_GB, PEER_TEMPLATES = 37.0, 4.4, "464 to 2320"
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


_CHARIS = """
import resource, sys
from charis.extractcube import getcube
getcube(filename=sys.argv[1], calibdir=sys.argv[2] + "/", outdir=sys.argv[3] + "/", dit=0, individual_dits=True,
        bgsub=False, mask=False, flatfield=False, fitshift=False, resample=False, suppressrn=False, gain=1.8, R=35,
        method="lstsq", refine=True, maxcpus=1, verbose=False)
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print("USED", sum(one.ru_utime + one.ru_stime for one in used), max(one.ru_maxrss for one in used) / 1e6)
"""


def charis_beside(python: str, calibrations: str, frame: str) -> tuple[float, float]:
    """CPU time (s) and memory (GB) of the peer's extraction of one frame, start of the interpreter included."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(one).resolve()) for one in (frame, calibrations)]
        done = subprocess.run(
            [str(Path(python).absolute()), "-c", _CHARIS, *paths, folder],
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("USED ")]
    _, seconds, memory = line.split()
    return float(seconds), float(memory)


def peer() -> tuple[float, float]:
    """CPU time and memory of the peer: measured here where the caller says how, else earlier; prints which."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--charis", help="interpreter that has the peer")
    parser.add_argument("--calibrations", help="folder that its buildcal made")
    parser.add_argument("--frame", help="raw frame, Y-H")
    given = parser.parse_args()
    if given.charis and given.calibrations and given.frame:
        seconds, memory = charis_beside(given.charis, given.calibrations, given.frame)
        print(f"{'charis, chi-square with refinement':42s} {seconds:7.2f} CPU s, {memory:.2f} GB, measured here")
        return seconds, memory
    earlier = "NOT run here: measured earlier"
    print(f"{'charis, chi-square with refinement':42s} {PEER_SECONDS:7.2f} CPU s, {PEER_GB:.2f} GB, {earlier}")
    print(f"{'charis, templates of a night':42s} {PEER_TEMPLATES} CPU s, {earlier}")
    return PEER_SECONDS, PEER_GB


def main() -> None:
    """Print the figures."""
    peer_seconds, peer_memory = peer()
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
        beside = f", {spent / reading:5.1f} x reading, {peer_seconds / spent:5.1f} x less than charis"
        print(f"{'extraction, ' + method:42s} {spent:7.2f} CPU s{beside}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{'peak memory, simulation included':42s} {memory:7.2f} GB (charis {peer_memory:.1f} GB)")


if __name__ == "__main__":
    main()
