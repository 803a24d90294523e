"""Products in the layout of ESO's SPHERE pipeline (manual 1.53, chapter on the IFS cascade).

Four planes are image, bad pixels (1 bad), rms and weight. Images that ESO's recipes take as input are in adu, as
theirs; spectra and cubes keep our unit, which BUNIT states. A pixel table tells of each detector pixel which light
it sees: wavelength (um), region, lenslet, and how wavelength changes from row to row; 0 where it sees none. Regions
and lenslets have the numbers of our apertures, from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from tracecube.core.companions import ResidualCube
from tracecube.core.errors import MissingInput
from tracecube.core.fields import BoolArray, FloatArray, IntArray, Meta
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.foreign import ForeignFile, ForeignTable, Form, Plane, dicd_head
from tracecube.core.optics import Layout, PixelMap, PointPattern, Throughput, TraceSet, WavelengthSolution
from tracecube.core.pixels import Background, BadPixels, DetectorFlat, GainMap, Master
from tracecube.core.spectra import Cube
from tracecube.core.star import StarCentre
from tracecube.instruments.sphere_ifs.eso_planes import (
    Cards,
    distortion_planes,
    four_planes,
    pixel_table,
    rows_of_apertures,
    throughput_image,
)
from tracecube.instruments.sphere_ifs.eso_tables import point_pattern, star_centre
from tracecube.instruments.sphere_ifs.headers import number

__all__ = ["FORMS"]

_UM = 1e-4  # of an Angstrom
_UNLIT = NOT_USABLE | int(Flag.NOT_ILLUMINATED)
_OF_NO_USE = _UNLIT | int(Flag.LOW_THROUGHPUT)

_RAW = {
    "DARK": "IFS_DARK_RAW",
    "BACKGROUND": "IFS_CAL_BACKGROUND_RAW",
    "SKY": "IFS_CAL_BACKGROUND_RAW",
    "GAIN": "IFS_GAIN_RAW",
    "DETFLAT": "IFS_DETECTOR_FLAT_FIELD_RAW",
    "SPECPOS": "IFS_SPECPOS_RAW",
    "WAVE": "IFS_WAVECALIB_RAW",
    "IFUFLAT": "IFS_FLAT_FIELD_RAW",
    "DISTORT": "IFS_DISTORTION_MAP_RAW",
    "OBJECT": "IFS_SCIENCE_DR_RAW",
    "FLUX": "IFS_SCIENCE_DR_RAW",
    "CENTER": "IFS_SCIENCE_DR_RAW",
    "STD_ASTROMETRY": "IFS_SCIENCE_DR_RAW",
    "STD_FLUX": "IFS_SCIENCE_DR_RAW",
}
"""Tag of a raw frame -> ESO's."""


def _head(category: str, recipe: str, meta: Meta) -> Cards:
    """Return the cards that ESO's products have: category, recipe, raw frames."""
    return dict(dicd_head(category, recipe, meta, _RAW))


def _bad(flags: IntArray, bits: int = _UNLIT) -> BoolArray:
    return np.asarray((flags & bits) != 0)


def _master(category: str, recipe: str, master: Master) -> ForeignFile:
    """Lay out a dark, background or lamp flat: four planes, in adu where ours are in electron."""
    unit, scale = str(master.meta.get("BUNIT") or ""), 1.0
    if unit.startswith("electron"):
        gain = number(master.meta, "QC GAIN")
        if gain is None:
            raise MissingInput(f"{category}: no card QC GAIN to go back to adu with", hint="make the product again")
        unit, scale = unit.replace("electron", "adu"), 1.0 / gain
    planes = four_planes(master.data * np.float32(scale), _bad(master.flags), master.rms * np.float32(scale),
                         master.weight, unit)  # fmt: skip
    return ForeignFile(planes, meta=master.meta, cards=_head(category, recipe, master.meta))


def _bad_pixels(category: str, recipe: str, product: BadPixels) -> ForeignFile:
    """Lay out a map of pixels that are bad in one way or another: one plane."""
    plane = Plane("BADPIX", (product.flags != 0).astype(np.int32), "", "1 bad")
    return ForeignFile((plane,), meta=product.meta, cards=_head(category, recipe, product.meta))


def _gain(category: str, recipe: str, product: GainMap) -> ForeignFile:
    """Lay out the gain: image, bad pixels, error, reduced chi-square."""
    planes = four_planes(product.data, _bad(product.flags), np.sqrt(product.variance), product.chi2, "electron/adu")
    last = replace(planes[3], name="CHI2", text="reduced chi-square of the pairs of exposures")
    return ForeignFile((*planes[:3], last), meta=product.meta, cards=_head(category, recipe, product.meta))


