"""What a night of an image slicer costs, beside the observatory's pipeline, and what all 24 channels cost at once.

Jobs of a reduced night tell the CPU time and memory of each task; all but sky and cube go by channel.
The sky of 24 channels is found here from that night's pieces of slices; with ``--cube`` an exposure of a whole field
goes from its raw image to its cube: each channel is calibrated, one after the other, then sky and cube of all of them.
Calibrations are those of the night. In a night of fewer channels, those that it lacks are others given again under
their names; what is printed says how many were there.

    tracecube reduce NIGHT -o OUT -j 1
    python bench/bench_slices.py OUT [--cube NIGHT]
"""

from __future__ import annotations

import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tracecube.core.frame import Frame, RawFrame
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.core.slice_light import SliceIllumination
from tracecube.core.slices import SliceExposureOnDisk, SliceSegments, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.exposure_steps import preprocess
from tracecube.instruments.muse.object_steps import object_cube
from tracecube.instruments.muse.sky_steps import sky_model
from tracecube.io.products import read_product
from tracecube.io.raw import read_raw
from tracecube.io.slabs import open_exposure

CHANNELS = 24
PEER = {
    "bias": (15.1, 1.28),
    "dark": (13.0, 0.92),
    "lamp_flat": (20.7, 1.28),
    "arc": (39.6, 1.22),
    "line_spread_function_arc": (59.2, 1.33),
    "sky_flat": (82.6, 2.22),
    "preprocess_standard": (10.9, 1.39),
    "preprocess_sky": (10.6, 1.39),
    "preprocess_science": (10.9, 1.39),
    "response": (71.8, 1.99),
    "science_sky": (67.7, 1.97),
    "object": (138.2, 3.17),
}
"""CPU s and peak memory (GB) of a job of muse 2.8.7, measured once: of one channel, or of three that go together."""


def jobs(out: Path) -> dict[str, tuple[int, float, float]]:
    """Number, mean CPU s and peak memory (GB) of the jobs of each task that were done."""
    with closing(sqlite3.connect(f"file:{out / 'tracecube.db'}?mode=ro", uri=True)) as base:
        rows = base.execute(
            "select task, count(*), avg(cpu_seconds), max(peak_memory) from job where state = 'done'"
            " and id in (select max(id) from job where state = 'done' group by task, name) group by task"
        )
        return {task: (int(n), float(cpu), float(peak) / 1e9) for task, n, cpu, peak in rows}


@dataclass(frozen=True)
class Replicas(Sequence[Any]):
    """Products of a few channels, given again under the names of all; each is read when it is its turn."""

    paths: Sequence[Path]
    noun: type

    def __len__(self) -> int:
        return CHANNELS

    def __getitem__(self, place: Any) -> Any:
        if not 0 <= place < CHANNELS:
            raise IndexError(place)
        path = self.paths[place % len(self.paths)]
        one = open_exposure(path) if self.noun is SliceExposureOnDisk else read_product(path, self.noun)
        return replace(one, meta={**one.meta, "DETECTOR": f"CHAN{place + 1:02d}"})


def timed(name: str, call: Callable[[], Any]) -> Any:
    """Call, and print CPU s, wall s and the peak memory of this process so far."""
    cpu, wall = time.process_time(), time.perf_counter()
    made = call()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name:52s} {cpu:8.1f} CPU s {wall:8.1f} s {peak:6.2f} GB")
    return made


def _products(out: Path, ending: str) -> list[Path]:
    return sorted(out.rglob(f"*_{ending}.fits"))


def _raw_file(night: Path, name: str) -> Path | None:
    """Return a raw file by its name without suffix, compressed or not."""
    return next(iter(sorted(night.glob(f"{name}.fits*"))), None)


