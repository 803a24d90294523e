"""Spectra of one source as others write them: columns of text, tables and images in FITS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, Scalar
from tracecube.core.flags import Flag
from tracecube.core.spectra import Spectrum

__all__ = ["GivenSpectrum", "read_spectrum"]

_WAVE = ("wave", "wavelength", "lambda", "lam", "wl", "angstrom", "loglam")
_FLUX = ("flux", "flam", "f_lambda", "fluxes", "counts")
_SIGMA = ("err", "error", "sigma", "fluxerr", "flux_err", "flux_error", "eflux", "uncertainty", "dflux")
_VARIANCE = ("stat", "var", "variance")
_INVERSE = ("ivar", "inverse_variance")
_DIFFERENCE = np.array([-1.0, 4.0, -6.0, 4.0, -1.0]) / np.sqrt(70.0)
_FEWEST = 20
_PLANES = 4  # of an image that is one spectrum: flux, flux without weights, sky, error, as IRAF writes them
_MICRON, _NANOMETRE = 30.0, 2000.0  # longest wavelength below which these are the unit


@dataclass(frozen=True)
class GivenSpectrum:
    """A spectrum read, and what had to be assumed of it, in words."""

    spectrum: Spectrum
    assumed: tuple[str, ...]


def read_spectrum(path: Path | str) -> GivenSpectrum:
    """Read a spectrum: our products, other FITS tables, FITS images with a linear or logarithmic axis, or text.

    Text has columns of wavelength, flux and, if there is a third, its error or variance; lines ``# KEY: value`` are its
    header. Which of both it is follows from the scatter of neighbouring samples; where there is none, the scatter is
    the error. Wavelengths are Angstrom unless the largest one shows that they cannot be.

    Raises
    ------
    MissingInput
        No such file.
    BadData
        There is no spectrum in it.
    """
    file = Path(path)
    if not file.is_file():
        raise MissingInput(f"{file}: no such file", hint="give the path of a spectrum")
    with file.open("rb") as opened:
        is_fits = opened.read(6) == b"SIMPLE" or ".fits" in file.name
    return _ordered(file, _from_fits(file) if is_fits else _from_text(file))


_Parts = tuple[FloatArray, FloatArray, FloatArray | None, str, dict[str, Scalar], NDArray[Any] | None]


def _from_text(file: Path) -> _Parts:
    meta: dict[str, Scalar] = {}
    rows: list[list[float]] = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        bare = line.strip()
        if bare[:1] in {"#", "%", ";"}:
            key, colon, value = bare.lstrip("#%; ").partition(":")
            if colon and key.strip() and " " not in key.strip():
                meta.setdefault(key.strip().upper(), value.strip())
            continue
        try:
            rows.append([float(word) for word in bare.replace(",", " ").split()])
        except ValueError:
            continue
    [(width, _)] = Counter(len(row) for row in rows if len(row) > 1).most_common(1) or [(0, 0)]
    rows = [row for row in rows if len(row) >= width > 1]
    if len(rows) < _FEWEST:
        raise BadData(f"{file.name}: no columns of wavelength and flux", hint="text with two or three columns, or FITS")
    table = np.array([row[:3] if width > 2 else row[:2] for row in rows])
    third = table[:, 2] if width > 2 else None
    return table[:, 0], table[:, 1], third, "unknown", meta, None


def _from_fits(file: Path) -> _Parts:
    from astropy.io import fits  # noqa: PLC0415 - takes long to import

    try:
        with fits.open(file) as units:
            meta: dict[str, Scalar] = {
                str(key): value for key, value in units[0].header.items() if isinstance(value, str | int | float)
            }
            for unit in units:
                if isinstance(unit, fits.BinTableHDU | fits.TableHDU):
                    found = _from_columns(unit)
                    if found is not None:
                        return (*found[:4], meta, found[4])
            for unit in units:
                if unit.data is not None and not isinstance(unit, fits.BinTableHDU | fits.TableHDU):
                    wave, flux, third = _from_image(unit)
                    return wave, flux, third, "unknown", meta, None
    except OSError as error:
        raise BadData(f"{file.name}: not readable as FITS ({error})", hint="give another form of it") from error
    raise BadData(f"{file.name}: neither a table nor an image of a spectrum", hint="columns WAVE, FLUX and STAT or ERR")


def _from_columns(unit: Any) -> tuple[FloatArray, FloatArray, FloatArray | None, str, NDArray[Any] | None] | None:
    names = {str(name).lower(): str(name) for name in unit.columns.names}

    def of(wanted: Sequence[str]) -> FloatArray | None:
        for name in wanted:
            if name in names:
                return np.asarray(unit.data[names[name]], np.float64).ravel()
        return None

    wave, flux = of(_WAVE), of(_FLUX)
    if wave is None or flux is None:
        return None
    if "loglam" in names and not set(_WAVE[:-1]) & set(names):
        wave = 10.0**wave
    flags = np.asarray(unit.data[names["dq"]]).ravel() if "dq" in names else None
    for wanted, kind in ((_VARIANCE, "variance"), (_INVERSE, "inverse"), (_SIGMA, "sigma")):
        third = of(wanted)
        if third is not None:
            return wave, flux, third, kind, flags
    return wave, flux, None, "unknown", flags


def _from_image(unit: Any) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Return wavelength, flux and the last plane of a spectrum in an image: IRAF's has flux first and error last."""
    planes = np.asarray(unit.data, np.float64).reshape(-1, unit.data.shape[-1])
    if len(planes) > _PLANES:
        raise BadData(
            f"image of {unit.data.shape} pixels: no single spectrum", hint="extract one first, or give a table"
        )
    head = unit.header
    step = head.get("CDELT1", head.get("CD1_1"))
    if step is None or "CRVAL1" not in head:
        raise BadData("image without CRVAL1 and CDELT1: no wavelengths", hint="give a table, or text")
    wave = head["CRVAL1"] + (np.arange(planes.shape[1]) + 1.0 - head.get("CRPIX1", 1.0)) * step
    if str(head.get("CTYPE1", "")).upper().endswith("-LOG"):  # Greisen et al. 2006, A&A 446, 747, section 3.2
        wave = head["CRVAL1"] * np.exp((wave - head["CRVAL1"]) / head["CRVAL1"])
    elif head.get("DC-FLAG") == 1 or "LOG" in str(head.get("CTYPE1", "")).upper():
        wave = 10.0**wave if wave.max() < 6.0 else np.exp(wave)
    return np.asarray(wave, np.float64), planes[0], planes[-1] if len(planes) > 1 else None


