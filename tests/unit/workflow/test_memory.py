"""How much memory a job takes at most."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from tracecube.workflow import memory

LARGE = 400 << 20


def test_largest_size_counts_from_when_it_was_forgotten():
    if not memory.forget_peak():
        pytest.skip("this system does not forget it")
    before = memory.peak_memory()
    held = np.ones(LARGE // 8)
    assert memory.peak_memory() > before + 0.9 * held.nbytes
    del held
    assert memory.forget_peak()
    assert memory.peak_memory() < before + 0.5 * LARGE


def test_without_leave_to_forget_it_is_the_largest_so_far(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_RESET", tmp_path / "absent" / "clear_refs")
    assert not memory.forget_peak()
    assert memory.peak_memory() > 2**20


def test_what_earlier_jobs_freed_goes_back_to_the_system():
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("this C library keeps it")
    if not memory.forget_peak():
        pytest.skip("this system does not forget its largest size")
    before = memory.peak_memory()
    parts = [np.ones(8000) for _ in range(LARGE // 64000)]  # small ones: large ones go back by themselves
    kept = parts[::200]
    del parts
    memory.give_back()
    memory.forget_peak()
    assert memory.peak_memory() < before + 0.2 * LARGE + sum(one.nbytes for one in kept)
