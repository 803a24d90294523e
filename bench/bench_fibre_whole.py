"""A whole shot of VIRUS, run: 78 bundles, three exposures, 936 raw frames, 2 GB, to spectra, sources and lines.

The frames on the sky are simulated one by one, each with its own stars, noise and hits. Their spectrographs are those
of a few units: only these units' calibrations are simulated and reduced, the others have the same under their own
names, for calibrations are not what is timed. What is timed is what an observer waits for after a shot.

    python bench/bench_fibre_whole.py FOLDER [BUNDLES] [PROCESSES] [SEED] [ONLY]

Without processes the shot is made ready, and run by the next call; ONLY is a part of it, column=4..6 for example.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_fibre_shot import jobs

from tracecube.core.fibres import FibreSpectra
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.several import PixelMaps, TraceSets, WavelengthSolutions
from tracecube.instruments.virus import detector_steps, optics_steps, science_steps
from tracecube.instruments.virus.ccd import HALVES
from tracecube.instruments.virus.classify import classify
from tracecube.instruments.virus.headers import unit as unit_of
from tracecube.instruments.virus.simulate import _Night
from tracecube.instruments.virus.simulation.geometry import AMPS
from tracecube.instruments.virus.simulation.headers import frame_name, header
from tracecube.instruments.virus.simulation.schedule import schedule
from tracecube.io.products import read_product
from tracecube.io.raw import write_raw
from tracecube.workflow.executor import InProcess
from tracecube.workflow.reduce import reduce_folder

UNITS = 2  # whose calibrations are simulated
IDENTITY = ("IFUSLOT", "SPECID", "IFUID", "CONTID")
SKY = "sci"


def simulate(folder: Path, bundles: int, seed: int) -> dict[str, int]:
    """Write the units' calibrations and the shot unless they are there; return which slot's each unit takes."""
    there = (folder / "shot").exists()
    few, whole = _Night(seed, UNITS, "sparse", ()), _Night(seed, bundles, "sparse", ())
    shots = schedule(seed, "small", 3, ("Hg", "Cd-A"))
    for shot in (one for one in shots if one.kind != SKY and not there):
        for frame in few.frames(shot, archived=False):
            write_raw(folder / "few", frame)
    told = {}
    for i, one in enumerate(whole.units):
        like = few.units[i % UNITS]
        whole.units[i] = replace(one, gain=like.gain, noise=like.noise, turned=like.turned)
        told[unit_of(header(shots[0], one, "LL", whole.told), "unit")] = like.slot
        for side in HALVES:
            whole.optics[one.specid, side] = few.optics[like.specid, side]
            whole.chips[one.specid, side] = few.chips[like.specid, side]
    for shot in shots if not there else ():
        if shot.kind == SKY:
            for frame in whole.frames(shot, archived=True):
                write_raw(folder / "shot", frame)
            continue
        for one, amp in ((one, amp) for one in whole.units for amp in AMPS):
            name, cards = frame_name(shot, one.slot, amp, archived=False), header(shot, one, amp, whole.told)
            stub = RawFrame(name, classify(name, cards).tag, cards, {"": np.zeros((1, 1), np.uint16)}, {})
            write_raw(folder / "shot", stub)
    for table in whole.tables() if not there else ():
        if table.name.startswith("truth"):
            break
        write_raw(folder / "shot", table)
    return told


class Given:
    """Calibrations of the few units, given again under the names of others."""

    def __init__(self, out: Path, like: dict[str, int]) -> None:
        self.out, self.like = out, like

    def read(self, raw: list[RawFrame], tag: str, noun: type) -> Any:
        """A product of the unit that this one is like, with the cards of this one."""
        meta = raw[0].meta
        ccd = f"{self.like[unit_of(meta, 'raw')]:03d}{meta['CCDPOS']}"
        one = read_product(next(self.out.rglob(f"*_{ccd}_{tag}.fits")), noun)
        cards = {**one.meta, **{key: meta[key] for key in IDENTITY}}
        if hasattr(one, "parts"):
            parts = {f"{int(cards['IFUSLOT']):03d}{name[-2:]}": part for name, part in one.parts.items()}
            return replace(one, parts=parts, meta=cards)
        return replace(one, meta=cards)

    def dark(self, raw: list[RawFrame], **_: Any) -> Any:
        return detector_steps.Dark(master_dark=self.read(raw, "MASTER_DARK", Frame))

    def traces(self, raw: list[RawFrame], **_: Any) -> Any:
        return optics_steps.Traced(traces=self.read(raw, "TRACES", TraceSets))

    def wavelengths(self, raw: list[RawFrame], **_: Any) -> Any:
        maps = self.read(raw, "PIXEL_MAP", PixelMaps)
        return optics_steps.Wavelengths(wavelength=self.read(raw, "WAVELENGTH", WavelengthSolutions), pixel_map=maps)

    def twilight(self, raw: list[RawFrame], **_: Any) -> Any:
        one = self.read(raw, "TWILIGHT_SPECTRA", FibreSpectra)
        n = len(one.fibre)
        names = np.full(n, unit_of(raw[0].meta, "raw"))
        slots = np.full(n, int(raw[0].meta["IFUSLOT"]), np.int32)  # type: ignore[arg-type]
        return science_steps.Twilight(twilight=replace(one, unit=names, ifuslot=slots))


def calibrate(folder: Path, like: dict[str, int]) -> None:
    """Reduce the few units' calibrations, and give them to all units."""
    reduce_folder(folder / "few", folder / "few_out", InProcess(), targets=["calibration"])
    given = Given(folder / "few_out", like)
    stand_in: dict[Any, Callable[..., Any]] = {
        detector_steps.master_dark: given.dark,
        optics_steps.trace_flat: given.traces,
        optics_steps.wavelength_calibration: given.wavelengths,
        science_steps.twilight_spectra: given.twilight,
    }
    for step, other in stand_in.items():
        object.__setattr__(step, "function", other)
    done = reduce_folder(folder / "shot", folder / "out", InProcess(), targets=["calibration"])
    print(f"{sum(one.state == 'done' for one in done.results)} calibrations given", flush=True)


