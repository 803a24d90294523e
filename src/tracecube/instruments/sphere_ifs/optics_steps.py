"""Day calibrations of the optics: lenslets, traces, wavelengths, lenslet flat, places on the sky."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.optics import (
    LampSpectrum,
    Layout,
    Lenslets,
    PixelMap,
    PointPattern,
    Throughput,
    TraceSet,
    WavelengthSolution,
)
from tracecube.core.pixels import BadPixels, DetectorFlat, Linearity, Master
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Spectra
from tracecube.instruments.sphere_ifs.detector_steps import DetectorMasters
from tracecube.instruments.sphere_ifs.parameters import (
    DistortionParams,
    IfuFlatParams,
    SpectraPositionsParams,
    WaveCalibParams,
)

if TYPE_CHECKING:
    from tracecube.recipes.extract.joint import Extraction, ExtractionParams

__all__ = ["distortion_map", "extract_lamp", "ifu_flat", "spectra_positions", "wavelength_calibration"]

# A detector pixel belongs to the nearest trace within half the distance of traces, px.
HALF_TRACE = 2.6


@dataclass(frozen=True, kw_only=True)
class Positions(Outputs):
    """Where the lasers fall in each lenslet's column, and where white light falls."""

    lenslets: Lenslets
    traces: TraceSet


@dataclass(frozen=True, kw_only=True)
class Wavelengths(Outputs):
    """Wavelength of every trace sample, the same as a map of the detector, and where lenslets are without pinholes."""

    wavelength: WavelengthSolution
    pixel_map: PixelMap
    nominal_layout: Layout | None


@dataclass(frozen=True, kw_only=True)
class IfuFlat(Outputs):
    """Spectra of the white lamp, their mean, and the lenslets' throughput relative to their median."""

    spectra: Spectra
    lenslet_flat: Throughput
    lamp_spectrum: LampSpectrum


@dataclass(frozen=True, kw_only=True)
class Distortion(Outputs):
    """Spectra of the pinholes, their places, and the lenslets' places on the sky."""

    spectra: Spectra
    layout: Layout
    point_pattern: PointPattern


@recipe(version="9")
def spectra_positions(
    *,
    raw: Sequence[RawFrame],
    lasers: Sequence[RawFrame],
    pinholes: Sequence[RawFrame],
    darks: Sequence[Master],
    detector_flat: DetectorFlat | None = None,
    static_badpix: BadPixels | None = None,
    linearity: Linearity | None = None,
    params: SpectraPositionsParams,
) -> Positions:
    """Find all lenslets, and where the light of each falls.

    The lasers tell the lattice and its distortion, all lenslets at once; white light, evenly over the
    field and through pinholes, tells how the light spreads across a trace.
    """
    from tracecube.instruments.sphere_ifs.exposure import mean_frame, mode_of_frame  # noqa: PLC0415
    from tracecube.instruments.sphere_ifs.other_prism import check_lasers  # noqa: PLC0415
    from tracecube.recipes.optics.lasers import find_lattice, measure_lasers  # noqa: PLC0415 - brings numba
    from tracecube.recipes.optics.lenslet_traces import trace_lenslets  # noqa: PLC0415
    from tracecube.recipes.optics.lenslets import lattice_scale, lenslets_of_lasers  # noqa: PLC0415

    mode = mode_of_frame(raw[0])
    masters = DetectorMasters(
        darks, flat=detector_flat, bad=static_badpix, linearity=linearity, algorithm=params.algorithm
    )
    spots, caveats = mean_frame(lasers, masters)
    weight = _weights(spots)
    image = np.where(weight > 0, spots.data, 0.0).astype(np.float32)
    lattice = find_lattice(image, weight, mode.lattice, distortion=params.lattice_degree)
    check_lasers(image, weight, lattice, mode, ", ".join(sorted(frame.name for frame in lasers)))
    columns = measure_lasers(image, weight, lattice, sigma=mode.lattice.sigma)
    lenslets, numbers, more = lenslets_of_lasers(
        columns, mode.lattice.lasers, distortion=params.lattice_degree, meta=lasers[0].meta
    )
    scale = lattice_scale(lenslets, mode.lattice.basis)
    lamps = []
    white = [frame for frame in raw if frame.tag == "SPECPOS"]
    if not white:
        more = (*more, f"no SPECPOS,LAMP of this mode: white light of {raw[0].name} ({raw[0].tag}) taken")
    for frames in (white or raw, pinholes):
        if frames:
            frame, less = mean_frame(frames, masters)
            lamps.append(frame)
            more = (*more, *less)
    if not pinholes:
        more = (*more, "no frame of pinholes: how much light spills from trace to trace is hardly known")
    traces, further = trace_lenslets(lenslets, mode.law, mode.band, lamps, params.tracing(), sigma=mode.lattice.sigma)
    return Positions(
        lenslets=lenslets,
        traces=replace(traces, meta=(white or raw)[0].meta),
        quality=(*numbers, QualityNumber("SCALE MEASURED", scale, "", 0.98, 1.02), *further),
        caveats=tuple(dict.fromkeys((*caveats, *more))),
    )


