"""Ctrl-C ends a command at once, wherever it is, and what was finished is kept."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tracecube.workflow.executor import INTERRUPTED

__all__ = ["interruptible"]


@contextmanager
def interruptible(*more: signal.Signals) -> Iterator[None]:
    """Within this, an interrupt ends the workers, then raises `KeyboardInterrupt`; ``more`` signals do the same."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    INTERRUPTED.clear()
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, *more)}
    try:
        yield
    except KeyboardInterrupt:
        _end_workers()  # one may have been started while the signal came
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        INTERRUPTED.clear()


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what signals pass
    INTERRUPTED.set()
    _end_workers()
    raise KeyboardInterrupt


def _end_workers() -> None:
    for worker in multiprocessing.active_children():
        worker.terminate()
