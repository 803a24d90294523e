"""Pixels of an exposure as samples of its cube: sky off, hits found, flux, refraction, place on a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.core.recipe import Inputs
from tracecube.core.scattered_lines import ScatteredLines
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.core.slice_light import SliceFactors, SliceSky
from tracecube.core.slices import SliceExposure, SliceGeometry, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.autocal_steps import user_factors
from tracecube.instruments.muse.flux_steps import by_detector
from tracecube.instruments.muse.geometry import channel_of, geometry_of
from tracecube.instruments.muse.pointing import Pointing, on_sky, refraction
from tracecube.instruments.muse.references import extinction_curve
from tracecube.kernels.atmosphere import extinction_transmission
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.optics.slice_map import columns_of, lit_pixels
from tracecube.recipes.slices.cube import Grid, Samples
from tracecube.recipes.slices.hits import find_hits
from tracecube.recipes.slices.segments import place_of
from tracecube.recipes.slices.sky_light import seen, shifted

__all__ = ["ExposureLight", "ObjectInputs", "Placement", "displaced", "own_grid"]

_UNIT = 1e20
"""Cubes are in 10**(-20) erg/s/cm**2/Angstrom."""

_LIGHT = 299792.458  # km/s
_GUARD = 2.0  # arcsec of the grid beyond the middle of the outermost slice

Placement = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
"""From places west and north of an exposure's pointing (arcsec) to those of a grid."""


@dataclass(frozen=True, kw_only=True)
class ObjectInputs(Inputs):
    """What the cube of an exposure is made of."""

    exposures: Sequence[SliceExposure]
    sky: SliceSky
    traces: Sequence[SliceTraces]
    wavelengths: Sequence[SliceWavelengths]
    geometry: RawFrame
    response: SliceResponse
    telluric: Telluric | None
    extinct_table: RawFrame | None
    factors: SliceFactors | None
    user_factors: RawFrame | None
    astrometry: RawFrame | None = None
    raman: ScatteredLines | None = None


