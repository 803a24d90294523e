"""Wavelengths in slices: one polynomial a slice, and what all slices agree the list of lines has wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from pydantic import Field

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.recipes.optics.slice_lines import LineSamples

__all__ = ["Solution", "WavelengthParams", "solve_wavelengths"]

_ROUNDS = 16
_NO_LIST = 0.3  # Angstrom by which the typical line of a list is never wrong
_WILD = 6.0  # how much wider the errors of lines with an unknown companion are than those of the list


class WavelengthParams(Params):
    """Numbers of the wavelength solution."""

    order_along: int = Field(default=6, ge=2, alias="yorder", description="Order along dispersion")
    order_across: int = Field(default=2, ge=1, alias="xorder", description="Order along the slice")
    clip: float = Field(
        default=4.0, gt=0, alias="fitsigma", description="Errors off the solution beyond which: left out"
    )
    least: float = Field(default=8.0, gt=0, description="Signal-to-noise of a line in the typical column")
    list_error: float = Field(default=0.01, gt=0, description="First guess of the errors of the line list, Angstrom")


@dataclass(frozen=True)
class Solution:
    """Wavelength polynomials of all slices.

    Parameters
    ----------
    coefficient : array (n, n_t, n_u), Angstrom
        Of ``t^i P_j(u)``.
    covariance : array (n, n_u, n_u)
        Of those of ``t^0``, the errors of the list among them.
    rms : array (n,), Angstrom
    dq : int32 array (n,)
    offset, offset_error : array (m,), Angstrom
        Of each line of the list: where all slices see it, less its wavelength there.
    list_error : float, Angstrom
        Scatter of the list's errors, but for lines that have an unknown companion.
    residual : array (k,), Angstrom
        Of each sample; its ``error``, and whether it was ``used``.
    """

    coefficient: FloatArray
    covariance: FloatArray
    rms: FloatArray
    dq: np.ndarray
    offset: FloatArray
    offset_error: FloatArray
    list_error: float
    residual: FloatArray
    error: FloatArray
    used: BoolArray


@dataclass(frozen=True)
class _Slice:
    """Samples of one slice: rows in the table, design (k, p), line (k,)."""

    rows: np.ndarray
    design: FloatArray
    line: np.ndarray


def solve_wavelengths(
    samples: LineSamples,
    wave: FloatArray,
    line: np.ndarray,
    count: int,
    scale: tuple[float, float, float],
    params: WavelengthParams,
) -> Solution:
    """Fit the wavelengths of all slices of a detector at once.

    ``wave[line] + offset[line] = polynomial of the slice (t, u)``: the offsets are common to all slices, drawn from a
    Gaussian whose width is found with them, or, for lines beside an unknown companion, from a wider one: which lines
    these are is found too (expectation and maximisation, Dempster, Laird & Rubin 1977, J. R. Stat. Soc. B 39, 1).
    Least squares in which the polynomials are eliminated, so that each slice is solved alone.

    Parameters
    ----------
    samples : LineSamples
    wave : array (m,), Angstrom
        Lines of all lamps.
    line : int array (k,)
        Which of them each sample is.
    count : int
        Slices.
    scale : (float, float, float)
        ``middle``, ``half`` and ``reach``: u and t of a place (px).
    params : WavelengthParams

    Raises
    ------
    NoConvergence
        No slice has enough lines, or most do not stand where their list has them.
    """
    middle, half, reach = scale
    u, t = (samples.along - middle) / half, samples.across / reach
    slices = _slices(samples, u, t, line, count, params)
    if not slices:
        raise NoConvergence("no slice has enough arc lines", hint="look at the arc frames; are the lamps on?")
    speed = np.full(u.size, np.nan)
    weight = np.zeros(u.size)
    tau, share = params.list_error, 0.9
    precision = np.full(wave.size, tau**-2)
    offset: FloatArray = np.zeros(wave.size)
    spread: FloatArray = tau**2 * np.eye(wave.size)
    used = np.ones(u.size, bool)
    coefficients: dict[int, FloatArray] = {}
    excess, residual = 0.0, np.zeros(u.size)
    for turn in range(_ROUNDS):
        if turn == 0:
            speed[:] = _dispersion(slices, u, wave) / half
        error = np.hypot(samples.error * speed, excess)
        weight = np.where(used, 1.0 / error**2, 0.0)
        offset, spread, coefficients = _joint(slices, weight, wave, precision)
        for row, one in slices.items():
            residual[one.rows] = wave[one.line] + offset[one.line] - one.design @ coefficients[row]
        seen = np.bincount(line[used], minlength=wave.size) > 0
        precision, tau, share = _list_errors(offset**2 + np.diag(spread), seen, tau, share)
        middle_of = 1.4826 * float(np.median(np.abs(residual[used])))
        noise = float(np.median((samples.error * speed)[used]))
        excess = float(np.sqrt(max(middle_of**2 - noise**2, 0.0)))
        limit = params.clip * np.hypot(samples.error * speed, excess)
        now = np.abs(residual) < np.maximum(limit, 1e-4)
        if turn > 3 and (now == used).all():
            break
        used = now
    _check_list(offset, line[used])
    return _collect(
        slices,
        coefficients,
        weight,
        (offset, spread, tau),
        (residual, np.hypot(samples.error * speed, excess), used),
        count,
        params,
    )


def _check_list(offset: FloatArray, used: np.ndarray) -> None:
    """Refuse a solution in which the lines that were used do not stand where their list has them.

    Raises
    ------
    NoConvergence
        The typical line does not.
    """
    seen = np.unique(used)
    off = float(np.median(np.abs(offset[seen]))) if seen.size else np.inf
    if not off < _NO_LIST:
        raise NoConvergence(
            f"arc lines are seen {off:.2g} Angstrom off their list, in the middle: other lines were taken for them",
            hint="are these the lamps their headers say? Look at the arc frames, and at LINE_CATALOG",
        )


def _slices(
    samples: LineSamples, u: FloatArray, t: FloatArray, line: np.ndarray, count: int, params: WavelengthParams
) -> dict[int, _Slice]:
    """Return the slices that have enough lines."""
    terms = _terms(params)
    found = {}
    for row in range(count):
        rows = np.flatnonzero(samples.slice == row)
        if len(np.unique(line[rows])) < params.order_along + 4:
            continue
        basis = legendre.legvander(u[rows], params.order_along)
        design = np.stack([t[rows] ** i * basis[:, j] for i, j in terms], axis=1)
        found[row] = _Slice(rows, design, line[rows])
    return found


def _terms(params: WavelengthParams) -> list[tuple[int, int]]:
    """Return the powers of t and orders in u that are fitted: tilt and bend of the lines change slowly."""
    along = params.order_along
    highest = {0: along, 1: min(3, along)}
    return [(i, j) for i in range(params.order_across + 1) for j in range(highest.get(i, 1) + 1)]


def _dispersion(slices: dict[int, _Slice], u: FloatArray, wave: FloatArray) -> FloatArray:
    """Return d wavelength / du (Angstrom) at every sample, from fits of the lines' middles."""
    speed = np.full(u.size, np.nan)
    for one in slices.values():
        fit = legendre.legfit(u[one.rows], wave[one.line], 3)
        step = legendre.legval(u[one.rows] + 1e-4, fit) - legendre.legval(u[one.rows] - 1e-4, fit)
        speed[one.rows] = step / 2e-4
    return speed


