"""Jobs on a Dask cluster: the same interface as the pool of this machine, when one machine does not suffice."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from tracecube.core.errors import MissingInput
from tracecube.workflow.call import JobCall, JobResult, call_recipe
from tracecube.workflow.executor import WorkerDied

__all__ = ["DaskCluster"]

CONNECT = 30.0
"""Seconds in which a scheduler must answer."""


class DaskCluster:
    """Workers of a ``dask.distributed`` scheduler.

    They need the same software, and see raw files and products under the same paths as this machine.

    Parameters
    ----------
    address : str
        Of the scheduler: ``tcp://host:8786``.

    Raises
    ------
    MissingInput
        Dask is not installed, or no scheduler with workers answers.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingInput(
                "dask is not installed", hint="pip install distributed, or leave --executor out"
            ) from error
        try:
            self._client: Any = Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise MissingInput(
                f"{address}: no Dask scheduler answers ({error})", hint="start it with `dask scheduler`"
            ) from error
        self.slots = len(self._client.nthreads())
        if not self.slots:
            self.close()
            raise MissingInput(
                f"{address}: the Dask scheduler has no workers", hint=f"start some with `dask worker {address}`"
            )

    def warm(self, modules: Sequence[str]) -> None:
        """Let the workers import what they will need; one that cannot says so when it gets a job."""
        self._client.run(_import, ["tracecube.io.products", "tracecube.io.raw", *modules], on_error="ignore")

    def submit(self, call: JobCall) -> Future[JobResult]:
        """Hand a call to the cluster; each is run, even if one like it ran before."""
        remote = self._client.submit(_call, call, pure=False)
        future: Future[JobResult] = Future()
        future.set_running_or_notify_cancel()
        remote.add_done_callback(lambda done: _pass_on(done, future))
        return future

    def close(self) -> None:
        """Leave the cluster, which goes on."""
        self._client.close()


def _pass_on(remote: Any, future: Future[JobResult]) -> None:
    """Bring the end of a remote job into the future that the runner waits for."""
    from distributed import KilledWorker  # noqa: PLC0415 - optional

    if remote.status in {"cancelled", "lost"}:
        future.set_exception(WorkerDied("the connection to the cluster was lost"))
        return
    error = remote.exception()
    if error is None:
        future.set_result(remote.result())
    else:
        future.set_exception(WorkerDied(str(error)) if isinstance(error, KilledWorker) else error)


_ALONE = threading.Lock()


def _call(call: JobCall) -> JobResult:
    """Run a job on a worker, one at a time: what a recipe prints is caught for its process as a whole."""
    with _ALONE:
        return call_recipe(call)


def _import(modules: list[str]) -> None:
    """Import what jobs will need."""
    for module in modules:
        importlib.import_module(module)
