"""What is known of a detector's pixels: master frames, response by wavelength, bad pixels, linearity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, image, meta

__all__ = ["Background", "BadPixels", "DetectorFlat", "GainMap", "Linearity", "Master"]


@dataclass(frozen=True)
class Master:
    """A master frame of one detector: dark, background, or response to one lamp.

    The planes of the observatory's four-plane products (image, bad pixels, rms, weight), and the
    variance of the mean. Card BUNIT holds the unit.

    Parameters
    ----------
    data : array (y, x)
    flags : int32 array (y, x)
    rms : array (y, x)
        Scatter of one integration about the mean: of the raw frames where there are several, else
        what the noise model expects.
    weight : array (y, x)
        Number of integrations behind each pixel.
    variance : array (y, x)
        Of ``data``.
    """

    data: FloatArray = image("DATA", axes=True)
    flags: IntArray = image("DQ")
    rms: FloatArray = image("RMS", axes=True)
    weight: FloatArray = image("WEIGHT")
    variance: FloatArray = image("STAT", axes=True)
    meta: Meta = meta()


@dataclass(frozen=True)
class Background(Master):
    """A master background, and the shapes by which single frames differ from it where several tell of them.

    Parameters
    ----------
    components : array (k, y, x) or None
        Most important first; smooth, the mean square of each over the detector is 1.
    spread : array (k,) or None
        Standard deviation of the amount of each from frame to frame, in the unit of ``data``.
    left : array (k,) or None
        What is left of a frame that had no part in the components, with the first 1 to k of them: rms over the
        detector, in the unit of ``data``, noise of pixels apart.
    """

    components: FloatArray | None = image("COMPONENTS", text="shapes the background changes by", default=None)
    spread: FloatArray | None = column("COMPONENT_TABLE", "spread", default=None)
    left: FloatArray | None = column("COMPONENT_TABLE", "left", default=None)


@dataclass(frozen=True)
class BadPixels:
    """Pixels that never tell the truth, by kind: dead or noisy (bit 1), hot (bit 2), see `Flag`.

    Parameters
    ----------
    flags : int32 array (y, x)
    """

    flags: IntArray = image("DQ")
    meta: Meta = meta()


@dataclass(frozen=True)
class DetectorFlat:
    """Response of each pixel to light, relative to its surroundings, against wavelength.

    A straight line in wavelength, ``response + slope (wave - reference)``.

    Parameters
    ----------
    data : array (y, x)
        Response at the reference wavelength; 1 on average. The pattern of the amplifiers is part of it.
    flags : int32 array (y, x)
    slope : array (y, x), 1 / Angstrom
    variance, slope_variance, covariance : array (y, x)
        Of response and slope at the reference wavelength, and between them.
    amplifiers : array (y, x)
        The part of it that is the relative gain of amplifiers and of their even and odd columns.
    chi2 : array (y, x)
        Reduced chi-square of the exposures about the fit: large where a pixel is noisy.
    wave : array (n_lamp,), Angstrom
    level : array (n_lamp,), electron
        Brightest typical signal of each lamp's exposures.
    reference : float, Angstrom
    open_response : float or None
        Response on large scales that the lamps leave open, r.m.s. over the field; None where a single lamp was seen.
    """

    data: FloatArray = image("DATA")
    flags: IntArray = image("DQ")
    slope: FloatArray = image("SLOPE", unit="1/Angstrom")
    variance: FloatArray = image("STAT")
    slope_variance: FloatArray = image("SLOPESTAT")
    covariance: FloatArray = image("COVAR")
    amplifiers: FloatArray = image("AMPLIFIERS")
    chi2: FloatArray = image("CHI2")
    wave: FloatArray = column("LAMPS", "wave", unit="Angstrom")
    level: FloatArray = column("LAMPS", "level", unit="electron")
    reference: float = card("WAVEREF", unit="Angstrom")
    open_response: float | None = card("RESPOPEN", text="rms, large scales: lamps leave open", default=None)
    meta: Meta = meta()

    def response(self, wave: FloatArray | float | None = None) -> tuple[FloatArray, FloatArray]:
        """Return response (y, x) to light of some wavelength and its variance.

        Parameters
        ----------
        wave : float or array (y, x), Angstrom
            Wavelength that each pixel sees; NaN (no spectrum there) and None mean the reference. Beyond the
            lamps the straight line goes on, and its error with it.

        Raises
        ------
        BadData
            Wavelengths of another shape.
        """
        if wave is None:
            return self.data, self.variance
        given = np.asarray(wave)
        if given.ndim and given.shape != self.data.shape:
            raise BadData(
                f"wavelengths of {given.shape} pixels for a flat of {self.data.shape}",
                hint="give one number, or one wavelength a detector pixel",
            )
        step = np.nan_to_num(np.asarray(given - self.reference, np.float32))
        value = self.data + step * self.slope
        variance = self.variance + step * (2.0 * self.covariance + step * self.slope_variance)
        return value, variance


@dataclass(frozen=True)
class Linearity:
    """How much more light there was than counts say.

    Parameters
    ----------
    level : array (n,), adu
        Counts above the level without light, of one integration.
    factor, variance : array (n,)
        True over counted signal, and its variance.
    """

    level: FloatArray = column("LINEARITY", "level", unit="adu")
    factor: FloatArray = column("LINEARITY", "factor")
    variance: FloatArray = column("LINEARITY", "variance")
    meta: Meta = meta()


@dataclass(frozen=True)
class GainMap:
    """Gain of the output that reads each pixel.

    Parameters
    ----------
    data, variance : array (y, x), electron / adu
        NaN where no pair of exposures tells.
    flags : int32 array (y, x)
    chi2 : array (y, x)
        Reduced, of the pairs about it.
    """

    data: FloatArray = image("DATA", axes=True)
    flags: IntArray = image("DQ")
    variance: FloatArray = image("STAT", axes=True)
    chi2: FloatArray = image("CHI2")
    meta: Meta = meta()
