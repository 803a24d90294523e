"""Replay a night into a watched folder, file by file, and say how long each spectrum took after its file was whole.

    python bench/bench_watch.py NIGHT [--every SECONDS] [--kill NUMBER] [-j N]

NIGHT is a folder of raw files; their times of start give the order. The next file is copied when ``--every`` seconds
have passed and the last one was worked off: a night's exposures are minutes apart. With ``--kill``, the watch is killed
(-9) so many times on the way, and started again. At the end the products are compared, byte by byte, with those of one
`tracecube reduce` of the whole folder.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import products
from tracecube.workflow.discover import discover
from tracecube.workflow.scan import scan

COMMAND = [sys.executable, "-m", "tracecube.cli.main"]


class Watcher:
    """The watching process, and what it said."""

    def __init__(self, folder: Path, out: Path, jobs: int) -> None:
        self._line = [*COMMAND, "watch", str(folder), "-o", str(out), "-j", str(jobs), "--quiet", "20", "--no-report"]
        self.said: list[str] = []
        self.start()

    def start(self, *more: str) -> None:
        """Begin to watch."""
        self.process = subprocess.Popen(
            [*self._line, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        Thread(target=self._read, args=(self.process,), daemon=True).start()

    def wait_for(self, name: str, most: float = 300.0) -> None:
        """Wait until a file was worked off."""
        end = time.monotonic() + most
        while time.monotonic() < end and not any(name in line and "->" in line for line in self.said):
            time.sleep(0.2)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def finish(self) -> int:
        """Start it once more, to end by itself when nothing is left."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.start("--idle", "25")
        return self.process.wait()

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self.said.append(line.rstrip())
            print(f"    {line.rstrip()}", flush=True)


def content(out: Path) -> dict[tuple[str, str | None, str], str]:
    """Return (task, raw, file) -> content of the current products."""
    with Ledger.open(out) as ledger:
        return {(made.task, made.raw, Path(made.path).name): made.sha256 for made in products(ledger)}


def replay(night: Path, work: Path, every: float, kills: int, jobs: int) -> None:
    """Copy the files, one after the other, and print what came of it."""
    arriving, watched, batch = work / "arriving", work / "watched", work / "batch"
    arriving.mkdir(parents=True)
    files = scan(night, [found.instrument for found in discover().values()]).files
    watcher = Watcher(arriving, watched, jobs)
    struck = {round((turn + 1) * len(files) / (kills + 1)) for turn in range(kills)}
    for number, file in enumerate(files):
        name = Path(file.path).name
        shutil.copyfile(file.path, arriving / name)
        time.sleep(every)
        if number + 1 not in struck:
            watcher.wait_for(name.partition(".")[0])
        if number + 1 in struck:
            print(f"  kill -9 after {file.name}")
            watcher.kill()
            watcher.start()
    status = watcher.finish()
    waits = [int(found[1]) for line in watcher.said if (found := re.search(r"(\d+) s after its file", line))]
    subprocess.run(
        [*COMMAND, "reduce", str(night), "-o", str(batch), "-t", "science", "-t", "calibration"],
        check=False,
        capture_output=True,
    )
    one, other = content(watched), content(batch)
    differ = sorted(str(key) for key in one.keys() | other.keys() if one.get(key) != other.get(key))
    print(f"{len(files)} files, one every {every:.0f} s, {kills} kills: the watch ended with status {status}")
    print(f"spectra after their files: {sorted(waits)} s (goal 60)")
    print(f"{len(one)} products, {len(differ)} of them not those of one run on the whole folder {differ[:5] or ''}")


def main() -> None:
    """Read the command line."""
    if len(sys.argv) == 1:
        print(__doc__)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("night", type=Path)
    parser.add_argument("--every", type=float, default=5.0)
    parser.add_argument("--kill", type=int, default=0)
    parser.add_argument("-j", "--jobs", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        replay(given.night.resolve(), Path(work), given.every, given.kill, given.jobs)


if __name__ == "__main__":
    main()
