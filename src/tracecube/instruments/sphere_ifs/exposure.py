"""From a raw plane to a calibrated frame, and from that to spectra of all lenslets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.optics import Layout, Throughput, TraceSet, WavelengthSolution
from tracecube.core.pixels import BadPixels, DetectorFlat, Master
from tracecube.core.spectra import Spectra
from tracecube.instruments.sphere_ifs.classify import classify
from tracecube.instruments.sphere_ifs.detectors import detector, exposure_of, known_linearity
from tracecube.instruments.sphere_ifs.guess import NOMINAL_PITCH, Mode, mode_of
from tracecube.recipes.detector.background import background_for
from tracecube.recipes.detector.dark import dark_for
from tracecube.recipes.detector.plane import PixelCalibration, calibrate_plane
from tracecube.recipes.extract.joint import Extraction
from tracecube.recipes.optics.pinholes import lattice_plane

__all__ = ["Calibrations", "calibrated", "mean_frame", "mode_of_frame", "native_spectra"]


@dataclass(frozen=True)
class Calibrations:
    """What the detector calibrations of a night say.

    Parameters
    ----------
    darks : sequence of Master
    flat : DetectorFlat or None
    bad : BadPixels or None
    sky, instrument : Master or None
        Backgrounds, electron / s.
    """

    darks: Sequence[Master]
    flat: DetectorFlat | None
    bad: BadPixels | None
    sky: Master | None = None
    instrument: Master | None = None


def mode_of_frame(raw: RawFrame) -> Mode:
    """Return the mode a raw frame was taken in."""
    name = classify(raw.name, raw.meta).setup["mode"]
    return mode_of(None if name is None else str(name), raw.name)


def calibrated(
    raw: RawFrame, known: Calibrations, *, wave: FloatArray | None = None, sky: bool = False
) -> tuple[Frame, tuple[str, ...]]:
    """Calibrate one plane: electron, variance, flags.

    Parameters
    ----------
    raw : RawFrame
    known : Calibrations
    wave : array (y, x), Angstrom, optional
        What each pixel sees; the flat's reference wavelength otherwise.
    sky : bool
        Take the background off: of the sky, of the instrument, or the dark alone, in this order of
        preference. Lamp frames have the dark alone taken off.

    Returns
    -------
    frame : Frame
        Card NCOMBINE says of how many integrations it is the mean.
    caveats : tuple of str
    """
    exposure, caveats = exposure_of(raw)
    if sky:
        background, more = background_for(known.sky, known.instrument, known.darks, exposure.dit)
    else:
        background, more = dark_for(known.darks, exposure.dit)
    calibration = PixelCalibration(background, known.flat, known.bad, known_linearity())
    frame = calibrate_plane(exposure, detector(), calibration, wave=wave)
    meta = {**frame.meta, "NCOMBINE": frame.meta["NINTEG"]}
    return replace(frame, meta=meta), (*caveats, *more)


def mean_frame(
    raw: Sequence[RawFrame], known: Calibrations, *, wave: FloatArray | None = None
) -> tuple[Frame, tuple[str, ...]]:
    """Calibrate lamp frames of one setup, and average them by their numbers of integrations.

    Raises
    ------
    BadData
        No frame is usable.
    """
    frames, caveats = [], []
    for one in sorted(raw, key=lambda frame: frame.name):
        try:
            frame, more = calibrated(one, known, wave=wave)
        except BadData as error:
            caveats.append(f"{one.name} is left out: {error}")
            continue
        frames.append(frame)
        caveats += more
    if not frames:
        raise BadData("; ".join(caveats) or "no frame", hint="look at the lamp frames")
    if len(frames) == 1:
        return frames[0], tuple(dict.fromkeys(caveats))
    share = np.array([float(frame.meta["NCOMBINE"]) for frame in frames])  # type: ignore[arg-type]
    share /= share.sum()
    data = sum(w * frame.data for w, frame in zip(share, frames, strict=True))
    variance = sum(w**2 * frame.variance for w, frame in zip(share, frames, strict=True))
    flags = np.bitwise_or.reduce([frame.flags for frame in frames])
    count = sum(float(frame.meta["NCOMBINE"]) for frame in frames)  # type: ignore[arg-type]
    floor = sum(w**2 * float(frame.meta["NOISEFLR"]) for w, frame in zip(share, frames, strict=True))  # type: ignore[arg-type]
    meta = {**frames[0].meta, "NCOMBINE": count, "NOISEFLR": floor}
    return Frame(np.float32(data), np.float32(variance), flags, meta), tuple(dict.fromkeys(caveats))


def native_spectra(
    extraction: Extraction,
    traces: TraceSet,
    wave: FloatArray,
    solution: WavelengthSolution,
    *,
    flat: Throughput | None = None,
    layout: Layout | None = None,
) -> Spectra:
    """Spectra as the detector sampled them: one sample a row, wavelengths of each lenslet its own.

    Parameters
    ----------
    extraction : Extraction
    traces : TraceSet
    wave : array (n, m), Angstrom
        Of the samples, shift included.
    solution : WavelengthSolution
    flat : Throughput, optional
        Divided out where given.
    layout : Layout, optional
        Places; those of a perfect lattice of nominal pitch, flagged, where not given.
    """
    step = np.abs(np.gradient(np.where(np.isfinite(wave), wave, np.nan), axis=1))
    scale = step if flat is None else step * _relative(flat, wave)
    missing = ~np.isfinite(extraction.flux) | ~np.isfinite(scale) | (scale <= 0)
    scale = np.where(missing, np.nan, scale)
    if layout is None:
        layout = _nominal_layout(traces)
    flags = np.where(missing, int(Flag.NOT_MEASURED), 0)
    return Spectra(
        flux=(extraction.flux / scale).astype(np.float32),
        variance=(extraction.variance / scale**2).astype(np.float32),
        flags=flags.astype(np.int32),
        covariance=np.zeros(missing.shape, np.float32),
        wave=wave,
        lsf_sigma=np.nanmedian(solution.lsf_sigma * step, axis=0),
        aperture=traces.aperture,
        x=layout.x,
        y=layout.y,
        dq=traces.dq | layout.dq,
        medium="WAVE",
    )


def _nominal_layout(traces: TraceSet) -> Layout:
    """A perfect lattice of nominal pitch, its places not to be trusted."""
    plane = lattice_plane(traces.q, traces.r) * NOMINAL_PITCH
    plane = plane - plane.mean(axis=0)
    dq = np.full(traces.aperture.size, int(Flag.ASTROMETRY), np.int32)
    return Layout(traces.aperture, plane[:, 0], plane[:, 1], dq, NOMINAL_PITCH, -90.0)


def _relative(flat: Throughput, wave: FloatArray) -> FloatArray:
    """Throughput (n, m) of every lenslet at its own wavelengths, constant beyond the table's ends."""
    place = np.clip(np.interp(wave, flat.wave, np.arange(flat.wave.size)), 0, flat.wave.size - 1)
    low = np.minimum(np.nan_to_num(place).astype(int), flat.wave.size - 2)
    part = place - low
    rows = np.arange(wave.shape[0])[:, None]
    return np.asarray(flat.value[rows, low] * (1 - part) + flat.value[rows, low + 1] * part)
