"""A simulated night from raw frames to calibrated spectra: seconds and peak memory of every task.

Beside it: pysedm needs about 30 minutes on 8 processes for the calibrations of a night and minutes
for a science frame (published). The goals here, on 2 cores: 90 s, 10 s, 2 GB.

    python bench/bench_night.py [FOLDER]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa

CALIBRATIONS = ("bias", "traces", "wavelength_calibration", "lenslet_flat")


def run(*words: str) -> None:
    """Run the command line as a user would."""
    subprocess.run([str(Path(sys.executable).with_name("tracecube")), *words], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Reduce the night twice, so that compiled code is there, and print what the ledger says of the second time."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="tracecube-bench-"))
    raw, out = folder / "raw", folder / "out"
    if not raw.exists():
        run("simulate", "sedm", "--out", str(raw), "--seed", "1")
    for _ in range(2):
        shutil.rmtree(out, ignore_errors=True)
        run("reduce", str(raw), "-o", str(out), "-j", "1")
    engine = sa.create_engine(f"sqlite:///{out / 'tracecube.db'}")
    with engine.connect() as ledger:
        jobs = ledger.execute(
            sa.text("select task, name, seconds, cpu_seconds, peak_memory from job order by id")
        ).all()
    for task, name, seconds, cpu, memory in jobs:
        print(f"{task:24s} {name:28s} {seconds:7.1f} s {cpu:7.1f} s cpu {(memory or 0) / 2**30:5.2f} GiB")
    wall = {task: [job.seconds for job in jobs if job.task == task] for task in {job.task for job in jobs}}
    print(f"calibrations of the night            {sum(sum(wall[task]) for task in CALIBRATIONS):7.1f} s  (goal 90)")
    frame = max(wall["ifu"]) + max(wall["extract_star"]) + max(wall["fluxcal"])
    print(f"a science frame, raw to spectrum     {frame:7.1f} s  (goal 10)")


if __name__ == "__main__":
    main()
