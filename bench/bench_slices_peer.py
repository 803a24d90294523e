"""Figures of a MUSE night beside ESO's pipeline, step by step: CPU, memory; our quality numbers, ESO's scores.

Ours are measured here, one channel and one exposure at a time, each step in a process of its own; ESO's are run where
esorex is installed and ``--run`` is given, else those of a file of reference values (`eso_reference.json` of the
generator of the night) and of its report of costs are printed beside.

    python bench/bench_slices_peer.py NIGHT --channel 2 [--work DIR] [--run] [--reference eso_reference.json]

NIGHT is a folder of raw frames and the observatory's tables (`tracecube simulate muse`, or the generator's).
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_slices import PEER

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


def main() -> None:
    """Print the figures; without arguments what they are."""
    if len(sys.argv) == 1:
        print(__doc__)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("night", type=Path)
    parser.add_argument("--channel", type=int, default=2)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--reference", type=Path)
    chosen = parser.parse_args()
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
