"""Recipes of the detector: darks, backgrounds, flats, bad pixels, and a plane calibrated with all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

from pydantic import Field

from tracecube.core.errors import BadData, MissingInput, TracecubeError
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.pixels import Background, BadPixels, DetectorFlat, GainMap, Linearity, Master
from tracecube.core.recipe import Outputs, recipe
from tracecube.instruments.sphere_ifs.classify import LAMPS, ON_SKY, mode_told
from tracecube.instruments.sphere_ifs.detectors import (
    detector,
    exposure_of,
    known_linearity,
    lamp_wave,
    read_noise_range,
)
from tracecube.instruments.sphere_ifs.headers import text
from tracecube.recipes.detector.array import CleanExposure, clean_exposure, clean_smooth_scene
from tracecube.recipes.detector.background import (
    BackgroundFit,
    BackgroundParams,
    MatchParams,
    background_for,
    combine_backgrounds,
    settle_sky,
)
from tracecube.recipes.detector.dark import DarkParams, MasterDark, combine_darks, dark_for
from tracecube.recipes.detector.dark_agreement import unlike_darks
from tracecube.recipes.detector.flat import LampFlat, SuperFlat, lamp_flat, super_flat
from tracecube.recipes.detector.flat_fit import FlatParams, LampExposure
from tracecube.recipes.detector.linearity import GainParams, MeasuredLinearity, measure_linearity
from tracecube.recipes.detector.plane import PixelCalibration, PlaneParams, calibrate_plane
from tracecube.recipes.detector.static_badpixels import StaticBadPixels, StaticParams, find_bad_pixels

__all__ = [
    "DetectorMasters",
    "broad_band_flat",
    "calibrated",
    "detector_flat",
    "gain",
    "instrument_background",
    "master_dark",
    "narrow_band_flat",
    "sky_background",
    "static_bad_pixels",
]

_DARK_SCALE = 64.0  # px: a dark has no finer structure but hot pixels and what the readout adds
_LAMP_SCALE = 25.0  # px: the lamps light the detector evenly
_THERMAL_SCALE = 16.0  # px: thermal light is out of focus, and as wide as the optics that send it

Product = TypeVar("Product", Master, Background, BadPixels, DetectorFlat, GainMap, Linearity)
Made = TypeVar("Made", bound=Outputs)


class LampFlatParams(FlatParams):
    """How the flat of one lamp is made."""

    extra: bool = Field(
        default=False,
        alias="save_addprod",
        description="Write pattern of the amplifiers, large-scale light and departure from linearity too",
    )


@dataclass(frozen=True, kw_only=True)
class LampFlatProducts(Outputs):
    """Flat of one lamp; the three others on demand."""

    lamp_flat: Master
    preamp_flat: Master | None
    large_scale_flat: Master | None
    non_linear_pixelmap: Master | None


@dataclass(frozen=True, kw_only=True)
class SkyBackground(Outputs):
    """Background of the sky (electron / s), and a polynomial surface through it on demand."""

    sky_background: Background
    background_fit: Master | None = None


@dataclass(frozen=True, kw_only=True)
class InstrumentBackground(Outputs):
    """Background of the instrument (electron / s), and a polynomial surface through it on demand."""

    instrument_background: Background
    background_fit: Master | None


@dataclass(frozen=True)
class DetectorMasters:
    """The night's masters that a plane is calibrated with; what is None was not to be had.

    Parameters
    ----------
    darks : sequence of Master
        Of any DIT; at least one.
    background, sky : Background or None
        Electron / s, products of the tasks ifs_instrument_background and ifs_sky_background.
    flat : DetectorFlat or None
    bad : BadPixels or None
    linearity : Linearity or None
        None takes what is known of the detector.
    algorithm : int
        How several frames of one lamp become one: 0 mean, 1 median, 2 mean without what stands out.
    """

    darks: Sequence[Master]
    background: Background | None = None
    sky: Background | None = None
    flat: DetectorFlat | None = None
    bad: BadPixels | None = None
    linearity: Linearity | None = None
    algorithm: int = 2


@cache
def _linearity() -> Linearity:
    return known_linearity()


def calibrated(
    raw: RawFrame,
    masters: DetectorMasters,
    *,
    wave: FloatArray | float | None = None,
    unlit: BoolArray | None = None,
    clear: BoolArray | None = None,
    params: PlaneParams | None = None,
) -> tuple[Frame, tuple[str, ...]]:
    """Calibrate one plane of any kind; see `tracecube.recipes.detector.plane.calibrate_plane`.

    Parameters
    ----------
    raw : RawFrame
        A plane of a cube, or a mean of integrations.
    masters : DetectorMasters
        Frames of the sky (by their tag) lose the sky's background, else the instrument's, else the dark; lamp
        frames the dark, as the observatory does: lamps outshine the thermal light of a second or two.
    wave : float or array (y, x), Angstrom, optional
        Wavelength that each pixel sees; NaN where none.
    unlit : bool array (y, x), optional
        Pixels between and outside the spectra.
    clear : bool array (y, x), optional
        Pixels away from spectra and star; the amounts of a background's components are fitted to them.
    params : PlaneParams

    Returns
    -------
    frame : Frame
    caveats : tuple of str

    Raises
    ------
    MissingInput
        No dark, DIT or NDIT.
    BadData
        Wrong shape, constant, saturated.
    """
    exposure, caveats = exposure_of(raw)
    if raw.tag in ON_SKY:
        background, notes = background_for(masters.sky, masters.background, masters.darks, exposure.dit)
    else:
        background, notes = dark_for(masters.darks, exposure.dit)
    missing = () if masters.flat is not None else ("no detector flat: the response of pixels is left in",)
    calibration = PixelCalibration(background, masters.flat, masters.bad, masters.linearity or _linearity())
    frame = calibrate_plane(exposure, detector(), calibration, wave=wave, unlit=unlit, clear=clear, params=params)
    if isinstance(background, Background) and background.components is not None and "BGNCOMP" not in frame.meta:
        notes = (*notes, "too few pixels without light tell how the background changed: its mean is subtracted")
    return frame, (*caveats, *notes, *missing)


def _cleaned(raw: Sequence[RawFrame], scale: float | None) -> tuple[list[CleanExposure], tuple[str, ...]]:
    """Clean frames in order of name; ``scale`` is the finest structure of a smooth scene, None of any other.

    Frames that cannot be what they claim are left out with a caveat, as long as one is left.

    Raises
    ------
    MissingInput, BadData
        What is wrong with the last frame, where none is left.
    """
    cleaned: list[CleanExposure] = []
    caveats: list[str] = []
    wrong: TracecubeError | None = None
    for frame in sorted(raw, key=lambda one: one.name):
        try:
            exposure, notes = exposure_of(frame)
            cleaned.append(
                clean_exposure(exposure, detector(), linearity=_linearity())
                if scale is None
                else clean_smooth_scene(exposure, detector(), scale=scale, linearity=_linearity())
            )
            caveats += notes
        except (BadData, MissingInput) as error:
            wrong = error
            caveats.append(f"{error.what}; left out")
    if not cleaned and wrong is not None:
        raise wrong
    return cleaned, tuple(caveats)


def _named(product: Product, category: str) -> Product:
    """Give a product the observatory's name for its kind."""
    return replace(product, meta={**product.meta, "ESO PRO CATG": category})