def memory(pid: int) -> float:
    """Memory of a process and those below it, GB: what they share is counted once (proportional set size)."""
    total, queue = 0.0, [pid]
    while queue:
        one = queue.pop()
        try:
            told = Path(f"/proc/{one}/smaps_rollup").read_text().split("Pss:")[1]
            queue += [int(n) for n in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
        except (OSError, IndexError):
            continue
        total += int(told.split()[0]) / 1e6
    return total


def main(folder: Path, bundles: int = 78, processes: int = 2, seed: int = 5, *only: str) -> None:
    """Simulate, calibrate, run and tell."""
    if not (folder / "out").exists():
        start = time.process_time()
        like = simulate(folder, bundles, seed)
        print(f"simulated {12 * bundles} frames in {time.process_time() - start:.0f} CPU s", flush=True)
        calibrate(folder, like)
    if processes == 0:
        return
    tool = str(Path(sys.executable).with_name("tracecube"))
    command = [tool, "reduce", str(folder / "shot"), "-o", str(folder / "out"), "-j", str(processes)]
    command += ["-t", "virus_lines", "-t", "virus_calibrated", *(word for one in only for word in ("--only", one))]
    start, peak = time.monotonic(), [0.0]
    run = subprocess.Popen(command)
    watch = threading.Thread(target=_watch, args=(run, peak))
    watch.start()
    code = run.wait()
    watch.join()
    wall = time.monotonic() - start
    print(f"exit {code}; {wall / 60:.1f} min of wall time, {processes} processes; highest memory {peak[0]:.2f} GB")
    total = 0.0
    for task, (count, seconds, most) in jobs(folder / "out").items():
        print(f"{task:22s} {count:5d} {seconds:8.2f} CPU s a job {count * seconds:8.0f} CPU s {most:6.2f} GB")
        total += 0.0 if task in CALIBRATIONS else count * seconds
    print(f"shot {total:.0f} CPU s; on two idle cores {total / 120:.1f} min")


CALIBRATIONS = ("virus_dark", "virus_traces", "virus_wavelength", "virus_twilight", "virus_fibre_flat")


def _watch(run: subprocess.Popen[bytes], peak: list[float]) -> None:
    while run.poll() is None:
        peak[0] = max(peak[0], memory(run.pid))
        time.sleep(2.0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), *map(int, sys.argv[2:5]), *sys.argv[5:])
    else:
        print(__doc__)
