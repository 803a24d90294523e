"""Tables of Remedy, the pipeline of the instrument's team: rows made of our nouns, names and shapes as theirs.

Fluxes are microjansky in a fibre, on the grid 3470 + 2 i Angstrom (1036 samples), resampled once and conserving flux;
errors are square roots of variances, without the covariance of neighbours, which column ``covariance`` adds (with
the next sample). Coordinates are double precision: single precision, as theirs, is 0.1 arcsec.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.foreign import ForeignTable, Plane
from tracecube.core.lines import Lines
from tracecube.core.spectra import Cube, Spectrum
from tracecube.instruments.virus.headers import number, text
from tracecube.recipes.extract.rectify import Rectified, rectify

__all__ = [
    "GRID",
    "catalogue_spectra",
    "detections",
    "fibre_rows",
    "images",
    "info_rows",
    "microjansky",
    "on_grid",
    "raw_rows",
    "rectified",
]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

GRID = 3470.0 + 2.0 * np.arange(1036)
"""Wavelengths of rectified spectra, Angstrom (air)."""

_LIGHT = 2.99792458e18  # Angstrom/s
_UNLIT = NOT_USABLE | int(Flag.LOW_THROUGHPUT | Flag.NOT_ILLUMINATED)
_CALIBRATED = "erg/s/cm2/Angstrom"
_FWHM = float(2.0 * np.sqrt(2.0 * np.log(2.0)))
_SHOWN = (4200.0, 5400.0)  # Angstrom: of the images
_FRAME = 75  # spaxels a side of an image: a bundle at any angle, at 1 arcsec


def microjansky(wave: FloatArray) -> F8:
    """Factor from erg/s/cm2/Angstrom to microjansky at each wavelength (Angstrom)."""
    return np.asarray(wave.astype(np.float64) ** 2 / _LIGHT * 1e29)


def rectified(spectra: FibreSpectra, values: NDArray[Any] | None = None) -> Rectified:
    """Spectra, or another plane of them, on the grid."""
    used = ((spectra.flags & NOT_USABLE) == 0) & ((spectra.dq & _UNLIT) == 0)[:, None] & (spectra.variance > 0)
    given = spectra.flux if values is None else values
    wave = _filled(np.asarray(spectra.wave, dtype=np.float64))
    good = used & np.isfinite(given) & np.isfinite(spectra.wave)
    return rectify(given, spectra.variance, wave, GRID, good=good, blend=spectra.blend)


def _filled(wave: F8) -> F8:
    """Wavelengths of fibres without a solution: any that rise, for their samples do not count."""
    whole: NDArray[np.bool_] = np.asarray(np.isfinite(wave).all(axis=1))
    return np.where(whole[:, None], wave, np.linspace(GRID[0], GRID[-1], wave.shape[1]))


def _unit(spectra: FibreSpectra) -> tuple[F8, str]:
    """Factor on rectified spectra, and their unit."""
    if str(spectra.meta.get("BUNIT", "")).replace(" ", "") == _CALIBRATED:
        return microjansky(GRID), "uJy"
    return np.ones(GRID.size), str(spectra.meta.get("BUNIT", ""))


def _float(values: NDArray[Any], good: NDArray[np.bool_] | None = None) -> F4:
    return np.asarray(values if good is None else np.where(good, values, np.nan), dtype=np.float32)


def info_rows(spectra: FibreSpectra) -> ForeignTable:
    """Identity and place of each fibre."""
    specid, ifuid = _identity(spectra.unit)
    shared = np.full(len(spectra.dq), np.nan) if spectra.correlation is None else spectra.correlation
    columns = (
        Plane("ra", np.asarray(spectra.ra, np.float64), "deg"),
        Plane("dec", np.asarray(spectra.dec, np.float64), "deg"),
        Plane("ifux", _float(spectra.x), "arcsec"),
        Plane("ifuy", _float(spectra.y), "arcsec"),
        Plane("specid", specid),
        Plane("ifuslot", np.asarray(spectra.ifuslot, np.int32)),
        Plane("ifuid", ifuid),
        Plane("amp", np.asarray(spectra.amp).astype("U2")),
        Plane("exp", np.asarray(spectra.exp, np.int32)),
        Plane("fibre", np.asarray(spectra.fibre, np.int32)),
        Plane("dq", np.asarray(spectra.dq, np.int32)),
        Plane("correlation", np.asarray(shared, np.float64), "", "of any two samples of the fibre; NaN: unknown"),
    )
    return ForeignTable("Info", columns)


def _identity(units: Iterable[Any]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Numbers of spectrograph and fibre bundle, from slot/spectrograph/bundle/controller."""
    parts = [str(one).split("/") for one in units]
    return (
        np.array([int(one[1]) for one in parts], np.int32),
        np.array([int(one[2]) if one[2].isdigit() else -1 for one in parts], np.int32),
    )


