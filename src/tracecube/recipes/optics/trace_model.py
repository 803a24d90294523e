"""The traces of all apertures as one smooth model, and what an illuminated frame says about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.forward import DesignMatrix, Footprints, Profile, design_matrix, project
from tracecube.kernels.solve import band_width, estimate, factorise, normal_equations

__all__ = ["Light", "Measured", "TraceModel", "footprints", "measure", "unknowns"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
B1 = NDArray[np.bool_]

# Relative step of the numerical derivative with the width; its error is the square of it.
WIDTH_STEP = 0.02
# Columns solved at a time: keeps the band matrices of a 2k detector within some 50 MB.
_CHUNK = 128


@dataclass(frozen=True)
class TraceModel:
    """Centre and width of every trace as polynomials of the distance from its reference point.

    With ``d`` the distance along dispersion from the reference and ``t = d / scale``::

        centre = across + tilt d + sum_k shape[k] t^k,    sigma = exp(sum_k width[k] t^k)

    Parameters
    ----------
    index : int array (n, 2)
        Lattice node (q, r).
    across, along : array (n,), px
        Reference point.
    tilt : float
    scale : float, px
    span : (float, float), px
        Range of ``d`` that a trace covers.
    shape : array (n, k), px
    covariance : array (n, k, k), px**2
    width : array (n, k_w)
        Logarithm of the core width.
    """

    index: I8
    across: F8
    along: F8
    tilt: float
    scale: float
    span: tuple[float, float]
    shape: F8
    covariance: F8
    width: F8

    def centre(self, row: I8, along: F8 | I8) -> F8:
        """Return the position across dispersion of trace ``row`` at pixel ``along``."""
        d = along - self.along[row]
        bent: F8 = (self.powers(row, along, self.shape) * self.shape[row]).sum(axis=-1)
        return self.across[row] + self.tilt * d + bent

    def sigma(self, row: I8, along: F8 | I8) -> F8:
        """Return the core width of trace ``row`` at pixel ``along``, px."""
        log_width: F8 = (self.powers(row, along, self.width) * self.width[row]).sum(axis=-1)
        return np.exp(log_width)

    def error(self, row: I8, along: F8 | I8) -> F8:
        """Return the standard deviation of the centre of trace ``row`` at pixel ``along``, px."""
        t = self.powers(row, along, self.shape)
        variance: F8 = np.einsum("...j,...jk,...k->...", t, self.covariance[row], t)
        return np.sqrt(np.maximum(variance, 0.0))

    def powers(self, row: I8, along: F8 | I8, of: F8) -> F8:
        """Return t^0 ... t^(k-1) for the coefficients ``of`` (n, k)."""
        t = (along - self.along[row]) / self.scale
        powers: F8 = np.asarray(t)[..., None] ** np.arange(of.shape[1])
        return powers

    def keep(self, rows: B1 | I8) -> TraceModel:
        """Return the model of the chosen apertures, by mask or by order."""
        names = ("index", "across", "along", "shape", "covariance", "width")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


class Light(NamedTuple):
    """The frame as the fits see it, dispersion along the second axis.

    ``ground`` is the smooth background model; ``ivar`` is 0 on pixels that do not count.
    """

    data: F4
    ivar: F4
    ground: F4


class Measured(NamedTuple):
    """What the columns say, one entry an unknown (aperture ``row`` at pixel ``along``); NaN if nothing.

    ``moment`` is flux times shift of the centre (px), ``spread`` flux times relative change of the
    width; ``flux_error``, ``moment_error``, ``spread_error`` are their standard deviations with the
    neighbours' taken into account.
    """

    row: I8
    along: I8
    flux: F8
    flux_error: F8
    moment: F8
    moment_error: F8
    spread: F8
    spread_error: F8

    def keep(self, entries: B1) -> Measured:
        """Return the chosen entries."""
        return Measured._make(values[entries] for values in self)


def unknowns(model: TraceModel, columns: I8, n_along: int) -> tuple[I8, I8]:
    """List (row, along) of every aperture on every chosen column, ordered by column and then across."""
    low, high = model.along + model.span[0], model.along + model.span[1]
    first = np.searchsorted(columns, np.maximum(low, 0.0), side="left")
    last = np.searchsorted(columns, np.minimum(high, n_along - 1.0), side="right")
    count = np.maximum(last - first, 0)
    row = np.repeat(np.arange(model.along.size), count)
    place = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    along = columns[place]
    order = np.lexsort((model.centre(row, along), along))
    return row[order], along[order]


def measure(
    light: Light, model: TraceModel, profile: Profile, columns: I8, *, half_width: int, lit: tuple[float, float]
) -> tuple[Measured, F4]:
    """Fit flux, shift and width of all traces of each column together.

    Parameters
    ----------
    light : Light
    model : TraceModel
    profile : Profile
    columns : int array
        Columns to use, rising.
    half_width : int
        Pixels on either side of a centre that its profile covers.
    lit : (float, float), px
        Range of distances from the reference where the lamp is bright enough to show shift and
        width; elsewhere only the flux is fitted.

    Returns
    -------
    measured : Measured
    fitted : array (across, len(columns))
        The model of the traces on these columns, without the ground.
    """
    parts, images = [], []
    for start in range(0, columns.size, _CHUNK):
        some = columns[start : start + _CHUNK]
        one, image = _measure_chunk(light, model, profile, some, half_width, lit)
        parts.append(one)
        images.append(image)
    merged = Measured(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    return merged, np.concatenate(images, axis=1)


def _measure_chunk(
    light: Light, model: TraceModel, profile: Profile, columns: I8, half_width: int, lit: tuple[float, float]
) -> tuple[Measured, F4]:
    """Solve some columns; see `measure`."""
    row, along = unknowns(model, columns, light.data.shape[1])
    data = light.data[:, columns] - light.ground[:, columns]
    foot = footprints(model, row, along, columns)
    a, joint = _designs(foot, profile, data.shape, half_width, _lit(model, row, along, lit))
    equations = normal_equations(joint, data, light.ivar[:, columns], band=band_width(joint))
    found = estimate(factorise(equations), equations.rhs)
    value = found.flux.reshape(-1, 3)
    # Traces that lie on each other leave a variance that rounding may turn negative: not measured.
    variance = found.covariance[0]
    error = np.sqrt(np.where(variance > 0.0, variance, np.nan)).reshape(-1, 3)
    columns_of = [x for pair in zip(value.T, error.T, strict=True) for x in pair]
    return Measured(row, along, *columns_of), project(a, np.nan_to_num(value[:, 0]))


def _lit(model: TraceModel, row: I8, along: I8, lit: tuple[float, float]) -> B1:
    d = along - model.along[row]
    return (d >= lit[0]) & (d <= lit[1])


def footprints(model: TraceModel, row: I8, along: I8, columns: I8) -> Footprints:
    """Footprints on the sub-image of the chosen columns."""
    zero = np.zeros(row.size)
    place = np.searchsorted(columns, along).astype(float)
    return Footprints(place, model.centre(row, along), zero, model.sigma(row, along), zero)


def _designs(
    foot: Footprints, profile: Profile, shape: tuple[int, int], half_width: int, lit: B1
) -> tuple[DesignMatrix, DesignMatrix]:
    """A alone, and A with its derivatives with shift and log width beside it (0 where not lit)."""

    def build(widened: float = 1.0, *, shift: bool = False) -> DesignMatrix:
        wide = foot._replace(sigma=foot.sigma * widened)
        return design_matrix(wide, profile, shape, half_width=half_width, shift_across=shift)

    a, moved = build(), build(shift=True)
    wider = (build(1.0 + WIDTH_STEP).weight - build(1.0 - WIDTH_STEP).weight) / np.float32(2.0 * WIDTH_STEP)
    here = lit[:, None, None].astype(np.float32)
    joint = np.stack([a.weight, here * moved.weight, here * wider], axis=1).reshape(-1, *a.weight.shape[1:])
    return a, DesignMatrix(np.repeat(a.origin, 3, axis=0), joint, shape)