def _with(outputs: Made, caveats: tuple[str, ...], **products: Any) -> Made:
    """Return outputs with caveats put before their own, and products exchanged."""
    return replace(outputs, caveats=(*caveats, *outputs.caveats), **products)


@recipe(version="3")
def master_dark(*, raw: Sequence[RawFrame], params: DarkParams = DarkParams()) -> MasterDark:
    """Combine the darks of one DIT; measure the read noise and find hot pixels."""
    cleaned, caveats = _cleaned(raw, _DARK_SCALE)
    made = combine_darks(cleaned, params, noise_range=read_noise_range())
    caveats = (*caveats, *unlike_darks([one.data for one in cleaned], [one.exposure.name for one in cleaned]))
    return _with(made, caveats, master_dark=_named(made.master_dark, "IFS_MASTER_DARK"))


def _background(
    raw: Sequence[RawFrame], darks: Sequence[Master], params: BackgroundParams, scale: float | None
) -> BackgroundFit:
    """Make a background of either kind."""
    cleaned, caveats = _cleaned(raw, scale)
    made = combine_backgrounds(cleaned, darks, params, noise_range=read_noise_range())
    fit = None if made.background_fit is None else _named(made.background_fit, "IFS_CAL_BACKGROUND_FIT")
    return _with(made, caveats, background=_named(made.background, "IFS_CAL_BACKGROUND"), background_fit=fit)


@recipe(version="4")
def instrument_background(
    *, raw: Sequence[RawFrame], master_dark: Sequence[Master], params: BackgroundParams = BackgroundParams()
) -> InstrumentBackground:
    """Combine frames with the shutter open and no source: thermal light of the instrument, electron / s."""
    made = _background(raw, master_dark, params, _THERMAL_SCALE)
    return InstrumentBackground(
        instrument_background=made.background,
        background_fit=made.background_fit,
        quality=made.quality,
        caveats=(*_of_no_mode(raw), *made.caveats),
    )


def _of_no_mode(raw: Sequence[RawFrame]) -> tuple[str, ...]:
    """Say why a background goes with no frame: another prism's filter and dichroic send other warm light."""
    names = sorted(one.name for one in raw if mode_told(one.meta, one.name, one.tag) is None)
    if not names:
        return ()
    cards = "ESO INS2 COMB IFS, INS2 OPTI2 NAME or INS4 OPTI13 NAME"
    why = f"no card ({cards}) tells for which prism the background is: it is subtracted from no frame of the sky"
    return (f"{', '.join(names)}: {why} (try: write ESO INS2 COMB IFS, OBS_YJ or OBS_H, into the header)",)


class SkyParams(BackgroundParams, MatchParams):
    """How the background of a sky is made."""


