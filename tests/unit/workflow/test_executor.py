"""The local pool: one thread a worker, replaced when a worker dies."""

from __future__ import annotations

import pytest

from tracecube.workflow.call import JobCall
from tracecube.workflow.executor import DIED, LocalPool


def call_of(reference: str) -> JobCall:
    return JobCall(reference=reference, task="t", params={}, inputs=(), outputs={}, key="k", scratch="/nowhere")


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """A pool whose workers can import small modules; importing one is all that these calls do."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "says_threads.py").write_text(
        "import os\nraise ImportError(os.environ['OMP_NUM_THREADS'] + ' ' + os.environ['NUMBA_NUM_THREADS'])"
    )
    (tmp_path / "dies.py").write_text("import os\nos._exit(9)")
    pool = LocalPool(1)
    pool.warm([])
    yield pool
    pool.close()


def test_workers_have_one_thread_and_answer_with_sentences(pool):
    result = pool.submit(call_of("says_threads:x")).result(timeout=120)
    assert result.error.startswith("BadData: instrument says_threads:x cannot be loaded (1 1)")


def test_a_dead_worker_is_told_and_replaced(pool):
    with pytest.raises(DIED):
        pool.submit(call_of("dies:x")).result(timeout=120)
    assert "cannot be loaded" in pool.submit(call_of("says_threads:x")).result(timeout=120).error


def test_closing_twice_is_harmless_and_a_closed_pool_starts_again(pool):
    pool.close()
    pool.close()
    assert pool.submit(call_of("says_threads:x")).result(timeout=120).error
