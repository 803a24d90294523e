"""A Dask cluster in place of the pool: the same products, and sentences when it is not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tracecube.core.errors import BadData, MissingInput

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a scheduler with two workers."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as local:
        yield local.scheduler_address


@pytest.fixture
def dask(cluster):
    from tracecube.workflow.dask_cluster import DaskCluster

    made = DaskCluster(cluster)
    yield made
    made.close()


def test_products_are_those_of_this_process(raw, tmp_path, reduced, toy, dask):
    summary = reduced(raw, tmp_path / "far", executor=dask)
    assert summary.good
    assert dask.slots == 2
    assert {result.state for result in summary.results} == {"done"}
    reduced(raw, tmp_path / "near")
    assert toy.hashes(tmp_path / "far") == toy.hashes(tmp_path / "near")


def test_a_failure_on_the_cluster_blocks_what_needs_it_and_nothing_else(raw, tmp_path, reduced, toy, dask):
    toy.write_frame(raw, "sci9", "SCIENCE", minutes=60, seed=60, OBJECT="FAINT")
    summary = reduced(raw, tmp_path / "out", executor=dask)
    assert {r.label: r.state for r in summary.results if r.state != "done"} == {
        "star sci9": "failed",
        "flux sci9": "blocked",
    }


def test_a_scheduler_that_is_not_there(monkeypatch):
    from tracecube.workflow import dask_cluster

    monkeypatch.setattr(dask_cluster, "CONNECT", 1.0)
    with pytest.raises(MissingInput, match="no Dask scheduler answers"):
        dask_cluster.DaskCluster("tcp://127.0.0.1:9")


def test_dask_that_is_not_installed(monkeypatch):
    from tracecube.workflow import dask_cluster

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingInput, match="dask is not installed"):
        dask_cluster.DaskCluster("tcp://127.0.0.1:9")


def test_an_executor_that_is_not_known():
    from tracecube.cli.reduce import executor_for

    with pytest.raises(BadData, match="dask:ADDRESS"):
        executor_for(None, "slurm:here")
