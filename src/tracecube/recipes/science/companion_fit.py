"""Place and spectrum of a companion, solved together with the speckles.

The companion's image goes through the speckle model's projection as the data do; least squares with
the projected images gives its flux without loss, however much of it the speckle model takes. How large
the errors are is asked of the places at the same distance from the star, where there is no companion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray
from tracecube.kernels.few_samples import resolution_elements
from tracecube.recipes.science.speckle_learning import LearntSpeckles
from tracecube.recipes.science.speckles import SpeckleModel
from tracecube.recipes.science.star_sequence import StarSequence

__all__ = ["FittedCompanion", "Noise", "cleaned", "fit_companion", "near", "noise_at", "without"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

STEP = 5e-4  # arcsec: of numerical slopes, small against lambda / D
SETTLED = 2e-5  # arcsec: far below any error
ROUNDS = 12
FARTHEST = 0.025  # arcsec: a start farther off was not this source's


@dataclass(frozen=True)
class Noise:
    """What is measured where there is nothing.

    Parameters
    ----------
    spectra : array (n_place, n_wave)
        Contrasts found.
    moves : array (n_place, 2), arcsec
        By which a source of the companion's spectrum would be shifted there, outwards and along the circle (north
        through east).
    elements : float
        Independent places among them.
    """

    spectra: F8
    moves: F8
    elements: float


@dataclass(frozen=True)
class FittedCompanion:
    """A companion.

    Parameters
    ----------
    east, north : float, arcsec
        From the star.
    light : array (n_wave,)
        Spectrum that the place was fitted with.
    shape : array (3, 3)
        Normal matrix of brightness and place (east, north; arcsec) of a source of this spectrum.
    contrast : array (n_wave,)
        NaN in channels that tell nothing.
    normal : array (n_wave, n_wave)
        Inverse covariance of the contrasts by the weights.
    """

    east: float
    north: float
    light: F8
    shape: F8
    contrast: F8
    normal: F8

    @property
    def separation(self) -> float:
        """Distance from the star, arcsec."""
        return float(np.hypot(self.east, self.north))

    @property
    def used(self) -> NDArray[np.bool_]:
        """Channels with a contrast."""
        return np.asarray(np.isfinite(self.contrast))

    def mean(self, spectra: F8) -> F8:
        """Contrast of constant spectrum that fits spectra (n, n_wave) best, array (n,)."""
        rows = self.normal[np.ix_(self.used, self.used)].sum(axis=0)
        return np.asarray(spectra[:, self.used] @ rows / rows.sum())


def near(sequence: StarSequence, east: float, north: float) -> I8:
    """Lenslets that the companion's image or its magnified copies fall on in any exposure."""
    px, py = sequence.places(np.array([east]), np.array([north]))
    ratio = float(sequence.wave[-1] / sequence.wave[0])
    reach = 4.5 * float(sequence.unit[-1])
    separation = float(np.hypot(east, north))
    inside = np.zeros(sequence.lattice.x.size, bool)
    for x, y, sx, sy in zip(px[0], py[0], sequence.star_x, sequence.star_y, strict=True):
        dx, dy = x.mean() - sx.mean(), y.mean() - sy.mean()
        along = ((sequence.lattice.x - sx.mean()) * dx + (sequence.lattice.y - sy.mean()) * dy) / separation
        across = ((sequence.lattice.y - sy.mean()) * dx - (sequence.lattice.x - sx.mean()) * dy) / separation
        inside |= (np.abs(across) < reach) & (along > separation / ratio - reach) & (along < separation * ratio + reach)
    return np.flatnonzero(inside)


