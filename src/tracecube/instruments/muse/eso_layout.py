"""Products in the layout of ESO's MUSE pipeline (2.8), as its own recipes and MPDAF read them.

Images are DATA, DQ (bits of the Euro3D format) and STAT (variance) under a primary header without data that is
called like the detector; pixels of tables count from 1, on the trimmed image.
"""

from __future__ import annotations

import numpy as np

from tracecube.core.errors import MissingInput
from tracecube.core.field_wcs import FieldWcs
from tracecube.core.fields import Meta
from tracecube.core.foreign import Cards, CardValue, ForeignFile, Form, GatheredForm, JobForm, Plane
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.outputs import OutputLinearity
from tracecube.core.slice_field import FieldGeometry
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.core.slice_light import SliceSky
from tracecube.core.slices import SliceExposure, SliceLsf, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.ccd import level_card, noise_card, trimmed_outputs
from tracecube.instruments.muse.eso_fields import FIELD_FORMS
from tracecube.instruments.muse.eso_forms import form, head, table_file
from tracecube.instruments.muse.eso_long_term import astrometry_wcs, geometry_table, nonlinearity_gain
from tracecube.instruments.muse.eso_pixels import (
    SAMPLING,
    dispersion,
    limits,
    pixel_planes,
    pixel_rows,
    spectrum_of_flat,
)
from tracecube.instruments.muse.eso_planes import three_planes, trace_columns, wavelength_columns
from tracecube.instruments.muse.eso_quality import (
    dark_quality,
    flat_quality,
    lsf_quality,
    response_quality,
    shift_quality,
    trace_quality,
    wavelength_quality,
)
from tracecube.instruments.muse.eso_reduced import REDUCED_FORMS
from tracecube.instruments.muse.eso_twilight import TWILIGHT_FORMS
from tracecube.instruments.muse.exposure_steps import LEVEL_CARD
from tracecube.instruments.muse.geometry import channel_of, geometry_of, spaxel
from tracecube.instruments.muse.headers import LAST_WAVELENGTH, first_wavelength, mode, needed

__all__ = ["FORMS"]

_OVERSCAN = {"overscan": "vpoly", "ovscreject": "dcr", "ovscsigma": "30.", "ovscignore": "3"}
"""ESO's parameters for a level that is a smooth curve along y, three columns beside the data left out."""


def _detector(meta: Meta, category: str) -> str:
    """Return the name of the detector, which is that of the primary unit.

    Raises
    ------
    MissingInput
        The product does not tell it.
    """
    name = str(meta.get("DETECTOR") or "")
    if not name:
        raise MissingInput(f"{category}: of which detector it is is not known", hint="make the product again")
    return name


def _bias(category: str, recipe: str, product: Frame) -> ForeignFile:
    """Lay out a master bias: adu about the level of the overscan, where ours are electrons.

    Recipes that take it compare the level and noise of its overscan with theirs, and how the overscan was used.
    """
    data, variance = product.data.copy(), product.variance.copy()
    cards: dict[str, CardValue] = {}
    for output, (chip, gain) in trimmed_outputs(product.meta, category).items():
        chip.of(data)[:] /= np.float32(gain)
        chip.of(variance)[:] /= np.float32(gain**2)
        noise = needed(product.meta, category, noise_card(output))
        cards[f"ESO DRS MUSE OVSC{output} MEAN"] = needed(product.meta, category, level_card(output))
        cards[f"ESO DRS MUSE OVSC{output} STDEV"] = noise / gain
        cards[f"ESO QC BIAS MASTER{output} RON"] = (noise, "[count]")
        quarter = chip.of(data)
        for name, value in (("MEDIAN", np.median(quarter)), ("MEAN", np.mean(quarter)), ("STDEV", np.std(quarter))):
            cards[f"ESO QC BIAS MASTER{output} {name}"] = float(value)
    for number, (name, setting) in enumerate(_OVERSCAN.items(), start=1):
        cards[f"ESO PRO REC1 PARAM{number} NAME"] = name
        cards[f"ESO PRO REC1 PARAM{number} VALUE"] = (setting, "what comes nearest to what was done")
    cards["ESO QC BIAS MASTER NBADPIX"] = int(np.count_nonzero(product.flags))
    planes = three_planes(data, product.flags, variance, "adu")
    return _image(category, planes, product.meta, head(category, recipe, product.meta, **cards))


def _image(category: str, planes: tuple[Plane, ...], meta: Meta, cards: Cards) -> ForeignFile:
    return ForeignFile(planes, meta=meta, cards=cards, primary=_detector(meta, category))


