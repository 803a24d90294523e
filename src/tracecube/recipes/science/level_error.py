"""How well the level of a source's flux is known, beyond the noise of its samples.

Four errors are common to neighbouring wavelengths, and mostly to all: that of the fitted place and shape; that of light
which is no star but fits one, the structure that flat, background and sky leave in the frame; that of a profile learnt
from other stars, which differ among each other; and that of a galaxy's light. Each is looked at twice: for the flux
over all slices, and for its colour, the flux at the blue end over that at the red one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.psf import full_width
from tracecube.recipes.science.chromatic_fit import (
    HALO,
    NAMES,
    ChromaticFit,
    Geometry,
    Prior,
    Setting,
    fractions,
    shape_of,
    slice_solution,
)
from tracecube.recipes.science.scene import sky_surface

__all__ = [
    "LEAST_PLACES",
    "LevelError",
    "Look",
    "Structure",
    "colour_weights",
    "empty_places",
    "halo_errors",
    "relative_error",
    "shape_errors",
    "structure_of",
]

F8 = NDArray[np.float64]
LEAST_PLACES = 20
"""Empty places from which a spread is good to a sixth."""
_PLACES = (
    32  # that are looked for: on a field of twelve seeing discs they lie two discs apart, independent of each other
)
_NEAR = 3.0  # full widths, beyond which the profile is flat over a lenslet
_STEP = 1e-2  # of a prior's width, for tangents: far above rounding, far below the curvature


@dataclass(frozen=True)
class LevelError:
    """Relative one-sigma errors of the flux level, the noise of the samples apart.

    Parameters
    ----------
    shape : float
        From the fitted place and shape.
    structure : float
        From structure in the frame; NaN where there are too few empty places to measure it.
    halo : float
        From the profile's spread over the stars it was learnt from; NaN from fewer than two.
    places : int
        Empty places at which the structure was measured.
    host : float
        From the light of a galaxy beneath; NaN without one.
    colour : float
        Of the colour, all that is known in quadrature; NaN where the slices do not reach both ends.
    """

    shape: float
    structure: float
    halo: float
    places: int
    host: float = float("nan")
    colour: float = float("nan")

    @property
    def total(self) -> float:
        """All that is known of them, in quadrature."""
        return float(np.sqrt(np.nansum(np.square([self.shape, self.structure, self.halo, self.host]))))


class Structure(NamedTuple):
    """Errors of the flux level, relative: beyond the noise, and with it; places they were measured at.

    ``colour`` is that of the colour beyond the noise.
    """

    beyond: float
    whole: float
    places: int
    colour: float = float("nan")

    @property
    def power(self) -> float:
        """Variance of the level over that of the noise alone; 1 where it could not be measured."""
        noise = self.whole**2 - self.beyond**2
        return self.whole**2 / noise if np.isfinite(noise) and noise > 0 else 1.0


@dataclass(frozen=True)
class Look:
    """How the source was looked at.

    Parameters
    ----------
    radius : float, arcsec
        Of its region.
    degree : int
        Of its sky.
    excess : array (k,)
        Variance about it that its fit allowed for, over that of the noise.
    photons : array (k,)
        Variance that a unit of its own light brings.
    sources : array (p, 2), arcsec
        It and its neighbours.
    colour : array (k,)
        From `colour_weights`.
    """

    radius: float
    degree: int
    excess: F8
    photons: F8
    sources: F8
    colour: F8


def colour_weights(wave: F8, amplitude: F8, blue: float, red: float) -> F8:
    """Change of the logarithm of the colour with the flux of each slice, array (k,); NaN where an end has no light.

    Parameters
    ----------
    wave, amplitude : array (k,)
        Wavelength (Angstrom) and flux of the slices.
    blue, red : float, Angstrom
        The colour is the flux below the one over that above the other.

    Examples
    --------
    >>> colour_weights(np.array([4.0, 5.0, 6.0, 7.0]), np.array([2.0, 2.0, 1.0, 5.0]), 5.5, 6.5)
    array([ 0.25,  0.25,  0.  , -0.2 ])
    """
    ends = wave < blue, wave > red
    level = [float(amplitude[end].sum()) for end in ends]
    if not min(level) > 0.0:
        return np.full(wave.size, np.nan)
    return np.asarray(ends[0] / level[0] - ends[1] / level[1])


def relative_error(covariance: F8, amplitude: F8) -> float:
    """Relative error of the flux over all slices, from the covariance (k, k) of that in each (k,)."""
    return float(np.sqrt(max(covariance.sum(), 0.0)) / max(abs(float(amplitude.sum())), 1e-30))


def _spectrum(setting: Setting, weight: F8, values: F8) -> F8:
    """Flux of the source in the slices (k,)."""
    return np.asarray(slice_solution(setting.slices, weight, setting.columns(values))[:, 0])


def shape_errors(setting: Setting, fit: ChromaticFit) -> F8:
    """Covariance (k, k) of the flux in the slices from the errors of place and shape, by moving each of them."""
    middle = _spectrum(setting, fit.weight, fit.values)
    errors = np.sqrt(np.diag(fit.covariance))
    moved = [_spectrum(setting, fit.weight, fit.values + step) - middle for step in 0.1 * np.diag(errors)]
    slope = np.array(moved) / (0.1 * errors)[:, None]
    return np.asarray(slope.T @ fit.covariance @ slope)


def halo_errors(setting: Setting, prior: Prior, fit: ChromaticFit, halos: F8) -> F8:
    """Covariance (k, k) of the flux in the slices from the choice of the profile.

    The source is measured with the profile of each other star in place of their mean; a star of its own
    departs from the mean of n as one of them does from the others.

    Parameters
    ----------
    halos : array (s, 3)
        Numbers of the halo, in the order of `HALO`, as each star shows them.

    Returns
    -------
    array (k, k)
        NaN with fewer than two stars.
    """
    count = len(halos)
    middle, at = _spectrum(setting, fit.weight, fit.values), np.isin(NAMES, HALO)
    if count < 2:  # noqa: PLR2004 - one star has no spread
        return np.full((middle.size, middle.size), np.nan)
    change = []
    for halo in halos - halos.mean(axis=0):
        shift = np.zeros(fit.values.size)
        shift[at] = halo
        # What a shift of the prior's mean does to the posterior's (linear Gaussian problem).
        moved = fit.values + fit.covariance @ (shift / prior.sd**2)
        change.append(_spectrum(setting, fit.weight, moved) - middle)
    return np.asarray(np.array(change).T @ np.array(change) / (count - 1) * (1.0 + 1.0 / count))


def empty_places(x: F8, y: F8, sources: F8, *, width: float, radius: float) -> F8:
    """Places of a field to put a star at: far from its border and from all sources.

    Parameters
    ----------
    x, y : array (n,), arcsec
        Lenslets.
    sources : array (p, 2), arcsec
    width : float, arcsec
        Full width of a star.
    radius : float, arcsec
        Of the region that the sky is fitted in.

    Returns
    -------
    array (q, 2), arcsec
        Lenslets near the nodes of a triangular lattice.
    """
    gap2 = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    near, wide = (gap2 < (2.0 * width) ** 2).sum(axis=1), (gap2 < radius**2).sum(axis=1)
    # A star at the border loses light, and a sky on one side of it says little.
    inside = (near > 0.9 * near.max()) & (wide > 0.6 * wide.max())
    for at_x, at_y in sources:
        inside &= np.hypot(x - at_x, y - at_y) > 2.5 * width
    found = np.flatnonzero(inside)
    if not found.size:
        return np.empty((0, 2))
    area = np.median(np.partition(gap2, 1, axis=1)[:, 1]) * np.sqrt(0.75) * found.size
    step = float(np.sqrt(area / _PLACES / np.sqrt(0.75)))
    row = np.round((y[found] - y[found].min()) / (step * np.sqrt(0.75)))
    column = np.round((x[found] - x[found].min()) / step - 0.5 * (row % 2))
    node_x = x[found].min() + step * (column + 0.5 * (row % 2))
    node_y = y[found].min() + step * np.sqrt(0.75) * row
    off = np.hypot(x[found] - node_x, y[found] - node_y)
    best: dict[tuple[float, float], int] = {}
    for index in np.argsort(off, kind="stable"):
        best.setdefault((float(row[index]), float(column[index])), int(index))
    chosen = found[[i for i in sorted(best.values()) if off[i] < 0.35 * step]]
    return np.column_stack([x[chosen], y[chosen]])


def structure_of(field: Setting, prior: Prior, fit: ChromaticFit, amplitude: F8, *, look: Look) -> Structure:
    """Structure of a frame: what the fit of the source finds where nothing is.

    At every place a star like the source is fitted with its sky, place and shape, linearised about the
    truth; what it is found too bright or too faint by, beyond the noise, is the error.

    Parameters
    ----------
    field : Setting
        The whole field in slices, all sources taken off.
    prior : Prior
    fit : ChromaticFit
        Of the source.
    amplitude : array (k,)
        Flux of the source in the slices.
    look : Look
    """
    scene, level = field.scene, max(abs(float(amplitude.sum())), 1e-30)
    width = full_width(shape_of(fit.values))
    places = empty_places(scene.x, scene.y, look.sources, width=width, radius=look.radius)
    if len(places) < LEAST_PLACES:
        return Structure(float("nan"), float("nan"), len(places))
    known = np.ones(scene.x.size, dtype=bool)
    for x, y in look.sources:  # what is left of a bright source is an error of its shape, not structure
        known &= np.hypot(scene.x - x, scene.y - y) > width
    rows = []
    for x, y in places:
        part = np.flatnonzero(known & (np.hypot(scene.x - x, scene.y - y) <= look.radius))
        sky = sky_surface(scene.x[part] - x, scene.y[part] - y, look.degree)
        values = fit.values.copy()
        values[:2] = x, y
        rows.append(_injected(field, part, sky, prior, values, amplitude, look=look))
    found, noise = (np.array(column) for column in zip(*rows, strict=True))
    powers = [_power(*column) for column in zip((found / np.sqrt(noise)).T, noise.T, strict=True)]
    beyond, whole = ([float(np.sqrt(value)) for value in row] for row in zip(*powers, strict=True))
    return Structure(beyond[0] / level, whole[0] / level, len(places), beyond[1])


def _power(pull: F8, noise: F8) -> tuple[float, float]:
    """Variance of what was found (p,) in terms of its noise: beyond that, and all.

    A star that nobody knew of, in one or two of the places, is no structure.
    """
    if not np.isfinite(pull).all():
        return float("nan"), float("nan")
    off = np.abs(pull - np.median(pull))
    power = float(np.mean(pull[off < 4.0 * 1.4826 * np.median(off)] ** 2))
    middle = float(np.median(noise))
    return middle * max(0.0, power - 1.0), middle * power


def _share(field: Setting, values: F8, part: NDArray[np.intp], at: F8 | None = None) -> F8:
    """Share of a star's flux in lenslets, array (k, n); far from the star the middle of a lenslet stands for its face.

    ``at`` tells which are far, where that must not hang on the values themselves.
    """
    x, y = field.scene.x[part], field.scene.y[part]
    middle = values if at is None else at
    near = np.hypot(x - middle[0], y - middle[1]) < _NEAR * full_width(shape_of(middle))
    track, area = field.slices.track, field.geometry.area
    point = Geometry((np.zeros(1), np.zeros(1), np.ones(1)), area)
    share = np.empty((track.east.size, part.size))
    for where, geometry in ((near, field.geometry), (~near, point)):
        share[:, where] = fractions(values, track, x[where], y[where], geometry)
    return share


def _injected(
    field: Setting, part: NDArray[np.intp], sky: F8, prior: Prior, values: F8, amplitude: F8, *, look: Look
) -> tuple[F8, F8]:
    """Flux, summed over the slices, and colour (2,) that a star gains; variances by the noise that is accounted for.

    That noise is the photons', for given place and shape, and that of place and shape as `shape_errors` has it.

    Parameters
    ----------
    part : int array (n,)
        Lenslets.
    sky : array (c, n)
    values : array (11,)
        Place and shape of the star.
    """
    slices = field.slices
    share = _share(field, values, part)
    weight, excess = slices.weight[:, part], look.excess[:, None]
    # The source's own photons lower the weight of its core, although they are not in the noise here.
    own = np.maximum(look.photons * amplitude, 0.0)[:, None] * share
    root = np.sqrt(weight / (excess + weight * own))
    here = 1.0 / (1.0 + weight * own / excess)  # noise in units of what the weights say, the excess with it
    basis = np.linalg.qr(np.moveaxis(sky * root[:, None, :], 1, 2))[0]

    def free(rows: F8) -> F8:
        """Take away what the sky can make from rows (k, r, n)."""
        return np.asarray(rows - np.matmul(np.matmul(rows, basis), np.swapaxes(basis, 1, 2)))

    moved = np.stack([_share(field, values + step, part, at=values) for step in _STEP * np.diag(prior.sd)], axis=1)
    tangent = free((moved - share[:, None, :]) / _STEP * amplitude[:, None, None] * root[:, None, :])
    star = free((share * root)[:, None, :])[:, 0]
    data = free((slices.flux[:, part] * root)[:, None, :])[:, 0]
    power = np.maximum(np.einsum("kn,kn->k", star, star), 1e-300)
    flux = np.einsum("kn,kn->k", star, data) / power
    mixed = np.einsum("ktn,kn->kt", tangent, star) / power[:, None]
    rest = tangent - mixed[:, :, None] * star[:, None, :]
    normal = np.einsum("ktn,kun->tu", rest, rest, optimize=True)
    inverse = np.linalg.inv(normal + np.eye(len(normal)))
    step = inverse @ np.einsum("ktn,kn->t", rest, data)
    spread = np.einsum("ktn,kn,kun->tu", rest, here, rest, optimize=True)
    wanted = np.array([np.ones(flux.size), look.colour])
    slope = wanted @ mixed
    photons = wanted**2 @ (np.einsum("kn,kn->k", star**2, here) / (power**2 * look.excess))
    noise = photons + np.einsum("wt,tu,wu->w", slope, inverse @ spread @ inverse, slope)
    return wanted @ flux - slope @ step, noise
