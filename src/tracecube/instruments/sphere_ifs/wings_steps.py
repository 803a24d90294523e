"""Recipe of the day: wings of lines along dispersion, from the lasers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.frame import RawFrame
from tracecube.core.optics import LineWings, PixelMap, TraceSet, WavelengthSolution
from tracecube.core.pixels import BadPixels, DetectorFlat, Linearity, Master
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.instruments.sphere_ifs.detector_steps import DetectorMasters
from tracecube.instruments.sphere_ifs.parameters import Extracting

__all__ = ["line_wings"]

_MOST = 0.15  # of a line's light: wings beyond this are a faulty frame's


@dataclass(frozen=True, kw_only=True)
class Wings(Outputs):
    """Where the extraction finds the light of a line beyond its core."""

    line_wings: LineWings | None


@recipe(version="2")
def line_wings(
    *,
    raw: Sequence[RawFrame],
    darks: Sequence[Master],
    traces: TraceSet,
    wavelength: WavelengthSolution,
    pixel_map: PixelMap,
    detector_flat: DetectorFlat | None = None,
    static_badpix: BadPixels | None = None,
    linearity: Linearity | None = None,
    params: Extracting,
) -> Wings:
    """Measure how much of a line's light the extraction finds rows away: the lasers, extracted as the sky is."""
    from tracecube.instruments.sphere_ifs.exposure import mean_frame, mode_of_frame  # noqa: PLC0415 - brings numba
    from tracecube.recipes.detector.calibrate import noise_floor  # noqa: PLC0415
    from tracecube.recipes.extract.apertures import extract_by  # noqa: PLC0415
    from tracecube.recipes.extract.joint import trace_matrix  # noqa: PLC0415
    from tracecube.recipes.optics.laser_wings import laser_wings  # noqa: PLC0415

    masters = DetectorMasters(darks, flat=detector_flat, bad=static_badpix, linearity=linearity)
    frame, caveats = mean_frame(raw, masters, wave=pixel_map.wave)
    settings = params.extraction()
    shape = (frame.data.shape[0], frame.data.shape[1])
    matrix = trace_matrix(traces, shape, half_width=settings.half_width)
    found = extract_by(frame, matrix, settings, floor=noise_floor(frame))
    lasers = mode_of_frame(raw[0]).lattice.lasers
    middle = traces.start + 0.5 * traces.centre.shape[1]
    place = np.stack([np.nan_to_num(np.nanmean(traces.centre, axis=1)) / shape[1], middle / shape[0]], axis=1)
    try:
        wings = laser_wings(found.flux, wavelength.wave, lasers, matrix.beside(), place)
    except BadData as failure:
        return Wings(line_wings=None, caveats=(*caveats, f"wings of lines are not known: {failure}"))
    lost = wings.share.sum(axis=1)
    return Wings(
        line_wings=replace(wings, meta=raw[0].meta),
        quality=(
            QualityNumber("LINE WINGS", 100.0 * float(lost.max()), "%", 0.0, 100.0 * _MOST),
            QualityNumber(
                "LINE WINGS ERROR", 100.0 * float(np.sqrt((wings.error**2).sum(axis=1)).max()), "%", high=2.0
            ),
            QualityNumber("LINE CORE", float(wings.core.mean()), "pix", 0.7, 1.3),
        ),
        caveats=caveats,
    )
