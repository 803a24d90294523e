"""An interrupt ends a command even where Python drops it."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from tracecube.cli.interrupt import interruptible
from tracecube.workflow.executor import INTERRUPTED, InProcess, LocalPool

pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread alone"
)


def interrupted_and_going_on(executor):
    with interruptible():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        executor.submit(None)


@pytest.mark.parametrize("executor", [LocalPool(1), InProcess()])
def test_an_interrupt_that_was_dropped_comes_again(executor):
    with pytest.raises(KeyboardInterrupt):
        interrupted_and_going_on(executor)
    assert not INTERRUPTED.is_set()


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interruptible(signal.SIGTERM):
        assert signal.getsignal(signal.SIGTERM) not in before
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
