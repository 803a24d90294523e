"""A night of the toy spectrograph, and ways to reduce it."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tracecube.archive.summary import RunSummary
from tracecube.workflow.discover import Found, load
from tracecube.workflow.executor import InProcess, LocalPool
from tracecube.workflow.reduce import reduce_folder

TOY = Path(__file__).parent / "toy"
Reduce = Callable[..., RunSummary]

collect_ignore = ["toy/toytext.py", "toy/toymany.py", "toy/toyhand.py"]
"""Have no examples to try, and import a neighbour that is found only while tests run."""


@pytest.fixture(scope="session", autouse=True)
def _toy_on_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOY))
        yield


@pytest.fixture(scope="session")
def toy(_toy_on_path: None) -> ModuleType:
    """The raw frames of the toy."""
    return importlib.import_module("toynight")


@pytest.fixture(scope="session")
def installed(toy: ModuleType) -> Callable[[], dict[str, Found]]:
    """The toy as the only installed instrument."""
    return lambda: {"toy": Found("toyspec:instrument", load("toyspec:instrument"))}


@pytest.fixture
def raw(tmp_path: Path, toy: ModuleType) -> Path:
    """A night's raw frames."""
    return toy.write_night(tmp_path / "raw")


@pytest.fixture(scope="session")
def pool() -> Iterator[LocalPool]:
    """Two worker processes."""
    pool = LocalPool(2)
    yield pool
    pool.close()


@pytest.fixture
def reduced(installed: Callable[[], dict[str, Found]]) -> Reduce:
    """Reduce a folder in this process."""

    def call(raw: Path, out: Path, **choices: Any) -> RunSummary:
        return reduce_folder(raw, out, choices.pop("executor", InProcess()), instruments=installed, **choices)

    return call


@pytest.fixture
def tracecube(toy: ModuleType) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call the command line in a process of its own."""

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        line = toy.command(*arguments)
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)

    return call