def _joint(
    slices: dict[int, _Slice], weight: FloatArray, wave: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray, dict[int, FloatArray]]:
    """Return offsets of the lines, their covariance, and the coefficients of each slice."""
    lines = precision.size
    matrix, rhs = np.diag(precision), np.zeros(lines)
    solved = {}
    for row, one in slices.items():
        w = weight[one.rows]
        normal = one.design.T @ (w[:, None] * one.design)
        normal += 1e-12 * np.trace(normal) * np.eye(len(normal))
        gain = np.linalg.solve(normal, (w[:, None] * one.design).T)  # (p, k)
        place = np.zeros((one.rows.size, lines))
        place[np.arange(one.rows.size), one.line] = 1.0
        left = w[:, None] * (place - one.design @ (gain @ place))
        matrix += place.T @ left
        rhs -= left.T @ wave[one.line]
        solved[row] = gain
    covariance = np.linalg.inv(matrix)
    offset = covariance @ rhs
    coefficients = {row: gain @ (wave + offset)[slices[row].line] for row, gain in solved.items()}
    return offset, covariance, coefficients


def _list_errors(square: FloatArray, seen: BoolArray, tau: float, share: float) -> tuple[FloatArray, float, float]:
    """Return the precision of each line's place in the list, the list's scatter, the share of lines without companion.

    Companions are told by the typical line, so that many of them do not hide each other; a line that is displaced by
    more than companions do is as uncertain as it is displaced.

    Parameters
    ----------
    square : array (m,), Angstrom**2
        Expected squares of the offsets.
    seen : bool array (m,)
    tau, share : float
        From the last round.
    """
    tau = min(tau, 1.4826 * float(np.median(np.sqrt(square[seen]))))
    ratio = np.exp(-0.5 * square / tau**2 * (1.0 - _WILD**-2))
    alone = share * ratio / (share * ratio + (1.0 - share) / _WILD)
    scatter = float(np.sqrt(np.sum((alone * square)[seen]) / max(np.sum(alone[seen]), 1.0)))
    tau = max(scatter, 1e-5)
    share = float(np.clip(np.mean(alone[seen]), 0.5, 0.99))
    return (alone + (1.0 - alone) / (_WILD**2 + square / tau**2)) / tau**2, tau, share


def _collect(  # noqa: PLR0913, PLR0917 - all that the fit made
    slices: dict[int, _Slice],
    coefficients: dict[int, FloatArray],
    weight: FloatArray,
    listed: tuple[FloatArray, FloatArray, float],
    rest: tuple[FloatArray, FloatArray, BoolArray],
    count: int,
    params: WavelengthParams,
) -> Solution:
    """Put the coefficients of all slices in one array; a slice without solution is flagged."""
    terms, size = _terms(params), params.order_along + 1
    made = np.zeros((count, params.order_across + 1, size))
    covariance = np.full((count, size, size), np.nan)
    rms, dq = np.full(count, np.nan), np.full(count, int(Flag.NOT_MEASURED), np.int32)
    residual, error, used = rest
    for row, one in slices.items():
        for (i, j), value in zip(terms, coefficients[row], strict=True):
            made[row, i, j] = value
        w = weight[one.rows]
        inverse = np.linalg.pinv(one.design.T @ (w[:, None] * one.design), hermitian=True)
        gain = inverse @ (w[:, None] * one.design).T
        per_line = np.zeros((gain.shape[0], len(listed[1])))
        np.add.at(per_line.T, one.line, gain.T)
        full = inverse + per_line @ listed[1] @ per_line.T  # what slices err in common is among it
        covariance[row] = full[:size, :size]
        kept = used[one.rows]
        rms[row] = float(np.sqrt(np.mean(residual[one.rows][kept] ** 2))) if kept.any() else np.nan
        dq[row] = 0
    offset, spread, tau = listed
    return Solution(made, covariance, rms, dq, offset, np.sqrt(np.diag(spread)), tau, residual, error, used)
