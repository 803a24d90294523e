"""One plane of an infrared array to a calibrated frame: electrons of light, their variance, flags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.detector import Detector
from tracecube.core.fields import BoolArray, FloatArray, IntArray, Scalar
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.pixels import Background, BadPixels, DetectorFlat, Linearity, Master
from tracecube.kernels.hits import single_pixel_hits
from tracecube.kernels.running import expected_signal
from tracecube.recipes.detector.array import ArrayParams, CleanExposure, Exposure, clean_exposure
from tracecube.recipes.detector.background_fit import FittedBackground, fit_background

__all__ = ["PixelCalibration", "PlaneParams", "calibrate_plane", "divide_by_flat"]

_FLOOR_CARD = "NOISEFLR"  # as `tracecube.recipes.detector.calibrate.noise_floor` reads it
_DEAD = 0.1  # response below which light cannot be told; such pixels are flagged and left undivided
_LASTING = int(Flag.BAD_PIXEL | Flag.HOT_PIXEL | Flag.USER)


class PlaneParams(ArrayParams):
    """Numbers of the calibration of a plane."""

    cosmic_clip: float = Field(default=8.0, gt=0, description="Noises that a single-pixel cosmic-ray hit stands out by")
    cosmic_contrast: float = Field(
        default=3.0, gt=1, description="Times its second brightest neighbour that a hit has; optics spread more evenly"
    )


@dataclass(frozen=True)
class PixelCalibration:
    """What is known of the pixels for one plane.

    Parameters
    ----------
    background : Master
        Electron in one integration of this length, dark current included (`background_for`, `dark_for`).
    flat : DetectorFlat or None
        None leaves the pixels' responses in.
    bad : BadPixels or None
        None takes the flags of background and flat.
    linearity : Linearity or None
        None takes counts as linear.
    """

    background: Master
    flat: DetectorFlat | None = None
    bad: BadPixels | None = None
    linearity: Linearity | None = None

    def flags(self) -> IntArray:
        """Flags that hold for every plane, int32 (y, x)."""
        if self.bad is not None:
            return self.bad.flags
        flags = self.background.flags & _LASTING
        return flags if self.flat is None else flags | (self.flat.flags & _LASTING)


def calibrate_plane(
    exposure: Exposure,
    detector: Detector,
    calibration: PixelCalibration,
    *,
    wave: FloatArray | float | None = None,
    unlit: BoolArray | None = None,
    clear: BoolArray | None = None,
    params: PlaneParams | None = None,
) -> Frame:
    """Calibrate one plane.

    Output levels, stripes, non-linearity, background and dark, response of pixels. Pixels stay where they are;
    bad ones keep their value and are flagged. Cosmic rays of one or two pixels are flagged in single
    integrations; larger ones cannot be told from spectra here and are for the extraction's model to find.

    Parameters
    ----------
    exposure : Exposure
    detector : Detector
    calibration : PixelCalibration
    wave : float or array (y, x), Angstrom, optional
        Wavelength that each pixel sees; None is the flat's reference wavelength.
    unlit : bool array (y, x), optional
        Pixels that hold background alone: they tell of stripes besides the reference pixels.
    clear : bool array (y, x), optional
        Pixels away from spectra and star: they tell how much there is of each component of a changing background.
    params : PlaneParams

    Returns
    -------
    Frame
        Electron in one integration, response divided out; variance = read noise of this frame as measured,
        photons of the signal expected from its neighbours along dispersion and of the background, errors of
        background, flat and linearity. Card NOISEFLR holds the variance of a pixel without light (electron**2),
        NINTEG the integrations averaged; of a background whose components were fitted, BGNCOMP holds their
        number, BGRMSMN and BGRMS the rms (electron) of the clear pixels about its mean and about it, BGREACH the
        largest amount of a component in its usual spread.

    Raises
    ------
    BadData
        Wrong shape, constant, saturated, or wavelengths of another shape.
    """
    params = params or PlaneParams()
    background = calibration.background
    clean = clean_exposure(
        exposure, detector, linearity=calibration.linearity, unlit=unlit, scene=background.data, params=params
    )
    flags = clean.flags | calibration.flags()
    response, wrong = _response(calibration.flat, wave)
    flags = np.where(response < _DEAD, flags | int(Flag.BAD_PIXEL), flags)
    flags = np.where(detector.dark(), flags | int(Flag.NOT_MEASURED), flags)  # no photodiode, no light measured
    response = np.where(response < _DEAD, np.float32(1.0), response)
    fitted = _fitted(clean, detector, background, None if clear is None else clear & (flags & NOT_USABLE == 0))
    background = background if fitted is None else fitted.background
    light = (clean.data - background.data) / response
    good = flags & NOT_USABLE == 0
    floor = clean.floor + np.maximum(background.data, 0.0) / np.float32(clean.count) + background.variance
    typical = float(np.median(floor[good])) if good.any() else float(np.median(floor))
    expected = _expected(light, good, typical, detector.axis)
    variance = (floor + expected * response / np.float32(clean.count) + _linear(clean)) / response**2
    variance = np.asarray(variance + wrong * (expected / response) ** 2, np.float32)
    if clean.count == 1:
        hit = single_pixel_hits(light, variance, good, clip=params.cosmic_clip, contrast=params.cosmic_contrast)
        flags = np.where(hit, flags | int(Flag.COSMIC_RAY), flags)
    meta: dict[str, Scalar] = {
        **exposure.meta,
        "BUNIT": "electron",
        _FLOOR_CARD: round(typical, 4),
        "NINTEG": clean.count,
        "RDNOISE1": round(clean.read_noise, 4),
        "GAIN": exposure.gain,
        **({} if fitted is None else fitted.cards()),
    }
    return Frame(np.asarray(light, np.float32), variance, flags.astype(np.int32), meta)


def divide_by_flat(frame: Frame, flat: DetectorFlat, wave: FloatArray, *, known: FloatArray | float | None) -> Frame:
    """Return a calibrated frame whose response is taken at other wavelengths than it was.

    Parameters
    ----------
    frame : Frame
        As `calibrate_plane` made it with ``wave=known`` and this flat.
    flat : DetectorFlat
    wave : array (y, x), Angstrom
    known : float or array (y, x), Angstrom, or None
    """
    before, _ = flat.response(known)
    after, _ = flat.response(wave)
    usable = (before >= _DEAD) & (after >= _DEAD)
    factor = np.where(usable, before / np.where(usable, after, 1.0), 1.0).astype(np.float32)
    return Frame(frame.data * factor, frame.variance * factor**2, frame.flags, frame.meta)


def _fitted(
    clean: CleanExposure, detector: Detector, background: Master, clear: BoolArray | None
) -> FittedBackground | None:
    """Return the background with its components fitted, where it has some and clear pixels are known."""
    if clear is None or not isinstance(background, Background) or background.components is None:
        return None
    return fit_background(clean, detector, background, clear)


def _response(flat: DetectorFlat | None, wave: FloatArray | float | None) -> tuple[FloatArray, FloatArray]:
    """Return response and its variance; 1 and 0 without a flat."""
    if flat is None:
        return np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    return flat.response(wave)


def _linear(clean: CleanExposure) -> FloatArray | float:
    """Return the variance that the uncertain linearity adds."""
    return 0.0 if clean.linear_variance is None else clean.linear_variance


def _expected(light: FloatArray, good: BoolArray, floor: float, axis: int) -> FloatArray:
    """Return the light (y, x) that the neighbours of each pixel along dispersion tell of."""
    if axis == 1:
        return expected_signal(light, good, floor**0.5)
    turned = expected_signal(np.ascontiguousarray(light.T), np.ascontiguousarray(good.T), floor**0.5)
    return np.ascontiguousarray(turned.T)
