"""From a raw plane to a calibrated frame, and from that to spectra of all lenslets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.optics import Layout, Throughput, TraceSet, WavelengthSolution
from tracecube.core.spectra import Spectra
from tracecube.instruments.sphere_ifs import detector_steps
from tracecube.instruments.sphere_ifs.classify import classify
from tracecube.instruments.sphere_ifs.detector_steps import DetectorMasters
from tracecube.instruments.sphere_ifs.guess import NOMINAL_PITCH, Mode, mode_of
from tracecube.kernels.combine import relative_scale
from tracecube.recipes.extract.blend import blended
from tracecube.recipes.extract.joint import Extraction
from tracecube.recipes.optics.pinholes import lattice_plane

__all__ = ["calibrated", "mean_frame", "mode_of_frame", "native_spectra"]

_FEWEST = 3  # frames: of two no one can say which was hit
_STANDS_OUT = 5.0  # noises
_STEADY = 0.003  # relative: lamps as even as that are taken as they are; the full well has a noise of 0.004
_UNEVEN = 0.05  # of a pixel's light: lines of one lamp need not change alike
_LIT, _MANY = 10.0, 100  # noises; pixels of such light that tell how bright a lamp was
_ROWS = 128  # that are combined at a time
_MEDIAN_LOSS = 0.5 * np.pi  # variance of a median over that of a mean, many samples


def mode_of_frame(raw: RawFrame) -> Mode:
    """Return the mode a raw frame was taken in."""
    name = classify(raw.name, raw.meta).setup["mode"]
    return mode_of(None if name is None else str(name), raw.name)


def calibrated(
    raw: RawFrame, masters: DetectorMasters, *, wave: FloatArray | None = None, clear: BoolArray | None = None
) -> tuple[Frame, tuple[str, ...]]:
    """Calibrate one plane; card NCOMBINE says of how many integrations it is the mean.

    Parameters
    ----------
    raw : RawFrame
    masters : DetectorMasters
    wave : array (y, x), Angstrom, optional
        What each pixel sees; the flat's reference wavelength otherwise.
    clear : bool array (y, x), optional
        Pixels away from spectra and star, for a background that changes.
    """
    frame, caveats = detector_steps.calibrated(raw, masters, wave=wave, clear=clear)
    return replace(frame, meta={**frame.meta, "NCOMBINE": frame.meta["NINTEG"]}), caveats


def mean_frame(
    raw: Sequence[RawFrame], masters: DetectorMasters, *, wave: FloatArray | None = None
) -> tuple[Frame, tuple[str, ...]]:
    """Calibrate lamp frames of one setup, and combine them, each weighing by its number of integrations.

    Of three frames or more a clean mean leaves out what is `_STANDS_OUT` of its noises off the median: a hit in one.
    A median has half as much variance again, and needs three frames too. Frames are compared at one brightness of the
    lamp: bright pixels show its changes, faint ones beside them do not.

    Raises
    ------
    BadData
        No frame is usable.
    """
    frames, caveats = [], []
    for one in sorted(raw, key=lambda frame: frame.name):
        try:
            frame, more = calibrated(one, masters, wave=wave)
        except BadData as error:
            caveats.append(f"{one.name} is left out: {error}")
            continue
        frames.append(frame)
        caveats += more
    if not frames:
        raise BadData("; ".join(caveats) or "no frame", hint="look at the lamp frames")
    if len(frames) == 1:
        return frames[0], tuple(dict.fromkeys(caveats))
    count = np.array([frame.meta["NCOMBINE"] for frame in frames], float)
    floor = np.array([frame.meta["NOISEFLR"] for frame in frames], float)
    share = count / count.sum()
    algorithm = masters.algorithm if len(frames) >= _FEWEST else 0
    data, variance = _combined(frames, share, algorithm)
    flags = np.bitwise_or.reduce([frame.flags for frame in frames])
    loss = _MEDIAN_LOSS if algorithm == 1 else 1.0
    meta = {**frames[0].meta, "NCOMBINE": float(count.sum()), "NOISEFLR": loss * float(share**2 @ floor)}
    mean = Frame(data.astype(np.float32), variance.astype(np.float32), flags, meta)
    return mean, tuple(dict.fromkeys(caveats))


def _combined(frames: Sequence[Frame], share: FloatArray, algorithm: int) -> tuple[FloatArray, FloatArray]:
    """Return mean (0), median (1) or clean mean (2) of frames with shares, and its variance, (y, x)."""
    data, variance = (np.stack([getattr(frame, name) for frame in frames]) for name in ("data", "variance"))
    if algorithm == 0:
        return np.tensordot(share, data, axes=1), np.tensordot(share**2, variance, axes=1)
    level = _levels(data, variance, share)
    starts = range(0, data.shape[1], _ROWS)  # in double precision all rows at once would need several times the frames
    bands = [(data[:, a : a + _ROWS], variance[:, a : a + _ROWS]) for a in starts]
    made = [(_median if algorithm == 1 else _clean_mean)(*band, share, level) for band in bands]
    mean, noise = (np.concatenate(some) for some in zip(*made, strict=True))
    return mean, noise


def _median(
    data: FloatArray, variance: FloatArray, share: FloatArray, level: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the median of frames (n, y, x) at one brightness, and its variance."""
    middle = np.median(data / level[:, None, None], axis=0)
    return middle, _MEDIAN_LOSS * np.tensordot(share**2, variance, axes=1)


