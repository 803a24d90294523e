"""Wavelengths of the fibres of a CCD: one smooth model, and what each fibre's own lines add to it.

Lines of arc lamps are fitted in every fibre as pixel-integrated line shapes (`fibre_lines`); the shape beyond a
Gaussian is measured on all lines at once. The wavelength is a polynomial along the spectrum whose coefficients
follow polynomials across the fibres. Where the lines of single fibres depart from that by more than their errors
allow, each fibre has departures of its own (`shrink_to_field`: their size is found from the data).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.errors import MissingInput
from tracecube.core.fields import FloatArray
from tracecube.core.flags import Flag
from tracecube.core.optics import WavelengthSolution
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.polynomials import Shrunk, shrink_to_field
from tracecube.recipes.optics.fibre_line_shape import fit_common
from tracecube.recipes.optics.fibre_lines import (
    FibreArc,
    FibreLine,
    LineFits,
    LineShape,
    find_lines,
    fit_lines,
)

__all__ = ["FibreWavelengthParams", "fit_fibre_wavelengths"]

_CLIP = 5.0  # errors a line may be off before it is left out
_BLOCKS = 3  # of fibres of an amplifier, whose mean residuals tell what is wrong with a line in all of them
_CERTAIN = 1e12  # 1/Angstrom**2
_DECAY = 0.1  # of the last coefficient that lines bear: the size of the next, which they do not
_CUBIC = 3  # degree below which no spectrograph's dispersion is met
_LISTED = 0.003  # Angstrom: lists of the lines of mercury differ by up to 0.015, as lamps do in isotopes and pressure
# sigma of chi-square beyond which single fibres depart from the field: of four, departures of half a line's error were
# missed and errors too narrow by a third; of one, chance made departures in every third CCD
_DEMAND = 1.2
_BEYOND = 2.5  # sigma of chi-square beyond which lines disagree by more than chance
_ROUNDS = 3
_TURNS = 5  # of lines and their shape: companions within a width settle last
_START_WIDTH = 1.1  # px
_START_RATIO = 0.2  # of a companion to its line


class FibreWavelengthParams(Params):
    """Settings of the wavelength calibration of fibres."""

    blue: float = Field(3470.0, description="wavelength near the first column, Angstrom")
    red: float = Field(5540.0, description="wavelength near the last column, Angstrom")
    freedom: float = Field(0.04, gt=0, lt=0.2, description="share by which the dispersion may differ from that")
    degree: int = Field(4, ge=2, le=6, description="degree along the spectrum")
    across: int = Field(5, ge=0, le=9, description="degree of its coefficients across the fibres")
    width_degree: int = Field(3, ge=0, le=5, description="degree across the fibres of the widths of lines")
    least_lines: int = Field(4, ge=3, description="lines that the model needs at least")


class _Model(NamedTuple):
    """Fitted model: coefficients (n, p) with covariance, which of them (p,) single fibres depart in.

    Of the lines (n, k): ``used``, ``residual`` and ``error``, Angstrom. ``shared`` is the chi-square a degree of
    freedom of the means of blocks of fibres: above 1, lines are off in whole blocks (blends, line shape, what the
    detector adds to all rows), and the covariance has been widened by it where chance alone does not explain it (Birge
    1932, Phys. Rev. 40, 207): were it widened by chance, errors would be too wide by a twelfth.
    """

    coefficients: FloatArray
    covariance: FloatArray
    demanded: NDArray[np.bool_]
    used: NDArray[np.bool_]
    residual: FloatArray
    error: FloatArray
    shared: float


def fit_fibre_wavelengths(
    arcs: Mapping[str, FibreArc],
    lines: tuple[FibreLine, ...],
    half: NDArray[np.integer],
    place: FloatArray,
    params: FibreWavelengthParams,
) -> tuple[tuple[WavelengthSolution, ...], tuple[QualityNumber, ...], tuple[str, ...]]:
    """Solve for the wavelengths of all fibres of a CCD.

    Parameters
    ----------
    arcs : mapping of lamp to FibreArc (n, m)
        Flux in electron a pixel; dead rows are flagged.
    lines : tuple of FibreLine
        Air wavelengths, Angstrom.
    half : int array (n,)
        Which amplifier (0, 1, ...) reads the row.
    place : array (n,), px
        Row of the CCD on which the fibre lies, in the middle of the spectrum.
    params : FibreWavelengthParams

    Returns
    -------
    solutions : tuple of WavelengthSolution
        One for each amplifier, in the order of ``half``; fibres without light have dq and the model.
    quality : tuple of QualityNumber
    caveats : tuple of str

    Raises
    ------
    MissingInput
        Too few lines.
    NoConvergence
        The lines could not be recognised.
    """
    asked = sorted({line.lamp for line in lines})
    missing = [lamp for lamp in asked if lamp not in arcs]
    lines = tuple(line for line in lines if line.lamp in arcs)
    if len(lines) < params.least_lines:
        without = "".join(f"; no {lamp} arc" for lamp in missing)
        raise MissingInput(
            f"wavelengths of fibres: {len(lines)} lines of {sorted(arcs)}, {params.least_lines} are needed{without}",
            hint="take arcs of the lamps that are missing",
        )
    v = 2.0 * (place - place.min()) / max(float(np.ptp(place)), 1.0) - 1.0
    fits, shape, common = _measure(arcs, lines, v, params)
    m = next(iter(arcs.values())).flux.shape[1]
    model = _fit(fits, lines, common, (v, half), m, params)
    solutions = tuple(_solution(model, fits, shape, lines, half == part, m) for part in np.unique(half))
    caveats = tuple(
        f"no {lamp} arc: wavelengths rest on the other lamps, with larger errors (try: take {lamp} arcs)"
        for lamp in missing
    )
    return solutions, _quality(model, fits, lines), caveats


def _measure(
    arcs: Mapping[str, FibreArc], lines: tuple[FibreLine, ...], v: FloatArray, params: FibreWavelengthParams
) -> tuple[LineFits, LineShape, FloatArray]:
    """Find the lines and fit them, in turn with their widths and shape; covariance (px**2) of places in all rows."""
    place = find_lines(arcs, lines, (params.blue, params.red), params.freedom)
    n, k = place.shape
    m = next(iter(arcs.values())).flux.shape[1]
    u = 2.0 * np.nanmean(place, axis=0) / (m - 1.0) - 1.0
    count = max(1, *(len(line.companions) for line in lines))
    shape = LineShape(np.full((n, k), _START_WIDTH), np.zeros((k, 4)), np.zeros((k, count)), np.zeros((k, count)))
    for j, line in enumerate(lines):
        shape.ratios[j, : len(line.companions)] = _START_RATIO
    common: FloatArray = np.zeros((k, k))
    for _ in range(_TURNS):
        for j, line in enumerate(lines):
            local = _dispersion(place, lines, line.wave)
            shape.offsets[j, : len(line.companions)] = (np.array(line.companions) - line.wave) / local
        fits = fit_lines(arcs, lines, place, shape, with_width=True)
        place = np.where(np.isfinite(fits.x), fits.x, place)
        shape = shape._replace(sigma=_widths(fits, ~shape.close(), (u, v), params))
        shape, common = fit_common(arcs, lines, fits, shape, u)
    return fit_lines(arcs, lines, place, shape, with_width=False), shape, common


def _dispersion(place: FloatArray, lines: tuple[FibreLine, ...], wave: float) -> float:
    """Dispersion at a wavelength, Angstrom a pixel, of the mean spectrum."""
    mean = np.nanmedian(place, axis=0)
    law = np.polynomial.Polynomial.fit([line.wave for line in lines], mean, min(3, len(lines) - 1))
    return float(1.0 / law.deriv()(wave))


def _widths(
    fits: LineFits, alone: NDArray[np.bool_], at: tuple[FloatArray, FloatArray], params: FibreWavelengthParams
) -> FloatArray:
    """Widths (n, k) as a parabola along the spectrum through those of the lines that stand alone; a line, of three."""
    u, v = at
    good = np.isfinite(fits.sigma) & (fits.sigma_error > 0) & alone
    weight = np.where(good, 1.0 / np.where(good, fits.sigma_error, 1.0), 0.0)
    degree = int(np.clip(alone.sum() - 2, 0, 2))
    along, across = legendre.legvander(u, degree), legendre.legvander(v, params.width_degree)
    design = np.einsum("kp,nq->nkpq", along, across).reshape(*fits.sigma.shape, -1)
    value = np.nan_to_num(fits.sigma)
    solution = np.zeros(design.shape[2])
    for _ in range(_ROUNDS):
        root = weight.ravel()
        solution = np.linalg.lstsq(
            design.reshape(-1, design.shape[2]) * root[:, None], value.ravel() * root, rcond=None
        )[0]
        off = np.abs(value - design @ solution) * weight
        weight = np.where(off > max(_CLIP, 3.0 * float(np.median(off[good]))), 0.0, weight)
    return np.asarray(design @ solution)


def _fit(  # noqa: PLR0913 - the lines, and the fibres they were measured in
    fits: LineFits,
    lines: tuple[FibreLine, ...],
    common: FloatArray,
    fibres: tuple[FloatArray, NDArray[np.integer]],
    m: int,
    params: FibreWavelengthParams,
) -> _Model:
    """Fit the model of all fibres, without the measurements that are far off it.

    A line may be off in all fibres alike, by as much as ``common`` (px**2) says: more where it is blended.
    """
    wave = np.array([line.wave for line in lines])
    v, half = fibres
    good = np.isfinite(fits.x) & np.isfinite(fits.x_error) & (fits.x_error > 0)
    basis = legendre.legvander(2.0 * np.where(good, fits.x, 0.0) / (m - 1.0) - 1.0, params.degree)
    centre, step = 0.5 * (params.blue + params.red), (params.red - params.blue) / (m - 1.0)
    error = np.where(good, fits.x_error, 1.0) * step
    held = np.linalg.inv(common * step**2 + _LISTED**2 * np.eye(len(lines)))
    design = legendre.legvander(v, params.across)
    used, target = good, np.broadcast_to(wave - centre, good.shape)
    beyond = np.arange(params.degree + 1) > _degree(lines, params)
    known = np.where(beyond, _CERTAIN, 0.0)
    for _ in range(_ROUNDS + 1):
        weight = np.where(used, 1.0 / error**2, 0.0)
        coefficients, covariance, off = _field((basis, design), weight, target, (known, held))
        last = np.abs(coefficients[:, ~beyond][:, -1]).mean()
        known = np.where(beyond, 1.0 / (_DECAY * last) ** 2, 0.0)
        residual = np.where(good, target - off - np.einsum("nkp,np->nk", basis, coefficients), np.nan)
        demanded = _demanded(basis, weight, residual)
        if demanded.any():
            own = _departures(basis[:, :, demanded], weight, residual)
            coefficients[:, demanded] += own.coefficients
            covariance[np.ix_(np.arange(len(v)), demanded, demanded)] += own.covariance
            residual = np.where(good, target - off - np.einsum("nkp,np->nk", basis, coefficients), np.nan)
        used = good & (np.abs(np.nan_to_num(residual)) < _CLIP * error)
    shared, freedom = _shared(np.where(used, residual, np.nan), weight, half, basis.shape[2])
    if freedom and shared > 1.0 + _BEYOND * (2.0 / freedom) ** 0.5:
        covariance *= shared
    coefficients[:, 0] += centre
    return _Model(coefficients, covariance, demanded, used, residual, error, shared)


def _shared(residual: FloatArray, weight: FloatArray, half: NDArray[np.integer], terms: int) -> tuple[float, int]:
    """Chi-square a degree of freedom of the mean residuals of lines in blocks of fibres, and these degrees.

    NaN if none is left.
    """
    total, count = 0.0, 0
    for part in np.unique(half):
        for rows in np.array_split(np.flatnonzero(half == part), _BLOCKS):
            own = np.where(np.isfinite(residual[rows]), weight[rows], 0.0)
            known = own.sum(axis=0) > 0
            pull = (own * np.nan_to_num(residual[rows])).sum(axis=0)[known] / np.sqrt(own.sum(axis=0)[known])
            total += float((pull**2).sum())
            count += max(int(known.sum()) - terms, 0) if known.any() else 0
    return (total / count if count else np.nan), count


def _field(
    terms: tuple[FloatArray, FloatArray], weight: FloatArray, target: FloatArray, prior: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit one smooth field to all fibres: its coefficients (n, p) in every fibre, and their covariance (n, p, p).

    Beside them, by how much each line is off in all fibres (k,). ``terms`` are the polynomials along the spectra
    (n, k, p) and across the fibres (n, q); ``prior`` the precisions with which coefficients (p,) and lines (k, k) are
    known to be 0.
    """
    basis, design = terms
    (n, k, p), q = basis.shape, design.shape[1]
    field = np.einsum("nkp,nq->nkpq", basis, design).reshape(n * k, p * q)
    all_terms = np.concatenate([field, np.tile(np.eye(k), (n, 1))], axis=1)
    heavy = all_terms * weight.reshape(-1, 1)
    matrix = heavy.T @ all_terms
    matrix[: p * q, : p * q] += np.diag(np.repeat(prior[0], q))
    matrix[p * q :, p * q :] += prior[1]
    inverse = np.linalg.pinv(matrix, rcond=1e-13, hermitian=True)
    solution = inverse @ (heavy.T @ target.ravel())
    common = inverse[: p * q, : p * q].reshape(p, q, p, q)
    covariance = np.einsum("nq,pqrs,ns->npr", design, common, design, optimize=True)
    return design @ solution[: p * q].reshape(p, q).T, np.asarray(covariance), solution[p * q :]


