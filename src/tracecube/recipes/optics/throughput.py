"""Relative throughput of the apertures against wavelength, from a dome flat and the twilight sky.

All apertures see the same lamp: the ratio of an aperture's dome spectrum to the mean of all, both
per Angstrom, is its throughput times the dome's illumination. A twilight sky, even over a field of
an arcminute, tells the illumination apart: a smooth surface over the field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray
from tracecube.core.flags import Flag
from tracecube.core.optics import Layout, Throughput, WavelengthSolution
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.kriging import krige
from tracecube.kernels.psf import lattice_pitch
from tracecube.kernels.resample import rebin
from tracecube.kernels.robust import known_mean, known_median
from tracecube.recipes.extract.grid import bin_edges
from tracecube.recipes.extract.joint import Extraction
from tracecube.recipes.optics.dispersion import field_basis

__all__ = ["ThroughputParams", "illumination", "relative_throughput"]


# Spectra of which less than this share lies on the detector have no flat; those that are not nearly
# whole have a grey one, for a colour would be extrapolated.
LEAST_SHARE, WHOLE_SHARE = 0.3, 0.9
# A flat field needs this S/N in the median bin of the median aperture.
LEAST_SIGNAL = 10.0
# Fewer apertures do not tell how a pattern runs over the field.
LEAST_APERTURES = 50
# Of a signal, below which a correction is not worth its time.
LEAST_SHARE_OF_LAMP = 0.02


class ThroughputParams(Params):
    """Settings of the throughput measurement."""

    wave_low: float = Field(3700.0, description="blue end of the table, Angstrom")
    wave_high: float = Field(9800.0, description="red end of the table, Angstrom")
    step: float = Field(100.0, gt=0, description="step of the table, Angstrom")
    degree: int = Field(2, ge=0, le=6, description="degree of an aperture's colour term in wavelength")
    illumination_degree: int = Field(2, ge=0, le=4, description="degree of the dome's illumination over the field")
    sky_bands: int = Field(
        8, ge=0, description="bands of wavelength in which an evenly lit sky corrects apertures; 0: none"
    )
    lamp_trust: float = Field(
        10.0, gt=0, description="light of the lamp over that of the sky from which the lamp is believed alone"
    )


@dataclass(frozen=True)
class _Ratio:
    """Spectra over their mean: value, variance (n, k)."""

    value: FloatArray
    variance: FloatArray


def relative_throughput(
    dome: Extraction, solution: WavelengthSolution, params: ThroughputParams
) -> tuple[Throughput, tuple[QualityNumber, ...]]:
    """Measure every aperture's throughput relative to the median of all.

    Raises
    ------
    BadData
        The dome holds no light.
    """
    wave = np.arange(params.wave_low, params.wave_high + 0.5 * params.step, params.step)
    ratio = _ratio(dome, solution, wave, shift=0.0)
    weight = np.where(np.isfinite(ratio.value), 1.0 / np.where(ratio.variance > 0, ratio.variance, np.inf), 0.0)
    t = 2.0 * (wave - wave[0]) / (wave[-1] - wave[0]) - 1.0
    basis = np.polynomial.legendre.legvander(t, params.degree)
    value = np.nan_to_num(ratio.value)
    normal = np.einsum("nk,ki,kj->nij", weight, basis, basis)
    share = (weight > 0).mean(axis=1)
    enough = share > LEAST_SHARE
    normal[~enough] = np.eye(basis.shape[1])
    cut = enough & (share < WHOLE_SHARE)
    normal[cut] += np.diag([0.0] + [1e6] * params.degree) * normal[cut, :1, :1]
    inverse = np.linalg.inv(normal + 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(basis.shape[1]))
    coefficients = np.einsum("nij,nk,kj->ni", inverse, weight * value, basis)
    fit = coefficients @ basis.T
    error = np.sqrt(np.einsum("ki,nij,kj->nk", basis, inverse, basis))
    fit, error = (np.where(enough[:, None], a, np.nan) for a in (fit, error))
    mean = known_mean(fit, axis=1)
    scatter = float(np.nanstd((value - fit)[weight > 0] / np.sqrt(ratio.variance[weight > 0])))
    numbers = (
        QualityNumber("FLAT APERTURES", float(enough.mean()), "", low=0.9),
        QualityNumber("FLAT RMS", float(np.nanstd(mean[mean > 0.5])), "", high=0.2),  # noqa: PLR2004
        QualityNumber("FLAT COLOUR PULL", scatter, "", high=3.0),
    )
    dq = np.where(enough, 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    return Throughput(aperture=solution.aperture, dq=dq, mean=mean, value=fit, error=error, wave=wave), numbers


def _ratio(extraction: Extraction, solution: WavelengthSolution, wave: FloatArray, *, shift: float) -> _Ratio:
    """Spectra in bins around ``wave`` over their median spectrum."""
    step = wave[1] - wave[0]
    bins = np.concatenate([wave - 0.5 * step, [wave[-1] + 0.5 * step]])
    flux, variance, _, _ = rebin(extraction.flux, extraction.variance, bin_edges(solution.wave, bins) + shift)
    seen = np.isfinite(flux).any(axis=1)
    level = np.full(seen.size, np.nan)
    level[seen] = known_median(flux[seen], axis=1)
    if not np.nanmedian((flux / np.sqrt(variance))[seen]) > LEAST_SIGNAL:
        raise BadData("flat field: no light in any aperture", hint="check the dome lamp of this night")
    mean = np.nanmedian(np.where((level > 0.5 * np.nanmedian(level))[:, None], flux, np.nan), axis=0)
    mean = np.where(mean > 0, mean, np.nan)
    return _Ratio(flux / mean, variance / mean**2)


def illumination(
    sky: Extraction,
    solution: WavelengthSolution,
    throughput: Throughput,
    layout: Layout,
    params: ThroughputParams,
    *,
    shift: float,
    dome: Extraction | None = None,
) -> tuple[Throughput, tuple[QualityNumber, ...]]:
    """Correct a dome's throughput with an evenly lit sky.

    A smooth surface over the field takes the lamp's illumination off. Where the lamp is faint and steep, in
    the blue, apertures are corrected one by one as well, for which ``dome`` is the lamp's own extraction.
    """
    ratio = _ratio(sky, solution, throughput.wave, shift=shift)
    inner = slice(throughput.wave.size // 5, -throughput.wave.size // 5)
    quotient = known_median((ratio.value / throughput.value)[:, inner], axis=1)
    radius = max(float(np.nanmax(np.hypot(layout.x, layout.y))), 1e-6)
    basis = field_basis(np.stack([layout.x, layout.y], axis=1) / radius, params.illumination_degree)
    use = np.isfinite(quotient) & (throughput.mean > 0.5) & np.isfinite(basis).all(axis=1)  # noqa: PLR2004
    c: FloatArray = np.zeros(basis.shape[1])
    for _ in range(4):
        c = np.asarray(np.linalg.lstsq(basis[use], quotient[use], rcond=None)[0])
        off = quotient - basis @ c
        use &= np.abs(off) < 4.0 * 1.4826 * np.median(np.abs(off[use]))
    surface = basis @ c
    surface /= np.median(surface[use])
    value = throughput.value * surface[:, None]
    value /= known_median(value, axis=0)
    numbers: tuple[QualityNumber, ...] = (
        QualityNumber("ILLUMINATION RANGE", float(np.ptp(surface[use])), "", high=0.2),
        QualityNumber("ILLUMINATION SCATTER", float(1.4826 * np.median(np.abs(off[use]))), "", high=0.02),
    )
    error = throughput.error
    if dome is not None and params.sky_bands:
        lamp = _ratio(dome, solution, throughput.wave, shift=0.0)
        own, left = _own_pattern(ratio, lamp, value, np.stack([layout.x, layout.y], axis=1), use, params)
        value, error = value * (1.0 + own), np.hypot(error, value * np.sqrt(left))
        numbers = (*numbers, QualityNumber("SKY FLAT RMS", float(np.std(own[use], axis=0).max()), "", high=0.03))
    mean = known_mean(value, axis=1)
    return Throughput(throughput.aperture, throughput.dq, mean, value, error, throughput.wave), numbers


def _own_pattern(
    sky: _Ratio, lamp: _Ratio, value: FloatArray, place: FloatArray, use: NDArray[np.bool_], params: ThroughputParams
) -> tuple[FloatArray, FloatArray]:
    """What an evenly lit sky adds to each aperture's throughput, relative, and the variance that is left, (n, k).

    In each band of wavelength the sky over the throughput is noise and a signal that neighbours share in part.
    An error of the wavelengths times the slope of a lamp's spectrum, or of the background under it, is the larger
    the fainter the lamp: of the signal, the share that the lamp's faintness explains is corrected.
    """
    # Squared signal to noise: electrons.
    light = [np.nanmedian(a.value**2 / np.where(a.variance > 0, a.variance, np.nan), axis=0) for a in (lamp, sky)]
    share = np.nan_to_num(1.0 / (1.0 + (light[0] / (light[1] * params.lamp_trust)) ** 2))
    quotient = sky.value / value
    quotient = quotient / np.nanmedian(quotient[use], axis=0) - 1.0
    known = np.isfinite(quotient) & (sky.variance > 0)
    weight = np.where(known, value**2 / np.where(known, sky.variance, 1.0), 0.0)
    bands = np.array_split(np.arange(value.shape[1]), params.sky_bands)
    found: list[FloatArray] = []
    for band in bands:
        total = weight[:, band].sum(axis=1)
        mean = np.sum(weight[:, band] * np.nan_to_num(quotient[:, band]), axis=1) / np.maximum(total, 1e-300)
        seen = use & (total > 0.5 * np.median(total[use]))
        found.append(_smooth_and_own(mean, total, place, seen, float(np.mean(share[band]))))
    middle, every = np.array([band.mean() for band in bands]), np.arange(value.shape[1])
    pattern = np.array(found)
    own, left = (np.array([np.interp(every, middle, row) for row in pattern[:, part].T]) for part in (0, 1))
    return own, left


def _smooth_and_own(
    mean: FloatArray, weight: FloatArray, place: FloatArray, seen: NDArray[np.bool_], share: float
) -> FloatArray:
    """Correction and the variance left in one band, array (2, n); zero where the sky was not seen well."""
    result = np.zeros((2, mean.size))
    if np.count_nonzero(seen) < LEAST_APERTURES:
        return result
    radius = float(np.max(np.hypot(*place[seen].T)))
    basis = field_basis(place / radius, 2)
    for _ in range(3):  # the sky's own gradient over the field is no error of the flat
        off = mean - basis @ np.linalg.lstsq(basis[seen], mean[seen], rcond=None)[0]
        seen = seen & (np.abs(off) < 5.0 * 1.4826 * np.median(np.abs(off[seen])))
    if share < LEAST_SHARE_OF_LAMP:
        result[1, seen] = max(0.0, float(np.mean(off[seen] ** 2 - 1.0 / weight[seen])))
        return result
    x, y = place[seen].T
    noisy, noise = (np.asarray(row, dtype=np.float64) for row in (off[seen], 1.0 / weight[seen]))
    signal = krige(x, y, noisy, noise, pitch=lattice_pitch(x, y))
    result[0, seen] = share * signal.value
    result[1, seen] = signal.power - share * (2.0 - share) * (signal.power - signal.variance)
    return result
