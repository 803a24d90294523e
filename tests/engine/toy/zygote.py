"""Start reductions that may be killed: one fork a line of input; process ids and exit statuses come out.

A line is ``RAW OUT WORKERS``, an empty one asks for its exit status. Forking from a process that has
imported everything makes a start take milliseconds instead of seconds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tracecube.io import products, raw  # noqa: F401 - imported once for all forks
from tracecube.workflow.discover import Found, load
from tracecube.workflow.executor import InProcess, LocalPool
from tracecube.workflow.reduce import reduce_folder

PAUSES = {"bias": {"pause": 0.05}, "lamp": {"pause": 0.05}, "star": {"pause": 0.05}}


def main() -> None:
    found = {"toy": Found("toyspec:instrument", load("toyspec:instrument"))}
    while line := sys.stdin.readline():
        folder, out, workers = line.split()
        child = os.fork()
        if child == 0:
            os.setsid()
            executor = LocalPool(int(workers)) if workers != "0" else InProcess()
            summary = reduce_folder(Path(folder), Path(out), executor, settings=PAUSES, instruments=lambda: found)
            executor.close()
            sys.stdout.flush()
            os._exit(0 if summary.good else 1)
        print(child, flush=True)
        sys.stdin.readline()  # until asked, an ended child stays a zombie and keeps its number
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
