"""Pixels of an exposure as samples of its cube: sky off, hits found, flux, refraction, place on a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.frame import RawFrame
from tracecube.core.recipe import Inputs
from tracecube.core.scattered_lines import ScatteredLines
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.core.slice_light import SliceFactors, SliceSky
from tracecube.core.slices import SliceExposureOnDisk, SliceGeometry, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.autocal_steps import is_whole, user_factors
from tracecube.instruments.muse.geometry import channel_of, geometry_of
from tracecube.instruments.muse.lit import relative_light
from tracecube.instruments.muse.of_detector import closest_by_detector
from tracecube.instruments.muse.pointing import Pointing, on_sky, refraction
from tracecube.instruments.muse.references import extinction_curve
from tracecube.instruments.muse.sky_sources import spectra_of
from tracecube.kernels.atmosphere import extinction_transmission
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.optics.slice_map import columns_of, lit_pixels
from tracecube.recipes.slices.alone import SliceView, beside, find_alone
from tracecube.recipes.slices.cube import Grid, Samples, Source, slow_variance
from tracecube.recipes.slices.hits import find_hits
from tracecube.recipes.slices.segments import place_of
from tracecube.recipes.slices.sky_light import seen, shifted

__all__ = ["ExposureLight", "ObjectInputs", "Placement", "SlicePixels", "displaced", "own_grid"]

_UNIT = 1e20
"""Cubes are in 10**(-20) erg/s/cm**2/Angstrom."""

_LIGHT = 299792.458  # km/s
_BESIDE = 8  # rows besides, by which hits are told
_NODES = 400  # wavelengths between which refraction is straight
_GUARD = 2.0  # arcsec of the grid beyond the middle of the outermost slice

Placement = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
"""From places west and north of an exposure's pointing (arcsec) to those of a grid."""


@dataclass(frozen=True, kw_only=True)
class ObjectInputs(Inputs):
    """What the cube of an exposure is made of."""

    exposures: Sequence[SliceExposureOnDisk]
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


_Parts = tuple[SliceTraces, SliceWavelengths, SliceGeometry, SliceSky]
_Pixels = tuple[FloatArray, FloatArray, FloatArray, FloatArray, BoolArray]


@dataclass(frozen=True)
class SlicePixels:
    """Pixels of one slice, ready for a cube.

    Parameters
    ----------
    aperture, column : int
        Number of the slice, and the first column that was looked at.
    y, x : int array (k,)
        Place on the detector.
    samples : Samples
    """

    aperture: int
    column: int
    y: IntArray
    x: IntArray
    samples: Samples


@dataclass(frozen=True)
class _Target:
    """Where pixels go: a grid, how places lie on it, what fluxes are multiplied with, and between which planes."""

    grid: Grid
    placed: Placement
    scale: float
    planes: tuple[float, float]


