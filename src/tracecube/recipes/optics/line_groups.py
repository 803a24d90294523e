"""Groups of arc lines: where they stand in every aperture, and how wide they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.optics import TraceSet
from tracecube.kernels.lines import group_fits, line_image
from tracecube.kernels.robust import known_median
from tracecube.recipes.optics.arcs import ArcSpectra, LineList, line_strengths
from tracecube.recipes.optics.dispersion import Law, field_basis

__all__ = ["LineGroups", "LineState", "Stage", "measure_groups", "width_field"]

# Lines nearer than this blend into one group, px: two widths of the line-spread function.
BLEND = 2.2
# A group of blended lines is cut when it gets longer than this, px.
LONGEST_GROUP = 14.0
# An unseeded line nearer than this to a seeded one of its lamp is left out: its strength and the
# other's place could not be told apart, px.
DISTINCT = 2.0
# A group counts as isolated when one line has this share of its strength.
ALONE = 0.97
# Error of the place of a blend, as a share of the spread of its lines. The strengths inside a blend
# are fitted together with its place and can stand in for a shift of it, so it counts for little.
BLEND_ERROR = 0.3
# Light of lines that no list has, as a share of the lamp's strongest line: such a line a pixel away moves
# a faint one by their ratio, px.
UNLISTED = 0.002
# Widths are taken from groups whose lines spread less than this, px.
NARROW = 0.2
# A group is used when its strength is measured at this S/N in the median aperture.
LEAST_SIGNAL = 4.0


@dataclass(frozen=True)
class Stage:
    """Which lines a turn of the fit uses: isolated ones alone, seeded ones alone; widths too."""

    isolated: bool
    seeded: bool
    width: bool


@dataclass(frozen=True)
class LineState:
    """Where the fit stands: places and widths of all lines (n, k), px."""

    position: FloatArray
    sigma: FloatArray


@dataclass(frozen=True)
class LineGroups:
    """Measured groups of lines.

    Parameters
    ----------
    wave : array (f,), Angstrom
        Mean wavelength, weighted with the strengths.
    blend : array (f,), px
        Error that an unknown make-up of the group gives its place in all apertures alike.
    x, error, width, width_error : array (n, f), px
    """

    wave: FloatArray
    blend: FloatArray
    x: FloatArray
    error: FloatArray
    width: FloatArray
    width_error: FloatArray


def measure_groups(
    arcs: Mapping[str, ArcSpectra], traces: TraceSet, lines: LineList, state: LineState, stage: Stage
) -> LineGroups:
    """Measure place and width of all groups of lines in all apertures."""
    parts = []
    for lamp, arc in arcs.items():
        mine = (lines.lamp == lamp) & _distinct(lines, state.position)
        mine &= (lines.seed > 0) | (not stage.seeded)
        part = LineState(state.position[:, mine], state.sigma[:, mine])
        parts.append(_measure_lamp(arc, traces.start, lines.wave[mine], part, stage))
    return LineGroups(
        np.concatenate([p.wave for p in parts]),
        np.concatenate([p.blend for p in parts]),
        *(np.concatenate([getattr(p, name) for p in parts], axis=1) for name in ("x", "error", "width", "width_error")),
    )


def _measure_lamp(arc: ArcSpectra, start: IntArray, wave: FloatArray, state: LineState, stage: Stage) -> LineGroups:
    """Measure the groups of one lamp."""
    start = start.astype(np.int64)
    n, m = arc.flux.shape
    strength, continuum, scale = line_strengths(arc, start, state.position, state.sigma)
    model = line_image(state.position, state.sigma, scale[:, None] * strength, start, m) + scale[:, None] * continuum
    good = np.isfinite(arc.flux) & (arc.variance > 0)
    ivar = np.where(good, 1.0 / np.where(good, arc.variance, 1.0), 0.0)
    group = _group_lines(np.median(state.position - state.position[:, :1], axis=0), strength)
    count = int(group.max(initial=-1)) + 1
    residual = np.where(good, arc.flux - model, 0.0)
    fit, error = group_fits(
        residual, ivar, start, state.position, state.sigma, scale[:, None] * strength, group, count, stage.width
    )
    share = np.where(group[:, None] == np.arange(count), strength[:, None], 0.0)
    share /= np.maximum(share.sum(axis=0), 1e-30)
    at, width = state.position @ share, state.sigma @ share
    signal = known_median(fit[:, :, 0] / error[:, :, 0], axis=0) if count else np.zeros(0)
    seen = np.isfinite(fit[:, :, 0]).sum(axis=0) > n // 3
    keep = (signal > LEAST_SIGNAL) & seen & ((share.max(axis=0) > ALONE) | (not stage.isolated))
    place = np.median(state.position - state.position[:, :1], axis=0)
    extent = np.sqrt(np.maximum((place**2) @ share - (place @ share) ** 2, 0.0))
    total = np.bincount(np.maximum(group, 0), np.where(group >= 0, strength, 0.0), minlength=max(count, 1))[:count]
    blend = np.hypot(BLEND_ERROR * extent, UNLISTED * strength.max(initial=0.0) / np.maximum(total, 1e-30))
    return LineGroups(
        (wave @ share)[keep],
        blend[keep],
        at[:, keep] + fit[:, keep, 1],
        error[:, keep, 1],
        width[:, keep] + fit[:, keep, 2],
        error[:, keep, 2],
    )


def _distinct(lines: LineList, position: FloatArray) -> BoolArray:
    """Mark the lines (k,) that stand clear of stronger known ones."""
    place = np.median(position - position[:, :1], axis=0)
    clear = np.ones(place.size, bool)
    for j in np.nonzero(lines.seed == 0)[0]:
        seeded = (lines.lamp == lines.lamp[j]) & (lines.seed > 0)
        clear[j] = not (np.abs(place[seeded] - place[j]) < DISTINCT).any()
    return clear


def _group_lines(place: FloatArray, strength: FloatArray) -> IntArray:
    """Number the groups of lines that blend (k,); -1 for lines of no strength."""
    group = np.full(place.size, -1, np.int64)
    order = [j for j in np.argsort(place) if strength[j] > 0]
    count, first, last = -1, -np.inf, -np.inf
    for j in order:
        if place[j] - last > BLEND or place[j] - first > LONGEST_GROUP:
            count, first = count + 1, place[j]
        group[j], last = count, place[j]
    return group


def width_field(groups: LineGroups, wave: FloatArray, law: Law, place: FloatArray) -> FloatArray:
    """Smooth line-spread width over field and wavelength: quadratic in the field, linear in v."""
    v, basis = law.v(groups.wave), field_basis(place, 2)
    target = np.nan_to_num(groups.width)
    narrow = np.isfinite(groups.width) & (groups.blend < BLEND_ERROR * NARROW)
    weight = np.where(narrow, 1.0 / np.nan_to_num(groups.width_error**2, nan=1.0), 0.0)
    size = (*target.shape, basis.shape[1])
    design = np.concatenate(
        [np.broadcast_to(basis[:, None, :], size), np.broadcast_to(v[None, :, None], (*target.shape, 1))], axis=2
    )
    for _ in range(4):
        normal = np.einsum("af,afp,afq->pq", weight, design, design, optimize=True)
        c = np.linalg.solve(normal + 1e-9 * np.eye(normal.shape[0]), np.einsum("af,afp->p", weight * target, design))
        off = (target - design @ c) * np.sqrt(weight)
        weight = np.where(np.abs(off) < 3.0 * 1.4826 * np.median(np.abs(off[weight > 0])), weight, 0.0)
    return np.asarray((basis @ c[:-1])[:, None] + c[-1] * law.v(wave)[None, :])
