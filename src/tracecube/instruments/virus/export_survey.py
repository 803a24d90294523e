"""Remedy's tables of the observation itself: one row an exposure, and the catalogue's stars against what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from tracecube.core.fields import FloatArray, Meta
from tracecube.core.foreign import ForeignTable, Plane
from tracecube.core.sources import FieldSolution, Sources
from tracecube.core.spectra import Spectrum
from tracecube.instruments.virus.export_tables import on_grid
from tracecube.instruments.virus.headers import number, text
from tracecube.instruments.virus.layout import field_rotation
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane

__all__ = ["matched_spectra", "survey_rows"]

_BRIGHT = 10.0  # signal-to-noise of the stars whose residuals are told


def survey_rows(field: FieldSolution, sources: Sources | None, heads: Mapping[int, Meta]) -> ForeignTable:
    """One row an exposure: where it lies, how it saw, and how many stars say so.

    Parameters
    ----------
    field : FieldSolution
    sources : Sources or None
        Their scatter against the catalogue stands in every row.
    heads : mapping of exposure to Meta
        What headers alone tell; unset cards are NaN.
    """
    exposure = np.asarray(field.exposure, int)
    meta = [heads.get(int(one), next(iter(heads.values()), {})) for one in exposure]
    ra, dec = plane_to_sky(np.asarray(field.east), np.asarray(field.north), field.ra0, field.dec0)
    east, north, offset, good = _residuals(sources)

    def same(name: str, value: float, unit: str = "", note: str = "") -> Plane:
        return Plane(name, np.full(exposure.size, value, np.float64), unit, note)

    def header(name: str, key: str, unit: str = "") -> Plane:
        values = [number(one, key) for one in meta]
        return Plane(name, np.array([np.nan if v is None else v for v in values], np.float64), unit)

    columns = (
        Plane("ra", np.asarray(ra, np.float64), "deg"),
        Plane("dec", np.asarray(dec, np.float64), "deg"),
        header("pa", "PARANGLE", "deg"),
        same("rot", field.rotation, "deg", "turn from the nominal plane"),
        header("millum", "PUPILLUM"),
        Plane("throughput", np.asarray(field.norm, np.float64), "", "transparency times illumination, mean 1"),
        Plane("fwhm", np.asarray(field.fwhm, np.float64), "arcsec"),
        header("fwhmv", "IQ", "arcsec"),
        Plane("name", np.array([text(one, "OBJECT").encode()[:25] for one in meta], "S25")),
        Plane("exp", exposure.astype(np.int32)),
        same("offset", offset, "mag", "median of measured less catalogue magnitudes"),
        Plane("nstarsastrom", np.full(exposure.size, field.stars, np.int32)),
        Plane("nstarsphotom", np.full(exposure.size, good, np.int32)),
        Plane("raoffset", np.asarray(field.east, np.float64), "arcsec"),
        Plane("decoffset", np.asarray(field.north, np.float64), "arcsec"),
        same("rastd", east, "arcsec"),
        same("decstd", north, "arcsec"),
        header("exptime", "EXPTIME", "s"),
    )
    return ForeignTable("Survey", columns)


def _residuals(sources: Sources | None) -> tuple[float, float, float, int]:
    """Scatter of the places (arcsec), median difference of the magnitudes, and the number of stars that tell."""
    if sources is None:
        return np.nan, np.nan, np.nan, 0
    use = (np.asarray(sources.snr) > _BRIGHT) & np.isfinite(sources.ra_seen) & (np.asarray(sources.dq) == 0)
    ra, dec = (np.asarray(values)[use] for values in (sources.ra_seen, sources.dec_seen))
    east, north = np.full(ra.size, np.nan), np.full(ra.size, np.nan)
    if sources.ra_cat is not None and sources.dec_cat is not None:
        cat_ra, cat_dec = (np.asarray(values)[use] for values in (sources.ra_cat, sources.dec_cat))
        east = (ra - cat_ra) * np.cos(np.radians(dec)) * 3600.0
        north = (dec - cat_dec) * 3600.0
    shift = (np.asarray(sources.mag) - np.asarray(sources.mag_cat))[use]
    known = shift[np.isfinite(shift)]
    if not use.any():
        return np.nan, np.nan, np.nan, 0
    middle = float(np.median(known)) if known.size else np.nan
    return float(np.std(east)), float(np.std(north)), middle, int(known.size)


def matched_spectra(
    field: FieldSolution, sources: Sources, spectra: Iterable[Spectrum], parallactic: float
) -> Iterator[ForeignTable]:
    """Stars of the catalogue that were seen, one row each: both places in the focal plane, and the spectrum."""
    row = {str(name).strip(): i for i, name in enumerate(np.asarray(sources.object).astype(str))}
    seen = _plane(field, np.asarray(sources.ra_seen), np.asarray(sources.dec_seen), parallactic)
    if sources.ra_cat is None or sources.dec_cat is None:
        return
    there = _plane(field, np.asarray(sources.ra_cat), np.asarray(sources.dec_cat), parallactic)
    for one in spectra:
        i = row.get(str(one.meta.get("OBJECT")).strip())
        if i is None or not np.isfinite(sources.ra_seen[i]):
            continue
        flux, error = on_grid(one)
        values: Sequence[tuple[str, float, str]] = (
            ("ra", sources.ra_seen[i], "deg"), ("dec", sources.dec_seen[i], "deg"),
            ("fx", seen[0][i], "arcsec"), ("fy", seen[1][i], "arcsec"),
            ("catfx", there[0][i], "arcsec"), ("catfy", there[1][i], "arcsec"),
            ("gmag", sources.mag_cat[i], "mag"), ("syngmag", sources.mag[i], "mag"),
        )  # fmt: skip
        columns = [Plane(name, np.array([value], np.float64), unit) for name, value, unit in values]
        spectrum = [Plane("spectrum", flux[None], "uJy"), Plane("error", error[None], "uJy")]
        yield ForeignTable("MatSpectra", (*columns, *spectrum))


def _plane(field: FieldSolution, ra: FloatArray, dec: FloatArray, parallactic: float) -> tuple[FloatArray, FloatArray]:
    """Places in the focal plane: the inverse of `layout.nominal_places`, with the turn that the stars told."""
    east, north = sky_to_plane(ra, dec, field.ra0, field.dec0)
    turn = np.radians(field_rotation(parallactic) + field.rotation)
    cosine, sine = np.cos(turn), np.sin(turn)
    return -sine * east + cosine * north, -cosine * east - sine * north
