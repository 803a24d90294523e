"""Calibration of a VIRUS amplifier, step by step: CPU seconds on a simulated night, or on a night of raw files.

Beside them what is known of Remedy: about 14 CPU s for one amplifier (three frames of each kind), most of it
`get_trace`; 15.4 measured on two cores.

    python bench/bench_fibre_calibration.py [NIGHT]
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracecube.core.frame import RawFrame
from tracecube.instruments.virus import instrument
from tracecube.instruments.virus.detector_steps import master_dark
from tracecube.instruments.virus.optics_steps import trace_flat, wavelength_calibration
from tracecube.instruments.virus.parameters import TracesParams, WavelengthsParams
from tracecube.instruments.virus.science_steps import twilight_spectra
from tracecube.instruments.virus.simulate import simulate
from tracecube.io.raw import read_raw
from tracecube.recipes.detector.structure import StructureParams

REMEDY = {"published": 14.0, "measured": 15.4}
KINDS = ("zro", "drk", "flt", "cmp", "twi")


def bare(name: str) -> str:
    """Name of a frame without folder and suffix."""
    return name.rpartition("/")[2].removesuffix(".fits")


def night(folder: str | None) -> Iterator[RawFrame]:
    """Calibration frames of a night, as classified."""
    if folder is None:
        yield from (f for f in simulate(seed=11, ifus=1, exposures=0, size="night") if bare(f.name)[-3:] in KINDS)
        return
    for path in sorted(Path(folder).rglob("*.fits")):
        if path.stem.rpartition("_")[2] in KINDS:
            raw = read_raw(path, "")
            yield replace(raw, tag=instrument.classify(raw.name, raw.meta).tag)


Step = Callable[[dict[str, Any]], Any]


def steps(raw: dict[str, list[RawFrame]]) -> dict[str, Step]:
    """Return the steps of one CCD in order; each takes what the steps before it made."""
    arcs, twilight = raw["ARC_HG"] + raw["ARC_CD"], twilight_spectra.params()
    return {
        "dark": lambda _: master_dark(raw=raw["ZERO"] + raw["DARK"], params=StructureParams()),
        "traces": lambda made: trace_flat(raw=raw["FLAT"], dark=made["dark"].master_dark, params=TracesParams()),
        "wavelengths": lambda made: wavelength_calibration(
            raw=arcs, dark=made["dark"].master_dark, traces=made["traces"].traces, params=WavelengthsParams()
        ),
        "twilights": lambda made: twilight_spectra(
            raw=raw["TWILIGHT"],
            dark=made["dark"].master_dark,
            traces=made["traces"].traces,
            wavelength=made["wavelengths"].wavelength,
            places=None,
            params=twilight,
        ),
    }


def products(raw: dict[str, list[RawFrame]]) -> dict[str, Any]:
    """Calibrate one CCD."""
    made: dict[str, Any] = {}
    for name, step in steps(raw).items():
        made[name] = step(made)
    return made


def seconds(raw: dict[str, list[RawFrame]]) -> tuple[dict[str, float], int]:
    """CPU seconds of each step of one CCD that has run before, and how many of its amplifiers live."""
    made, spent = products(raw), {}
    for name, step in steps(raw).items():
        start = time.process_time()
        step(made)
        spent[name] = time.process_time() - start
    return spent, len(made["traces"].traces.parts)


def main() -> None:
    """Print the figures."""
    by_ccd: dict[str, dict[str, list[RawFrame]]] = defaultdict(lambda: defaultdict(list))
    for frame in night(sys.argv[1] if len(sys.argv) > 1 else None):
        unit = bare(frame.name).split("_")[1]
        by_ccd[unit[:4]][frame.tag].append(frame)
    for ccd, raw in sorted(by_ccd.items()):
        try:
            spent, amplifiers = seconds(raw)
        except Exception as error:  # noqa: BLE001 - a dead CCD is named, the others are timed
            print(f"{ccd}: {error}")
            continue
        frames = ", ".join(f"{len(some)} {tag}" for tag, some in sorted(raw.items()))
        print(f"{ccd}: CPU s an amplifier ({amplifiers} live; frames: {frames})")
        for name, value in spent.items():
            print(f"  {name:12s} {value / amplifiers:6.2f}")
        total = sum(spent.values()) / amplifiers
        print(f"  {'all':12s} {total:6.2f}   Remedy {REMEDY['published']} published, {REMEDY['measured']} measured")


if __name__ == "__main__":
    main()
