"""Spectra of fibres: each on its own pixels, with the sky it saw and the neighbour it blends with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray, IntArray, Meta, TextArray, card, column, image, meta

__all__ = ["FibreSpectra", "sum_variance"]


@dataclass(frozen=True)
class FibreSpectra:
    """Spectra of fibres of one exposure, on the pixels they were measured with: nothing is resampled.

    Card BUNIT of ``meta`` holds the unit of ``flux``: electron (a pixel) before flux calibration,
    erg/s/cm2/Angstrom (collected by a fibre) after it.

    Parameters
    ----------
    flux, variance : array (n, m)
    flags : int32 array (n, m)
    wave : float64 array (n, m), Angstrom
        Wavelength of the pixel's centre.
    lsf_sigma : array (n, m), Angstrom
        Width of the line-spread function.
    blend : array (n, m)
        Covariance with the next row's sample of the same column; 0 where the next row is no neighbour.
    sky : array (n, m) or None
        The sky that was subtracted, in the unit of ``flux``.
    chi2 : array (n, m) or None
        Reduced chi-square of the pixels under the sample.
    box : array (n, m) or None
        Sum over a centred aperture, a cross-check of ``flux``.
    unit : str array (n,)
        Identity of the spectrograph unit: slot, spectrograph, fibre bundle, controller.
    ifuslot : int array (n,)
        Place of the fibre bundle in the focal plane.
    amp : str array (n,)
        Amplifier that read the fibre.
    fibre : int array (n,)
        Number within the amplifier, from the bottom of the oriented image.
    exp : int array (n,)
        Exposure within the observation, from 1.
    x, y : array (n,), arcsec
        Place in the fibre bundle.
    ra, dec : float64 array (n,), degree
        NaN before the astrometry.
    throughput : array (n,)
        Relative throughput that ``flux`` was divided by; 1 before that.
    level_error : array (n,) or None
        Relative error of ``throughput``. It is in ``variance`` as far as the sky goes, the same along a spectrum.
    ground_error : array (n,) or None, electron
        Error of the level under a fibre, as it counts in a sample before it is divided by throughput. It is in
        ``variance``, the same along a spectrum.
    box_ground : array (n,) or None
        What ``box`` holds of a level under a fibre that counts as 1 in ``flux``: of as many pixels as it is wide.
        None: as much as ``flux``.
    correlation : array (n,) or None
        Correlation coefficient of any two samples of a fibre: what is unknown of its ground and its throughput is the
        same in all. Below zero in fibres that told the ground. See `sum_variance`.
    dq : int32 array (n,)
    medium : {"AWAV", "WAVE"}
    """

    flux: FloatArray = image("FLUX", axes=True)
    variance: FloatArray = image("STAT")
    flags: IntArray = image("DQ")
    wave: FloatArray = image("WAVE", unit="Angstrom")
    lsf_sigma: FloatArray = image("LSF", unit="Angstrom")
    blend: FloatArray = image("BLEND", text="covariance with the next row")
    unit: TextArray = column("APERTURES", "unit")
    ifuslot: IntArray = column("APERTURES", "ifuslot")
    amp: TextArray = column("APERTURES", "amp")
    fibre: IntArray = column("APERTURES", "fibre")
    exp: IntArray = column("APERTURES", "exp")
    x: FloatArray = column("APERTURES", "x", unit="arcsec")
    y: FloatArray = column("APERTURES", "y", unit="arcsec")
    ra: FloatArray = column("APERTURES", "ra", unit="deg")
    dec: FloatArray = column("APERTURES", "dec", unit="deg")
    throughput: FloatArray = column("APERTURES", "throughput")
    dq: IntArray = column("APERTURES", "dq")
    level_error: FloatArray | None = column("APERTURES", "level_error", default=None)
    ground_error: FloatArray | None = column("APERTURES", "ground_error", unit="electron", default=None)
    box_ground: FloatArray | None = column("APERTURES", "box_ground", default=None)
    correlation: FloatArray | None = column("APERTURES", "correlation", default=None)
    sky: FloatArray | None = image("SKY", default=None)
    chi2: FloatArray | None = image("CHI2", default=None)
    box: FloatArray | None = image("BOX", default=None)
    medium: str = card("WAVETYPE", text="AWAV air, WAVE vacuum", default="AWAV")
    meta: Meta = meta()


def sum_variance(variance: FloatArray, weight: FloatArray, correlation: FloatArray | float) -> FloatArray:
    """Variance (n,) of weighted sums along spectra whose samples have something in common.

    The covariance of samples i and j is r s_i s_j, s**2 their variances: (1 - r) sum(w**2 s**2) + r sum(w s)**2.

    Parameters
    ----------
    variance, weight : array (n, m)
        Weights are zero where a sample does not count.
    correlation : array (n,) or float
        As of `FibreSpectra`.

    Examples
    --------
    >>> import numpy as np
    >>> sum_variance(np.full((1, 100), 4.0), np.ones((1, 100)), 0.01)
    array([796.])
    """
    known = np.where(weight != 0, variance, 0.0)
    alone = np.sum(weight**2 * known, axis=1, dtype=float)
    whole = np.sum(weight * np.sqrt(known), axis=1, dtype=float) ** 2
    return np.asarray(alone + correlation * (whole - alone))
