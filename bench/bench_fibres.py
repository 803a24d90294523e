"""Figures of the extraction of one CCD of 224 fibres: CPU, memory, noise against the bound, light of neighbours.

Beside them what is known of today's pipelines (`instruments/virus.md`): a NumPy banded fit of a column takes 1.8 s an
amplifier, an aperture of five pixels 0.010 s, whose noise is 8 per cent above the optimum and whose nearest neighbours
take 0.9 to 1.4 per cent of a fibre's light, the second ones 0.05 per cent.

    python bench/bench_fibres.py
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tracecube.core.frame import Frame, RawFrame
from tracecube.core.optics import TraceSet
from tracecube.instruments.virus.ccd import HALF, HALVES, read_ccd
from tracecube.instruments.virus.simulation.optics import Spectrograph, draw_spectrograph, paint
from tracecube.io import read_raw
from tracecube.io.raw import write_raw
from tracecube.kernels.solve import estimate, factorise, normal_equations
from tracecube.recipes.extract.fibres import FibreExtraction, FibreExtractionParams, extract_fibres
from tracecube.recipes.optics.fibre_profile import fibre_matrix, side_by_side
from tracecube.recipes.optics.fibre_scatter import Halo, HaloParams

NOISE, SKY, BRIGHT, FRAMES = 3.0, 60.0, 30000.0, 6
SHAPE = (2 * HALF, HALF)
PLAIN, APERTURE = 2 * 1.8, 2 * 0.010  # s a CCD, of two amplifiers


def optics() -> tuple[Spectrograph, list[TraceSet], Halo]:
    """A spectrograph without dead fibres or stray light, and its traces as they are."""
    one = draw_spectrograph(np.random.default_rng(3))
    count = len(one.trace)
    one = replace(one, scattered=0.0, width=np.ones(count), dead=np.zeros(count, bool))
    u = np.round(np.arange(-425, 426) * 0.02, 9)
    nodes = np.arange(one.cumulative.size) * 0.02 - one.low
    edge = [np.interp(u + side, nodes, one.cumulative) for side in (0.5, -0.5)]
    value, index = (edge[0] - edge[1])[:, None], np.arange(count // 2)
    trace, _ = one.places(0.0)
    parts = []
    for k in (0, 1):
        centre = trace[k * index.size : (k + 1) * index.size] - k * HALF
        zero = np.zeros(centre.shape)
        parts.append(
            TraceSet(index, 0 * index, index, index, 0 * index, centre, zero + 1.0, zero.astype(int), u, value)
        )
    return one, parts, Halo(0.0, 0.0, 1.0, np.zeros(2), np.zeros(2), 1.0)


def frame_of(light: np.ndarray, seed: int) -> Frame:
    """One exposure."""
    rng = np.random.default_rng(seed)
    data = rng.poisson(light) + rng.normal(0.0, NOISE, SHAPE)
    return Frame(data.astype(np.float32), np.full(SHAPE, NOISE**2, np.float32), np.zeros(SHAPE, np.int32), {})


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Least CPU time of several runs, s, the first left out."""
    work()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def stacked(found: FibreExtraction, name: str) -> np.ndarray:
    """A quantity of all fibres of the CCD (n, m)."""
    return np.concatenate([np.asarray(part) for part in getattr(found, name)])


def bound(traces: list[TraceSet], light: np.ndarray) -> np.ndarray:
    """Least standard deviation of any unbiased estimate of each sample (Cramér and Rao), (n, m)."""
    parts = [
        fibre_matrix(
            one.centre + k * HALF,
            (one.profile_u, one.profile, np.ones((1, *one.centre.shape), np.float32)),
            SHAPE,
            slope=False,
        )
        for k, one in enumerate(traces)
    ]
    a = side_by_side(parts, [one.dq.size for one in traces], SHAPE)
    ivar = (1.0 / (NOISE**2 + light)).astype(np.float32)
    equations = normal_equations(a, light.astype(np.float32), ivar, band=2)
    variance = estimate(factorise(equations), equations.rhs).covariance[0]
    return np.sqrt(variance.reshape(HALF, -1).T)


