"""Figures of a MUSE night beside ESO's pipeline, step by step: CPU, memory; our quality numbers, ESO's scores.

Ours are measured here, one channel and one exposure at a time, each step in a process of its own; ESO's are run where
esorex is installed and ``--run`` is given, else those of a file of reference values (`eso_reference.json` of the
generator of the night) and of its report of costs are printed beside.

    python bench/bench_slices_peer.py NIGHT --channel 2 [--work DIR] [--run] [--reference eso_reference.json]

NIGHT is a folder of raw frames and the observatory's tables (`tracecube simulate muse`, or the generator's).

Where both have reduced the whole night already, nothing is run again: CPU and wall seconds and memory of every step,
of one job or of all, from our ledger and from a table ``step,ifu,user_s,sys_s,wall_s,rss_kB,exit`` of ESO's recipes
(as `/usr/bin/time -f "STEP,IFU,%U,%S,%e,%M,%x"` writes it), and with files of scores of both, each row that both have.

    python bench/bench_slices_peer.py --out OUT [--parallel OUT2] --chain times.csv
        [--scores OURS.json ... --theirs ESO.json]

OUT was reduced with ``-j 1``; OUT2 with ``-j 2``, of which the wall time of the whole chain is told. A row of scores is
marked where ESO's is better ("ESO"), and where the target is missed ("missed").
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

from bench_slices import PEER
from slices_rows import accuracy_rows

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.instruments.muse import instrument
from tracecube.io.headers import read_header

OURS = (
    "bias", "dark", "lamp_flat", "arc", "line_spread_function_arc", "sky_flat", "preprocess_standard", "preprocess_sky",
    "preprocess_science", "response", "science_sky", "object",
)  # fmt: skip
STEPS = {
    "bias": ("muse_bias", {"BIAS": "BIAS"}, ()),
    "lamp_flat": ("muse_flat", {"FLAT": "FLAT"}, ("MASTER_BIAS",)),
    "arc": ("muse_wavecal", {"ARC": "ARC", "LINE_CATALOG": "LINE_CATALOG"}, ("MASTER_BIAS", "TRACE_TABLE")),
    "preprocess_science": (
        "muse_scibasic",
        {"OBJECT": "OBJECT", "ILLUM": "ILLUM", "GEOMETRY_TABLE": "GEOMETRY_TABLE"},
        ("MASTER_BIAS", "MASTER_FLAT", "TRACE_TABLE", "WAVECAL_TABLE"),
    ),
}
"""Our task -> ESO's recipe, raw frames that it takes (tag: theirs), and products that it takes."""


