"""Cosmic rays in single exposures: by their sharp edges first, by what a model leaves over later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.params import Params
from tracecube.kernels import cosmics, running

__all__ = ["CosmicParams", "flag_cosmics", "flag_residual_cosmics"]

Pixel = TypeVar("Pixel", bound="np.generic[Any]")


class CosmicParams(Params):
    """Numbers of the search for cosmic rays."""

    sharp: float = Field(
        default=6.0, gt=0, description="Laplacian significance of a hit (sigclip of L.A.Cosmic)", alias="sigclip"
    )
    contrast: float = Field(
        default=4.0, gt=0, description="How much sharper than the fine structure a hit is (objlim)", alias="objlim"
    )
    neighbour: float = Field(
        default=0.3, gt=0, le=1, description="Share of it that a hit's neighbours need (sigfrac)", alias="sigfrac"
    )
    rounds: int = Field(default=1, ge=1, description="Iterations of L.A.Cosmic", alias="niter")
    window: int = Field(default=12, ge=3, description="Pixels to either side whose median is a pixel's smooth signal")
    grow: float = Field(default=4.0, gt=0, description="Significance down to which a hit is followed")
    residual: float = Field(default=5.0, gt=0, description="Significance of a hit against the model of an extraction")
    residual_grow: float = Field(default=3.0, gt=0, description="Significance down to which such a hit is followed")
    model_error: float = Field(
        default=0.05, ge=0, description="Share of the brightest nearby model pixel by which the model may be wrong"
    )


def flag_cosmics(frame: Frame, *, floor: float, axis: int = 1, params: CosmicParams | None = None) -> Frame:
    """Flag the cosmic rays of one exposure without knowing its spectra.

    One round of L.A.Cosmic (van Dokkum 2001, PASP 113, 1420) on the frame with the smooth part of its
    spectra protected finds the sharp edges; each hit is then followed as far as it stands out of
    its row. Night-sky lines are as wide as the profile is and pass the fine-structure test; of lines
    more than 50 times the noise, as arc lamps have, a tenth of the flank pixels may not.

    Parameters
    ----------
    frame : Frame
    floor : float, electron**2
        Variance of a pixel without light.
    axis : int
        Image axis of dispersion.
    params : CosmicParams

    Returns
    -------
    Frame
        With bit `Flag.COSMIC_RAY` set; data as they were.
    """
    from astroscrappy import detect_cosmics  # noqa: PLC0415 - compiled; not wanted for planning

    params = params or CosmicParams()
    usable = np.ascontiguousarray(_turned(frame.flags & NOT_USABLE == 0, axis))
    data = np.ascontiguousarray(_turned(frame.data, axis))
    smooth = np.nan_to_num(running.running_median(data, usable, params.window))
    sharp, _ = detect_cosmics(
        data,
        inmask=~usable,
        inbkg=smooth,
        invar=np.asarray(floor + np.maximum(smooth, 0.0), np.float32),
        sigclip=params.sharp,
        sigfrac=params.neighbour,
        objlim=params.contrast,
        niter=params.rounds,
        gain=1.0,
        readnoise=float(np.sqrt(floor)),
        satlevel=np.inf,
        cleantype="medmask",
    )
    hit = cosmics.grow_along_rows(data, usable, sharp & usable, floor, params.window, params.grow)
    return _with_hits(frame, _turned(hit, axis))


def flag_residual_cosmics(
    frame: Frame, model: FloatArray, *, floor: float, params: CosmicParams | None = None
) -> Frame:
    """Flag what a model of the exposure leaves over: hits that lay on spectra, and tails of others.

    Parameters
    ----------
    frame : Frame
    model : array (y, x), electron
        A f of an extraction, scattered light included.
    floor : float, electron**2
        Variance of a pixel without light.
    params : CosmicParams

    Returns
    -------
    Frame
        With bit `Flag.COSMIC_RAY` added; data as they were.
    """
    params = params or CosmicParams()
    light = np.maximum(model, 0.0)
    wrong = params.model_error * cosmics.brightest_near(light)
    significance = np.asarray((frame.data - model) / np.sqrt(floor + light + wrong**2), np.float32)
    unusable = frame.flags & (NOT_USABLE & ~int(Flag.COSMIC_RAY)) != 0
    significance[unusable | ~np.isfinite(significance)] = -np.inf
    known = frame.flags & int(Flag.COSMIC_RAY) != 0
    hit = cosmics.grow_in_residual(known | (significance > params.residual), significance, params.residual_grow)
    return _with_hits(frame, hit)


def _turned(image: NDArray[Pixel], axis: int) -> NDArray[Pixel]:
    """Turn an image so that dispersion runs along rows; the same turns it back."""
    return image if axis == 1 else image.T


def _with_hits(frame: Frame, hit: BoolArray) -> Frame:
    """Return the frame with cosmic rays flagged."""
    return replace(frame, flags=np.where(hit, frame.flags | int(Flag.COSMIC_RAY), frame.flags).astype(np.int32))
