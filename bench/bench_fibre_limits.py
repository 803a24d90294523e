"""What photons allow: errors of throughputs and wavelengths of fibres, from lamps and twilights of a VIRUS night.

Throughputs rest on the twilights' counts. Wavelengths rest on arcs; the Sun's lines in the twilights could tell how
wavelengths of fibres differ from each other, but not where they lie, for the spectrum is not known to as much.

    python bench/bench_fibre_limits.py [NIGHT]
"""

from __future__ import annotations

import sys
from collections import defaultdict
from itertools import pairwise

import numpy as np
from bench_fibre_calibration import bare, night, products

from tracecube.core.fibres import FibreSpectra
from tracecube.core.optics import WavelengthSolution

BAND = (4100.0, 5350.0)  # Angstrom, in which throughputs are judged
EDGES = (3480.0, 3610.0, 3800.0, 4100.0, 4700.0, 5200.0, 5461.0, 5540.0)
TERMS = 6  # of a smooth field across the fibres of a CCD


def throughput_limit(twilight: FibreSpectra) -> float:
    """Median error of a fibre's light in the band, a share of it."""
    good = (twilight.flags == 0) & (twilight.wave > BAND[0]) & (twilight.wave < BAND[1])
    light, variance = (np.where(good, plane, 0.0).sum(axis=1) for plane in (twilight.flux, twilight.variance))
    return float(np.median(np.sqrt(variance[light > 0]) / light[light > 0]))


def solar_limit(twilight: FibreSpectra, low: float, high: float) -> float:
    """Error (Angstrom) of a fibre's shift from the Sun's lines in an interval, if their spectrum is known."""
    lit = np.flatnonzero((twilight.flags == 0).mean(axis=1) > 0.8)
    grid = np.arange(low, high, 1.0)
    level = np.median([twilight.flux[i] / np.median(twilight.flux[i]) for i in lit], axis=0)
    rows = [np.interp(grid, twilight.wave[i], twilight.flux[i] / np.median(twilight.flux[i])) for i in lit]
    slope = np.gradient(np.mean(rows, axis=0), grid)
    found = []
    for i in lit:
        inside = (twilight.wave[i] > low) & (twilight.wave[i] < high) & (twilight.flags[i] == 0)
        steep = np.interp(twilight.wave[i][inside], grid, slope) * np.median(twilight.flux[i])
        # what a change of brightness and colour takes is no shift
        base = np.stack([level[inside], level[inside] * np.linspace(-1.0, 1.0, int(inside.sum()))], axis=1)
        weight = 1.0 / twilight.variance[i][inside]
        left = steep - base @ np.linalg.lstsq(base * np.sqrt(weight)[:, None], steep * np.sqrt(weight), rcond=None)[0]
        found.append(float((weight * left**2).sum()))
    return float(np.median(found)) ** -0.5


def arc_limit(waves: list[WavelengthSolution], low: float, high: float) -> float:
    """Median error (Angstrom) of the arcs' wavelengths in an interval."""
    return float(np.median([np.median(one.error[(one.wave > low) & (one.wave < high)]) for one in waves]))


def main() -> None:
    """Print the figures."""
    by_ccd = defaultdict(lambda: defaultdict(list))
    for frame in night(sys.argv[1] if len(sys.argv) > 1 else None):
        by_ccd[bare(frame.name).split("_")[1][:4]][frame.tag].append(frame)
    for ccd, raw in sorted(by_ccd.items()):
        try:
            made = products(raw)
        except Exception as error:  # noqa: BLE001 - a dead CCD is named, the others are told of
            print(f"{ccd}: {error}")
            continue
        twilight, waves = made["twilights"].twilight, list(made["wavelengths"].wavelength.parts.values())
        known = throughput_limit(twilight)
        print(f"{ccd}: photons of {len(raw['TWILIGHT'])} twilight frames know a throughput to {known:.5f}")
        print("  wavelengths, A:    arcs   twilight: one fibre   a smooth field")
        for low, high in pairwise(EDGES):
            sun, fibres = solar_limit(twilight, low, high), int((twilight.dq == 0).sum())
            arcs = arc_limit(waves, low, high)
            print(f"  {low:6.0f} to {high:5.0f}: {arcs:9.4f} {sun:14.4f} {sun * (TERMS / fibres) ** 0.5:20.4f}")


if __name__ == "__main__":
    main()
