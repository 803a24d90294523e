"""What a reduction of the simulated night should find, laid out for scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.instruments.sedm.simulation.light import AREA, SkyLight, efficiency, photons
from tracecube.instruments.sedm.simulation.optics import PITCH, SCALE, Optics
from tracecube.instruments.sedm.simulation.targets import WAVE, Air, Source, shares
from tracecube.kernels.atmosphere import broadening_matrix
from tracecube.simulate.night import text_table, truth_table

__all__ = ["efficiency_table", "exposures_table", "lenslet_table", "source_table", "spectrum_table"]

_BIN = 25.57  # Angstrom, the sampling for which errors are stated


def lenslet_table(optics: Optics) -> RawFrame:
    """Geometry of the lenslets, light unshifted: table LENSLETS."""
    red, blue, coefficients = optics.chebyshev()
    columns: dict[str, Any] = {
        "LENSLET": np.arange(optics.q.size),
        "Q": optics.q,
        "R": optics.r,
        "XREF": optics.x_ref,
        "YREF": optics.y_ref,
        "SLOPE": optics.slope,
        "CURV": optics.curvature,
        "XA": red,
        "XB": blue,
        "WCHEB": coefficients,
        "SIGMA_Y": optics.sigma,
        "SIGMA_X": optics.lsf,
        "THROUGHPUT": optics.throughput,
        "DEAD": optics.dead,
        "FULL": optics.full,
        "EAST": optics.east,
        "NORTH": optics.north,
    }
    return truth_table("lenslets", {"LENSPIT": PITCH * SCALE}, {"LENSLETS": columns})


def efficiency_table() -> RawFrame:
    """Telescope and instrument together: table EFFICIENCY."""
    return truth_table("efficiency", {}, {"EFFICIENCY": {"WAVE": WAVE, "EFFICIENCY": efficiency(WAVE)}})


def exposures_table(rows: Sequence[Mapping[str, Any]]) -> RawFrame:
    """Shifts, air and sky of every exposure: exposures.csv; blank where a thing has no meaning."""
    keys = ("file", "object", "dx", "dy", "airmass", "fwhm6500", "rho", "transparency", "moon")
    return text_table("truth/exposures", "TRUTH", {key: [str(row.get(key, "")) for row in rows] for key in keys})


def source_table(rows: Sequence[tuple[Source, str, float, float]]) -> RawFrame:
    """Sources: sources.csv. Rows hold source, raw file, and coordinates in degree."""
    columns: dict[str, list[Any]] = {
        "object": [s.object for s, *_ in rows],
        "file": [f"{file}.fits" for _, file, *_ in rows],
        "kind": ["std" if s.kind == "star" else "sci" for s, *_ in rows],
        "type": [s.kind for s, *_ in rows],
        "z": [s.redshift for s, *_ in rows],
        "ra": [round(ra, 6) for *_, ra, _ in rows],
        "dec": [round(dec, 6) for *_, dec in rows],
        "x_east": [round(s.east, 3) for s, *_ in rows],
        "y_north": [round(s.north, 3) for s, *_ in rows],
        "inside": [int(s.inside) for s, *_ in rows],
        "quality": [s.quality for s, *_ in rows],
        "rmag": [s.magnitude or "" for s, *_ in rows],
        "host_rmag": [s.host.magnitude if s.host else "" for s, *_ in rows],
    }
    return text_table("truth/sources", "TRUTH", columns)


def spectrum_table(
    optics: Optics, source: Source, air: Air, sky: SkyLight, *, exptime: float, floor: float, raw: str
) -> RawFrame:
    """Spectrum above the atmosphere, at full and at instrumental resolution, and the photon-limited error.

    Parameters
    ----------
    optics : Optics
    source : Source
    air : Air
    sky : SkyLight
    exptime : float, second
    floor : float, electron**2
        Variance of a pixel without light.
    raw : str
        File name.
    """
    flux = source.flux()
    dispersion = _dispersion(optics)
    seen = broadening_matrix(WAVE, WAVE, optics.lsf.mean() * dispersion) @ flux
    columns = {
        "WAVE": WAVE,
        "FLUX": flux,
        "FLUX_LSF": seen,
        "SIGMA_OPT": _photon_limit(optics, source, air, sky, exptime, floor),
    }
    header = {"OBJECT": source.object, "WAVETYPE": "WAVE", "RAWFILE": f"{raw}.fits"}
    return truth_table(f"spectrum_{source.object}", header, {"TRUTH": columns})


def _dispersion(optics: Optics) -> FloatArray:
    """Angstrom a pixel at `WAVE`, on average over the field."""
    return np.asarray(np.abs(np.gradient(WAVE, optics.column(WAVE).mean(axis=0))))


def _photon_limit(optics: Optics, source: Source, air: Air, sky: SkyLight, exptime: float, floor: float) -> FloatArray:
    """Error of the best linear estimate from all lenslets (Horne 1986, PASP 98, 609), a bin of 25.57 Angstrom."""
    share = shares(optics, (source.east, source.north), air, WAVE[::20])
    share = np.array([np.interp(WAVE, WAVE[::20], row) for row in share]) * (optics.throughput * ~optics.dead)[:, None]
    per_flux = AREA * exptime * air.transmission() * photons(WAVE) * efficiency(WAVE)
    background = sky.density(WAVE, exptime)[None] * (optics.throughput * ~optics.dead)[:, None]
    pixels = 2.0 * np.sqrt(np.pi) * optics.sigma.mean() / _dispersion(optics)  # noise-equivalent pixels an Angstrom
    variance = share * per_flux * source.flux() + background + floor * pixels
    information = ((share * per_flux) ** 2 / variance).sum(axis=0)
    return np.asarray(1.0 / np.sqrt(np.maximum(information, 1e-300) * _BIN))