def raw_files(folder: Path, light: np.ndarray) -> list[Path]:
    """Both amplifiers of the left CCD in an archive."""
    rng, paths = np.random.default_rng(9), []
    for k, amp in enumerate(HALVES["L"]):
        image = rng.normal(1000.0, NOISE, (HALF, HALF + 32))
        image[:, :HALF] += rng.poisson(light[k * HALF : (k + 1) * HALF])
        meta = {"CCDPOS": "L", "CCDHALF": amp[1], "AMPNAME": amp, "GAIN": 1.0, "RDNOISE": NOISE, "IFUSLOT": 47}
        name = f"virus.tar::exp01/20190204T061705.1_047{amp}_sci.fits"
        paths.append(write_raw(folder, RawFrame(name, "SCI", meta, {"": np.rint(image).astype(np.uint16)}, {})))
    return paths


def main() -> None:
    """Print the figures."""
    one, traces, halo = optics()
    params = FibreExtractionParams(halo=HaloParams())
    trace, _ = one.places(0.0)
    even = np.full(trace.shape, SKY)
    light = np.asarray(paint(one, trace, even), np.float64)
    frames = [frame_of(light, k) for k in range(FRAMES)]
    work = best(lambda: extract_fibres(frames[0], traces, halo, params))
    with tempfile.TemporaryDirectory() as folder:
        paths = raw_files(Path(folder), light)
        read = best(lambda: [read_raw(path, "SCI") for path in paths])
        raws = [read_raw(path, "SCI") for path in paths]
        levels = best(lambda: read_ccd(raws))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"read two amplifiers from an archive            {read:8.3f} CPU s a CCD")
    print(f"orientation, bias level, interference          {levels:8.3f} CPU s a CCD")
    print(f"extraction                                     {work:8.3f} CPU s a CCD, {work / read:.0f} times reading")
    print(f"   NumPy banded fit, published                 {PLAIN:8.3f} s, {PLAIN / work:.1f} times as much")
    print(f"   aperture alone, published                   {APERTURE:8.3f} s")
    print(f"largest memory of this process                 {peak:8.0f} MiB")
    found = [extract_fibres(frame, traces, halo, params) for frame in frames]
    least = bound(traces, light)
    flux, box = (np.array([stacked(each, name) for each in found]) for name in ("flux", "box"))
    scatter = np.sqrt(np.nanmean(flux.var(axis=0, ddof=1) / least**2))
    share = np.nanmean(box) / SKY
    aperture = np.sqrt(np.nanmean(box.var(axis=0, ddof=1) / share**2 / least**2))
    told = np.concatenate([((stacked(e, "flux") - SKY) / np.sqrt(stacked(e, "variance"))).ravel() for e in found])
    print(f"noise over the bound, {FRAMES} frames of {SKY:.0f} electrons   {scatter:8.4f} (aperture {aperture:.4f})")
    print(f"pulls: mean and width                          {np.nanmean(told):8.4f} {np.nanstd(told):.4f}")
    row = 150
    even[row] = BRIGHT
    lit = extract_fibres(frame_of(np.asarray(paint(one, trace, even), np.float64), 50), traces, halo, params)
    for name, rows in (("nearest", [row - 1, row + 1]), ("second", [row - 2, row + 2])):
        fit, sums = (np.nanmean(stacked(lit, key)[rows], axis=1) for key in ("flux", "box"))
        spill, taken = (fit - SKY) / BRIGHT, (sums - share * SKY) / BRIGHT
        error = float(np.sqrt(np.nanmean(stacked(lit, "variance")[rows]) / HALF)) / BRIGHT
        print(
            f"light of a bright fibre in its {name:7s} ones     {100 * spill[0]:8.4f} {100 * spill[1]:.4f} per cent"
            f" +- {100 * error:.4f} (aperture {100 * taken[0]:.3f} {100 * taken[1]:.3f})"
        )


if __name__ == "__main__":
    main()
