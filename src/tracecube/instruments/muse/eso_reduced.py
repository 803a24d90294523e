"""What an exposure's cube is made of, in ESO's layout: its pixels with flux and place, its sky, its slices' factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray, Meta
from tracecube.core.foreign import Cards, CardValue, ForeignFile, JobForm, Plane
from tracecube.core.slices import SliceExposureOnDisk
from tracecube.instruments.muse.cube_params import CubeParams
from tracecube.instruments.muse.eso_forms import head, table_file
from tracecube.instruments.muse.geometry import channel_of, spaxel
from tracecube.instruments.muse.object_light import ExposureLight, ObjectInputs, SlicePixels, own_grid
from tracecube.instruments.muse.object_steps import SYSTEMS, exposure_light
from tracecube.instruments.muse.pointing import REFERENCE
from tracecube.instruments.muse.sky_sources import spectra_of
from tracecube.recipes.slices.autocalibration import EDGES
from tracecube.recipes.slices.cube import Grid

__all__ = ["REDUCED_FORMS", "native_places", "origin_of"]

_UNIT = "10**(-20)*erg/s/cm**2/Angstrom"
_CHANNELS, _SLICES = 24, 48
_RADIAN = 180.0 * 3600.0 / np.pi  # arcsec
_TURN = 2.0 * np.pi

_COLUMNS = {
    "xpos": ("rad", np.float32), "ypos": ("rad", np.float32), "lambda": ("Angstrom", np.float32),
    "data": (_UNIT, np.float32), "dq": ("", np.int32), "stat": (f"({_UNIT})**2", np.float32), "origin": ("", np.int32),
}  # fmt: skip


def native_places(west: FloatArray, north: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return native longitude, and native latitude less a quarter turn (rad), of places about a tangent point.

    Of the gnomonic projection: Calabretta & Greisen 2002, A&A 395, 1077, equations 14, 15 and 55.

    Parameters
    ----------
    west, north : array, arcsec
    """
    longitude = np.mod(np.arctan2(-west, -north), _TURN)
    return longitude, -np.arctan(np.hypot(west, north) / _RADIAN)


def origin_of(pixels: SlicePixels, channel: int) -> FloatArray:
    """Return where pixels come from: slice, channel, row from 1, and column from the first that was looked at."""
    column = pixels.x - pixels.column + 1
    return (pixels.aperture | channel << 6 | (pixels.y + 1) << 11 | column << 24).astype(np.int32)


def _inputs(given: Mapping[str, Any]) -> ObjectInputs:
    """Return what the cube was made of, without what its images alone need."""
    return ObjectInputs(**{one.name: given[one.name] for one in fields(ObjectInputs)})


@dataclass(frozen=True)
class _Reduced:
    """Columns of a table (n,), and cards that tell of it."""

    columns: dict[str, FloatArray]
    cards: dict[str, CardValue]


def _reduced(params: CubeParams, **given: Any) -> ForeignFile:
    """Lay out the pixels of an exposure of which its cube was made: sky off, in flux, on the sky, none that was hit."""
    inputs = _inputs(given)
    light, meta = exposure_light(inputs, params), inputs.exposures[0].meta
    grid = own_grid(light, spaxel(meta)[0], params.band(meta), params.step)
    parts = [_of_channel(light, one, grid) for one in inputs.exposures]
    columns = {name: np.concatenate([part.columns.pop(name) for part in parts]) for name in _COLUMNS}  # never all twice
    cards: dict[str, CardValue] = {**_axes(meta), **_state(light, len(parts)), **_limits(columns)}
    cards["SPECSYS"] = SYSTEMS[params.frame]
    cards["ESO DRS MUSE PIXTABLE LIMITS IFU LOW"] = min(channel_of(one.meta, "x") for one in inputs.exposures)
    cards["ESO DRS MUSE PIXTABLE LIMITS IFU HIGH"] = max(channel_of(one.meta, "x") for one in inputs.exposures)
    for part in parts:
        cards |= part.cards
    planes = tuple(Plane(name, columns[name][:, None], unit) for name, (unit, _) in _COLUMNS.items())
    plain = {key: value for key, value in meta.items() if key != "DETECTOR"}
    return ForeignFile(planes, (), plain, head("PIXTABLE_REDUCED", "muse_scipost", meta, **cards), primary="")


def _of_channel(light: ExposureLight, exposure: SliceExposureOnDisk, grid: Grid) -> _Reduced:
    channel = channel_of(exposure.meta, "exposure")
    parts: dict[str, list[FloatArray]] = {name: [] for name in _COLUMNS}
    cards: dict[str, CardValue] = {}
    for one in light.slices(exposure, grid, lambda x, y: (x, y)):
        place = one.samples.place.astype(np.float64)
        west, north = grid.x0 + grid.side * place[:, 2], grid.y0 + grid.side * place[:, 1]
        longitude, latitude = native_places(west, north)
        values = {
            "xpos": longitude, "ypos": latitude, "lambda": grid.wave0 + grid.step * place[:, 0],
            "data": one.samples.value, "dq": np.zeros(west.size), "stat": one.samples.excess / one.samples.weight,
            "origin": origin_of(one, channel),
        }  # fmt: skip
        for name, (_, kind) in _COLUMNS.items():
            parts[name].append(values[name].astype(kind))
        cards[f"ESO DRS MUSE PIXTABLE EXP0 IFU{channel:02d} SLICE{one.aperture:02d} XOFFSET"] = one.column
    return _Reduced({name: np.concatenate(some) for name, some in parts.items()}, cards)


def _axes(meta: Meta) -> Cards:
    """Return the cards of the projection: places are on the sphere already, about the pointing of the header."""
    side = spaxel(meta)[0] / 3600.0
    return {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg", "CRPIX1": 0.0, "CRPIX2": 0.0,
        "CD1_1": -side, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": side,
    }  # fmt: skip