def fibre_rows(spectra: FibreSpectra) -> ForeignTable:
    """Rectified spectra: light less sky, its error, throughput, sky, and what the sky left (the light itself)."""
    factor, unit = _unit(spectra)
    flux = rectified(spectra)
    sky = rectified(spectra, spectra.sky) if spectra.sky is not None else None
    shape = flux.flux.shape
    ftf = np.broadcast_to(np.asarray(spectra.throughput, float)[:, None], shape)
    below = np.full(shape, np.nan) if sky is None else np.where(sky.good, sky.flux, np.nan) * factor
    both = factor * np.append(factor[1:], factor[-1])
    native = str(spectra.meta.get("BUNIT", ""))
    columns = (
        Plane("spectrum", _float(flux.flux * factor, flux.good), unit),
        Plane("error", _float(np.sqrt(flux.variance) * factor, flux.good), unit),
        Plane("fiber_to_fiber", _float(ftf)),
        Plane("skyspectrum", _float(below), unit),
        Plane("residual", _float(spectra.flux), native, "less sky, on the detector's pixels"),
        Plane("covariance", _float(flux.covariance * both, flux.good), f"{unit}2"),
    )
    return ForeignTable("Fibers", columns)


def raw_rows(spectra: FibreSpectra) -> ForeignTable:
    """Spectra on the pixels of the detector: sky and light together."""
    unit = str(spectra.meta.get("BUNIT", ""))
    whole = spectra.flux if spectra.sky is None else spectra.flux + spectra.sky
    columns = (
        Plane("spectrum", _float(whole), unit, "with the sky"),
        Plane("error", _float(np.sqrt(np.maximum(spectra.variance, 0.0))), unit),
        Plane("wave", np.asarray(spectra.wave, np.float64), "Angstrom"),
        Plane("lsf_sigma", _float(spectra.lsf_sigma), "Angstrom"),
        Plane("dq", np.asarray(spectra.flags, np.int32)),
    )
    return ForeignTable("Raw", columns)