@recipe(version="3")
def sky_background(
    *,
    raw: Sequence[RawFrame],
    master_dark: Sequence[Master],
    instrument_background: Background | None,
    params: SkyParams = SkyParams(),
) -> SkyBackground:
    """Combine frames of the sky beside the target: thermal light of instrument and sky, electron / s.

    The level is the sky's, over large scales; the pattern of pixels that of the instrument background, which
    has less noise. Three frames or more tell the shapes by which it changes too. The surface on demand goes through
    the sky's own light, dark current taken off.
    """
    made = _background(raw, master_dark, params, None)
    settled, notes = settle_sky(made.background, instrument_background, master_dark, params)
    return SkyBackground(
        sky_background=settled,
        background_fit=made.background_fit,
        quality=made.quality,
        caveats=(*made.caveats, *notes),
    )


def _lamps(raw: Sequence[RawFrame]) -> tuple[list[LampExposure], tuple[str, ...]]:
    """Clean lamp flats and say which wavelength each saw."""
    cleaned, caveats = _cleaned(raw, _LAMP_SCALE)
    # levels of a few hundred counts are linear to 1e-4, the same in all pixels
    plain = [replace(one, linear_variance=None) for one in cleaned]
    return [LampExposure(one, lamp_wave(one.exposure.meta, one.exposure.name)) for one in plain], caveats


def _lamp_flat(raw: Sequence[RawFrame], darks: Sequence[Master], params: LampFlatParams) -> LampFlatProducts:
    """Make the flat of one lamp, with the observatory's names."""
    lamps, caveats = _lamps(raw)
    made: LampFlat = lamp_flat(lamps, darks, detector(), params, noise_range=read_noise_range())
    comb = text(raw[0].meta, "ESO INS2 COMB IFS")
    lamp = next(lamp for lamp in LAMPS if comb.startswith(f"CAL_{lamp}"))
    category = f"IFS_MASTER_DFF_LONG{lamp.removeprefix('NB')}"
    extra = params.extra
    return LampFlatProducts(
        lamp_flat=_named(made.lamp_flat, category),
        preamp_flat=_named(made.amplifier_flat, "IFS_PREAMP_FLAT") if extra else None,
        large_scale_flat=_named(made.large_scale_flat, "IFS_LARGE_SCALE_FLAT") if extra else None,
        non_linear_pixelmap=_named(made.non_linear_pixels, "IFS_NON_LINEAR_PIXELMAP") if extra else None,
        quality=made.quality,
        caveats=(*caveats, *made.caveats),
    )


@recipe(version="3")
def narrow_band_flat(
    *, raw: Sequence[RawFrame], master_dark: Sequence[Master], params: LampFlatParams = LampFlatParams()
) -> LampFlatProducts:
    """Response of the pixels to one narrow-band lamp: their signal against the illumination."""
    return _lamp_flat(raw, master_dark, params)


@recipe(version="3")
def broad_band_flat(
    *, raw: Sequence[RawFrame], master_dark: Sequence[Master], params: LampFlatParams = LampFlatParams()
) -> LampFlatProducts:
    """Response of the pixels to the white lamp: their signal against the illumination."""
    return _lamp_flat(raw, master_dark, params)


@recipe(version="3")
def detector_flat(
    *, raw: Sequence[RawFrame], master_dark: Sequence[Master], params: FlatParams = FlatParams()
) -> SuperFlat:
    """Response of the pixels against wavelength, from all lamps in one fit."""
    lamps, caveats = _lamps(raw)
    made = super_flat(lamps, master_dark, detector(), params, noise_range=read_noise_range())
    return _with(made, caveats)


@recipe(version="3")
def gain(
    *, raw: Sequence[RawFrame], master_dark: Sequence[Master], params: GainParams = GainParams()
) -> MeasuredLinearity:
    """Linearity and gain, from a steady lamp at many integration times."""
    exposures = []
    caveats: tuple[str, ...] = ()
    for frame in sorted(raw, key=lambda one: one.name):
        exposure, notes = exposure_of(frame)
        exposures.append(clean_exposure(exposure, detector()))
        caveats = (*caveats, *notes)
    made = measure_linearity(exposures, master_dark, detector(), params, noise_range=read_noise_range())
    pixels = _named(made.non_linear_pixels, "IFS_NONLIN_BADPIX")
    law, gains = _named(made.linearity, "IFS_NONLIN"), _named(made.gain_map, "IFS_GAIN")
    return _with(made, caveats, linearity=law, non_linear_pixels=pixels, gain_map=gains)


@recipe(version="1")
def static_bad_pixels(
    *, master_dark: Sequence[Master], detector_flat: DetectorFlat | None, params: StaticParams = StaticParams()
) -> StaticBadPixels:
    """Bad pixels of a night: hot ones of the darks, dead, odd and noisy ones of the flats."""
    made = find_bad_pixels(master_dark, detector_flat, params)
    return _with(made, (), static_badpix=_named(made.static_badpix, "IFS_STATIC_BADPIXELMAP"))