def fit_companion(learnt: LearntSpeckles, east: float, north: float, *, spectrum: F8 | None = None) -> FittedCompanion:
    """Fit place and spectrum of a companion.

    Parameters
    ----------
    learnt : LearntSpeckles
        Of data from which all other companions are taken off.
    east, north : float, arcsec
        Where it is about.
    spectrum : array (n_wave,), optional
        What its contrast is like; constant where not given.

    Raises
    ------
    NoConvergence
        The place does not settle near the start.
    """
    rows = near(learnt.sequence, east, north)
    sequence, model = learnt.sequence.only(rows), learnt.model.only(rows)
    data = learnt.residual[..., rows]
    light = np.ones(sequence.wave.size) if spectrum is None else np.where(np.isfinite(spectrum), spectrum, 0.0)
    light = np.where(sequence.light > 0, light, 0.0)
    place, shape = _settle(sequence, model, data, np.array([east, north]), light)
    normal = _normal(sequence, model, place)
    back = model.transpose(data, sequence.weight)
    seen = sequence.under(place[:1], place[1:], back)[0]
    told = np.diag(normal) > 1e-6 * np.diag(normal).max()
    contrast = np.full(sequence.wave.size, np.nan)
    contrast[told] = np.linalg.solve(normal[np.ix_(told, told)], seen[told])
    return FittedCompanion(float(place[0]), float(place[1]), light, shape, contrast, normal)


def _settle(sequence: StarSequence, model: SpeckleModel, data: FloatArray, start: F8, shape: F8) -> tuple[F8, F8]:
    """Place of a source of given spectrum by Gauss and Newton, and the normal matrix of its brightness and place."""
    place = start.copy()
    for _ in range(ROUNDS):
        columns = [_single(model.apply(column)) for column in _columns(sequence, place, shape)]
        normal, right = np.zeros((3, 3)), np.zeros(3)
        for t, weight in enumerate(sequence.weight):  # all exposures at once would need the data's room again
            for j, column in enumerate(columns):
                weighted = np.multiply(weight, column[t], dtype=float)
                normal[j] += [np.vdot(weighted, other[t]) for other in columns]
                right[j] += np.vdot(weighted, data[t])
        found = np.linalg.solve(normal, right)
        if found[0] <= 0.0:
            raise NoConvergence(
                f"no light at {place} arcsec", hint="a candidate that is no source: raise the threshold"
            )
        move = found[1:] / found[0]
        move *= min(1.0, 5e-3 / max(float(np.hypot(*move)), 1e-12))
        place = place + move
        if np.hypot(*(place - start)) > FARTHEST:
            break
        if np.hypot(*move) < SETTLED:
            scale = np.array([1.0, found[0], found[0]])
            return place, normal * scale * scale[:, None]
    raise NoConvergence(f"the place of a source near {start} arcsec does not settle", hint="raise the threshold")


def _columns(sequence: StarSequence, place: F8, shape: F8) -> Iterator[FloatArray]:
    """Image of a source and its slopes eastwards and northwards, one after the other."""
    yield sequence.image(place[:1], place[1:], shape[None])
    for step in STEP * np.eye(2):
        slope, before = (sequence.image(one[:1], one[1:], shape[None]) for one in (place + step, place - step))
        slope -= before
        del before
        slope /= 2 * STEP
        yield slope


def _single(column: FloatArray) -> FloatArray:
    """Return a column as exact as data are: sums of many are made in double precision."""
    return column.astype(np.float32)


def _normal(sequence: StarSequence, model: SpeckleModel, place: F8) -> F8:
    """Normal matrix of the contrasts in all channels, array (n_wave, n_wave)."""
    whole = sequence.image(place[:1], place[1:], np.where(sequence.light > 0, 1.0, 0.0)[None])
    answers = [model.response(channel, whole[:, channel]) for channel in range(sequence.wave.size)]
    turned = model.turned() or [None] * sequence.wave.size
    normal = np.zeros((sequence.wave.size, sequence.wave.size))
    for k, back in enumerate(turned):  # channel by channel of the data: all at once would need a gigabyte
        root = np.sqrt(np.asarray(sequence.weight[:, k], float))
        images = [model.seen(one, k, back).multiply(root).tocsr() for one in answers]
        flat = vstack([one.reshape(1, -1) for one in images], format="csr")
        normal += (flat @ flat.T).toarray()
    return normal


