"""Figures of the engine: what a run costs beyond its recipes, and what it survives.

    python bench/bench_engine.py [--kills 20] [--tasks 2000] [--night RAWDIR]

Prints one line a figure. With ``--night`` a real night is reduced first, and the second run is timed.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests" / "engine"
sys.path[:0] = [str(TESTS), str(TESTS / "toy"), str(HERE)]


def figure(name: str, value: float, unit: str, limit: float | None = None) -> None:
    goal = "" if limit is None else f"   (goal <= {limit:g} {unit}: {'kept' if value <= limit else 'MISSED'})"
    print(f"{name:66} {value:10.3f} {unit}{goal}", flush=True)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bench_overhead(folder: Path, tasks: int) -> None:
    """Tasks that do nothing but write one tiny product each, on two workers, durable record included."""
    import noop

    from tracecube.workflow.executor import InProcess, LocalPool
    from tracecube.workflow.reduce import reduce_folder

    raw = noop.write_frames(folder / "noop", tasks)
    found = noop.installed()
    pool = LocalPool(2)
    try:
        reduce_folder(noop.write_frames(folder / "few", 40), folder / "few-out", pool, instruments=lambda: found)
        out = folder / "noop-out"
        own = time.process_time()
        seconds = timed(lambda: reduce_folder(raw, out, pool, instruments=lambda: found))
        figure(f"{tasks} no-op tasks, 2 workers, a product each: a task", seconds / tasks * 1e3, "ms", 5.0)
        own = time.process_time() - own
        figure("of that, scan, plan, schedule and record: CPU of the main process", own / tasks * 1e3, "ms")
    finally:
        pool.close()
    seconds = timed(lambda: reduce_folder(raw, out, InProcess(), instruments=lambda: found))
    figure(f"the same again, nothing changed: all {tasks}", seconds, "s", 3.0)
    moved = raw.rename(folder / "moved")
    seconds = timed(lambda: reduce_folder(moved, out, InProcess(), instruments=lambda: found))
    figure(f"the same again, planned anew, every product verified: all {tasks}", seconds, "s")


def bench_second_run(folder: Path, raw: Path, name: str) -> None:
    """The whole command, in a process of its own."""
    import toynight

    line = toynight.command("reduce", raw, "-o", folder / f"{name}-out")
    seconds = timed(lambda: subprocess.run(line, stdout=subprocess.DEVNULL, check=False))
    figure(f"{name}: first run", seconds, "s")
    best = min(timed(lambda: subprocess.run(line, stdout=subprocess.DEVNULL, check=False)) for _ in range(3))
    figure(f"{name}: second run, best of three", best, "s", 3.0)


def bench_kills(folder: Path, kills: int) -> None:
    """Kill -9 at random moments, then a run to the end."""
    import test_kill
    import toynight

    raw = toynight.write_night(folder / "raw-kill")
    zygote = test_kill.Zygote(TESTS / "toy")
    zygote.start(raw, folder / "undisturbed", 0)
    zygote.wait()
    expected = toynight.hashes(folder / "undisturbed")
    out, chance, killed, partial = folder / "killed", random.Random(1), 0, 0
    for turn in range(kills):
        killed += test_kill.kill_at_random(zygote, raw, out, chance, workers=2 if turn % 2 else 0)
        seen = {name: sha for name, sha in toynight.hashes(out).items() if not name.startswith(".")}
        partial += sum(expected.get(name) != sha for name, sha in seen.items())
        for path in sorted(out.glob("2021-04-21/*/*.fits"))[::2]:
            path.unlink()
    zygote.start(raw, out, 0)
    zygote.wait()
    zygote.close()
    figure(f"kill -9: runs cut short, of {kills}", killed, "runs")
    figure("kill -9: partial products seen", partial, "files", 0)
    differ = sum(expected.get(name) != sha for name, sha in toynight.hashes(out).items())
    figure(
        "kill -9: products that differ from an undisturbed run",
        differ + abs(len(expected) - len(toynight.hashes(out))),
        "files",
        0,
    )


def bench_planning(folder: Path) -> None:
    """Association of a large folder, from headers in memory."""
    import noop

    from tracecube.workflow.plan import make_plan

    for count in (2_000, 20_000):
        files = noop.records(count)
        seconds = timed(lambda files=files: make_plan(list(noop.installed().values()), files, folder))
        figure(f"plan of {count} frames", seconds, "s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--night", type=Path, help="a folder of raw frames of an installed instrument")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as name:
        folder = Path(name)
        import toynight

        bench_planning(folder)
        bench_overhead(folder, asked.tasks)
        bench_second_run(folder, toynight.write_night(folder / "raw-toy"), "toy night")
        if asked.night:
            bench_second_run(folder, asked.night.resolve(), "night")
        bench_kills(folder, asked.kills)


if __name__ == "__main__":
    main()
