"""Joint extraction of all fibres of a CCD: every column one banded solution, both amplifiers together.

The frame itself tells how far its light has moved since the traces were measured, and whether it is wider; its own
extracted light makes its scattered light; what no fibre can have written is a cosmic ray. The variance of a pixel is
read noise and the light that is expected there, smoothed along and across the spectra: never the count itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.halo import refined
from tracecube.kernels.slit_light import Footprints, footprints
from tracecube.kernels.slit_moves import TERMS, Changes, move_equations
from tracecube.kernels.slit_noise import (
    NOT_USED,
    Limits,
    dark_rest,
    first_weights,
    flood,
    judge,
    open_pixels,
)
from tracecube.kernels.slit_samples import Samples, measure_samples
from tracecube.kernels.slit_smooth import expected_light
from tracecube.kernels.slit_solve import Pixels, solve_slit
from tracecube.recipes.extract.slit import Slit, gather
from tracecube.recipes.optics.fibre_scatter import Halo, HaloParams, ground_along, mirrored, spread_bins

__all__ = ["FibreExtraction", "FibreExtractionParams", "Move", "extract_fibres"]

_EVERY = (8, 2)  # columns that a step of the moves, and the last one, take one of: errors of a thousandth of a pixel
_CLIP = 3.0  # sigma of a dark pixel that counts for an amplifier's level


class FibreExtractionParams(Params):
    """How fibres are taken off a CCD."""

    halo: HaloParams = HaloParams()
    moves: int = Field(2, ge=0, le=6, description="steps in which the frame's own shift and width are fitted")
    passes: int = Field(3, ge=2, le=8, description="solutions; each takes variance and hits from the last")
    clip: float = Field(6.0, gt=3, description="sigma above the model beyond which a pixel was hit")
    grow: float = Field(3.0, gt=1, description="sigma above the model down to which pixels beside a hit belong to it")
    low_clip: float = Field(8.0, gt=3, description="sigma below the model beyond which a pixel is left out")
    trust: float = Field(0.05, ge=0, description="share of the light by which the model may be off before it counts")
    hit_share: float = Field(0.08, gt=0, le=1, description="of a sample's weight, lost to hits: the sample is flagged")
    bad_share: float = Field(0.3, gt=0, le=1, description="of a sample's weight, lost to bad pixels: it is flagged")
    box: float = Field(5.0, ge=1, le=9, description="px: width of the centred aperture of the cross-check")
    differ: float = Field(5.0, gt=1, description="sigma by which a fibre's aperture may differ from the fit")
    box_trust: float = Field(0.002, ge=0, description="share of the aperture's light by which the profile may be off")


@dataclass(frozen=True)
class Move:
    """How the light of an amplifier lies against its traces, with errors of one sigma.

    Parameters
    ----------
    value, error : array (4,)
        Shift of the middle (px), its change from the middle to the last row and to the last column (px), and the
        change of the profile's width (a share of it).
    """

    value: FloatArray
    error: FloatArray


@dataclass(frozen=True)
class FibreExtraction:
    """Spectra of a CCD. Tuples hold one entry an amplifier from the bottom up, None where it is dead.

    Parameters
    ----------
    flux, variance, blend, chi2, box : tuple of array (n, m), electron a column
        ``blend`` is the covariance with the next fibre up, ``chi2`` reduced, of the pixels under the sample, ``box``
        the sum over a centred aperture. NaN for missing fibres.
    flags : tuple of int32 array (n, m)
    differ : tuple of array (n,)
        What a fibre's aperture holds beyond the fit, over all its good samples, in sigma; the profile's trust counted.
    move : tuple of Move
    quality : tuple of QualityNumber
    """

    flux: tuple[FloatArray | None, ...]
    variance: tuple[FloatArray | None, ...]
    blend: tuple[FloatArray | None, ...]
    chi2: tuple[FloatArray | None, ...]
    box: tuple[FloatArray | None, ...]
    flags: tuple[IntArray | None, ...]
    differ: tuple[FloatArray | None, ...]
    move: tuple[Move | None, ...]
    quality: tuple[QualityNumber, ...]


@dataclass
class _Image:
    """The frame, turned to columns, and what is known of it so far."""

    pixels: Pixels
    state: NDArray[np.uint8]
    shot: float
    marks: NDArray[np.uint8]

    @property
    def rows(self) -> int:
        return int(self.state.shape[1])


def extract_fibres(
    frame: Frame, traces: Sequence[TraceSet | None], halo: Halo, params: FibreExtractionParams
) -> FibreExtraction:
    """Extract all fibres of a CCD.

    Parameters
    ----------
    frame : Frame
        Dispersion along x; variance that of a pixel without light, NCOMBINE of ``meta`` the number of exposures
        it is the mean of.
    traces : sequence of TraceSet or None
        One an amplifier from the bottom up (`trace_fibres`).
    halo : Halo
        Amplitude and power of the scattered light.
    params : FibreExtractionParams
    """
    slit = gather(traces, frame.data.shape[0])
    dead = np.array([one is None for one in traces])
    image = _opened(frame, np.repeat(dead, frame.data.shape[0] // len(traces)))
    move, error = np.zeros((len(traces), TERMS)), np.full((len(traces), TERMS), np.nan)
    light = slit.light(move)
    feet = footprints(light, image.rows)
    for turn in range(max(params.passes - 1, params.moves)):
        flux = solve_slit(feet, image.pixels)
        expected = expected_light(flux)
        _learn(image, (feet, light.centre), (flux, expected), halo, params, dead=dead)
        if turn < params.moves:
            every = _EVERY[turn == params.moves - 1]
            step, error = _step(image, (feet, slit.changes(light)), expected, every=every, dead=dead)
            move += step
            light = slit.light(move)
            feet = footprints(light, image.rows, feet)
    samples = measure_samples(feet, light.centre, image.pixels, image.marks, image.state, params.box)
    differ = _differences(samples, params)
    return FibreExtraction(
        flux=_spread(samples.flux, slit, traces, np.nan),
        variance=_spread(samples.variance, slit, traces, np.nan),
        blend=_spread(samples.blend, slit, traces, np.nan),
        chi2=_spread(samples.chi2, slit, traces, np.nan),
        box=_spread(samples.box, slit, traces, np.nan),
        flags=tuple(
            None if one is None else one.astype(np.int32)
            for one in _spread(_flags(samples, params), slit, traces, float(Flag.NOT_ILLUMINATED | Flag.NOT_MEASURED))
        ),
        differ=tuple(None if one is None else one[:, 0] for one in _spread(differ[None], slit, traces, np.nan)),
        move=tuple(None if one is None else Move(move[k], error[k]) for k, one in enumerate(traces)),
        quality=_quality(samples, image, move, differ, params),
    )


def _opened(frame: Frame, lost: BoolArray) -> _Image:
    """Start from the frame, its pixels weighed by a median along rows."""
    pixels, state = open_pixels(
        (np.asarray(frame.data, np.float32), np.asarray(frame.variance, np.float32), np.asarray(frame.flags, np.int32)),
        NOT_USABLE,
        int(Flag.SATURATED),
        lost,
    )
    shot = 1.0 / float(frame.meta.get("NCOMBINE") or 1)
    first_weights(pixels, shot)
    return _Image(pixels, state, shot, np.zeros_like(state))


def _learn(
    image: _Image,
    where: tuple[Footprints, NDArray[np.float64]],
    spectra: tuple[NDArray[np.float32], NDArray[np.float32]],
    halo: Halo,
    params: FibreExtractionParams,
    *,
    dead: BoolArray,
) -> None:
    """Take scattered light, hits and variance from a solution, and what is expected of it."""
    few, dark = dark_rest(*where, spectra, image.pixels, params.halo.away, params.halo.bins)
    coarse = spread_bins(mirrored(few.T, dead).T, params.halo, halo.power)
    ground = refined(np.asarray(halo.amplitude * coarse, np.float32), params.halo.bins)
    floor = image.pixels.floor.ravel()[dark.at]
    under = ground.ravel()[dark.at]
    rest = dark.rest - under
    height = ground.shape[1] // dead.size
    owner = dark.at % ground.shape[1] // height
    for k in np.flatnonzero(~dead):
        own = np.flatnonzero(owner == k)
        noise = floor[own] + np.float32(image.shot) * under[own]
        column = dark.at[own] // ground.shape[1]
        curve = ground_along(rest[own], column, noise, (len(ground), params.halo.degree))
        ground[:, k * height : (k + 1) * height] += curve[:, None].astype(np.float32)
    image.pixels = image.pixels._replace(ground=ground)
    limits = Limits(params.clip, params.grow, params.low_clip, params.trust)
    image.marks = judge(where[0], spectra, image.pixels, image.shot, limits)
    flood(image.marks, image.pixels)


def _step(
    image: _Image, light: tuple[Footprints, Changes], expected: NDArray[np.float32], *, every: int, dead: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """One step of the moves of all amplifiers, the fluxes left free: values and errors (n_amplifier, 4)."""
    matrix, rhs = move_equations(*light, expected, image.pixels, dead.size, every)
    step, error = np.zeros_like(rhs), np.full_like(rhs, np.nan)
    for k in np.flatnonzero(~dead):
        inverse = np.linalg.pinv(matrix[k], rcond=1e-9, hermitian=True)
        step[k], error[k] = np.clip(inverse @ rhs[k], -1.0, 1.0), np.sqrt(np.maximum(np.diag(inverse), 0.0))
    return step, error


def _differences(samples: Samples, params: FibreExtractionParams) -> NDArray[np.float64]:
    """Return by how many sigma the aperture of each fibre (n,) differs from the fit."""
    good = (samples.share > 1.0 - params.bad_share) & np.isfinite(samples.flux)
    off, variance, box = (
        np.where(good, one, 0.0).sum(axis=0, dtype=np.float64)
        for one in (samples.off, samples.off_variance, samples.box)
    )
    sigma = np.sqrt(variance + (params.box_trust * box) ** 2)
    out: NDArray[np.float64] = np.divide(off, sigma, out=np.full(off.size, np.nan), where=sigma > 0.0)
    return out


def _flags(samples: Samples, params: FibreExtractionParams) -> IntArray:
    """Flags (m, n) by the share of its weight that a sample lost, and to what."""
    bad = 1.0 - samples.share - samples.hit
    flags = np.where(samples.hit > params.hit_share, int(Flag.COSMIC_RAY), 0)
    flags |= np.where(bad > params.bad_share, int(Flag.BAD_PIXEL), 0)
    flags |= np.where(samples.full > params.hit_share, int(Flag.SATURATED), 0)
    lost = samples.share < 1.0 - 2.0 * params.bad_share
    return np.asarray(flags | np.where(lost, int(Flag.NOT_MEASURED), 0), np.int32)


def _quality(
    samples: Samples, image: _Image, move: FloatArray, differ: FloatArray, params: FibreExtractionParams
) -> tuple[QualityNumber, ...]:
    used = (image.state & NOT_USED) == 0
    hits = np.count_nonzero((image.marks >= 2) & used)
    return (
        QualityNumber("EXTRACT CHI2", float(np.nanmedian(samples.chi2)), "", high=1.5),
        QualityNumber("COSMIC SHARE", float(hits) / max(int(np.count_nonzero(used)), 1), "", high=0.02),
        QualityNumber("TRACE SHIFT", float(np.abs(move[:, 0]).max()), "px", high=1.0),
        QualityNumber("APERTURE DIFFERS", float(np.count_nonzero(np.abs(differ) > params.differ)), "fibres"),
    )


def _spread(
    values: FloatArray | IntArray, slit: Slit, traces: Sequence[TraceSet | None], missing: float
) -> tuple[FloatArray | None, ...]:
    """Put values (m, n) of the fibres into arrays (n, m), one an amplifier."""
    out: list[FloatArray | None] = []
    for k, one in enumerate(traces):
        if one is None:
            out.append(None)
            continue
        full = np.full((one.dq.size, len(values)), missing)
        own = slit.amplifier == k
        full[slit.row[own]] = values[:, own].T
        out.append(full)
    return tuple(out)