def noise_at(
    fitted: FittedCompanion, learnt: LearntSpeckles, back: FloatArray, sources: F8, *, space: float = 2.0
) -> Noise:
    """Measure contrasts at places as far from the star as a companion, where there is none.

    Parameters
    ----------
    fitted : FittedCompanion
        Whose normal matrix holds all around the star.
    learnt : LearntSpeckles
        Of data from which all companions are taken off.
    back : array (n_time, n_wave, n)
        The residual, weighted and brought back: ``model.transpose(weight * residual)``.
    sources : array (n_source, 2), arcsec
        East and north of all companions.
    space : float, lambda / D
        Distance from companions within which nothing counts as empty.
    """
    sequence = learnt.sequence
    size = float(np.median(sequence.unit))
    rings = fitted.separation + np.array([-0.7, 0.0, 0.7]) * size
    rings = rings[rings > 0.5 * fitted.separation]
    places = [(r * np.sin(a), r * np.cos(a)) for r in rings for a in _angles(r, 0.5 * size)]
    east, north = np.array(places).T
    free = np.ones(east.size, bool)
    for e, n in sources:
        free &= np.hypot(east - e, north - n) > space * size
    told = (sequence.weight > 0).astype(sequence.weight.dtype)
    seen = sequence.under(east, north, told).sum(axis=1)
    wanted = sequence.under(np.array([fitted.east]), np.array([fitted.north]), told).sum()
    del told
    free &= seen > 0.85 * wanted
    east, north = east[free], north[free]
    found = sequence.under(east, north, back)
    used = fitted.used
    spectra = np.full(found.shape, np.nan)
    spectra[:, used] = np.linalg.solve(fitted.normal[np.ix_(used, used)], found[:, used].T).T
    whole = float(resolution_elements(np.array([fitted.separation]), size, 2.4 * size)[0])
    moves = _moves(fitted, sequence, back, (east, north, found))
    return Noise(spectra, moves, whole * np.count_nonzero(free) / max(free.size, 1))


def _moves(fitted: FittedCompanion, sequence: StarSequence, back: FloatArray, places: tuple[F8, F8, F8]) -> F8:
    """Shift (n, 2) that the noise at places would give to the companion: outwards, along the circle."""
    east, north, found = places
    radius = np.hypot(east, north)
    out = np.stack([east / radius, north / radius])
    along = np.stack([out[1], -out[0]])
    slopes = [
        sum(
            sign * (sequence.under(east + sign * STEP * e, north + sign * STEP * n, back) @ fitted.light)
            for sign in (1, -1)
        )
        / (2.0 * STEP)
        for e, n in (out, along)
    ]
    at = np.array([fitted.east, fitted.north]) / fitted.separation
    turn = np.eye(3)
    turn[1:, 1:] = [[at[0], at[1]], [at[1], -at[0]]]
    normal = turn @ fitted.shape @ turn.T
    return np.asarray(np.linalg.solve(normal, np.stack([found @ fitted.light, *slopes]))[1:].T)


def _angles(radius: float, spacing: float) -> F8:
    """Angles around a ring at a spacing along it."""
    number = max(8, int(2.0 * np.pi * radius / spacing))
    return np.asarray(2.0 * np.pi * np.arange(number) / number)


def without(sequence: StarSequence, others: list[FittedCompanion]) -> StarSequence:
    """Return the sequence rid of companions."""
    if not others:
        return sequence
    light = np.stack([np.where(np.isfinite(o.contrast), o.contrast, 0.0) for o in others])
    return sequence.without(np.array([o.east for o in others]), np.array([o.north for o in others]), light)


def cleaned(learnt: LearntSpeckles, others: list[FittedCompanion]) -> LearntSpeckles:
    """Return the same model with the data rid of companions: of a linear model, less what it leaves of them."""
    if not others:
        return learnt
    left = learnt.model.apply(without(learnt.sequence, others).flux)  # of their images, negative
    left += learnt.residual
    return replace(learnt, residual=left)