def _state(light: ExposureLight, channels: int) -> Cards:
    """Return the cards that say what was done to the pixels."""
    start = "ESO DRS MUSE PIXTABLE"
    return {
        f"{start} TYPE": ("GEOFULL", "pixel table with full geometry"),
        f"{start} FFCORR": (channels, "spectrum of the lamp is given back"),
        f"{start} MERGED": (channels, "channels in this table"),
        f"{start} DAR CORRECT": (REFERENCE, "[Angstrom] where nothing is moved by refraction"),
        f"{start} FLUXCAL": (True, "in flux"),
        f"{start} SKYSUB": (True, "sky is subtracted"),
        f"{start} RVCORR": (light.velocity, "[km/s] by which wavelengths are shifted"),
        f"{start} WCS": ("projected (intermediate)", "native spherical coordinates"),
    }


def _limits(columns: dict[str, NDArray[Any]]) -> Cards:
    cards: dict[str, CardValue] = {}
    for name, column in (("X", "xpos"), ("Y", "ypos"), ("LAMBDA", "lambda")):
        cards[f"ESO DRS MUSE PIXTABLE LIMITS {name} LOW"] = float(columns[column].min())
        cards[f"ESO DRS MUSE PIXTABLE LIMITS {name} HIGH"] = float(columns[column].max())
    numbers = columns["origin"] & 63
    cards["ESO DRS MUSE PIXTABLE LIMITS SLICE LOW"] = int(numbers.min())
    cards["ESO DRS MUSE PIXTABLE LIMITS SLICE HIGH"] = int(numbers.max())
    return cards


def _sky_spectrum(params: CubeParams, **given: Any) -> ForeignFile:
    """Lay out the spectrum of the sky in flux, as observed; its errors are not known."""
    inputs = _inputs(given)
    spectrum, _ = spectra_of(inputs.sky)
    flux = spectrum.light * np.interp(spectrum.wave, *exposure_light(inputs, params).worth)
    columns = (
        Plane("lambda", np.asarray(spectrum.wave, np.float64), "Angstrom"),
        Plane("data", flux, _UNIT),
        Plane("stat", np.full(flux.size, np.nan), f"({_UNIT})**2"),
        Plane("dq", np.zeros(flux.size, np.int32)),
    )
    return table_file("", columns, spectrum.meta, head("SKY_SPECTRUM", "muse_scipost", spectrum.meta))


def _sky_continuum(params: CubeParams, **given: Any) -> ForeignFile:
    """Lay out the continuum of the sky in flux (10**(-20), a spaxel; its unit is called as ESO calls it)."""
    inputs = _inputs(given)
    _, base = spectra_of(inputs.sky)
    flux = base.light * np.interp(base.wave, *exposure_light(inputs, params).worth)
    columns = (
        Plane("lambda", np.asarray(base.wave, np.float64), "Angstrom"),
        Plane("flux", flux, "erg/(s cm^2 arcsec^2)"),
    )
    return table_file("CONTINUUM", columns, base.meta, head("SKY_CONTINUUM", "muse_scipost", base.meta))


def _factors(params: CubeParams, **given: Any) -> ForeignFile:
    """Lay out what ESO's recipe is to multiply slices with: all that we make them as bright as each other with.

    That is the brightness which lines and continuum of the sky tell, and factors beyond it where there are some. The
    recipe takes rows by their number: all ranges, channels and slices have one, 1 where nothing is known.
    """
    inputs = _inputs(given)
    light, sky = exposure_light(inputs, params), inputs.sky
    middle = 0.5 * (EDGES[1:] + EDGES[:-1])
    total, error = np.ones((middle.size, _CHANNELS, _SLICES)), np.full((middle.size, _CHANNELS, _SLICES), np.nan)
    for detector, aperture, gain, spread, dq in zip(
        sky.detector, sky.aperture, sky.gain, sky.gain_error, sky.dq, strict=True
    ):
        if dq == 0:
            at = channel_of({"DETECTOR": detector}, "sky"), int(aperture)
            own = 1.0 if light.factors is None else light.factors.at(*at, middle)
            total[:, at[0] - 1, at[1] - 1] = own if light.whole else own / gain
            error[:, at[0] - 1, at[1] - 1] = np.nan if light.whole else own * spread / gain**2
    quad, ifu, slice_ = (np.asarray(one.ravel() + 1, np.int32) for one in np.indices(total.shape))
    columns = (
        Plane("ifu", ifu), Plane("sli", slice_), Plane("quad", quad), Plane("npts", np.zeros(ifu.size, np.int32)),
        Plane("corr", total.ravel()), Plane("corr_orig", total.ravel()), Plane("corr_err", error.ravel()),
    )  # fmt: skip
    cards: dict[str, CardValue] = {}
    for number, (low, high) in enumerate(pairwise(EDGES), start=1):
        cards[f"ESO DRS MUSE LAMBDA{number} MIN"] = float(low)
        cards[f"ESO DRS MUSE LAMBDA{number} MAX"] = float(high)
    return table_file("", columns, sky.meta, head("AUTOCAL_FACTORS", "muse_scipost", sky.meta, **cards))


_TASKS = {"CUBE": ("object",), "CUBE_SKY": ("object_sky",)}

REDUCED_FORMS = tuple(
    JobForm(category, tag, tasks, arrange)
    for category, arrange in (
        ("PIXTABLE_REDUCED", _reduced),
        ("SKY_SPECTRUM", _sky_spectrum),
        ("SKY_CONTINUUM", _sky_continuum),
        ("AUTOCAL_FACTORS", _factors),
    )
    for tag, tasks in _TASKS.items()
)
"""One a kind of file, of exposures that have a cube."""
