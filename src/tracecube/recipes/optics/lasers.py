"""The lattice of lenslets from a frame of lasers: which lenslets there are, and where each laser falls.

All lasers shine at once, so every lenslet gives a short column of spots. The lattice is found from
what the instrument is known to be (pitch, turn, distances of the lasers) by trying all places of
its origin within one cell; smooth polynomials over the lattice indices then follow the distortion
outwards from the middle. The spots are measured with templates made of the spots themselves, laser
by laser and zone by zone.

A template holds the feet of the neighbouring spots, for in a lattice they stand at the same places
beside each: no frame of lasers can tell them from its own wings. They move its core's centre by some
0.01 px. What spills from trace to trace is measured elsewhere, from pinholes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.kernels.polynomials import fit_field
from tracecube.kernels.spots import SpotFit, SpotTemplate, build_template, fit_spots, gaussian_template

__all__ = ["Columns", "Lattice", "LensletGuess", "find_lattice", "fits_comb", "measure_lasers"]

_CELL_STEPS = 32  # trial places of the origin a side of the cell: 0.5 px apart, a spot is 2.2 px wide
_SEED_RADIUS = 25  # lenslets from the middle: a turn of 0.05 degree moves them by 0.3 px
_STAGES = ((1, 300.0), (2, 600.0), (3, 1000.0), (3, 2000.0), (5, np.inf), (5, np.inf))
"""Degree of the polynomial, and radius (px) out to which spots count, of the growing fit."""
_FAINT = 5.0  # sigma: fainter spots do not count
_MIDDLE, _APART = 200.0, 0.6  # px from the middle where distances of lasers are compared, and how well they are known
_LIT = 0.4  # a laser that fewer than this share of lenslets see is off


@dataclass(frozen=True)
class LensletGuess:
    """What the instrument is known to be.

    Parameters
    ----------
    pitch : float, px
        Distance of neighbouring lenslets on the detector.
    angle : float, degree
        Of the first lattice vector, from +x towards +y.
    lasers : tuple of float, Angstrom
    offsets : tuple of float, px
        Place of each laser along dispersion (y), from the first.
    sigma : float, px
        Width of a spot.
    """

    pitch: float
    angle: float
    lasers: tuple[float, ...]
    offsets: tuple[float, ...]
    sigma: float = 0.95

    @property
    def basis(self) -> FloatArray:
        """The two lattice vectors (2, 2), px; 60 degrees apart."""
        turns = np.radians(self.angle + np.array([0.0, 60.0]))
        return self.pitch * np.stack([np.cos(turns), np.sin(turns)], axis=1)


@dataclass(frozen=True)
class Lattice:
    """All nodes whose spots may fall on the detector.

    Parameters
    ----------
    index : int array (n, 2)
    place : array (n, n_laser, 2), px
        Smooth place (x, y) of each laser's spot.
    lit : bool array (n_laser,)
    shape : (int, int)
        Of the detector (y, x).
    """

    index: IntArray
    place: NDArray[np.float64]
    lit: BoolArray
    shape: tuple[int, int]


@dataclass(frozen=True)
class Columns:
    """The measured spots.

    Parameters
    ----------
    lattice : Lattice
    spots : tuple of SpotFit
        One for each laser that is lit, rows as in the lattice.
    templates : array (n_lit, zones, zones, k, k)
        Effective point-spread functions by zone (y, x); NaN where a zone has too few spots.
    step : float, px
        Of the templates' grid.
    """

    lattice: Lattice
    spots: tuple[SpotFit, ...]
    templates: FloatArray
    step: float


def find_lattice(image: FloatArray, ivar: FloatArray, guess: LensletGuess, *, distortion: int = 5) -> Lattice:
    """Find every lenslet's place from the lasers.

    Parameters
    ----------
    image, ivar : array (y, x)
        Calibrated frame of the lasers; weight 0 where a pixel is bad.
    guess : LensletGuess
    distortion : int
        Highest degree of the smooth fit.

    Raises
    ------
    BadData
        No laser shows the lattice.
    """
    shape = image.shape
    middle = 0.5 * np.array([shape[1], shape[0]])
    origin = middle + _origin(image, guess)
    index = _nodes(origin, guess, shape)
    offsets = np.stack([np.zeros(len(guess.offsets)), np.array(guess.offsets)], axis=1)
    place = origin + (index @ guess.basis)[:, None, :] + offsets
    template = gaussian_template(guess.sigma)
    lit = np.ones(len(guess.lasers), bool)
    for degree, radius in _STAGES:
        shifts = []
        for laser in range(len(guess.lasers)):
            spots = fit_spots(image, ivar, place[:, laser], template)
            moved = np.hypot(spots.x - place[:, laser, 0], spots.y - place[:, laser, 1])
            near = np.linalg.norm(place[:, laser] - middle, axis=1) < radius
            good = near & spots.good & (spots.flux > _FAINT * spots.flux_error) & (moved < 1.5)
            possible = near & _inside(place[:, laser], shape)
            lit[laser] = good.sum() > _LIT * max(possible.sum(), 1)
            if lit[laser]:
                found = np.stack([spots.x, spots.y], axis=1)
                place[:, laser] = _smooth(index, found, good, min(degree, distortion))
                shifts.append(place[:, laser] - origin - index @ guess.basis - offsets[laser])
        if not lit.any():
            raise BadData(
                "no laser shows the lattice of lenslets",
                hint="look at the frame: are the lasers on, is it the right mode?",
            )
        for laser in map(int, np.flatnonzero(~lit)):  # moves with the others
            place[:, laser] = origin + index @ guess.basis + offsets[laser] + np.mean(shifts, axis=0)
    return Lattice(index, place, lit.copy(), (shape[0], shape[1]))


def fits_comb(lattice: Lattice, guess: LensletGuess) -> bool:
    """Tell whether all lasers of a lattice shine at the distances they are known to have.

    Parameters
    ----------
    lattice : Lattice
        As `find_lattice` found it with this guess; it follows lasers that are some pixels off.
    guess : LensletGuess
    """
    middle = 0.5 * np.array([lattice.shape[1], lattice.shape[0]])
    near = np.linalg.norm(lattice.place[:, 0] - middle, axis=1) < _MIDDLE
    apart = np.median((lattice.place - lattice.place[:, :1])[near], axis=0)
    known = np.stack([np.zeros(len(guess.offsets)), np.array(guess.offsets)], axis=1)
    return bool(lattice.lit.all() and np.abs(apart - known).max() < _APART)


def _origin(image: FloatArray, guess: LensletGuess) -> FloatArray:
    """Offset (x, y) of the node nearest to the middle of the image at which the lasers are brightest."""
    ceiling = np.percentile(image, 99.9)
    soft = gaussian_filter(np.clip(image, 0.0, ceiling), 0.8)
    steps = np.arange(-_SEED_RADIUS, _SEED_RADIUS + 1)
    q, r = (axis.ravel() for axis in np.meshgrid(steps, steps))
    base = 0.5 * np.array([image.shape[1], image.shape[0]]) + np.stack([q, r], axis=1) @ guess.basis
    best: float = -np.inf
    found: FloatArray = np.zeros(2)
    for u in np.arange(_CELL_STEPS) / _CELL_STEPS:
        for v in np.arange(_CELL_STEPS) / _CELL_STEPS:
            offset = np.array([u, v]) @ guess.basis
            x, y = (base + offset).T
            light = sum(float(map_coordinates(soft, [y + step, x], order=1).mean()) for step in guess.offsets)
            if light > best:
                best, found = light, offset
    return found


def _nodes(origin: FloatArray, guess: LensletGuess, shape: tuple[int, ...]) -> IntArray:
    """Indices (n, 2) of all nodes with some laser on the detector or just off it."""
    count = int(np.ceil(1.5 * max(shape) / guess.pitch))
    steps = np.arange(-count, count + 1)
    index = np.stack([axis.ravel() for axis in np.meshgrid(steps, steps)], axis=1)
    x, y = (origin + index @ guess.basis).T
    margin, length = guess.pitch, max(guess.offsets)
    inside = (x > -margin) & (x < shape[1] + margin) & (y > -margin - length) & (y < shape[0] + margin)
    return np.asarray(index[inside])


def _inside(place: FloatArray, shape: tuple[int, ...], margin: float = 4.0) -> BoolArray:
    x, y = place.T
    return np.asarray((x > margin) & (x < shape[1] - margin) & (y > margin) & (y < shape[0] - margin))


def _smooth(index: IntArray, place: NDArray[np.float64], good: BoolArray, degree: int) -> NDArray[np.float64]:
    """Place of all nodes by a polynomial over their indices, outliers left out."""
    keep = good.copy()
    for _ in range(4):
        field = fit_field(index.astype(float), place, degree=degree, weight=keep.astype(float))
        smooth = field(index.astype(float))
        miss = np.linalg.norm(place - smooth, axis=1)
        spread = 1.4826 * float(np.median(miss[keep])) / 1.1774  # Rayleigh: median = 1.1774 sigma
        keep = good & (miss < max(5.0 * spread, 0.02))
    return smooth


def measure_lasers(
    image: FloatArray, ivar: FloatArray, lattice: Lattice, *, sigma: float, zones: int = 5, reach: float = 4.5
) -> Columns:
    """Measure every spot with templates made of the spots, zone by zone.

    Parameters
    ----------
    image, ivar : array (y, x)
    lattice : Lattice
    sigma : float, px
        Width of the first, Gaussian template.
    zones : int
        Zones a side of the detector.
    reach : float, px
        Radius of the templates.
    """
    lit = np.flatnonzero(lattice.lit)
    places = [lattice.place[:, laser] for laser in lit]
    first = gaussian_template(sigma)
    spots, made = [], []
    for place in places:
        templates, found = _one_laser(
            image, ivar, place, _strong(fit_spots(image, ivar, place, first)), _zone(place, image.shape, zones), reach
        )
        made.append(templates)
        spots.append(found)
    size = next(iter(made[0].values())).values.shape[0]
    grid = np.full((len(lit), zones * zones, size, size), np.nan)
    for k, by_zone in enumerate(made):
        for zone, template in by_zone.items():
            grid[k, zone] = template.values
    step = next(iter(made[0].values())).step
    return Columns(lattice, tuple(spots), grid.reshape(len(lit), zones, zones, size, size), step)


def _zone(place: FloatArray, shape: tuple[int, ...], zones: int) -> IntArray:
    """Number of the zone of each place: row * zones + column."""
    x = np.clip((place[:, 0] / shape[1] * zones).astype(int), 0, zones - 1)
    y = np.clip((place[:, 1] / shape[0] * zones).astype(int), 0, zones - 1)
    return np.asarray(y * zones + x)


def _strong(spots: SpotFit) -> SpotFit:
    return spots._replace(good=spots.good & (spots.flux > _FAINT * spots.flux_error))


def _one_laser(
    image: FloatArray, ivar: FloatArray, place: FloatArray, spots: SpotFit, member: IntArray, reach: float
) -> tuple[dict[int, SpotTemplate], SpotFit]:
    """Make the templates of one laser, and measure its spots with them."""
    templates: dict[int, SpotTemplate] = {}
    fields = {name: np.array(values) for name, values in spots._asdict().items()}
    bright = spots.flux > 0.2 * float(np.median(spots.flux[spots.good])) if spots.good.any() else spots.good
    few = 40  # spots: a template of 700 coefficients then has 100 pixels' worth each
    for zone in np.unique(member):
        here = member == zone
        use = here & spots.good & bright
        if use.sum() < few:
            use = spots.good & bright & _nearest(place, here, spots.good & bright, 2 * few)
        if use.sum() < few:
            continue
        templates[int(zone)] = build_template(image, ivar, spots, reach=reach, use=use)
        found = _strong(fit_spots(image, ivar, place[here], templates[int(zone)]))
        for name, values in found._asdict().items():
            fields[name][here] = values
    return templates, SpotFit(**fields)


def _nearest(place: FloatArray, here: BoolArray, good: BoolArray, count: int) -> BoolArray:
    """The ``count`` good spots nearest to the middle of a zone."""
    distance = np.where(good, np.linalg.norm(place - place[here].mean(axis=0), axis=1), np.inf)
    return np.asarray(distance <= np.partition(distance, min(count, distance.size - 1))[min(count, distance.size - 1)])
