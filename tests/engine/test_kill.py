"""kill -9 at any moment: nothing partial is ever seen, and the next run goes on to the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger

ROUNDS = 20
SLOWEST = 1.2
"""Seconds after the start within which the process is killed; an undisturbed run takes about one."""


class Zygote:
    """Starts reductions in processes of their own."""

    def __init__(self, toy: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(toy)}
        self._process = subprocess.Popen(
            [sys.executable, str(toy / "zygote.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def start(self, raw: Path, out: Path, workers: int) -> int:
        self._process.stdin.write(f"{raw} {out} {workers}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self) -> int:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=60)


@pytest.fixture
def zygote(toy) -> Iterator[Zygote]:
    started = Zygote(Path(toy.__file__).parent)
    yield started
    started.close()


def kill_at_random(zygote: Zygote, raw: Path, out: Path, chance: random.Random, workers: int) -> bool:
    """Start a run and kill its main process; return whether it was killed before it ended."""
    child = zygote.start(raw, out, workers)
    time.sleep(SLOWEST * chance.random() ** 2 * (2 if workers else 1))  # more often early, while the ledger is made
    os.kill(child, signal.SIGKILL)
    return zygote.wait() == -signal.SIGKILL


def test_twenty_kills_then_the_same_hashes(raw, tmp_path, zygote, toy):
    zygote.start(raw, tmp_path / "undisturbed", 0)
    assert zygote.wait() == 0
    expected = toy.hashes(tmp_path / "undisturbed")
    out = tmp_path / "out"
    chance = random.Random(20210421)
    killed = 0
    for turn in range(ROUNDS):
        if turn % 5 == 0:
            shutil.rmtree(out, ignore_errors=True)
        elif chance.random() < 0.3:  # early jobs are to be cut short too
            for path in sorted(out.glob("2021-04-21/*/*.fits"))[:: chance.randint(1, 3)]:
                path.unlink()
        killed += kill_at_random(zygote, raw, out, chance, workers=2 if turn % 4 == 3 else 0)
        seen = {name: sha for name, sha in toy.hashes(out).items() if not name.startswith(".tracecube-scratch")}
        assert seen.items() <= expected.items(), "a partial or foreign product under its final name"
    assert killed >= ROUNDS // 4
    zygote.start(raw, out, 0)
    assert zygote.wait() == 0
    assert toy.hashes(out) == expected
    with Ledger.open(out) as ledger:
        assert {str(Path(p.path).relative_to(out)): p.sha256 for p in queries.products(ledger)} == expected


def test_workers_end_when_their_main_process_is_killed(raw, tmp_path, zygote):
    child = zygote.start(raw, tmp_path / "out", 2)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob("*/bias/*.fits")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    zygote.wait()
    while time.monotonic() < deadline and (left := processes_of_session(child)):
        time.sleep(0.05)
    assert not left


def test_a_script_without_a_guard_may_reduce_with_workers(raw, tmp_path, toy):
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from tracecube.workflow.executor import LocalPool\n"
        "from tracecube.workflow.reduce import reduce_folder\n"
        f"print(reduce_folder(Path({str(raw)!r}), Path({str(tmp_path / 'out')!r}), LocalPool(2)).good)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(toy.__file__).parent)}
    for how in ([str(script)], ["-c", script.read_text()]):
        done = subprocess.run(
            [sys.executable, *how], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def processes_of_session(session: int) -> list[int]:
    """Return the living processes of a session (Linux)."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc")
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = entry.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of) == session and state != "Z":
            found.append(int(entry.parent.name))
    return found


def test_an_interrupt_ends_at_once_and_keeps_what_is_done(raw, tmp_path, toy):
    out = tmp_path / "out"
    line = toy.command("reduce", raw, "-o", out, "-j", "2", "-p", "star.pause=30")
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        deadline = time.monotonic() + 60
        while not list(out.glob("*/lamp/*.fits")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        text, errors = run.communicate(timeout=20)
    assert run.returncode == 1
    assert "interrupted; what was finished is kept" in text
    assert "Traceback" not in errors
    with Ledger.open(out) as ledger:
        assert {made.task for made in queries.products(ledger)} == {"bias", "lamp"}