def _weights(frame: Frame) -> FloatArray:
    """Inverse variance (y, x), 0 where a pixel is not usable."""
    bad = ((frame.flags & (NOT_USABLE | int(Flag.NOT_ILLUMINATED))) != 0) | ~np.isfinite(frame.data)
    return np.where(bad, 0.0, 1.0 / np.where(bad, 1.0, frame.variance)).astype(np.float32)


@recipe(version="6")
def wavelength_calibration(*, lenslets: Lenslets, traces: TraceSet, params: WaveCalibParams) -> Wavelengths:
    """Give every trace sample its wavelength: the prism's law through the night's lasers.

    NOMINAL_LAYOUT has the lenslets where the known constants put them, for nights without a frame of pinholes.
    """
    from tracecube.instruments.sphere_ifs.exposure import mode_of_frame  # noqa: PLC0415 - brings numba
    from tracecube.instruments.sphere_ifs.nominal_layout import layout_of_date  # noqa: PLC0415
    from tracecube.recipes.optics.lenslet_traces import lenslet_wavelengths  # noqa: PLC0415
    from tracecube.recipes.optics.wavelength import pixel_map  # noqa: PLC0415

    mode = mode_of_frame(RawFrame("lenslets", "WAVE", lenslets.meta, {}, {}))
    lasers = mode.lattice.lasers
    solution, numbers = lenslet_wavelengths(lenslets, traces, mode.law, mode.band, margin=params.margin, lasers=lasers)
    off = [wave for wave in lasers if np.abs(lenslets.laser - wave).min() > 1.0]
    caveats = tuple(_without_laser(wave, solution) for wave in off)
    layout, more = layout_of_date(traces, lenslets.meta)
    shape = (params.rows, params.rows)
    # pieces of spectra that the detector's edge cuts are in A, but no one's light to name
    whole = replace(traces, centre=np.where((traces.dq & int(Flag.NOT_MEASURED) != 0)[:, None], np.nan, traces.centre))
    return Wavelengths(
        wavelength=solution,
        pixel_map=replace(pixel_map(whole, solution, shape, half_width=HALF_TRACE), meta=lenslets.meta),
        nominal_layout=layout,
        quality=numbers,
        caveats=(*caveats, *more),
    )


def _without_laser(laser: float, solution: WavelengthSolution) -> str:
    """Say what the wavelengths near a laser (Angstrom) that was off rest on, and how well they are known."""
    near = np.abs(solution.wave - laser) < 200.0  # noqa: PLR2004 - Angstrom: a sample or two
    error = float(np.nanmedian(np.where(near, solution.error, np.nan)))
    return f"laser {laser / 10:.1f} nm off: wavelengths near it rest on the prism's law, known to {error / 10:.2f} nm"


