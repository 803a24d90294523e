"""The atmosphere above the telescope: refraction, extinction, telluric absorption.

Wavelengths are vacuum Angstrom unless a name says air; pressures hPa, temperatures degree Celsius,
relative humidities per cent, angles degree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = [
    "air_to_vacuum",
    "broadening_matrix",
    "differential_refraction",
    "extinction_transmission",
    "refraction_shift",
    "refractive_index",
    "standard_pressure",
    "transmission_in_bins",
]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating]

ARCSEC = np.degrees(1.0) * 3600.0


def refractive_index(
    wave: F8, *, pressure: float, temperature: float, humidity: float, carbon_dioxide: float = 450.0
) -> F8:
    """Refractive index of moist air minus one.

    Ciddor 1996, Applied Optics 35, 1566: equations 1 to 5, with the densities of the BIPM equation of
    state and the saturation vapour pressure of its appendix.

    Parameters
    ----------
    wave : array, Angstrom
        Vacuum wavelengths; the formula holds from 3000 to 16900 Angstrom.
    pressure : float, hPa
    temperature : float, degree Celsius
    humidity : float, per cent
    carbon_dioxide : float
        Parts per million in volume; 450 is the paper's standard air.

    Returns
    -------
    array
        ``n - 1``.
    """
    s2 = (1.0e4 / np.asarray(wave, dtype=float)) ** 2
    standard = 1.0e-8 * (5792105.0 / (238.0185 - s2) + 167917.0 / (57.362 - s2))
    standard = standard * (1.0 + 0.534e-6 * (carbon_dioxide - 450.0))
    vapour = 1.022e-8 * (295.235 + 2.6422 * s2 - 0.032380 * s2**2 + 0.004028 * s2**3)
    share = _vapour_fraction(100.0 * pressure, temperature, humidity)
    dry, wet = _densities(100.0 * pressure, temperature, share, carbon_dioxide)
    dry_standard, _ = _densities(101325.0, 15.0, 0.0, carbon_dioxide)
    _, wet_standard = _densities(1333.0, 20.0, 1.0, carbon_dioxide)
    return np.asarray(dry / dry_standard * standard + wet / wet_standard * vapour)


def _vapour_fraction(pressure: float, temperature: float, humidity: float) -> float:
    """Molar fraction of water vapour; pressure in Pa (Ciddor 1996, appendix A)."""
    t = temperature + 273.15
    saturation = np.exp(1.2378847e-5 * t**2 - 1.9121316e-2 * t + 33.93711047 - 6.3431645e3 / t)
    enhancement = 1.00062 + 3.14e-8 * pressure + 5.6e-7 * temperature**2
    return float(humidity / 100.0 * enhancement * saturation / pressure)


def _densities(pressure: float, temperature: float, share: float, carbon_dioxide: float) -> tuple[float, float]:
    """Densities (kg/m3) of the dry and the wet part; pressure in Pa (Ciddor 1996, appendix B)."""
    t = temperature + 273.15
    ratio = pressure / t
    compressibility = (
        1.0
        - ratio
        * (
            1.58123e-6
            - 2.9331e-8 * temperature
            + 1.1043e-10 * temperature**2
            + (5.707e-6 - 2.051e-8 * temperature) * share
            + (1.9898e-4 - 2.376e-6 * temperature) * share**2
        )
        + ratio**2 * (1.83e-11 - 0.765e-8 * share**2)
    )
    molar_dry = 1.0e-3 * (28.9635 + 12.011e-6 * (carbon_dioxide - 400.0))
    moles = pressure / (compressibility * 8.314510 * t)
    return moles * molar_dry * (1.0 - share), moles * 0.018015 * share


def air_to_vacuum(wave_air: Floats) -> F8:
    """Vacuum wavelength of a wavelength tabled in standard air (15 C, 1013.25 hPa, dry), Angstrom."""
    air = np.asarray(wave_air, dtype=float)
    vacuum = air
    for _ in range(3):
        vacuum = air * (1.0 + refractive_index(vacuum, pressure=1013.25, temperature=15.0, humidity=0.0))
    return vacuum


def standard_pressure(altitude: float, *, sea_level: float = 1013.25) -> float:
    """Pressure (hPa) at an altitude (m) in the International Standard Atmosphere (ISO 2533), troposphere."""
    # 288.15 K at sea level, lapse 6.5 K/km, exponent g M / (R L)
    return float(sea_level * (1.0 - 0.0065 * altitude / 288.15) ** 5.25588)


def differential_refraction(
    wave: Floats, reference: float, tan_zenith: F8, *, pressure: float, temperature: float, humidity: float
) -> F8:
    """Shift towards the zenith against the reference wavelength, arcsec.

    First term of the refraction series, R = (n - 1) tan z (Filippenko 1982, PASP 94, 715, equation 4);
    the next term is 0.1 per cent of it at 60 degrees.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom
    reference : float, Angstrom
    tan_zenith : array (...)
        Tangent of the zenith distance.

    Returns
    -------
    array (..., n_wave), arcsec
        Positive for light that is refracted more than the reference, so that it stands higher.
    """
    air = {"pressure": pressure, "temperature": temperature, "humidity": humidity}
    index = refractive_index(np.append(np.asarray(wave, dtype=float), reference), **air)
    return np.asarray(np.asarray(tan_zenith)[..., None] * (index[:-1] - index[-1]) * ARCSEC)


def refraction_shift(
    wave: Floats,
    reference: float,
    airmass: tuple[float, float],
    parallactic: tuple[float, float],
    *,
    pressure: float,
    temperature: float,
    humidity: float,
) -> tuple[F8, F8]:
    """Mean shift of a source against the reference wavelength through an exposure.

    The vector tan z (sin q, cos q) is followed linearly from start to end: over a turn of 10 degrees
    it leaves its true arc by 0.2 per cent.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom
    reference : float, Angstrom
    airmass : (float, float)
        At start and end; plane-parallel, so that it is the secant of the zenith distance.
    parallactic : (float, float), degree
        Position angle of the zenith, from north through east, at start and end.

    Returns
    -------
    east, north : array (n_wave,), arcsec
    """
    secant = np.maximum(np.asarray(airmass, dtype=float), 1.0)
    tangent = np.sqrt(secant**2 - 1.0)
    angle = np.radians(np.asarray(parallactic, dtype=float))
    size = differential_refraction(
        wave, reference, np.array(1.0), pressure=pressure, temperature=temperature, humidity=humidity
    )
    return size * float(np.mean(tangent * np.sin(angle))), size * float(np.mean(tangent * np.cos(angle)))


def extinction_transmission(wave: Floats, curve_wave: Floats, curve_magnitude: Floats, airmass: float) -> F8:
    """Transmission of the continuous extinction (Rayleigh, aerosol, ozone) at an airmass.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom
    curve_wave : array (k,), Angstrom, rising
    curve_magnitude : array (k,)
        Magnitudes per airmass; the curve is followed linearly and held constant beyond its ends.
    """
    return np.asarray(10.0 ** (-0.4 * airmass * np.interp(wave, curve_wave, curve_magnitude)))


def transmission_in_bins(wave: Floats, table_wave: Floats, transmission: Floats, depth: float = 1.0) -> F8:
    """Mean transmission in bins about wavelengths: of light, as bands are finer than bins, and not of optical depth.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom, rising
        A bin reaches half-way to its neighbours.
    table_wave, transmission : array (k,), Angstrom
        What the air lets through.
    depth : float
        Power of it: an optical depth over that of the table.

    Returns
    -------
    array (n_wave,)
        1 in bins that the table knows nothing of.

    Raises
    ------
    ValueError
        A single wavelength has no bin.

    Examples
    --------
    >>> transmission_in_bins(np.array([2.0, 4.0, 9.0]), np.arange(6.0), np.array([1.0, 1.0, 0.0, 1.0, 1.0, 1.0]))
    array([0.50005, 1.     , 1.     ])
    """
    if len(wave) < 2:  # noqa: PLR2004 - its width is the distance of neighbours
        raise ValueError("bins need at least two wavelengths")
    middle = 0.5 * (wave[1:] + wave[:-1])
    edges = np.concatenate([[2.0 * wave[0] - middle[0]], middle, [2.0 * wave[-1] - middle[-1]]])
    step = np.gradient(table_wave)
    total = np.concatenate([[0.0], np.cumsum(step * np.maximum(transmission, 1e-4) ** depth)])
    ends = np.concatenate([table_wave - 0.5 * step, table_wave[-1:] + 0.5 * step[-1:]])
    known = np.diff(np.interp(edges, ends, np.concatenate([[0.0], np.cumsum(step)])))
    return np.where(known > 0.0, np.diff(np.interp(edges, ends, total)) / np.maximum(known, 1e-9), 1.0)


def broadening_matrix(fine: Floats, wave: Floats, sigma: Floats) -> F8:
    """Matrix that turns a finely sampled spectrum into one seen by the instrument.

    Each row averages over one sample of ``wave`` (from half-way to half-way of its neighbours) the
    spectrum convolved with a Gaussian line-spread function. Rows sum to one where ``fine`` covers them.

    Parameters
    ----------
    fine : array (n_fine,), Angstrom, evenly spaced
    wave : array (n_wave,), Angstrom, rising
    sigma : array (n_wave,), Angstrom

    Returns
    -------
    array (n_wave, n_fine)
    """
    step = fine[1] - fine[0]
    middle = 0.5 * (wave[1:] + wave[:-1])
    edges = np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])
    low, high = edges[:-1, None], edges[1:, None]
    width = np.maximum(np.asarray(sigma, dtype=float), 0.5 * step)[:, None]

    def inside(points: F8) -> F8:
        """Integral over the sample of a line at ``points``, integrated in turn over the points."""
        return _ramp((high - points) / width) - _ramp((low - points) / width)

    borders = np.append(fine - 0.5 * step, fine[-1] + 0.5 * step)[None, :]
    integral = inside(borders) * width
    return np.asarray((integral[:, :-1] - integral[:, 1:]) / (high - low))


def _ramp(z: F8) -> F8:
    """Integral of the normal distribution function up to z."""
    return np.asarray(z * ndtr(z) + np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi))