def _clean_mean(
    data: FloatArray, variance: FloatArray, share: FloatArray, level: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the mean of frames (n, y, x) without what stands out, at their mean brightness, and its variance."""
    bright = level[:, None, None]
    middle = np.median(data / bright, axis=0)
    limit = _STANDS_OUT * np.sqrt(variance) / bright + _UNEVEN * np.abs(middle)
    weight = np.where(np.abs(data / bright - middle) > limit, 0.0, share[:, None, None])
    total = (weight * bright).sum(axis=0)
    weight = np.where(total > 0.0, weight / np.where(total > 0.0, total, 1.0), share[:, None, None])
    return (weight * data).sum(axis=0), (weight**2 * variance).sum(axis=0)


def _levels(data: FloatArray, variance: FloatArray, share: FloatArray) -> FloatArray:
    """Return how bright the lamp was in each frame (n,), over the mean; 1 where it was steady or too little is lit."""
    middle = np.median(data, axis=0)
    lit = middle > _LIT * np.sqrt(np.median(variance, axis=0))
    if np.count_nonzero(lit) < _MANY:
        return np.ones(len(data))
    level = np.array([relative_scale(one, middle, lit) for one in data])
    level /= share @ level
    return np.ones(len(data)) if np.abs(level - 1.0).max() < _STEADY else level


def native_spectra(
    extraction: Extraction,
    traces: TraceSet,
    wave: FloatArray,
    solution: WavelengthSolution,
    *,
    flat: Throughput | None = None,
    layout: Layout | None = None,
    beside: tuple[IntArray, IntArray] | None = None,
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
    beside : (int array (n, m), int array (n, m)), optional
        Row and sample of the light next across: the spectra then tell their correlation with it.
    """
    step = _steps(wave)
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
        **({} if beside is None else blended(extraction, beside)),
    )


def _steps(wave: FloatArray) -> FloatArray:
    """Width (n, m) of every sample, Angstrom: at the ends of a spectrum by the one neighbour that it has."""
    between = np.abs(np.diff(wave, axis=1))
    lost = np.full((len(wave), 1), np.nan)
    below, above = np.hstack([lost, between]), np.hstack([between, lost])
    both = 0.5 * (below + above)
    one = np.where(np.isfinite(below), below, above)
    return np.where(np.isfinite(wave), np.where(np.isfinite(both), both, one), np.nan)


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
