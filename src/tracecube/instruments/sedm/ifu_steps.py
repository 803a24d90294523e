"""From a raw exposure of the sky to calibrated frame, spectra of all lenslets, and cube."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import IntArray
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.headers import needed
from tracecube.core.optics import Layout, Throughput, TraceSet, WavelengthSolution
from tracecube.core.pixels import BadPixels
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Cube, Spectra
from tracecube.instruments.sedm.observing import pointing
from tracecube.instruments.sedm.parameters import IfuParams
from tracecube.instruments.sedm.refraction import refraction

if TYPE_CHECKING:
    from tracecube.instruments.sedm.exposure import Exposed

__all__ = ["ifu", "read_out", "saturated_spectra"]

# Wavelength at which the telescope guides, Angstrom: no refraction shift there [night log].
GUIDE_WAVE = 6200.0
# Flexure beyond this is unusual: the spread over real nights is 0.31 px along dispersion, px.
USUAL_FLEXURE = 1.5
SATURATED_STRETCH = 10  # px along a spectrum: no cosmic ray is so long but those that lie along it
NOISY = 1.5  # times the read noise of the biases: dark current of 45 minutes adds a fifth
LOST = 1e-4  # share of the pixels that may read nothing without a word: a fifth of a row
NO_MAP = "no map of static bad pixels: hot pixels are left to the search for cosmic rays (try: take domes and arcs)"


@dataclass(frozen=True, kw_only=True)
class Exposure(Outputs):
    """An exposure as calibrated frame, spectra and cube."""

    calibrated: Frame
    spectra: Spectra
    cube: Cube


@recipe(version="4")
def ifu(
    *,
    raw: RawFrame,
    master_bias: Frame,
    master_dome: Frame,
    traces: TraceSet,
    wavelength: WavelengthSolution,
    lenslet_flat: Throughput,
    layout: Layout,
    static_badpix: BadPixels | None = None,
    params: IfuParams,
) -> Exposure:
    """Extract all lenslets of an exposure of the sky, and build its cube.

    Bias, bad pixels, cosmic rays, flexure in both directions from the frame itself, joint extraction, one
    flux-conserving rebinning to the wavelength grid, lenslet flat, and a cube without refraction.
    """
    from tracecube.instruments.sedm.exposure import extract_shifted, measure_exposure  # noqa: PLC0415 - brings numba
    from tracecube.recipes.cube.hexagons import build_cube  # noqa: PLC0415
    from tracecube.recipes.extract.grid import on_grid  # noqa: PLC0415

    extraction = params.extraction()
    lasting = (master_dome,) if static_badpix is None else (master_dome, static_badpix)
    exposed = measure_exposure(
        raw, master_bias, lasting, traces, extraction, reach=params.reach, cosmic_exptime=params.cosmic_exptime
    )
    along, numbers, caveats = _shift_along(exposed, wavelength, lenslet_flat, params)
    frame, final = extract_shifted(exposed.frame, traces, extraction, (along, exposed.shift))
    meta = {**raw.meta, "NOISEFLR": frame.meta["NOISEFLR"]}
    spectra = on_grid(final, traces, wavelength, lenslet_flat, layout, params.grid(), shift=along, meta=meta)
    shift, more = refraction(meta, raw.name, spectra.wave, GUIDE_WAVE)
    cube = build_cube(spectra, shift, params.cube(), pitch=layout.pitch, pointing=pointing(meta))
    full = saturated_spectra(frame.flags, traces)
    hit = float(np.mean((frame.flags & Flag.COSMIC_RAY) != 0))
    variance = np.asarray(np.maximum(final.model, 0.0) + needed(frame.meta, raw.name, "NOISEFLR"), np.float32)
    return Exposure(
        calibrated=replace(frame, variance=variance, meta=meta),
        spectra=spectra,
        cube=cube,
        quality=(
            *numbers,
            QualityNumber("FLEXURE DY", exposed.shift, "pix", -USUAL_FLEXURE, USUAL_FLEXURE),
            QualityNumber("FLEXURE DY ERROR", exposed.error, "pix", high=0.02),
            QualityNumber("EXTRACTION CHI2", final.chi2, "", 0.8, 1.3),
            QualityNumber("COSMIC RAYS", hit, "", high=0.02),
            QualityNumber("SATURATED SPECTRA", float(full), "", high=0.0),
        ),
        caveats=(
            *caveats,
            *more,
            *(() if static_badpix else (NO_MAP,)),
            *_saturated(full),
            *read_out(frame, master_bias),
        ),
    )


def read_out(frame: Frame, bias: Frame) -> tuple[str, ...]:
    """Say where a read-out is not what it was in the biases: noisier, or in part not there."""
    from tracecube.recipes.detector.bias import read_noise_card  # noqa: PLC0415 - brings numba
    from tracecube.recipes.detector.calibrate import noise_floor  # noqa: PLC0415

    said = []
    noise, usual = noise_floor(frame) ** 0.5, float(str(bias.meta[read_noise_card(1)]))
    if noise > NOISY * usual:
        said.append(
            f"reads with {noise:.1f} electron of noise, {usual:.1f} in its biases: its own noise is used"
            " (try: look for interference, or light beside the lenslets)"
        )
    lost = float(np.mean((frame.flags & Flag.NOT_MEASURED) != 0))
    if lost > LOST:
        said.append(
            f"{100.0 * lost:.2g} per cent of the pixels read nothing: light there is not measured"
            " (try: fetch the file again; look at the controller)"
        )
    return tuple(said)


def saturated_spectra(flags: IntArray, traces: TraceSet) -> int:
    """Count the spectra that are saturated along a stretch: hits and hot pixels are shorter, however many."""
    from scipy.ndimage import binary_erosion  # noqa: PLC0415 - slow to import

    from tracecube.recipes.extract.trace_flags import flags_on_traces  # noqa: PLC0415

    seen = flags_on_traces(flags, traces, int(Flag.SATURATED), reach=2) != 0
    return int(np.count_nonzero(binary_erosion(seen, np.ones((1, SATURATED_STRETCH))).any(axis=1)))


def _saturated(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    spectra = "one spectrum is" if count == 1 else f"{count} spectra are"
    return (f"{spectra} saturated: light there is known from the edges of the traces alone, if at all",)


def _shift_along(
    exposed: Exposed, wavelength: WavelengthSolution, flat: Throughput, params: IfuParams
) -> tuple[float, tuple[QualityNumber, ...], tuple[str, ...]]:
    """Flexure along dispersion; where the sky does not tell it, the afternoon's wavelengths stay, visibly."""
    from tracecube.instruments.sedm.static_data import sky_model  # noqa: PLC0415 - brings numba
    from tracecube.recipes.optics.flexure import mean_sky, shift_along  # noqa: PLC0415

    try:
        sky = mean_sky(exposed.extraction, wavelength, flat.mean, params.flexure())
        shift, error, chi2 = shift_along(sky, sky_model(), params.flexure())
    except NoConvergence as failure:
        return 0.0, (), (f"wavelengths as in the afternoon, flexure along dispersion unknown: {failure}",)
    return (
        shift,
        (
            QualityNumber("FLEXURE DX", shift, "pix", -USUAL_FLEXURE, USUAL_FLEXURE),
            QualityNumber("FLEXURE DX ERROR", error, "pix", high=0.1),
            QualityNumber("FLEXURE SKY CHI2", chi2, "", high=5.0),
        ),
        (),
    )