def spent(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command; return its CPU seconds and its largest memory (GB)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, "
        "stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); "
        "sys.exit(done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, int(done.stdout.split()[-1]) * 1024 / 1e9


def ours(night: Path, out: Path) -> dict[str, tuple[float, float]]:
    """Measure our tasks one after the other; each finds the products of those before it."""
    command = [str(Path(sys.executable).with_name("tracecube")), "reduce", str(night), "-o", str(out), "-j", "0"]
    return {task: spent([*command, "-t", task], out.parent) for task in OURS}


def theirs(night: Path, work: Path, channel: int) -> dict[str, tuple[float, float]]:
    """Measure ESO's recipes on one channel."""
    by_tag: dict[str, list[Path]] = {}
    for path in sorted(night.glob("*.fits*")):
        by_tag.setdefault(instrument.classify(path.name, read_header(path)).tag, []).append(path.resolve())
    found = {}
    for task, (recipe, raws, products) in STEPS.items():
        lines = [f"{path} {theirs}" for tag, theirs in raws.items() for path in by_tag.get(tag, [])]
        lines += [f"{name}-{channel:02d}.fits {name}" for name in products]
        (work / "frames.sof").write_text("\n".join(lines) + "\n")
        found[task] = spent(["esorex", "--no-checksum", recipe, f"--nifu={channel}", "frames.sof"], work)
    return found


CHAIN = {
    "bias": "bias", "dark": "dark", "lamp_flat": "flat", "arc": "wavecal", "line_spread_function_arc": "lsf",
    "sky_flat": "twilight", "preprocess_standard": "scibasic_std", "preprocess_sky": "scibasic_sky",
    "preprocess_science": "scibasic_object", "response": "standard", "sky": "create_sky", "science_sky": "",
    "object": "scipost_cube_object", "alignment": "exp_align", "object_aligned": "",
    "object_combination": "exp_combine",
}  # fmt: skip
"""Our task -> how the step of ESO's is called (its beginning); scipost finds the sky of an exposure, too."""


def told(rows: list[tuple[float, float, float]]) -> str:
    """Return number, sums of CPU and wall seconds, and largest memory (GB) of jobs."""
    if not rows:
        return f"{'':>5s} {'':>8s} {'':>8s} {'':>6s}"
    cpu, wall = sum(row[0] for row in rows), sum(row[1] for row in rows)
    return f"{len(rows):5d} {cpu:8.1f} {wall:8.1f} {max(row[2] for row in rows):6.2f}"


def over(theirs: list[tuple[float, float, float]], ours: list[tuple[float, float, float]]) -> str:
    """Return how many times as much ESO's took: CPU seconds, and memory."""
    if not theirs or not ours:
        return ""
    cpu = sum(row[0] for row in theirs) / max(sum(row[0] for row in ours), 1e-9)
    return f"{cpu:8.2f} {max(row[2] for row in theirs) / max(row[2] for row in ours):6.2f}"


def done(out: Path) -> list[tuple[str, float, float, float, str]]:
    """Return task, CPU and wall seconds, peak memory (byte) and start of the last job of each kind that was done."""
    with closing(sqlite3.connect(f"file:{out / 'tracecube.db'}?mode=ro", uri=True)) as base:
        return base.execute(
            "select task, cpu_seconds, seconds, peak_memory, started from job where state = 'done'"
            " and id in (select max(id) from job where state = 'done' group by task, name)"
        ).fetchall()


def lasted(out: Path) -> float:
    """Return wall seconds in which a job ran; between runs nothing counts."""
    spans = sorted((datetime.fromisoformat(start).timestamp(), wall) for _, _, wall, _, start in done(out))
    total = end = 0.0
    for start, wall in spans:
        total += max(start + wall - max(start, end), 0.0)
        end = max(end, start + wall)
    return total


def both(out: Path, chain: Path) -> None:
    """Print what every step cost, ours and ESO's, each over all channels and exposures."""
    jobs = done(out)
    theirs = [line.split(",") for line in chain.read_text("utf-8").splitlines()[1:]]
    head = f"{'CPU s':>8s} {'wall s':>8s} {'GB':>6s}"
    print(f"{'step':28s} {'ours':>5s} {head}   {'ESO':>5s} {head}   ESO/ours CPU, GB")
    every: list[list[tuple[float, float, float]]] = [[], []]
    for task, name in CHAIN.items():
        own = [(cpu, wall, peak / 1e9) for of, cpu, wall, peak, _ in jobs if of == task]
        other = [
            (float(row[2]) + float(row[3]), float(row[4]), float(row[5]) * 1024 / 1e9)
            for row in theirs
            if name and row[0].startswith(name) and row[6] == "0"
        ]
        every[0] += own
        every[1] += other
        print(f"{task:28s} {told(own)}   {told(other)}   {over(other, own)}")
    print(f"{'all':28s} {told(every[0])}   {told(every[1])}   {over(every[1], every[0])}")
    alike = sum(row[1] for row in every[1])
    least = 0.5 * sum(row[0] for row in every[1])
    print(f"jobs ran for {lasted(out):.0f} s of wall time; ESO's steps one after the other "
          f"{alike:.0f} s, by its CPU seconds on two cores not less than {least:.0f} s")  # fmt: skip


def main() -> None:
    """Print the figures; without arguments what they are."""
    if len(sys.argv) == 1:
        print(__doc__)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("night", type=Path, nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--parallel", type=Path)
    parser.add_argument("--chain", type=Path)
    parser.add_argument("--scores", type=Path, nargs="*", default=[])
    parser.add_argument("--theirs", type=Path)
    parser.add_argument("--channel", type=int, default=2)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--reference", type=Path)
    chosen = parser.parse_args()
    if chosen.out and chosen.chain:
        both(chosen.out, chosen.chain)
        if chosen.parallel:
            print(f"with jobs side by side ({chosen.parallel}): {lasted(chosen.parallel):.0f} s of wall time")
        accuracy_rows(chosen.scores, chosen.theirs)
        return
    if chosen.night is None:
        parser.error("a night, or --out and --chain")
    work = chosen.work or Path(tempfile.mkdtemp())
    (work / "eso").mkdir(parents=True, exist_ok=True)
    night = chosen.night.resolve()
    own = ours(night, work / "out")
    live = theirs(night, work / "eso", chosen.channel) if chosen.run and shutil.which("esorex") else {}
    print(f"{'step':28s} {'CPU s':>8s} {'GB':>6s} {'ESO CPU s':>10s} {'ESO GB':>7s}")
    for task, (seconds, memory) in own.items():
        cost = live.get(task, PEER[task])
        mark = "" if task in live else " (reported)"
        print(f"{task:28s} {seconds:8.1f} {memory:6.2f} {cost[0]:10.1f} {cost[1]:7.2f}{mark}")
    with Ledger.open(work / "out") as ledger:
        for made in queries.products(ledger):
            for name, value in made.qc.items():
                print(f"{made.tag:28s} {name:28s} {value['value']:12.5g} {value['unit']}")
    if chosen.reference:
        for name, value in json.loads(chosen.reference.read_text("utf-8"))["realistic"].items():
            print(f"ESO  {name:60s} {value}")


if __name__ == "__main__":
    main()