def _demanded(basis: FloatArray, weight: FloatArray, residual: FloatArray) -> NDArray[np.bool_]:
    """Coefficients (p,) in which fibres depart from the field by more than the errors of their lines allow."""
    left = np.nan_to_num(residual)
    score = np.einsum("nkp,nk->np", basis, weight * left)
    information = np.einsum("nkp,nk->np", basis**2, weight)
    lit = information[:, 0] > 0
    chi2 = (score[lit] ** 2 / information[lit]).sum(axis=0)
    return np.asarray(chi2 > lit.sum() + _DEMAND * np.sqrt(2.0 * lit.sum()))


def _departures(basis: FloatArray, weight: FloatArray, residual: FloatArray) -> Shrunk:
    """Departures of each fibre from the field, each as far as its lines are better known than it is likely to be."""
    matrix = np.einsum("nkp,nk,nkq->npq", basis, weight, basis)
    rhs = np.einsum("nkp,nk->np", basis, weight * np.nan_to_num(residual))
    return shrink_to_field(matrix, rhs, np.ones((len(basis), 1)), free=np.zeros(basis.shape[2], bool))


def _degree(lines: tuple[FibreLine, ...], params: FibreWavelengthParams) -> int:
    """Degree along the spectrum that the lines can bear: one is left to tell of errors, unless a cubic takes all."""
    return max(min(params.degree, len(lines) - 2), min(_CUBIC, len(lines) - 1), 1)