@recipe(version="10")
def ifu_flat(
    *,
    raw: Sequence[RawFrame],
    darks: Sequence[Master],
    traces: TraceSet,
    wavelength: WavelengthSolution,
    pixel_map: PixelMap,
    layout: Layout | None = None,
    detector_flat: DetectorFlat | None = None,
    static_badpix: BadPixels | None = None,
    linearity: Linearity | None = None,
    params: IfuFlatParams,
) -> IfuFlat:
    """Measure the throughput of every lenslet against wavelength from the white lamp.

    Frames taken for the positions of spectra show the same lamp: they stand in where no IFU flat is usable.
    """
    from tracecube.instruments.sphere_ifs.exposure import mode_of_frame, native_spectra  # noqa: PLC0415
    from tracecube.recipes.optics.lenslet_flat import lenslet_throughput  # noqa: PLC0415 - brings numba
    from tracecube.recipes.optics.night_shift import mean_spectrum  # noqa: PLC0415

    mode = mode_of_frame(raw[0])
    masters = DetectorMasters(
        darks, flat=detector_flat, bad=static_badpix, linearity=linearity, algorithm=params.algorithm
    )
    spectra_of = traces, wavelength, pixel_map
    extraction, lamp, caveats = _extract_white(raw, masters, spectra_of, params.extraction())
    wave = np.linspace(*mode.channels[:2], mode.channels[2])
    flat, numbers = lenslet_throughput(extraction, wavelength, wave, least=params.least_signal, name=lamp.name)
    spectra = native_spectra(extraction, traces, wavelength.wave, wavelength, layout=layout)
    return IfuFlat(
        spectra=replace(spectra, meta=lamp.meta),
        lenslet_flat=replace(flat, meta=lamp.meta),
        lamp_spectrum=LampSpectrum(*mean_spectrum(spectra)[:2], meta=lamp.meta),
        quality=(
            QualityNumber("EXTRACTION CHI2", extraction.chi2, "", high=2.0),
            *numbers,
            *_common_error(detector_flat),
        ),
        caveats=caveats,
    )


def _common_error(flat: DetectorFlat | None) -> tuple[QualityNumber, ...]:
    """What neighbours' fluxes have in common and no variance holds: the detector's response on large scales."""
    if flat is None or flat.open_response is None:
        return ()
    return (QualityNumber("FLUX COMMON ERROR", flat.open_response, ""),)


@recipe(version="11")
def distortion_map(
    *,
    raw: Sequence[RawFrame],
    darks: Sequence[Master],
    traces: TraceSet,
    wavelength: WavelengthSolution,
    pixel_map: PixelMap,
    white: Sequence[RawFrame],
    detector_flat: DetectorFlat | None = None,
    static_badpix: BadPixels | None = None,
    linearity: Linearity | None = None,
    params: DistortionParams,
) -> Distortion:
    """Measure plate scale, anamorphism and distortion from the grid of pinholes.

    Frames of white light tell how bright each lenslet is by itself.
    """
    from tracecube.instruments.sphere_ifs.exposure import native_spectra  # noqa: PLC0415 - brings numba
    from tracecube.instruments.sphere_ifs.guess import NOMINAL_PITCH  # noqa: PLC0415
    from tracecube.recipes.optics.pinholes import lattice_plane, map_sky  # noqa: PLC0415

    masters = DetectorMasters(
        darks, flat=detector_flat, bad=static_badpix, linearity=linearity, algorithm=params.algorithm
    )
    extraction, caveats = extract_lamp(raw, masters, traces, pixel_map, params.extraction())
    even, _, more = _extract_white(white, masters, (traces, wavelength, pixel_map), params.extraction())
    spectra = native_spectra(extraction, traces, wavelength.wave, wavelength)
    share = np.nansum(even.flux, axis=1) / np.median(np.nansum(even.flux, axis=1))
    whole = np.isfinite(extraction.flux).sum(axis=1) > 0.9 * np.isfinite(wavelength.wave).sum(axis=1)  # noqa: PLR2004
    usable = whole & (share > params.least_throughput)
    light = np.where(usable, np.nansum(extraction.flux, axis=1) / share, np.nan)
    noise = np.where(usable, np.nansum(extraction.variance, axis=1) / share**2, np.nan)
    mapped, numbers = map_sky(
        light, noise, lattice_plane(traces.q, traces.r), nominal_pitch=NOMINAL_PITCH, params=params.pinholes()
    )
    layout = Layout(
        aperture=traces.aperture,
        x=mapped.x,
        y=mapped.y,
        dq=np.zeros(traces.aperture.size, np.int32),
        pitch=mapped.pitch,
        angle=-90.0,
        meta=raw[0].meta,
    )
    return Distortion(
        spectra=replace(spectra, x=mapped.x, y=mapped.y, meta=raw[0].meta),
        layout=layout,
        point_pattern=replace(mapped.pattern, meta={**raw[0].meta, "ESO PRO CATG": "IFS_POINT_PATTERN"}),
        quality=(QualityNumber("EXTRACTION CHI2", extraction.chi2, "", high=2.0), *numbers),
        caveats=tuple(dict.fromkeys((*caveats, *more))),
    )


