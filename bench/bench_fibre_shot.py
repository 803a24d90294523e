"""What a shot of the whole field costs: 78 fibre bundles, three exposures, raw to spectra, sources, lines and cubes.

Jobs of a reduced night of few bundles tell the CPU time and memory of each task; work goes by CCD and by bundle, so a
shot takes as many times more. The sky is of a whole exposure: it is found here from that night's spectra, given again
under other names until 156 CCDs are full.

    tracecube simulate virus -o NIGHT --seed 22 -c ifus=2; tracecube reduce NIGHT -o OUT -j 1
    python bench/bench_fibre_shot.py OUT
"""

from __future__ import annotations

import resource
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from tracecube.core.fibre_light import FibreThroughput
from tracecube.core.fibres import FibreSpectra
from tracecube.instruments.virus.science_steps import ExposureSkyParams, exposure_sky
from tracecube.io.products import read_product

BUNDLES, EXPOSURES, CORES = 78, 3, 2
FIELD = {"virus_field": 39.0, "virus_flux": 2.0, "virus_lines": 1.0}
"""CPU s: bands of 104,832 replicated fibres, measured once; flux and lines are estimates, of a field's 300 stars."""
COUNT = {
    "virus_spectra": 2 * BUNDLES * EXPOSURES,
    "virus_bundle": BUNDLES,
    "virus_stars": BUNDLES,
    "virus_calibrated": BUNDLES,
    "virus_bundle_lines": BUNDLES,
    "virus_cube": BUNDLES,
}
CALIBRATION = ("virus_dark", "virus_traces", "virus_wavelength", "virus_twilight")


def jobs(out: Path) -> dict[str, tuple[int, float, float]]:
    """Number, mean CPU s and highest peak memory (GB) of the jobs of each task that were done."""
    with closing(sqlite3.connect(f"file:{out / 'tracecube.db'}?mode=ro", uri=True)) as base:
        rows = base.execute(
            "select task, count(*), avg(cpu_seconds), max(peak_memory) from job where state = 'done'"
            " and id in (select max(id) from job where state = 'done' group by task, name) group by task"
        )
        return {task: (int(n), float(cpu), float(peak) / 1e9) for task, n, cpu, peak in rows}


class Replicas(Sequence[FibreSpectra]):
    """The CCDs of one exposure, again and again under other names of units; each is read when it is its turn."""

    def __init__(self, paths: Sequence[Path], count: int) -> None:
        self.paths, self.count = paths, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> FibreSpectra:  # type: ignore[override]
        if not 0 <= number < self.count:
            raise IndexError(number)
        one = read_product(self.paths[number % len(self.paths)], FibreSpectra)
        return renamed(one, number // len(self.paths))

    def __iter__(self) -> Iterator[FibreSpectra]:
        return (self[number] for number in range(self.count))


def renamed(one: FibreSpectra, turn: int) -> FibreSpectra:
    """A CCD in another slot."""
    names = np.array([f"{turn:02d}:{name}" for name in one.unit])
    return replace(one, unit=names, ifuslot=slots(one.ifuslot, turn))


def slots(of: np.ndarray, turn: int) -> np.ndarray:
    """Slots of replicas, of nine columns; those of the night are told apart by their last digit."""
    number = 10 * turn + of % 10
    return np.asarray(10 * (number // 9 + 1) + number % 9 + 1, np.int32)


def whole_flat(flat: FibreThroughput, turns: int) -> FibreThroughput:
    """Throughputs of all replicas."""
    fields = ("amp", "fibre", "x", "y", "shift", "coefficients", "covariance", "dq")
    many = {name: np.concatenate([getattr(flat, name)] * turns) for name in fields}
    unit = np.concatenate([[f"{turn:02d}:{name}" for name in flat.unit] for turn in range(turns)])
    slot = np.concatenate([slots(flat.ifuslot, turn) for turn in range(turns)])
    return replace(flat, unit=unit, ifuslot=slot, **many)


def sky(out: Path) -> tuple[float, float]:
    """CPU s and peak memory (GB) of the sky of an exposure of 156 CCDs."""
    every = sorted(out.rglob("*_FIBRE_SPECTRA.fits"))
    first = [path for path in every if read_product(path, FibreSpectra).exp[0] == 1]
    turns = -(-2 * BUNDLES // len(first))
    flat = read_product(next(out.rglob("*_FIBRE_FLAT.fits")), FibreThroughput)
    given = Replicas(first, 2 * BUNDLES)
    start = time.process_time()
    exposure_sky(fibre_spectra=given, fibre_flat=whole_flat(flat, turns), params=ExposureSkyParams())
    return time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main(out: Path) -> None:
    """Print the table."""
    told = jobs(out)
    cpu, peak = sky(out)
    print(f"{'task':22s} {'jobs':>5s} {'CPU s a job':>12s} {'CPU s':>8s} {'peak GB':>8s}")
    total, highest = 0.0, peak
    rows = [(task, count, told[task][1], told[task][2]) for task, count in COUNT.items()]
    rows.insert(1, ("virus_sky", EXPOSURES, cpu, peak))
    rows += [(task, 1, seconds, 0.25) for task, seconds in FIELD.items()]
    for task, count, seconds, memory in rows:
        print(f"{task:22s} {count:5d} {seconds:12.2f} {count * seconds:8.0f} {memory:8.2f}")
        total, highest = total + count * seconds, max(highest, memory)
    print(
        f"{'shot':22s} {'':5s} {'':12s} {total:8.0f} {highest:8.2f}  on {CORES} idle cores {total / CORES / 60:.1f} min"
    )
    half = sum(told[task][1] for task in CALIBRATION) / 2.0
    print(f"calibration of an amplifier {half:.1f} CPU s, of 312 {312 * half / 60:.0f} CPU min")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        print(__doc__)