@dataclass(frozen=True)
class _Cut:
    """Rows of an exposure from ``first`` on: data, variance and flags (y, x)."""

    exposure: SliceExposureOnDisk
    first: int
    data: FloatArray
    variance: FloatArray
    flags: IntArray


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

    Attributes
    ----------
    factors : SliceFactors or None
        What slices are multiplied with.
    whole : bool
        That is all; otherwise it is for slices that lines of the sky have made as bright as each other.
    worth : (array, array)
        Wavelength (air, observed), and the flux (10**(-20) erg/s/cm**2/Angstrom) of unit light relative to the lamp, by
        which the exposure was divided: that of the response may have been another.
    notes : tuple of str
        What is to be said of that.
    """

    def __init__(self, given: ObjectInputs, pointing: Pointing, *, velocity: float, limit: float) -> None:
        self.given = given
        self.pointing = pointing
        self.velocity = velocity
        self.limit = limit
        self.factors, self.whole = given.factors, False
        if given.user_factors is not None:
            self.factors, self.whole = user_factors(given.user_factors), is_whole(given.user_factors)
        self.places = _places(given.exposures, given.geometry)
        wave, worth = _worth(given, pointing)
        brighter, self.notes = relative_light([one.meta for one in given.exposures], given.response.meta)
        self.worth = wave, worth * brighter
        meta = given.exposures[0].meta
        self.trace_of = closest_by_detector(given.traces, meta, "traces")
        self._wave_of = closest_by_detector(given.wavelengths, meta, "wavelengths")
        self.hits = 0
        self.pixels = 0

    def sky_level(self, low: float, high: float) -> float:
        """Return the mean brightness of the sky that is taken off, in a cube's unit, between wavelengths (Angstrom)."""
        sky, _ = spectra_of(self.given.sky)
        band = (sky.wave >= low) & (sky.wave <= high)
        return float(np.mean(sky.light[band] * np.interp(sky.wave[band], *self.worth)))

    def source(self, grid: Grid, placed: Placement, *, scale: float = 1.0) -> Source:
        """Return what gives the pixels of all detectors between two planes, with their places in the grid.

        Exposures are read one at a time, for every range of planes the rows that see them.

        Parameters
        ----------
        grid : Grid
        placed : Placement
        scale : float
            What fluxes are multiplied with.
        """
        self.hits = self.pixels = 0

        def between(low: float, high: float) -> list[Samples]:
            target = _Target(grid, placed, scale, (max(low, -4.0), min(high, grid.shape[0] + 3.0)))
            return [self._samples(one, target) for one in self.given.exposures]

        return between

    def slices(self, exposure: SliceExposureOnDisk, grid: Grid, placed: Placement) -> Iterator[SlicePixels]:
        """Yield the pixels of an exposure that a grid takes, slice by slice, with their places on the detector."""
        traces = self.given.traces[self.trace_of[str(exposure.meta.get("DETECTOR"))]]
        for row, rows, found in self._found(exposure, _Target(grid, placed, 1.0, (-0.5, grid.shape[0] - 0.5))):
            *sample, kept = found
            column, _ = columns_of(traces, row, exposure.shape[1], beyond=1.0)
            y, x = np.nonzero(kept)
            yield SlicePixels(int(traces.aperture[row]), column, y + rows.start, x + column, Samples(*sample))

    def _samples(self, exposure: SliceExposureOnDisk, target: _Target) -> Samples:
        found = [one[:4] for _, _, one in self._found(exposure, target)]
        if not found:
            empty = np.zeros(0, np.float32)
            return Samples(np.zeros((0, 3), np.float32), empty, empty, empty)
        place, value, weight, excess = (np.concatenate(column) for column in zip(*found, strict=True))
        self.pixels += value.size
        return Samples(place, value, weight, excess)

    def _found(self, exposure: SliceExposureOnDisk, target: _Target) -> list[tuple[int, slice, _Pixels]]:
        """Return row of the traces, rows of the detector, and pixels of each slice that sees the target."""
        name = str(exposure.meta.get("DETECTOR"))
        traces, solution = self.given.traces[self.trace_of[name]], self.given.wavelengths[self._wave_of[name]]
        parts = (traces, solution, self.places[name], self.given.sky.of(name))
        usable = np.flatnonzero((traces.dq | solution.dq | parts[3].dq) == 0)
        near = {int(row): self._rows(parts, int(row), target, exposure.shape[0]) for row in usable}
        wanted = {row: rows for row, rows in near.items() if rows is not None}
        if not wanted:
            return []
        first, last = min(rows.start for rows in wanted.values()), max(rows.stop for rows in wanted.values())
        cut = _Cut(exposure, first, *exposure.rows(first, last))
        views = {row: self._view(cut, parts, row, rows) for row, rows in wanted.items()}
        return [
            (row, wanted[row], self._placed(view, beside(views, parts[2], row), parts[2], row, target))
            for row, view in views.items()
        ]

    def _view(self, cut: _Cut, parts: _Parts, row: int, rows: slice) -> SliceView:
        """Return what a slice sees without the sky, as bright as all slices, and which of its pixels are hit."""
        traces, solution, geometry, sky = parts
        x0, x1 = columns_of(traces, row, cut.exposure.shape[1], beyond=1.0)
        at = slice(rows.start - cut.first, rows.stop - cut.first), slice(x0, x1)
        across = np.arange(x0, x1)[None, :] - (traces.centre[row, rows] + cut.exposure.shift[row])[:, None]
        day = solution.wave(row, np.arange(rows.start, rows.stop, dtype=np.float64)[:, None], across)
        good = lit_pixels(cut.flags[at], traces, row, across, rows)
        gain = float(sky.gain[row])
        own = self._own_factor(cut.exposure, int(traces.aperture[row]), day) * (gain if self.whole else 1.0)
        left = cut.data[at] * own - seen(sky, row, day)
        wave = shifted(sky, row, day)
        wide = np.broadcast_to((traces.right[row, rows] - traces.left[row, rows])[:, None], across.shape)
        west, north = place_of(geometry, row, across, wide)
        if self.given.raman is not None:
            left = left - gain * self.given.raman.seen(west, north, wave)
        variance = cut.variance[at] * own**2
        hit = find_hits(left, variance, good, limit=self.limit)
        light, noise = (left / gain).astype(np.float32), (variance / gain**2).astype(np.float32)
        return SliceView(light, noise, good & ~hit & np.isfinite(left), hit, wave, west.astype(np.float32))

    def _placed(
        self, view: SliceView, others: Sequence[SliceView], geometry: SliceGeometry, row: int, target: _Target
    ) -> _Pixels:
        """Return places (k, 3), values, weights, excess of the pixels of a slice that were not hit; which (y, x)."""
        alone, grid = find_alone(view, others, limit=self.limit), target.grid
        plane = self._plane(view.wave, grid)
        inside = (plane > target.planes[0]) & (plane < target.planes[1])
        self.hits += int(((view.hit | alone) & inside).sum())
        kept = view.usable & ~alone & inside
        if not kept.any():
            nothing = np.zeros(0, np.float32)
            return np.zeros((0, 3), np.float32), nothing, nothing, nothing, kept
        wave, west = view.wave[kept], view.along[kept].astype(np.float64)
        north = geometry.y[row] + (west - geometry.x[row]) * np.tan(np.radians(geometry.angle[row]))
        x, y = target.placed(*self._refracted(west, north, wave))
        factor = target.scale * np.interp(wave, *self.worth)
        place = np.stack([plane[kept], (y - grid.y0) / grid.side, (x - grid.x0) / grid.side], axis=1)
        level = slow_variance(view.variance, view.usable)[kept]
        weight, excess = 1.0 / (level * factor**2), view.variance[kept] / level
        value = (view.light[kept] * factor).astype(np.float32)
        return place.astype(np.float32), value, weight.astype(np.float32), excess.astype(np.float32), kept

    def _plane(self, wave: FloatArray, grid: Grid) -> FloatArray:
        """Return where wavelengths (air, observed) lie in a grid."""
        return np.asarray((wave * (1.0 + self.velocity / _LIGHT) - grid.wave0) / grid.step)

    def _rows(self, parts: _Parts, row: int, target: _Target, count: int) -> slice | None:
        """Return the rows of the detector in which a slice sees the planes, and what telling hits needs besides."""
        traces, solution, _, sky = parts
        half = 0.5 * float(np.nanmax(traces.right[row] - traces.left[row]))
        day = solution.wave(row, np.arange(count, dtype=np.float64)[:, None], np.array([[-half, 0.0, half]]))
        plane = self._plane(shifted(sky, row, day), target.grid)
        near = np.flatnonzero((plane.max(axis=1) > target.planes[0]) & (plane.min(axis=1) < target.planes[1]))
        if not near.size:
            return None
        return slice(max(int(near[0]) - _BESIDE, 0), min(int(near[-1]) + 1 + _BESIDE, count))

    def _own_factor(self, exposure: SliceExposureOnDisk, aperture: int, wave: FloatArray) -> FloatArray:
        """Return what the light of a slice is multiplied with, 1 without factors."""
        if self.factors is None:
            return np.ones(1)
        return self.factors.at(channel_of(exposure.meta, "exposure"), aperture, wave)

    def _refracted(self, x: FloatArray, y: FloatArray, wave: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return places to the west and north of the pointing, as they would be without the atmosphere."""
        some = np.linspace(wave.min(), wave.max(), _NODES)
        west, north = refraction(self.pointing, some)
        return on_sky(x - np.interp(wave, some, west), y - np.interp(wave, some, north), self.pointing)


def _places(exposures: Sequence[SliceExposureOnDisk], table: RawFrame) -> dict[str, SliceGeometry]:
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
