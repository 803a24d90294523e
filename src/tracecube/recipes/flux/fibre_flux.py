"""From detected electrons to flux: the throughput curve as known, its zero point from stars of known magnitude."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import NoConvergence
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import FloatArray
from tracecube.core.params import Params
from tracecube.core.sources import FieldSolution

__all__ = [
    "AREA",
    "FluxZeroPoint",
    "ZeroPointParams",
    "electrons_per_flux",
    "nominal_flux",
    "scale_flux",
    "smooth_throughput",
    "synthetic_magnitude",
    "zero_point",
]

F8 = NDArray[np.float64]

AREA = 5.0e5
"""Collecting area that throughput curves are tabled for, cm2."""

FLUX_UNIT = "erg/s/cm2/Angstrom"
_HC = 1.98644586e-8  # erg Angstrom (CODATA 2018)
_LIGHT = 2.99792458e18  # Angstrom / s


class ZeroPointParams(Params):
    """Zero point from magnitudes.

    Parameters
    ----------
    brightest, faintest : float, mag
        Range of stars that are used.
    error : float, mag
        Of the catalogue, each star: added to that of the spectrum.
    minimum : int
        Stars that a zero point needs.
    """

    brightest: float = 13.0
    faintest: float = 20.0
    error: float = 0.02
    minimum: int = 3


@dataclass(frozen=True)
class FluxZeroPoint:
    """Factor from nominal to true flux.

    Parameters
    ----------
    factor, error : float
    scatter : float, mag
        Of a star.
    used : bool array (n,)
    offset : array (n,), mag
        Nominal less catalogue magnitude of each star; NaN where there is none.
    caveats : tuple of str
    """

    factor: float
    error: float
    scatter: float
    used: NDArray[np.bool_]
    offset: F8
    caveats: tuple[str, ...] = ()


def smooth_throughput(wave: F8, curve_wave: F8, curve: F8) -> F8:
    """Follow a throughput table by a cubic spline in its logarithm: the true curve bends between its few nodes."""
    from scipy.interpolate import CubicSpline  # noqa: PLC0415 - slow to import

    spline = CubicSpline(curve_wave, np.log(curve), bc_type="natural")
    return np.asarray(np.exp(spline(np.clip(wave, curve_wave[0] - 50.0, curve_wave[-1] + 50.0))))


def electrons_per_flux(wave: F8, step: F8, curve: tuple[F8, F8], exposure_time: float) -> F8:
    """Electrons a sample for a flux of 1 erg/s/cm2/Angstrom, by the nominal throughput.

    Parameters
    ----------
    wave, step : array, Angstrom
        Centres and widths of the samples.
    curve : (wave, throughput)
        For `AREA`.
    exposure_time : float, s
    """
    return smooth_throughput(wave, *curve) * wave / _HC * AREA * exposure_time * step


def nominal_flux(spectra: FibreSpectra, curve: tuple[F8, F8], exposure_time: float) -> FibreSpectra:
    """Spectra in erg/s/cm2/Angstrom by the nominal throughput; the zero point and the exposures' norm still to come.

    Parameters
    ----------
    spectra : FibreSpectra
        In electrons a sample.
    """
    wave = np.asarray(spectra.wave, dtype=float)
    response = electrons_per_flux(wave, np.asarray(np.gradient(wave, axis=1)), curve, exposure_time)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _scaled(spectra, 1.0 / response)


def scale_flux(spectra: FibreSpectra, solution: FieldSolution, factor: float = 1.0) -> FibreSpectra:
    """Bring all exposures to the mean transparency and illumination, and to the zero point ``factor``."""
    norm = np.ones(len(spectra.exp))
    for number, value in zip(solution.exposure, solution.norm, strict=True):
        norm[spectra.exp == number] = value
    return _scaled(spectra, (factor / norm)[:, None])


def _scaled(spectra: FibreSpectra, factor: F8) -> FibreSpectra:
    square = np.asarray(factor) ** 2
    beside = np.roll(np.broadcast_to(factor, spectra.flux.shape), -1, axis=0)

    def scaled(values: FloatArray | None) -> FloatArray | None:
        # single precision holds the numbers, but not the squares of these
        return None if values is None else np.asarray(values * factor, values.dtype)

    return replace(
        spectra,
        flux=np.asarray(spectra.flux * factor, spectra.flux.dtype),
        variance=spectra.variance * square,
        blend=spectra.blend * factor * beside,
        sky=scaled(spectra.sky),
        box=scaled(spectra.box),
        meta={**spectra.meta, "BUNIT": FLUX_UNIT},
    )


def synthetic_magnitude(
    wave: F8, flux: F8, variance: F8, flags: NDArray[np.integer], band: tuple[F8, F8]
) -> tuple[float, float, float]:
    """AB magnitude of a spectrum in a band, its error, and the mean flux density.

    Photons are counted (Fukugita et al. 1996, AJ 111, 1748, equation 7); samples that are flagged, and parts of the
    band beyond the spectrum, are left out of both integrals.

    Parameters
    ----------
    wave, flux, variance, flags : array (n,)
        Evenly spaced.
    band : (wave, response to photons)

    Returns
    -------
    magnitude, error, mean : float
        NaN where less than four fifths of the band were measured.
    """
    response = np.interp(wave, *band, left=0.0, right=0.0)
    ok = (flags == 0) & np.isfinite(flux) & np.isfinite(variance)
    step = float(np.median(np.diff(wave)))
    whole = float(np.sum(band[1][1:] * band[0][1:] * np.diff(band[0])))
    weight = np.where(ok, response * wave, 0.0) * step
    if weight.sum() < 0.8 * whole:
        return np.nan, np.nan, np.nan
    light = float(np.sum(weight * np.where(ok, flux, 0.0)))
    sigma = float(np.sqrt(np.sum(weight**2 * np.where(ok, variance, 0.0))))
    flat = float(np.sum(np.where(ok, response / wave, 0.0)) * step * _LIGHT)
    if light <= 0:
        return np.nan, np.nan, light / weight.sum()
    magnitude = -2.5 * np.log10(light / flat) - 48.60
    return float(magnitude), float(2.5 / np.log(10.0) * sigma / light), float(light / weight.sum())


def zero_point(
    measured: F8, error: F8, catalogue: F8, trusted: NDArray[np.bool_], params: ZeroPointParams = ZeroPointParams()
) -> FluxZeroPoint:
    """Zero point from nominal and catalogue magnitudes: a weighted mean in which wrong stars lose their weight.

    Parameters
    ----------
    measured, error, catalogue : array (n,), mag
    trusted : bool array (n,)
        Stars whose fibres fit a star's image.

    Raises
    ------
    NoConvergence
        Fewer than ``params.minimum`` stars.
    """
    offset = measured - catalogue
    usable = np.isfinite(offset) & np.isfinite(error) & trusted
    usable &= (catalogue > params.brightest) & (catalogue < params.faintest)
    if usable.sum() < params.minimum:
        raise NoConvergence(
            f"flux: {int(usable.sum())} stars with a magnitude", hint="check the catalogue, or calibrate with others"
        )
    value, base = offset[usable], np.hypot(error[usable], params.error)
    centre = float(np.median(value))
    spread, weight = 0.0, np.ones(value.size)
    for _ in range(50):
        sigma = np.hypot(base, spread)
        far = (value - centre) / sigma
        weight = np.where(np.abs(far) < 5.0, (1.0 - (far / 5.0) ** 2) ** 2, 0.0) / sigma**2
        centre = float(np.sum(weight * value) / weight.sum())
        excess = np.median((value - centre) ** 2) / 0.455 - np.median(base**2)
        spread = float(np.sqrt(max(excess, 0.0)))
    kept = weight > 0
    mean_error = float(1.0 / np.sqrt(np.sum(1.0 / np.hypot(base, spread)[kept] ** 2)))
    used = np.zeros(offset.size, dtype=bool)
    used[np.flatnonzero(usable)[kept]] = True
    factor = float(10.0 ** (0.4 * centre))
    caveats = () if kept.sum() >= 5 else (f"flux: the zero point rests on {int(kept.sum())} stars",)
    scatter = float(np.hypot(np.median(base), spread))
    return FluxZeroPoint(factor, 0.4 * np.log(10.0) * factor * mean_error, scatter, used, offset, caveats)