def _dark(category: str, recipe: str, product: Frame) -> ForeignFile:
    """Lay out a master dark: electrons in an hour."""
    planes = three_planes(product.data, product.flags, product.variance, "count")
    hour: CardValue = (3600.0, "[s] that its counts are of")
    cards = head(category, recipe, product.meta, EXPTIME=hour, **dark_quality(product))
    return _image(category, planes, product.meta, cards)


def _flat(category: str, recipe: str, product: Frame, traces: SliceTraces) -> ForeignFile:
    """Lay out a lamp flat: its mean over the detector is 1."""
    mean = float(np.mean(product.data, dtype=np.float64))
    planes = three_planes(product.data / np.float32(mean), product.flags, product.variance / np.float32(mean**2),
                          "count")  # fmt: skip
    cards = flat_quality(product, traces)
    return _image(category, planes, product.meta, head(category, recipe, product.meta, **cards))


def _traces(category: str, recipe: str, product: SliceTraces) -> ForeignFile:
    """Lay out the traces: polynomials of centre and edges of each slice."""
    cards = head(category, recipe, product.meta, **trace_quality(product))
    return table_file(category, trace_columns(product), product.meta, cards, primary=_detector(product.meta, category))


def _wavelengths(category: str, recipe: str, product: SliceWavelengths, traces: SliceTraces) -> ForeignFile:
    """Lay out the wavelengths: polynomials of the pixel's place."""
    columns = wavelength_columns(traces, product)
    cards = head(category, recipe, product.meta, **wavelength_quality(traces, product))
    return table_file(category, columns, product.meta, cards, primary=_detector(product.meta, category))


def _response(
    category: str, recipe: str, product: SliceResponse, traces: SliceTraces, wavelengths: SliceWavelengths
) -> ForeignFile:
    """Lay out the response: magnitudes of (counts / s / Angstrom) over (erg / s / cm2 / Angstrom).

    ESO's counts are of a pixel, and each pixel counts as 1.25 Angstrom.
    """
    known = np.isfinite(product.response)
    wide = 2.5 * np.log10(dispersion(traces, wavelengths, product.wave[known]) / SAMPLING)
    unit = "2.5*log10((count/s/Angstrom)/(erg/s/cm**2/Angstrom))"
    columns = (
        Plane("lambda", product.wave[known].astype(np.float64), "Angstrom"),
        Plane("response", product.response[known].astype(np.float64) + wide, unit),
        Plane("resperr", product.error[known].astype(np.float64), unit),
    )
    with_lamp: CardValue = (True, "the lamp's spectrum is given back to counts")
    more = {"ESO DRS MUSE FLUX FFCORR": with_lamp, **response_quality(product)}
    cards = head(category, recipe, product.meta, **more)
    return table_file(category, columns, product.meta, cards)


def _telluric(category: str, recipe: str, product: Telluric) -> ForeignFile:
    """Lay out the transmission of the atmosphere's bands at airmass 1."""
    columns = tuple(
        Plane(name, np.asarray(values, np.float64), unit)
        for name, values, unit in (
            ("lambda", product.wave, "Angstrom"),
            ("ftelluric", product.transmission, ""),
            ("ftellerr", product.error, ""),
        )
    )
    with_lamp: CardValue = (True, "measured in counts with the lamp's spectrum")
    cards = head(category, recipe, product.meta, **{"ESO DRS MUSE FLUX FFCORR": with_lamp})
    return table_file(category, columns, product.meta, cards)


def _pixels(  # noqa: PLR0913, PLR0917 - what a pixel's place and wavelength follow from
    category: str,
    recipe: str,
    product: SliceExposure,
    traces: SliceTraces,
    wavelengths: SliceWavelengths,
    flat: Frame,
    geometry: RawFrame,
    sky: SliceSky | None = None,
) -> ForeignFile:
    """Lay out an exposure on its pixels as a pixel table: counts over a flat whose mean is 1, sky not subtracted.

    Without the sky of the exposure (short ones, of stars) wavelengths are those of the day.
    """
    detector = _detector(product.meta, category)
    channel = channel_of(product.meta, detector)
    mean, level = float(np.mean(flat.data, dtype=np.float64)), needed(product.meta, category, LEVEL_CARD)
    rows = pixel_rows(
        product,
        traces,
        wavelengths,
        geometry_of(geometry, channel, product.meta),
        sky=None if sky is None else sky.of(detector),
        channel=channel,
        side=spaxel(product.meta),
        scale=mean * level,
        band=(first_wavelength(mode(product.meta)), LAST_WAVELENGTH),
    )
    flux = mean * flat.data.size
    more: dict[str, CardValue] = {"ESO DRS MUSE FLAT FLUX LAMP": flux, "ESO DRS MUSE FLAT FLUX SKY": flux * level}
    more |= {**limits(rows, channel), **({} if sky is None else shift_quality(sky.of(detector)))}
    cards = head(category, recipe, product.meta, **more)
    lamp = spectrum_of_flat(flat, traces, wavelengths, mean)
    return ForeignFile(pixel_planes(rows), (lamp,), product.meta, cards, primary=detector)


