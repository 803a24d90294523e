"""A simulated day of SPHERE-IFS with the Y-J prism, from raw lamps to wavelengths, against what was put in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from scipy.spatial import cKDTree

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.cli.nights import simulator, write_night
from tracecube.core.optics import TraceSet, WavelengthSolution
from tracecube.io.products import read_product
from tracecube.workflow.executor import LocalPool
from tracecube.workflow.reduce import reduce_folder

pytestmark = pytest.mark.night


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Simulate and reduce; places found (n, 9, 2) and true (n, 9, 2) of nine wavelengths, and these."""
    raw, out = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("out")
    write_night(simulator("sphere_ifs"), raw, 5, {"mode": "YJ", "size": "day"})
    pool = LocalPool(2)
    summary = reduce_folder(raw, out, pool, targets=("ifs_wavelength_calibration",))
    pool.close()
    assert summary.good
    with Ledger.open(out) as ledger:
        paths = {tag: queries.products(ledger, tag=tag)[0].path for tag in ("TRACES", "WAVELENGTH")}
    truth = Table.read(raw / "truth" / "lenslets.fits")
    true = np.stack([truth["x"], truth["y"]], axis=-1)
    traces = read_product(Path(paths["TRACES"]), TraceSet)
    wave = read_product(Path(paths["WAVELENGTH"]), WavelengthSolution).wave
    found = _places(traces, wave, np.asarray(truth["wave"][0]))
    distance, match = cKDTree(found[:, 4]).query(true[:, 4])
    return found[match], true, distance, truth["wave"][0]


def _places(traces: TraceSet, wave: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Where wavelengths fall by the calibration: array (n, k, 2), x and y."""
    out = np.empty((wave.shape[0], nodes.size, 2))
    for i, (start, centre, one) in enumerate(zip(traces.start, traces.centre, wave, strict=True)):
        ok = np.isfinite(one) & np.isfinite(centre)
        rows = np.flatnonzero(ok) + start
        out[i, :, 1] = np.interp(nodes, one[ok], rows)
        out[i, :, 0] = np.interp(out[i, :, 1], rows, centre[ok])
    return out


def test_all_lenslets_are_found(day) -> None:
    _, true, distance, _ = day
    assert (distance < 1.0).mean() > 0.998
    assert len(true) > 18000


def test_traces_lie_where_the_light_fell(day) -> None:
    found, true, distance, _ = day
    miss = (found - true)[distance < 1.0, :, 0]
    assert np.sqrt((miss**2).mean(axis=0)).max() < 0.02  # px
    assert np.abs(np.median(miss, axis=0)).max() < 0.01


def test_wavelengths_hold_between_and_beyond_the_lasers(day) -> None:
    found, true, distance, wave = day
    per_px = np.abs(np.gradient(np.asarray(wave))[None, :] / np.gradient(true[:, :, 1], axis=1))
    miss = ((found - true)[:, :, 1] * per_px)[distance < 1.0] / 10.0  # nm
    assert np.median(np.abs(miss)) < 0.5
    assert np.sqrt((miss**2).mean(axis=0)).max() < 1.0