def _wave_cards(wave: FloatArray, aperture: IntArray, count: int) -> Cards:
    """Return ends and middle of the spectra (wave in um), medians over the field."""
    lit = aperture >= 0
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, aperture[lit], wave[lit])
    np.maximum.at(high, aperture[lit], wave[lit])
    seen = np.isfinite(low)
    ends = float(np.median(low[seen])), float(np.median(high[seen]))
    return {
        "ESO DRS MEDIAN MIN WAVEL": (ends[0], "[um]"),
        "ESO DRS MEDIAN MAX WAVEL": (ends[1], "[um]"),
        "ESO DRS MEDIAN CENT WAVEL": (0.5 * (ends[0] + ends[1]), "[um]"),
        "ESO DRS IFS MIN LAMBDA": (ends[0], "[um]"),
        "ESO DRS IFS MAX LAMBDA": (ends[1], "[um]"),
    }


def _positions(
    category: str, recipe: str, product: PixelMap, wavelength: WavelengthSolution, traces: TraceSet
) -> ForeignFile:
    """Lay out the pixel table as the frames of white light left it: six planes.

    The lasers are part of the lenslets' places from the start, so its wavelengths are final.
    """
    return _pixel_table(category, recipe, product, wavelength, traces.meta)


def _pixel_table(
    category: str, recipe: str, product: PixelMap, wavelength: WavelengthSolution, meta: Meta
) -> ForeignFile:
    more = _wave_cards(product.wave * _UM, product.aperture, int(product.aperture.max()) + 1)
    return ForeignFile(pixel_table(product, wavelength), meta=meta, cards={**_head(category, recipe, meta), **more})


def _wavelengths(category: str, recipe: str, product: PixelMap, wavelength: WavelengthSolution) -> ForeignFile:
    """Lay out the pixel table of the wavelength calibration: a seventh plane flags spectra (1 bad)."""
    six = _pixel_table(category, recipe, product, wavelength, product.meta)
    row = rows_of_apertures(wavelength.aperture, product.aperture)
    bad = ((row >= 0) & (wavelength.dq[row] != 0)).astype(np.int32)
    flag = Plane("BADSPEC", bad, "", "1 where the spectrum's wavelengths are not to be trusted")
    return ForeignFile((*six.planes, flag), meta=six.meta, cards=six.cards)


def _lenslet_flat(category: str, recipe: str, product: Throughput, pixel_map: PixelMap) -> ForeignFile:
    """Lay out the flat of the lenslets: four planes, drawn on the detector, and a table by lenslet."""
    value, error = throughput_image(product, pixel_map)
    row = rows_of_apertures(product.aperture, pixel_map.aperture)
    bad = ~np.isfinite(value) | ((row >= 0) & _bad(product.dq[row], _OF_NO_USE))
    weight = np.where(bad, 0.0, 1.0).astype(np.float32)
    known = np.isfinite(product.value) & np.isfinite(product.error)
    count = np.maximum(known.sum(axis=1), 1)
    table = ForeignTable(
        "IFS_LENSLET_FLAT",
        (
            Plane("LENSLET", (product.aperture + 1).astype(np.int32)),
            Plane("VALUE", product.mean.astype(np.float64), "", "throughput over that of the median lenslet"),
            Plane("RMS", np.sqrt(np.where(known, product.error, 0.0) ** 2 @ np.ones(known.shape[1])) / count, "",
                  "of its mean over the channels, as if they were independent"),
            Plane("BADPIX", _bad(product.dq, _OF_NO_USE).astype(np.int32), "", "1 bad"),
        ),
    )  # fmt: skip
    planes = four_planes(value, bad, error, weight, "")
    return ForeignFile(planes, (table,), product.meta, _head(category, recipe, product.meta))


def _total_flat(
    category: str, recipe: str, product: Throughput, pixel_map: PixelMap, detector_flat: DetectorFlat
) -> ForeignFile:
    """Lay out the flat of lenslets and pixels together: response of each pixel to the light it sees."""
    value, error = throughput_image(product, pixel_map)
    response, variance = detector_flat.response(pixel_map.wave)
    bad = ~np.isfinite(value) | _bad(detector_flat.flags)
    both = np.sqrt((response * error) ** 2 + value**2 * variance)
    weight = np.where(bad, 0.0, 1.0).astype(np.float32)
    planes = four_planes(value * response, bad, both, weight, "")
    return ForeignFile(planes, meta=product.meta, cards=_head(category, recipe, product.meta))


def _distortion(category: str, recipe: str, product: Layout, traces: TraceSet) -> ForeignFile:
    """Lay out the distortion: four planes of dx, then of dy, on the grid of the cubes."""
    planes, axes = distortion_planes(product, traces)
    meta = {**product.meta, **axes}
    return ForeignFile(planes, meta=meta, cards=_head(category, recipe, product.meta), axes=True)