def _solution(  # noqa: PLR0913 - the model, and the lines it rests on
    model: _Model,
    fits: LineFits,
    shape: LineShape,
    lines: tuple[FibreLine, ...],
    rows: NDArray[np.bool_],
    m: int,
) -> WavelengthSolution:
    """Read the model on every column of an amplifier's fibres."""
    u = 2.0 * np.arange(m) / (m - 1.0) - 1.0
    basis = legendre.legvander(u, model.coefficients.shape[1] - 1)
    wave = model.coefficients[rows] @ basis.T
    variance = np.einsum("mp,npq,mq->nm", basis, model.covariance[rows], basis, optimize=True)
    known = np.isfinite(fits.x[rows])
    dead = ~known.any(axis=1)
    number = np.arange(int(rows.sum()))
    at = 2.0 * np.nanmedian(fits.x, axis=0) / (m - 1.0) - 1.0
    law = np.polynomial.polynomial.polyfit(at, shape.sigma[rows].T, min(2, len(lines) - 1))
    sigma = np.polynomial.polynomial.polyval(u, law)
    row = np.broadcast_to(number[:, None], known.shape)
    return WavelengthSolution(
        aperture=number.astype(np.int32),
        start=np.zeros(number.size, np.int32),
        dq=np.where(dead, int(Flag.NOT_MEASURED), 0).astype(np.int32),
        wave=wave,
        error=np.sqrt(variance),
        lsf_sigma=sigma,
        line_aperture=row[known].astype(np.int32),
        line_wave=np.broadcast_to([line.wave for line in lines], known.shape)[known],
        line_pixel=fits.x[rows][known],
        line_residual=model.residual[rows][known],
        line_error=model.error[rows][known],
        line_used=model.used[rows][known].astype(np.int32),
        medium="AWAV",
    )


def _quality(model: _Model, fits: LineFits, lines: tuple[FibreLine, ...]) -> tuple[QualityNumber, ...]:
    """What the fit says of itself."""
    weight = np.where(model.used, 1.0 / model.error**2, 0.0)
    rms = float(np.sqrt((weight * np.nan_to_num(model.residual) ** 2).sum() / weight.sum()))
    shared = (QualityNumber("WAVE CHI2 SHARED", model.shared, "", high=4.0),) if np.isfinite(model.shared) else ()
    return (
        *shared,
        QualityNumber("WAVE RMS", rms, "Angstrom", high=0.05),
        QualityNumber("WAVE LINES", float(len(lines)), "", low=6.0),
        QualityNumber("WAVE FIBRE TERMS", float(model.demanded.sum()), ""),
        QualityNumber("WAVE CHI2", float(np.nanmedian(fits.chi2)), "", high=1.5),
        QualityNumber(
            "WAVE LINES USED", float(model.used.sum() / max(int(np.isfinite(fits.x).sum()), 1)), "", low=0.95
        ),
    )