class ExposureLight:
    """One exposure, ready to become samples of a grid.

    Parameters
    ----------
    given : ObjectInputs
    pointing : Pointing
    velocity : float, km/s
        What makes wavelengths those at the barycentre.
    limit : float
        Errors beyond which a pixel is hit.
    """

    def __init__(self, given: ObjectInputs, pointing: Pointing, *, velocity: float, limit: float) -> None:
        self.given = given
        self.pointing = pointing
        self.velocity = velocity
        self.limit = limit
        self.factors = given.factors
        if given.user_factors is not None:
            self.factors = user_factors(given.user_factors)
        self.places = _places(given.exposures, given.geometry)
        self._worth = _worth(given, pointing)
        self._trace_of, self._wave_of = by_detector(given.traces), by_detector(given.wavelengths)
        self.hits = 0
        self.pixels = 0

    def samples(self, grid: Grid, placed: Placement, *, scale: float = 1.0) -> list[Samples]:
        """Return the pixels of all detectors with their places in the grid.

        Parameters
        ----------
        grid : Grid
        placed : Placement
        scale : float
            What fluxes are multiplied with.
        """
        self.hits = self.pixels = 0
        return [self._samples(one, grid, placed, scale) for one in self.given.exposures]

    def _samples(self, exposure: SliceExposure, grid: Grid, placed: Placement, scale: float) -> Samples:
        name = str(exposure.meta.get("DETECTOR"))
        traces, solution = self.given.traces[self._trace_of[name]], self.given.wavelengths[self._wave_of[name]]
        sky = self.given.sky.of(name)
        found: list[tuple[FloatArray, FloatArray, FloatArray]] = []
        for row in range(len(traces.aperture)):
            if traces.dq[row] or solution.dq[row] or sky.dq[row]:
                continue
            one = self._slice(exposure, (traces, solution, self.places[name], sky), row, grid, placed, scale)
            if one is not None:
                found.append(one)
        if not found:
            empty = np.zeros(0, np.float32)
            return Samples(np.zeros((0, 3), np.float32), empty, empty)
        place, value, weight = (np.concatenate(column).astype(np.float32) for column in zip(*found, strict=True))
        self.pixels += value.size
        return Samples(place, value, np.where(np.isfinite(value), weight, 0.0).astype(np.float32))

    def _slice(  # noqa: PLR0913 - one slice and what it goes with
        self,
        exposure: SliceExposure,
        parts: tuple[SliceTraces, SliceWavelengths, SliceGeometry, SliceSky],
        row: int,
        grid: Grid,
        placed: Placement,
        scale: float,
    ) -> tuple[FloatArray, FloatArray, FloatArray] | None:
        """Return places (k, 3), values and weights of the pixels of one slice."""
        traces, solution, geometry, sky = parts
        rows = np.arange(exposure.data.shape[0], dtype=np.float64)
        x0, x1 = columns_of(traces, row, exposure.data.shape[1], beyond=1.0)
        across = np.arange(x0, x1)[None, :] - (traces.centre[row] + exposure.shift[row])[:, None]
        day = solution.wave(row, rows[:, None], across)
        good = lit_pixels(exposure.flags[:, x0:x1], traces, row, across)
        own = self._own_factor(exposure, int(traces.aperture[row]), day)
        left = exposure.data[:, x0:x1] * own - seen(sky, row, day)
        if self.given.raman is not None:
            wide = (traces.right[row] - traces.left[row])[:, None]
            at = place_of(geometry, row, across, np.broadcast_to(wide, across.shape))
            left = left - sky.gain[row] * self.given.raman.seen(*at, shifted(sky, row, day))
        variance = exposure.variance[:, x0:x1] * own**2
        hit = find_hits(left, variance, good, limit=self.limit)
        self.hits += int(hit.sum())
        wave = shifted(sky, row, day)
        plane = (wave * (1.0 + self.velocity / _LIGHT) - grid.wave0) / grid.step
        kept = good & ~hit & (plane > -4) & (plane < grid.shape[0] + 3)
        if not kept.any():
            return None
        wave = wave[kept]
        width = np.broadcast_to((traces.right[row] - traces.left[row])[:, None], kept.shape)[kept]
        x, y = placed(*self._refracted(*place_of(geometry, row, across[kept], width), wave))
        factor = scale * np.interp(wave, *self._worth) / sky.gain[row]
        place = np.stack([plane[kept], (y - grid.y0) / grid.side, (x - grid.x0) / grid.side], axis=1)
        return place.astype(np.float32), left[kept] * factor, 1.0 / (variance[kept] * factor**2)

    def _own_factor(self, exposure: SliceExposure, aperture: int, wave: FloatArray) -> FloatArray:
        """Return what the light of a slice is multiplied with, 1 without factors."""
        if self.factors is None:
            return np.ones(1)
        return self.factors.at(channel_of(exposure.meta, "exposure"), aperture, wave)

    def _refracted(self, x: FloatArray, y: FloatArray, wave: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return places to the west and north of the pointing, as they would be without the atmosphere."""
        some = np.sort(wave[:: max(wave.size // 400, 1)])
        west, north = refraction(self.pointing, some)
        return on_sky(x - np.interp(wave, some, west), y - np.interp(wave, some, north), self.pointing)


def _places(exposures: Sequence[SliceExposure], table: RawFrame) -> dict[str, SliceGeometry]:
    """Return the geometry of each detector."""
    metas = [one.meta for one in exposures]
    names = [str(meta.get("DETECTOR")) for meta in metas]
    return {name: geometry_of(table, channel_of(meta, name), meta) for name, meta in zip(names, metas, strict=True)}


def _worth(given: ObjectInputs, pointing: Pointing) -> tuple[FloatArray, FloatArray]:
    """Return wavelength (air, observed), and the flux of unit light relative to the lamp."""
    response = given.response
    known = np.isfinite(response.ratio)
    if given.telluric is None:
        wave = np.asarray(response.wave[known], np.float64)
        bands = np.ones(wave.size)
    else:
        wave = np.asarray(given.telluric.wave, np.float64)
        bands = np.asarray(given.telluric.transmission, np.float64) ** pointing.mean_airmass
    ratio = np.interp(wave, response.wave[known], response.ratio[known])
    air = extinction_transmission(wave, *extinction_curve(given.extinct_table), pointing.mean_airmass)
    return wave, _UNIT / (pointing.exptime * ratio * air * bands)


def own_grid(light: ExposureLight, side: float, band: tuple[float, float], step: float) -> Grid:
    """Return the grid that holds all slices of an exposure."""
    places = light.places.values()
    x = np.concatenate([np.concatenate([one.x - 0.5 * one.width, one.x + 0.5 * one.width]) for one in places])
    y = np.concatenate([np.concatenate([one.y, one.y]) for one in places])
    west, north = on_sky(x, y, light.pointing)
    low = np.floor(np.array([west.min(), north.min()]) / side - _GUARD / side / 4.0)
    high = np.ceil(np.array([west.max(), north.max()]) / side + _GUARD / side / 4.0)
    nx, ny = (high - low + 1).astype(int)
    planes = int((band[1] - band[0]) / step) + 1
    return Grid(band[0], step, float(low[0] * side), float(low[1] * side), side, (planes, int(ny), int(nx)))


def displaced(pointing: Pointing, offset: tuple[float, float], centre: tuple[float, float]) -> Placement:
    """Return how places of an exposure lie on a grid about another point.

    From plane to sphere to plane is smooth: a polynomial of second degree in the places follows it to 1e-6 arcsec.

    Parameters
    ----------
    pointing : Pointing
    offset : (float, float), degree
        In right ascension and declination: what is subtracted from where sources appear.
    centre : (float, float), degree
        Tangent point of the grid.
    """
    line = np.linspace(-60.0, 60.0, 7)
    x, y = (part.ravel() for part in np.meshgrid(line, line))
    ra, dec = plane_to_sky(-x, y, pointing.ra, pointing.dec)
    east, north = sky_to_plane(ra - offset[0], dec - offset[1], *centre)
    terms = np.linalg.lstsq(_terms(x, y), np.stack([-east, north], axis=1), rcond=None)[0]

    def placed(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        west, north = (_terms(x, y) @ column for column in terms.T)
        return west, north

    return placed


def _terms(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
