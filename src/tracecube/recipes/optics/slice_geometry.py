"""From the grid of pinholes in each detector to places of all slices in the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData, NoConvergence
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.slice_field import ChannelGeometry, MaskLight
from tracecube.recipes.optics.mask_fit import GridFit, MaskSamples, fit_grid

__all__ = ["GeometryParams", "Pitch", "Places", "place_channel", "place_slices", "samples_of"]

_AGREE = 0.15  # of a pitch: slices scatter less about their nominal places


class GeometryParams(Params):
    """Numbers of the geometry."""

    smooth: bool = Field(
        default=True,
        alias="smooth",
        description="Draw slices to a straight run of their stack, weakly if they scatter",
    )


@dataclass(frozen=True)
class Pitch:
    """Distance of pinholes along slices and across them, arcsec."""

    x: float
    y: float


@dataclass(frozen=True)
class Places:
    """Where slices lie: each number (n,) with its error, arcsec and degree.

    Parameters
    ----------
    value, error : mapping of {"x", "y", "angle", "width"} to array (n,)
    own : mapping
        As measured, before they were drawn to their stacks.
    dq : int32 array (n,)
        EXTRAPOLATED where only neighbours in the stack tell the place, NOT_MEASURED where nothing does.
    direction : int
        1 where the mask moves to growing y.
    """

    value: Mapping[str, FloatArray]
    error: Mapping[str, FloatArray]
    own: Mapping[str, FloatArray]
    dq: IntArray
    direction: int


def samples_of(masks: Sequence[MaskLight]) -> tuple[MaskSamples, tuple[str, ...]]:
    """Put the steps of one detector together, in order of the mask's place, or of time where no header tells it.

    Raises
    ------
    BadData
        Fewer than five steps.
    """
    told = np.array([one.step for one in masks], np.float64)
    time = np.array([one.mjd for one in masks], np.float64)
    known = bool(np.isfinite(told).all() and np.ptp(told) > 0)
    order = np.argsort(told if known else time, kind="stable")
    if order.size < 5:
        raise BadData(f"{order.size} steps of the mask", hint="fifty are usual; are all exposures there?")
    notes = (
        () if known else ("no header tells the place of the mask: its steps are taken to be equal, in order of time",)
    )
    step = told[order] if known else np.arange(order.size, dtype=np.float64)
    parts = [masks[int(i)] for i in order]
    bright = _brightness(parts)[:, None, None]
    return (
        MaskSamples(
            bright * np.stack([one.light for one in parts]),
            bright**2 * np.stack([one.variance for one in parts]),
            np.stack([one.place for one in parts]).astype(np.float64),
            np.asarray(parts[0].width, np.float64),
            step,
        ),
        notes,
    )


def _brightness(masks: Sequence[MaskLight]) -> FloatArray:
    """Return what the mean slice saw in each step relative to the mean, in the lines that all steps show."""
    lines = masks[0].line
    for one in masks[1:]:
        lines = np.intersect1d(lines, one.line)
    if not lines.size:
        raise BadData("no arc line is bright in all steps of the mask", hint="was one of the lamps off at times?")
    flux = np.stack([one.line_flux[np.isin(one.line, lines)] for one in masks])
    return np.asarray(np.mean(flux / flux.mean(axis=0), axis=1))


def place_channel(masks: Sequence[MaskLight], pitch: Pitch, spaxels: float) -> tuple[ChannelGeometry, tuple[str, ...]]:
    """Find the slices of one detector on the grid of pinholes.

    Parameters
    ----------
    masks : sequence of MaskLight
        One a step.
    pitch : Pitch
    spaxels : float, arcsec
        Nominal length of a slice.
    """
    samples, notes = samples_of(masks)
    fit = fit_grid(samples, pitch.x * samples.width / spaxels)
    time = np.array([one.mjd for one in masks])
    told = np.array([one.step for one in masks], np.float64)
    order = np.argsort(time if notes else told, kind="stable")
    return _channel(fit, samples.width, pitch, time[order], masks[0]), notes


def _channel(fit: GridFit, width: FloatArray, pitch: Pitch, time: FloatArray, first: MaskLight) -> ChannelGeometry:
    here, apart, across, slope, wide, high = fit.value.T[:6]
    scale = pitch.x / apart  # arcsec a pixel along the slice, which runs the other way on the sky
    tangent = -slope * pitch.y / scale
    error = np.sqrt(np.stack([fit.covariance[:, i, i] for i in range(4)]))
    ratio = here / apart
    place = fit.covariance[:, 0, 0] + ratio**2 * fit.covariance[:, 1, 1] - 2.0 * ratio * fit.covariance[:, 0, 1]
    return ChannelGeometry(
        aperture=first.aperture,
        dq=fit.dq,
        x=here * scale,
        y=across * pitch.y,
        angle=np.degrees(np.arctan(tangent)),
        width=width * scale,
        x_error=np.sqrt(place) * scale,
        y_error=error[2] * pitch.y,
        angle_error=np.degrees(error[3] * pitch.y / scale),
        width_error=width * scale * error[1] / apart,
        spot_along=wide * scale,
        spot_across=high * pitch.y,
        chi2=fit.chi2,
        step_mjd=time,
        step_place=fit.step * pitch.y,
        step_light=fit.brightness,
        pitch_x=pitch.x,
        pitch_y=pitch.y,
        meta=first.meta,
    )


def place_slices(
    channels: Sequence[ChannelGeometry], nominal: Mapping[str, FloatArray], stack: IntArray, *, smooth: bool
) -> Places:
    """Place the slices of all detectors in the field.

    Each knows its place but for whole distances of pinholes, and for the zero of the grid, common to all: nominal
    places decide the first, their mean is the second. Which way the mask moves is told by the better agreement.

    Parameters
    ----------
    channels : sequence of ChannelGeometry
    nominal : mapping of {"x", "y"} to array (n,), arcsec
        Of all slices of all channels, one after the other.
    stack : int array (n,)
        Slices of one number, side by side, follow one another straight.
    smooth : bool
        Draw them to it.

    Raises
    ------
    NoConvergence
        The slices lie on no grid about their nominal places.
    """
    get = {name: np.concatenate([getattr(one, name) for one in channels]) for name in ("x", "y", "angle", "width")}
    error = {name: np.concatenate([getattr(one, f"{name}_error") for one in channels]) for name in get}
    pitch = Pitch(channels[0].pitch_x, channels[0].pitch_y)
    moved = np.concatenate([np.full(len(one.x), _behind(one, channels[0])) for one in channels])
    x, spread_x = _resolved(get["x"], nominal["x"], pitch.x)
    ways = [(way, *_resolved(way * (get["y"] - moved), nominal["y"], pitch.y)) for way in (1, -1)]
    way, y, spread_y = min(ways, key=lambda one: one[2])
    if max(spread_x / pitch.x, spread_y / pitch.y) > _AGREE:
        raise NoConvergence(
            f"slices scatter by {spread_x:.2f} and {spread_y:.2f} arcsec about their nominal places",
            hint="is it the mask of the wide field? Look at the light along the slices",
        )
    own = {"x": x, "y": y, "angle": way * get["angle"], "width": get["width"]}
    value, errors = dict(own), dict(error)
    if smooth:
        for name, measured in own.items():
            value[name], errors[name] = _drawn(measured, error[name], nominal["y"], stack)
    dq = np.where(np.isfinite(own["x"]), 0, int(Flag.EXTRAPOLATED))
    dq = np.where(np.isfinite(value["x"]), dq, int(Flag.NOT_MEASURED))
    return Places(value, errors, own, dq.astype(np.int32), way)


def _behind(channel: ChannelGeometry, first: ChannelGeometry) -> float:
    """Return by how much a channel's zero of the mask lies behind the first one's (arcsec), from common exposures."""
    _, own, other = np.intersect1d(channel.step_mjd, first.step_mjd, return_indices=True)
    if not own.size:
        raise BadData("channels have no exposure of the mask in common", hint="are all exposures there?")
    return float(np.median(channel.step_place[own] - first.step_place[other]))


def _resolved(found: FloatArray, nominal: FloatArray, pitch: float) -> tuple[FloatArray, float]:
    """Return places without whole pitches, with the zero of the nominal ones, and their scatter about those."""
    known = np.isfinite(found)
    phase = 2.0 * np.pi * (found - nominal) / pitch
    zero = pitch / (2.0 * np.pi) * float(np.angle(np.mean(np.exp(1j * phase[known]))))
    off = found - nominal - zero
    off = off - pitch * np.rint(off / pitch)
    off = off - np.mean(off[known])
    return nominal + off, float(np.std(off[known]))


def _drawn(own: FloatArray, error: FloatArray, along: FloatArray, stack: IntArray) -> tuple[FloatArray, FloatArray]:
    """Draw numbers to a straight line through their stack; how much the stack scatters tells how strongly.

    The posterior of a Gaussian prior whose width is what the scatter exceeds the errors by (empirical Bayes).
    """
    value, spread = own.copy(), error.copy()
    for one in np.unique(stack):
        members = np.flatnonzero(stack == one)
        known = members[np.isfinite(own[members])]
        if known.size < 4:
            continue
        design = np.stack([np.ones(members.size), along[members] - along[members].mean()], axis=1)
        mine = np.isin(members, known)
        fit = np.linalg.lstsq(design[mine], own[known], rcond=None)[0]
        left = own[known] - design[mine] @ fit
        scatter = float(np.sum(left**2) / (known.size - 2))
        prior = max(scatter - float(np.mean(error[known] ** 2)), 0.0) + 1e-30
        share = prior / (prior + error[known] ** 2)
        value[members] = design @ fit
        # the line itself is known by the mean of its members
        line = (prior + float(np.mean(error[known] ** 2))) * np.sum(
            (design @ np.linalg.inv(design[mine].T @ design[mine])) * design, axis=1
        )
        spread[members] = np.sqrt(prior + line)
        value[known] += share * left
        spread[known] = np.sqrt(share * error[known] ** 2 + (1.0 - share) ** 2 * line[mine])
    return value, spread
