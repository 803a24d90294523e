"""What combining costs as exposures of a field become more: CPU seconds and memory of 2, 4, 6, ... of them.

The aligned cubes of a reduced field are given again and again, each number of them in a process of its own.

    python bench/bench_slices_exposures.py OUT [2 4 6]
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tracecube.core.alignment import Offsets
from tracecube.instruments.muse.combine_steps import combine_exposures
from tracecube.io.products import read_product
from tracecube.io.slabs import open_cube
from tracecube.workflow.memory import forget_peak, peak_memory


def combined(out: Path, count: int) -> None:
    """Combine as many exposures, and print what it cost."""
    paths = sorted(path for path in out.rglob("*_CUBE*.fits") if path.parent.name == "object_aligned")
    if not paths:
        raise SystemExit(f"{out}: no aligned cubes; reduce two exposures of a field first")
    cubes = [open_cube(paths[number % len(paths)]) for number in range(count)]
    offsets = read_product(next(out.rglob("*_OFFSETS.fits")), Offsets)
    forget_peak()
    cpu, wall = time.process_time(), time.perf_counter()
    made = combine_exposures(cubes=cubes, offsets=offsets, filter_list=None, params=combine_exposures.params())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    shape = made.datacube_final.data.shape
    print(f"{count:3d} exposures of {shape} voxels: {cpu:7.1f} CPU s {wall:7.1f} s {peak_memory() / 1e9:5.2f} GB")


def main() -> None:
    """Print the figures; without arguments what they are."""
    if len(sys.argv) == 1:
        print(__doc__)
        return
    if sys.argv[1] == "--one":
        combined(Path(sys.argv[2]), int(sys.argv[3]))
        return
    for count in sys.argv[2:] or ["2", "4", "6"]:
        subprocess.run([sys.executable, __file__, "--one", sys.argv[1], count], check=True)


if __name__ == "__main__":
    main()