def _line_profile(category: str, recipe: str, product: SliceLsf) -> ForeignFile:
    """Lay out the line-spread functions as an image on a grid of offset, wavelength and slice."""
    offset, wave = np.linspace(-7.5, 7.5, 150), 4650.0 + (9300.0 - 4650.0) / 29.0 * np.arange(30)
    cube = np.zeros((len(product.aperture), wave.size, offset.size), np.float32)
    for row, profile in enumerate(product.density):
        at = np.array([np.interp(offset, product.offset[0], one, left=0.0, right=0.0) for one in profile])
        for k in range(offset.size):
            cube[row, :, k] = np.interp(wave, product.wave[0], at[:, k])
    cube /= cube.sum(axis=2, keepdims=True) * (offset[1] - offset[0])
    axes: dict[str, CardValue] = {"WCSAXES": 2, "CTYPE1": "PARAM", "CTYPE2": "AWAV", "CUNIT1": "Angstrom"}
    axes |= {"CUNIT2": "Angstrom", "CRPIX1": 1.0, "CRPIX2": 1.0, "CRVAL1": offset[0], "CRVAL2": wave[0]}
    axes |= {"CD1_1": offset[1] - offset[0], "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": wave[1] - wave[0]}
    cards = head(category, recipe, product.meta, **lsf_quality(product))
    return _image(category, (Plane("LSF_PROFILE", cube, "", "", axes),), product.meta, cards)


def _geometry(category: str, recipe: str, product: FieldGeometry) -> ForeignFile:
    return geometry_table(head(category, recipe, product.meta), product)


def _astrometry(category: str, recipe: str, product: FieldWcs) -> ForeignFile:
    return astrometry_wcs(head(category, recipe, product.meta), product)


def _linearity(category: str, recipe: str, product: OutputLinearity) -> ForeignFile:
    return nonlinearity_gain(head(category, recipe, product.meta), product)


_TRACES = {"traces": ("TRACES", SliceTraces)}
_WAVES = {"wavelengths": ("WAVELENGTHS", SliceWavelengths)}

FORMS: tuple[Form | GatheredForm | JobForm, ...] = (
    form(_bias, Frame, "MASTER_BIAS", "MASTER_BIAS", "muse_bias"),
    form(_dark, Frame, "MASTER_DARK", "MASTER_DARK", "muse_dark"),
    form(_flat, Frame, "MASTER_FLAT", "MASTER_FLAT", "muse_flat", _TRACES),
    form(_traces, SliceTraces, "TRACES", "TRACE_TABLE", "muse_flat"),
    form(_wavelengths, SliceWavelengths, "WAVELENGTHS", "WAVECAL_TABLE", "muse_wavecal", _TRACES),
    form(_line_profile, SliceLsf, "LSF", "LSF_PROFILE", "muse_lsf"),
    *(
        form(
            _pixels,
            SliceExposure,
            f"CALIBRATED_{tag}",
            f"PIXTABLE_{tag}",
            "muse_scibasic",
            {
                **_TRACES,
                **_WAVES,
                "flat": ("MASTER_FLAT", Frame),
                "geometry": ("GEOMETRY_TABLE", RawFrame),
                **({"sky": (f"SKY_{tag}", SliceSky)} if tag in {"OBJECT", "SKY"} else {}),
            },
        )
        for tag in ("OBJECT", "SKY", "STD", "ASTROMETRY")
    ),
    form(_response, SliceResponse, "RESPONSE", "STD_RESPONSE", "muse_standard", {**_TRACES, **_WAVES}),
    form(_telluric, Telluric, "TELLURIC", "STD_TELLURIC", "muse_standard"),
    form(_geometry, FieldGeometry, "GEOMETRY", "GEOMETRY_TABLE", "muse_geometry"),
    form(_astrometry, FieldWcs, "FIELD_WCS", "ASTROMETRY_WCS", "muse_astrometry"),
    form(_linearity, OutputLinearity, "NONLINEARITY_GAIN", "NONLINEARITY_GAIN", "muse_lingain"),
    form(_dark, Frame, "DARK_MODEL", "MODEL_DARK", "muse_dark"),
    *FIELD_FORMS,
    *REDUCED_FORMS,
    *TWILIGHT_FORMS,
)
"""One a kind of file."""