def detections(lines: Lines, units: dict[int, str]) -> ForeignTable:
    """Emission lines; the model is a Gaussian of the width that was fitted, none where none was, on the grid."""
    specid, ifuid = _identity([units.get(int(slot), f"{int(slot)}/-1/-1/") for slot in lines.ifuslot])
    width = np.sqrt(np.nan_to_num(np.asarray(lines.sigma, float)) ** 2 + (5.6 / _FWHM) ** 2)[:, None]
    at = np.asarray(lines.wave, float)[:, None]
    shape = np.exp(-0.5 * ((GRID - at) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
    columns = (
        Plane("ra", np.asarray(lines.ra, np.float64), "deg"), Plane("dec", np.asarray(lines.dec, np.float64), "deg"),
        Plane("specid", specid), Plane("ifuslot", np.asarray(lines.ifuslot, np.int32)), Plane("ifuid", ifuid),
        Plane("wave", np.asarray(lines.wave, np.float64), "Angstrom"),
        Plane("flux", _float(np.asarray(lines.flux) * 1e17), "1e-17 erg/s/cm2"),
        Plane("flux_err", _float(np.asarray(lines.flux_err) * 1e17), "1e-17 erg/s/cm2"),
        Plane("sn", _float(lines.sn)), Plane("chi2", _float(lines.chi2)),
        Plane("fwhm", _float(_FWHM * width[:, 0]), "Angstrom"),
        Plane("model", _float(np.asarray(lines.flux, float)[:, None] * shape * microjansky(GRID)), "uJy"),
        Plane("dq", np.asarray(lines.dq, np.int32)),
    )  # fmt: skip
    return ForeignTable("Detections", columns)


def on_grid(one: Spectrum) -> tuple[F4, F4]:
    """Return flux and error of a source on the grid, microjansky; NaN where it was not measured."""
    wave = np.asarray(one.wave, float)
    if wave.size != GRID.size or not np.allclose(wave, GRID):
        good = ((np.asarray(one.flags) & NOT_USABLE) == 0) & np.isfinite(one.flux)
        light, spread = (np.asarray(v, np.float64)[None] for v in (one.flux, one.variance))
        made = rectify(light, spread, wave[None].astype(np.float64), GRID, good=good[None])
        flux, variance, good = made.flux[0], made.variance[0], made.good[0]
    else:
        flux, variance, good = np.asarray(one.flux), np.asarray(one.variance), np.asarray(one.flags) == 0
    factor = microjansky(GRID)
    return _float(flux * factor, good), _float(np.sqrt(np.maximum(variance, 0.0)) * factor, good)


def catalogue_spectra(spectra: Iterable[Spectrum]) -> Iterator[ForeignTable]:
    """Spectra of catalogue sources, one row each."""
    for one in spectra:
        flux, error = on_grid(one)
        ra, dec = (next((v for k in keys if (v := number(one.meta, k)) is not None), np.nan)
                   for keys in (("RA_OBJ", "OBJRA"), ("DEC_OBJ", "OBJDEC")))  # fmt: skip
        bands = [
            Plane(f"{b}mag", np.array([_or_nan(number(one.meta, f"{b.upper()}MAG"))], np.float32), "mag")
            for b in "grizy"
        ]
        columns = (
            Plane("ra", np.array([ra]), "deg"), Plane("dec", np.array([dec]), "deg"),
            Plane("spectrum", flux[None], "uJy"), Plane("error", error[None], "uJy"), *bands,
        )  # fmt: skip
        yield ForeignTable("CatSpectra", columns)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def images(cubes: Iterable[Cube]) -> Iterator[ForeignTable]:
    """White-light images of the bundles, one row a cube, with the place of their middle."""
    for cube in cubes:
        first, step = number(cube.meta, "CRVAL3") or 0.0, number(cube.meta, "CDELT3") or 0.0
        wave = first + step * np.arange(len(cube.data))
        shown = (wave >= _SHOWN[0]) & (wave <= _SHOWN[1])
        known = np.isfinite(cube.data[shown])
        count = known.sum(axis=0)
        mean = np.where(count > 0, np.where(known, cube.data[shown], 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
        columns = (
            Plane("zipcode", np.array([text(cube.meta, "IFUSLOT").encode()], "S21")),
            Plane("ra", np.array([number(cube.meta, "CRVAL1")], np.float64), "deg"),
            Plane("dec", np.array([number(cube.meta, "CRVAL2")], np.float64), "deg"),
            Plane("step", np.array([number(cube.meta, "CDELT2")], np.float64), "deg"),
            Plane("image", _framed(mean)[None], str(cube.meta.get("BUNIT", "")), "mean, 4200 to 5400 Angstrom"),
        )
        yield ForeignTable("Images", columns)


def _framed(image: F8) -> F4:
    """An image with its middle in the middle of a frame of fixed size, cut or filled with NaN."""
    out = np.full((_FRAME, _FRAME), np.nan, np.float32)
    cut, put = zip(*(_overlap(size) for size in image.shape), strict=True)
    out[put] = image[cut]
    return out


def _overlap(size: int) -> tuple[slice, slice]:
    """Part of an axis that the frame holds, and its place in the frame."""
    shift = _FRAME // 2 - size // 2
    first, last = max(0, -shift), min(size, _FRAME - shift)
    return slice(first, last), slice(first + shift, last + shift)