def whole_calibration(out: Path, night: Path) -> None:
    """Calibrate the first exposure of the target in all channels; those the night lacks are others again."""
    first = _products(out, "CALIBRATED_OBJECT")[0].name.split("_CHAN")[0]
    names = sorted({path.name.split("_")[-3] for path in out.rglob(f"{first}_CHAN*_CALIBRATED_OBJECT.fits")})

    def of(name: str, ending: str, noun: type) -> Any:
        found = [path for path in _products(out, ending) if f"_{name}_" in path.name]
        return read_product(found[0], noun) if found else None

    geometry = read_raw(night / "geometry_table.fits", "GEOMETRY_TABLE")

    def all_of_them() -> None:
        for number in range(CHANNELS):
            name = names[number % len(names)]
            illum = _raw_file(night, "illum")
            preprocess(
                raw=read_raw(_raw_file(night, first) or night / first, "OBJECT", extension=name),
                bias=of(name, "MASTER_BIAS", Frame), dark=of(name, "MASTER_DARK", Frame),
                flat=of(name, "MASTER_FLAT", Frame), traces=of(name, "TRACES", SliceTraces),
                wavelengths=of(name, "WAVELENGTHS", SliceWavelengths), geometry=geometry,
                illum=read_raw(illum, "ILLUM", extension=name) if illum else None,
                twilight=of(name, "TWILIGHT", SliceIllumination), params=preprocess.params(),
            )  # fmt: skip

    timed(f"raw to pixels, {CHANNELS} channels ({min(len(names), CHANNELS)} of them different)", all_of_them)


def whole_sky(out: Path) -> Any:
    """Find the sky of one exposure in all channels."""
    found = sorted(out.rglob("*_SEGMENTS_OBJECT.fits"))
    first = [path for path in found if path.name.split("_CHAN")[0] == found[0].name.split("_CHAN")[0]]
    segments = Replicas(first, SliceSegments)
    return timed(
        f"sky of {CHANNELS} channels",
        lambda: sky_model(
            segments=segments, sky_lines=None, sky_exposure=None, masks=(), astrometry=None, params=sky_model.params()
        ),
    ).sky


def whole_cube(out: Path, night: Path, sky: Any) -> None:
    """Make the cube of one exposure of all channels; geometry and extinction are those of the raw night."""
    found = sorted(out.rglob("*_CALIBRATED_OBJECT.fits"))
    first = [path for path in found if path.name.split("_CHAN")[0] == found[0].name.split("_CHAN")[0]]

    def of(pattern: str, noun: type) -> list[Any]:
        return list(Replicas(sorted(out.rglob(pattern)), noun))

    def raw(name: str, tag: str) -> RawFrame:
        return read_raw(night / f"{name}.fits", tag)

    given = {
        "exposures": Replicas(first, SliceExposureOnDisk),
        "sky": sky,
        "traces": of("*_TRACES.fits", SliceTraces),
        "wavelengths": of("*_WAVELENGTHS.fits", SliceWavelengths),
        "geometry": raw("geometry_table", "GEOMETRY_TABLE"),
        "response": read_product(next(out.rglob("*_RESPONSE.fits")), SliceResponse),
        "telluric": read_product(next(out.rglob("*_TELLURIC.fits")), Telluric),
        "extinct_table": raw("extinct_table", "EXTINCT_TABLE"),
        "factors": None,
        "user_factors": None,
    }
    made = timed(f"cube of {CHANNELS} channels", lambda: object_cube(**given, params=object_cube.params()))
    print("cube of", made.cube.data.shape, f"{np.isfinite(made.cube.data).mean():.3f} measured")


def main() -> None:
    """Print the figures."""
    if len(sys.argv) == 1:
        print(__doc__)
        return
    out = Path(sys.argv[1])
    print(f"{'task':28s} {'jobs':>4s} {'CPU s':>8s} {'(ESO)':>8s} {'GB':>6s} {'(ESO)':>6s}")
    for task, (count, cpu, peak) in jobs(out).items():
        eso = PEER.get(task, (float("nan"), float("nan")))
        print(f"{task:28s} {count:4d} {cpu:8.1f} {eso[0]:8.1f} {peak:6.2f} {eso[1]:6.2f}")
    night = Path(sys.argv[sys.argv.index("--cube") + 1]) if "--cube" in sys.argv else None
    if night is not None:
        whole_calibration(out, night)
    sky = whole_sky(out)
    if night is not None:
        whole_cube(out, night, sky)


if __name__ == "__main__":
    main()
