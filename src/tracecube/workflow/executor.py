"""Where jobs run. Thin on purpose: a process pool here, a cluster's executor in its place."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from typing import Protocol

from threadpoolctl import threadpool_limits

from tracecube.io.members import indices_folder, keep_indices_in
from tracecube.workflow.call import JobCall, JobResult, call_recipe

__all__ = ["DIED", "INTERRUPTED", "Executor", "InProcess", "LocalPool", "WorkerDied"]


class WorkerDied(Exception):
    """A worker elsewhere was killed instead of answering."""


DIED = (BrokenProcessPool, WorkerDied)
"""What a future raises when its worker was killed instead of answering."""

INTERRUPTED = threading.Event()
"""Set when a person wants this process to end: nothing is handed out any more."""

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""One thread a worker: parallel are the jobs, and sums are then added in one order everywhere."""


class Executor(Protocol):
    """What the runner asks of a place to run jobs: this process, a pool, or a cluster (`dask_cluster`)."""

    slots: int

    def warm(self, modules: Sequence[str]) -> None:
        """Begin to get ready while the plan is made: these modules will be needed."""
        ...

    def submit(self, call: JobCall) -> Future[JobResult]:
        """Start a call some time soon."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


class InProcess:
    """Runs every call at once in this process: for debugging, and for making one product again."""

    slots = 1

    def warm(self, modules: Sequence[str]) -> None:
        """Nothing to get ready."""

    def submit(self, call: JobCall) -> Future[JobResult]:
        """Run the call on one thread, as a worker would, and return its finished future."""
        _unless_interrupted()
        future: Future[JobResult] = Future()
        with threadpool_limits(limits=1):
            future.set_result(call_recipe(call))
        return future

    def close(self) -> None:
        """Nothing to let go."""


class LocalPool:
    """Warm worker processes on this machine, forked off one that has imported what they need.

    Parameters
    ----------
    slots : int
        Processes.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._context = multiprocessing.get_context("forkserver")
        self._pool: ProcessPoolExecutor | None = None

    def warm(self, modules: Sequence[str]) -> None:
        """Start the process that workers are forked off; it imports on its own."""
        os.environ.update(dict.fromkeys(_THREADS, "1"))  # read by the workers' libraries when they load
        self._context.set_forkserver_preload(["tracecube.io.products", "tracecube.io.raw", __name__, *modules])
        with _main_left_alone():
            forkserver.ensure_running()

    def submit(self, call: JobCall) -> Future[JobResult]:
        """Queue a call; a pool that lost a worker is replaced."""
        _unless_interrupted()
        with _main_left_alone():
            try:
                return self._running().submit(call_recipe, call)
            except BrokenProcessPool:
                self.close()
                return self._running().submit(call_recipe, call)

    def close(self) -> None:
        """End the workers; what was queued is dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.slots, mp_context=self._context, initializer=_prepare_worker, initargs=(indices_folder(),)
            )
        return self._pool


def _unless_interrupted() -> None:
    """Interrupt once more: the first may have come where Python drops exceptions (callbacks of weak references)."""
    if INTERRUPTED.is_set():
        raise KeyboardInterrupt


@contextmanager
def _main_left_alone() -> Iterator[None]:
    """Start processes that do not import the main script again.

    Workers need nothing of it: its imports would only cost time, and a script or notebook without an
    ``if __name__ == "__main__"`` would start itself over and over.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _prepare_worker(indices: Path | None) -> None:
    """Leave interrupts to the main process, and end with it; read archives through the indices of this run."""
    keep_indices_in(indices)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait until the main process is gone, killed perhaps, then go too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
