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
# other's place could not be told apart, px. What it may do to that place is part of the blend error.
DISTINCT = 2.0
# A group counts as isolated when one line has this share of its strength.
ALONE = 0.97
# Error of the place of a blend, as a share of the spread of its lines. The strengths inside a blend
# are fitted together with its place and can stand in for a shift of it, so it counts for little.
BLEND_ERROR = 0.3
# Strength of a lamp's faint lines, as a share of its strongest, before any of them was measured.
FAINT = 0.02
# Power (sum of squared strengths) of lines that no list has, as a share of that of the faint ones that are
# listed: as many again, half as strong.
UNLISTED = 0.25
# Apertures that tell what a faint line does to a group: phases of sampling; and how far off it is looked for, px.
BLEND_ROWS, REACH = 30, 4.0
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
        left_out = (lines.lamp == lamp) & ~mine
        part = LineState(state.position[:, mine], state.sigma[:, mine])
        beside = LineState(state.position[:, left_out], state.sigma[:, left_out])
        kept = LineList(lines.lamp[mine], lines.wave[mine], lines.seed[mine])
        parts.append(_measure_lamp(arc, traces.start, kept, part, stage, beside=beside))
    return LineGroups(
        np.concatenate([p.wave for p in parts]),
        np.concatenate([p.blend for p in parts]),
        *(np.concatenate([getattr(p, name) for p in parts], axis=1) for name in ("x", "error", "width", "width_error")),
    )


def _measure_lamp(
    arc: ArcSpectra, start: IntArray, lines: LineList, state: LineState, stage: Stage, *, beside: LineState
) -> LineGroups:
    """Measure the groups of one lamp; ``beside`` are its lines that were left out."""
    start = start.astype(np.int64)
    n, m = arc.flux.shape
    strength, continuum, scale = line_strengths(arc, start, state.position, state.sigma)
    model = line_image(state.position, state.sigma, scale[:, None] * strength, start, m) + scale[:, None] * continuum
    good = np.isfinite(arc.flux) & (arc.variance > 0)
    ivar = np.where(good, 1.0 / np.where(good, arc.variance, 1.0), 0.0)
    group = _group_lines(np.median(state.position - state.position[:, :1], axis=0), strength)
    count = int(group.max(initial=-1)) + 1
    residual = np.where(good, arc.flux - model, 0.0)
    light = scale[:, None] * strength
    fit, error = group_fits(residual, ivar, start, state.position, state.sigma, light, group, count, stage.width)
    share = np.where(group[:, None] == np.arange(count), strength[:, None], 0.0)
    share /= np.maximum(share.sum(axis=0), 1e-30)
    at, width = state.position @ share, state.sigma @ share
    signal = known_median(fit[:, :, 0] / error[:, :, 0], axis=0) if count else np.zeros(0)
    seen = np.isfinite(fit[:, :, 0]).sum(axis=0) > n // 3
    keep = (signal > LEAST_SIGNAL) & seen & ((share.max(axis=0) > ALONE) | (not stage.isolated))
    place = np.median(state.position - state.position[:, :1], axis=0)
    extent = np.sqrt(np.maximum((place**2) @ share - (place @ share) ** 2, 0.0))
    fitted = _Fitted(state, light, group, share, ivar, start)
    faint, crowd = faint_strength(lines.seed, strength), float((lines.seed == 0).sum() + beside.position.shape[1]) / m
    hidden = blend_error(fitted, beside, faint, crowd=crowd, with_width=stage.width)
    blend = np.hypot(BLEND_ERROR * extent, hidden)
    return LineGroups(
        (lines.wave @ share)[keep],
        blend[keep],
        at[:, keep] + fit[:, keep, 1],
        error[:, keep, 1],
        width[:, keep] + fit[:, keep, 2],
        error[:, keep, 2],
    )


def faint_strength(seed: FloatArray, strength: FloatArray) -> float:
    """Typical (rms) strength of a lamp's faint lines: of those that were measured, else a share of the strongest."""
    measured = strength[(seed == 0) & (strength > 0)]
    return float(np.sqrt(np.mean(measured**2))) if measured.size else FAINT * float(strength.max(initial=0.0))


def blend_error(
    fitted: _Fitted, beside: LineState, faint: float, *, crowd: float, with_width: bool = False
) -> FloatArray:
    """Error (f,) that faint lines the fit knows nothing of give the place of a group in all apertures alike, px.

    The groups are fitted to images of such lines alone, with the weights that the data had: the shift that comes
    out is what the line does. (With weights of equal size it is f d exp(-d^2 / 4 sigma^2) for a line of
    relative strength f at distance d; with those of photon noise, which lift the wings, up to f d.)

    Parameters
    ----------
    fitted : _Fitted
    beside : LineState (n, q)
        Listed lines that are left out of the fit, their strengths unknown.
    faint : float, electron
        Typical (rms) strength of such lines.
    crowd : float
        Faint lines a pixel that are listed; `UNLISTED` of their power is in lines that are not, at any place.
    """
    rows = fitted.rows(BLEND_ROWS)
    variance = np.zeros(fitted.share.shape[1])
    for j in range(beside.position.shape[1]):
        one = LineState(beside.position[rows, j : j + 1], beside.sigma[rows, j : j + 1])
        variance += fitted.shift_by(one, faint, rows, with_width=with_width) ** 2
    centre, width = fitted.lines.position[rows] @ fitted.share, fitted.lines.sigma[rows] @ fitted.share
    for offset in np.arange(-REACH, REACH + 1.0):
        shift = fitted.shift_by(LineState(centre + offset, width), faint, rows, with_width=with_width)
        variance += UNLISTED * crowd * shift**2
    return np.asarray(np.sqrt(variance))


@dataclass(frozen=True)
class _Fitted:
    """The lines of a lamp as they were fitted: arrays (n, k) over apertures and lines, (n, m) over samples."""

    lines: LineState
    strength: FloatArray
    group: IntArray
    share: FloatArray
    ivar: FloatArray
    start: IntArray

    def rows(self, most: int) -> IntArray:
        """Some apertures."""
        n = self.start.size
        return np.arange(0, n, max(1, n // most))

    def shift_by(self, others: LineState, strength: float, rows: IntArray, *, with_width: bool) -> FloatArray:
        """Shift (f,) of the groups by other lines of some strength (electron), typical of some apertures, px."""
        start, sigma = self.start[rows], np.ascontiguousarray(others.sigma)
        light = np.full(others.position.shape, strength)
        image = line_image(np.ascontiguousarray(others.position), sigma, light, start, self.ivar.shape[1])
        fit, _ = group_fits(
            image,
            self.ivar[rows],
            start,
            self.lines.position[rows],
            self.lines.sigma[rows],
            self.strength[rows],
            self.group,
            self.share.shape[1],
            with_width,
        )
        return np.nan_to_num(known_median(fit[:, :, 1], axis=0))


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