def _scatter(flux: FloatArray) -> FloatArray:
    """Return the scatter of neighbouring samples (n,), running along the spectrum."""
    from scipy.ndimage import median_filter  # noqa: PLC0415

    seen = np.abs(np.convolve(np.pad(flux, 2, mode="edge"), _DIFFERENCE, "valid"))
    width = max(15, len(flux) // 8)
    return np.asarray(1.4826 * median_filter(seen, width, mode="nearest"))


def _ordered(file: Path, parts: _Parts) -> GivenSpectrum:
    """Bring a spectrum to Angstrom, rising wavelength and variance."""
    wave, flux, third, kind, meta, flags = parts
    assumed: list[str] = []
    known = np.isfinite(wave) & np.isfinite(flux)
    if known.sum() < _FEWEST:
        raise BadData(f"{file.name}: {int(known.sum())} samples are no spectrum", hint="give another file")
    longest = float(wave[known].max())
    if longest < _NANOMETRE:
        factor, unit = (1e4, "micron") if longest < _MICRON else (10.0, "nm")
        wave = wave * factor
        assumed.append(f"wavelengths up to {longest:g} taken to be in {unit}")
    order = np.argsort(wave[known], kind="stable")
    rows = np.flatnonzero(known)[order]
    rows = rows[np.concatenate([[True], np.diff(wave[rows]) > 0.0])]
    flux = flux[rows]
    variance = _variance(flux, None if third is None else third[rows], kind, assumed)
    bad = np.zeros(rows.size, np.int32) if flags is None else flags[rows].astype(np.int32)
    bad[~np.isfinite(variance) | (variance <= 0.0)] |= int(Flag.NOT_MEASURED)
    none = np.full(rows.size, np.nan)
    told = str(meta.get("WAVETYPE") or "").upper()
    medium = "WAVE" if told.startswith(("WAVE", "VAC")) else "AWAV"
    if not told:
        assumed.append("wavelengths taken to be in air")
    spectrum = Spectrum(
        wave=wave[rows], flux=flux, variance=variance, flags=bad, sky=none, flux_uncal=none, variance_uncal=none,
        covariance_uncal=none, lsf_sigma=none, medium=medium, meta=meta,
    )  # fmt: skip
    return GivenSpectrum(spectrum, tuple(assumed))


def _variance(flux: FloatArray, third: FloatArray | None, kind: str, assumed: list[str]) -> FloatArray:
    scatter = _scatter(flux)
    if third is None or not (third > 0.0).any():
        assumed.append("no errors given: the scatter of neighbouring samples is taken for them")
        return np.maximum(scatter, 1e-3 * float(np.median(np.abs(flux)))) ** 2
    if kind == "unknown":
        good = third > 0.0
        away = [abs(np.log(np.median(scatter[good]) / np.median(third[good] ** p))) for p in (1.0, 0.5)]
        kind = "sigma" if away[0] <= away[1] else "variance"
        assumed.append(f"third column taken to be the {'error' if kind == 'sigma' else 'variance'} of the flux")
    with np.errstate(divide="ignore"):
        return {"sigma": third**2, "variance": third, "inverse": 1.0 / np.maximum(third, 0.0)}[kind]