def extract_lamp(
    raw: Sequence[RawFrame], masters: DetectorMasters, traces: TraceSet, pixel_map: PixelMap, settings: ExtractionParams
) -> tuple[Extraction, tuple[str, ...]]:
    """Calibrate, average and extract lamp frames of one setup; the extraction, caveats."""
    from tracecube.instruments.sphere_ifs.exposure import mean_frame  # noqa: PLC0415 - brings numba
    from tracecube.recipes.detector.calibrate import noise_floor  # noqa: PLC0415
    from tracecube.recipes.extract.apertures import extract_by  # noqa: PLC0415
    from tracecube.recipes.extract.joint import trace_matrix  # noqa: PLC0415

    frame, caveats = mean_frame(raw, masters, wave=pixel_map.wave)
    matrix = trace_matrix(traces, frame.data.shape, half_width=settings.half_width)
    return extract_by(frame, matrix, settings, floor=noise_floor(frame)), caveats


def _extract_white(
    raw: Sequence[RawFrame],
    masters: DetectorMasters,
    optics: tuple[TraceSet, WavelengthSolution, PixelMap],
    settings: ExtractionParams,
) -> tuple[Extraction, RawFrame, tuple[str, ...]]:
    """Calibrate and extract frames of the white lamp: IFU flats, else those for positions; the first of them, caveats.

    Raises
    ------
    BadData
        No frame shows spectra of white light through the header's prism; what is wrong with the IFU flats.
    """
    from tracecube.instruments.sphere_ifs.exposure import mode_of_frame  # noqa: PLC0415 - brings numba
    from tracecube.instruments.sphere_ifs.other_prism import check_white_ends  # noqa: PLC0415
    from tracecube.recipes.optics.lenslet_flat import check_white  # noqa: PLC0415 - brings numba

    traces, wavelength, pixel_map = optics
    caveats: list[str] = []
    wrong: BadData | None = None
    for tag in ("IFUFLAT", "SPECPOS"):
        frames = sorted((frame for frame in raw if frame.tag == tag), key=lambda frame: frame.name)
        if not frames:
            continue
        try:
            extraction, more = extract_lamp(frames, masters, traces, pixel_map, settings)
            names = ", ".join(frame.name for frame in frames)
            check_white(extraction, names)
            check_white_ends(extraction.flux, wavelength, mode_of_frame(frames[0]), names)
        except BadData as error:
            wrong = wrong or error
            caveats.append(f"left out: {error}")
            continue
        if tag == "SPECPOS":
            caveats.append(f"no usable FLAT,LAMP / IFU of this mode: white light of {frames[0].name} (SPECPOS) taken")
        return extraction, frames[0], (*caveats, *more)
    raise wrong or BadData("no frame of the white lamp", hint="look for FLAT,LAMP / IFU or SPECPOS,LAMP frames")