def _cube(category: str, recipe: str, product: Cube) -> ForeignFile:
    """Lay out a cube: value, bad pixels, rms, weight (1 for the one integration behind each value)."""
    bad = ~np.isfinite(product.data) | _bad(product.flags)
    planes = four_planes(
        product.data, bad, np.sqrt(product.variance), np.where(bad, 0, 1).astype(np.float32),
        str(product.meta.get("BUNIT") or ""),
    )  # fmt: skip
    along = "CD3_3" if "CD3_3" in product.meta else "CDELT3"  # where there are no coordinates of a target
    start, step, pixel = (float(str(product.meta[key])) for key in ("CRVAL3", along, "CRPIX3"))
    micron = {"Angstrom": 1e-4, "um": 1.0, "nm": 1e-3, "m": 1e6}[str(product.meta["CUNIT3"])]
    ends = [(start + (plane - pixel) * step) * micron for plane in (1, product.data.shape[0])]
    head = _head(category, recipe, product.meta)
    more: Cards = {
        "ESO DRS IFS MIN LAMBDA": (ends[0], "[um] first plane"),
        "ESO DRS IFS MAX LAMBDA": (ends[1], "[um] last plane"),
    }
    return ForeignFile(planes, meta=product.meta, cards={**head, **more}, axes=True)


def _form(
    arrange: Callable[..., ForeignFile],
    noun: type,
    tag: str,
    category: str,
    recipe: str,
    beside: Mapping[str, tuple[str, type]] | None = None,
) -> Form:
    return Form(category, tag, noun, partial(arrange, category, recipe), beside or {})


_PIXELS = {"pixel_map": ("PIXEL_MAP", PixelMap)}
_WAVELENGTH = {"wavelength": ("WAVELENGTH", WavelengthSolution)}
_FLAT_OF = "sph_ifs_master_detector_flat"

FORMS = (
    _form(_master, Master, "MASTER_DARK", "IFS_MASTER_DARK", "sph_ifs_master_dark"),
    _form(_bad_pixels, BadPixels, "STATIC_BADPIX", "IFS_STATIC_BADPIXELMAP", "sph_ifs_master_dark"),
    _form(_master, Background, "INSTRUMENT_BACKGROUND", "IFS_CAL_BACKGROUND", "sph_ifs_cal_background"),
    _form(_master, Background, "SKY_BACKGROUND", "IFS_CAL_BACKGROUND", "sph_ifs_cal_background"),
    _form(_master, Master, "BACKGROUND_FIT", "IFS_CAL_BACKGROUND_FIT", "sph_ifs_cal_background"),
    *(
        _form(_master, Master, f"MASTER_DFF_LONG{lamp}", f"IFS_MASTER_DFF_LONG{lamp}", _FLAT_OF)
        for lamp in ("1", "2", "3", "4", "BB")
    ),
    _form(_master, Master, "PREAMP_FLAT", "IFS_PREAMP_FLAT", _FLAT_OF),
    _form(_master, Master, "LARGE_SCALE_FLAT", "IFS_LARGE_SCALE_FLAT", _FLAT_OF),
    _form(_master, Master, "NON_LINEAR_PIXELMAP", "IFS_NON_LINEAR_PIXELMAP", _FLAT_OF),
    _form(_bad_pixels, BadPixels, "NON_LINEAR_PIXELS", "IFS_NONLIN_BADPIX", "sph_ifs_gain"),
    _form(_gain, GainMap, "GAIN_MAP", "IFS_GAIN", "sph_ifs_gain"),
    replace(
        _form(_positions, PixelMap, "PIXEL_MAP", "IFS_SPECPOS", "sph_ifs_spectra_positions",
              {**_WAVELENGTH, "traces": ("TRACES", TraceSet)}),
        numbers_of="traces",
    ),
    _form(_wavelengths, PixelMap, "PIXEL_MAP", "IFS_WAVECALIB", "sph_ifs_wave_calib",
          _WAVELENGTH),
    _form(_lenslet_flat, Throughput, "LENSLET_FLAT", "IFS_IFU_FLAT_FIELD", "sph_ifs_instrument_flat", _PIXELS),
    _form(_total_flat, Throughput, "LENSLET_FLAT", "IFS_INSTRUMENT_FLAT_FIELD", "sph_ifs_instrument_flat",
          {**_PIXELS, "detector_flat": ("DETECTOR_FLAT", DetectorFlat)}),
    _form(_distortion, Layout, "LAYOUT", "IFS_DISTORTION_MAP", "sph_ifs_distortion_map",
          {"traces": ("TRACES", TraceSet)}),
    _form(_cube, Cube, "LASER_CUBE", "IFS_WAVECALIB_CUBE", "sph_ifs_wave_calib"),
    _form(point_pattern, PointPattern, "POINT_PATTERN", "IFS_POINT_PATTERN", "sph_ifs_distortion_map"),
    _form(star_centre, StarCentre, "STAR_CENTRE", "IFS_STAR_CENTER", "sph_ifs_star_center"),
    _form(_cube, Cube, "CUBE", "IFS_SCIENCE_DR", "sph_ifs_science_dr"),
    *(
        _form(_cube, Cube, tag, "IFS_SCIENCE_DR", "sph_ifs_science_dr")
        for tag in ("FLUX_CUBE", "CENTER_CUBE", "STANDARD_CUBE")
    ),
    _form(_cube, ResidualCube, "RESIDUAL_CUBE", "IFS_SCIENCE_DR", "sph_ifs_science_dr"),
)  # fmt: skip
"""One a kind of file."""
