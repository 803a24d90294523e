"""The frame of the lasers as a cube of wavelengths: what the wavelength calibration makes of the lines it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.core.optics import Layout, PixelMap, Throughput, TraceSet, WavelengthSolution
from tracecube.core.pixels import BadPixels, DetectorFlat, Linearity, Master
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Cube, Spectra
from tracecube.instruments.sphere_ifs.detector_steps import DetectorMasters
from tracecube.instruments.sphere_ifs.optics_steps import extract_lamp
from tracecube.instruments.sphere_ifs.parameters import LaserCubeParams

__all__ = ["LaserCube", "laser_offsets", "wavecalib_cube"]

_STANDS_OUT = 3.0  # times the median channel: a laser that is on outshines it by far
_REACH = 3  # channels to either side of a line's brightest


@dataclass(frozen=True, kw_only=True)
class LaserCube(Outputs):
    """Cube of the lasers."""

    cube: Cube


@recipe(version="2")
def wavecalib_cube(
    *,
    raw: Sequence[RawFrame],
    darks: Sequence[Master],
    traces: TraceSet,
    wavelength: WavelengthSolution,
    pixel_map: PixelMap,
    lenslet_flat: Throughput,
    layout: Layout,
    detector_flat: DetectorFlat | None = None,
    static_badpix: BadPixels | None = None,
    linearity: Linearity | None = None,
    params: LaserCubeParams,
) -> LaserCube:
    """Extract the frame of the lasers as science is, and build its cube.

    Where the lines stand in the median spectrum of the lenslets checks the wavelengths from raw frame to channels.
    """
    from tracecube.instruments.sphere_ifs.exposure import mode_of_frame  # noqa: PLC0415 - brings numba
    from tracecube.recipes.cube.star_cube import build_star_cube  # noqa: PLC0415
    from tracecube.recipes.extract.grid import GridParams, on_grid  # noqa: PLC0415

    masters = DetectorMasters(
        darks, flat=detector_flat, bad=static_badpix, linearity=linearity, algorithm=params.algorithm
    )
    mode = mode_of_frame(raw[0])
    low, high, count = mode.channels
    extraction, caveats = extract_lamp(raw, masters, traces, pixel_map, params.extraction())
    grid = GridParams(wave_low=low, wave_high=high, n_wave=count)
    spectra = on_grid(extraction, traces, wavelength, lenslet_flat, layout, grid, shift=0.0, meta=raw[0].meta)
    cube = build_star_cube(spectra, params.cube(), frame=None)
    return LaserCube(
        cube=replace(cube, meta={**cube.meta, "ESO PRO CATG": "IFS_WAVECALIB_CUBE"}),
        quality=tuple(
            QualityNumber(f"OFFSET LASER{number}", offset, "Angstrom", -20.0, 20.0)
            for number, offset in enumerate(laser_offsets(spectra, np.asarray(mode.lattice.lasers, float)), start=1)
            if np.isfinite(offset)
        ),
        caveats=caveats,
    )


def laser_offsets(spectra: Spectra, lasers: FloatArray) -> FloatArray:
    """Where lines stand in the median spectrum less where they belong, Angstrom: array (n_laser,), NaN where none is.

    Centroids of the light above the faintest of the channels beside a line.
    """
    wave = np.asarray(spectra.wave, float)
    good = (spectra.flags == 0) & ((spectra.dq == 0)[:, None])
    light = np.array([np.median(one[ok]) if ok.any() else 0.0 for one, ok in zip(spectra.flux.T, good.T, strict=True)])
    found = np.full(lasers.size, np.nan)
    for number, laser in enumerate(lasers):
        near = np.flatnonzero(np.abs(wave - laser) <= _REACH * (wave[1] - wave[0]))
        line = light[near] - light[near].min()
        if line.max() > _STANDS_OUT * max(float(np.median(light)), 0.0):
            found[number] = float(line @ wave[near] / line.sum()) - laser
    return found
