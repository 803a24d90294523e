"""How far the flux of a source may be off that stands in the light of a galaxy.

Three errors, each with its colours: that of the fit as such, amplitudes of the galaxy with place and shape of the
source; that of detail which the galaxy's model does not follow, from what a source finds at other bright places of the
same galaxy, each of them left out of the fit in turn; and that of a nucleus, which no other place tells of: where the
source stands on the centre of a galaxy, all light beneath it may once more be there in a point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.point_light import point_columns
from tracecube.kernels.psf import full_width
from tracecube.recipes.science.chromatic_fit import Setting, shape_of
from tracecube.recipes.science.point_lattice import Points, refraction_of

__all__ = ["Doubt", "Seen", "doubt_of"]

F8 = NDArray[np.float64]
PLACES = 40  # at most
APART = 0.6  # full widths between places, beyond which their light is nearly independent
BRIGHT = 0.5
"""Of the light beneath the source: fainter places are of another kind, and tell over their light mostly noise.

On 120 drawn galaxies (`bench/bench_hosts.py`) the pull of the level is 1.08, 1.02 and 0.96 wide with 0.3, 0.5 and 1."""
FEWEST = 8  # places, the brightest, where fewer are so bright: from these a spread is known to a quarter
NEAR = 0.3
"""Full widths: how near to its galaxy's centre a source may have the nucleus beneath it, as a standard deviation.

Two points so far apart share 88 per cent of their light, and what a nucleus adds passes for the source; from 0.5 on the
fit tells them apart. On those galaxies the pull of targets within 0.45 is 1.1, 0.85, 0.7 wide with 0.25, 0.3, 0.35."""
OUTER = 0.2
"""Of the brightest: lenslets whose light says where the centre is. The brightest place says it badly: a source beside a
nucleus takes part of its light, and what is left is brightest on the other side."""
SPREADS = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 160)])
"""Of detail, over the light of the galaxy's model, that are thought of; at 1 all light is in points."""


class Seen(NamedTuple):
    """A galaxy as it was fitted.

    Parameters
    ----------
    points : Points
    rows : array (k, j, n)
        Its patterns in the lenslets, over the errors of the samples.
    amplitude, spectrum : array (a, j), (a, k)
    root : array (i, a j + 11)
        Its transpose times itself is the covariance of amplitudes and of place and shape, these in widths of their
        priors.
    tangent : array (11, k, n)
        What a step of a width of its prior in each of the source's numbers does to its light.
    step : array (11,)
        That was left to go, in the same widths.
    """

    points: Points
    rows: F8
    amplitude: F8
    spectrum: F8
    root: F8
    tangent: F8
    step: F8


class Doubt(NamedTuple):
    """Relative errors of the flux level; distance of the galaxy's centre in full widths.

    ``covariance`` (k, k) is that of the source's flux in the slices, of all three.
    """

    fit: float
    detail: float
    nucleus: float
    distance: float
    covariance: F8

    @property
    def total(self) -> float:
        """Errors in quadrature."""
        return float(np.sqrt(self.fit**2 + self.detail**2 + self.nucleus**2))


class _Frame(NamedTuple):
    """Samples over their errors: light of the galaxy (k, n), residuals (k, n), tangents (k, 11, n) of the source.

    ``root`` (k, n) is one over the errors; ``basis`` (k, n, c) spans source and sky.
    """

    root: F8
    light: F8
    left: F8
    tangent: F8
    basis: F8


def doubt_of(setting: Setting, weight: F8, values: F8, seen: Seen) -> Doubt:
    """Errors of the flux of a source, relative.

    Parameters
    ----------
    setting : Setting
    weight : array (k, n)
    values : array (11,)
        Place and shape of the source.
    seen : Seen
    """
    root = np.sqrt(weight)
    data = setting.slices.flux * root
    star, sky = setting.share(values) * root, setting.sky * root[:, None, :]
    light = np.matmul(np.einsum("ak,aj->kj", seen.spectrum, seen.amplitude)[:, None, :], seen.rows)[:, 0]
    own = _free(star[:, None], np.linalg.qr(np.moveaxis(sky, 1, 2))[0])[:, 0]
    own /= np.maximum(np.einsum("kn,kn->k", own, own), 1e-300)[:, None]
    tangent = np.moveaxis(seen.tangent * root, 0, 1)
    left = data - light - np.einsum("ktn,t->kn", tangent, seen.step)
    flux = np.einsum("kn,kn->k", own, left)
    slope = _slope(seen, np.matmul(seen.rows, own[..., None]), np.matmul(tangent, own[..., None]))[:, 0]
    basis = np.linalg.qr(np.moveaxis(np.concatenate([star[:, None], sky], axis=1), 1, 2))[0]
    frame = _Frame(root, light, _free(left[:, None], basis)[:, 0], _free(tangent, basis), basis)
    beneath = np.einsum("kn,kn->k", star, light) / np.maximum(np.einsum("kn,kn->k", star, star), 1e-300)
    width = full_width(shape_of(values))
    bright = (light / np.where(root > 0, root, np.inf)).sum(axis=0)
    places, distance = _places(setting, values, bright, width), _off_centre(setting, values, bright) / width
    known = seen.root @ slope
    nucleus = float(np.exp(-0.5 * (distance / NEAR) ** 2)) * beneath
    parts = np.array(
        [
            known.T @ known,
            _detail(*_elsewhere(setting, seen, frame, values, places), beneath),
            np.outer(nucleus, nucleus),
        ]
    )
    level = max(abs(float(flux.sum())), 1e-30)
    fit, detail, point = (float(np.sqrt(max(part.sum(), 0.0))) / level for part in parts)
    return Doubt(fit, detail, point, distance, parts.sum(axis=0))


def _free(rows: F8, basis: F8) -> F8:
    """Take away from rows (k, r, n) what columns (k, n, c) can make."""
    return np.asarray(rows - np.matmul(np.matmul(rows, basis), np.swapaxes(basis, 1, 2)))


def _slope(seen: Seen, lost: F8, moved: F8) -> F8:
    """What amplitudes, place and shape do to projections (k, j, p), (k, 11, p) of the light; array (a j + 11, p, k)."""
    amplitude = np.einsum("ak,kjp->ajpk", seen.spectrum, lost)
    return np.concatenate([amplitude.reshape(-1, *amplitude.shape[2:]), np.moveaxis(moved, 0, 2)])


def _off_centre(setting: Setting, values: F8, bright: F8) -> float:
    """Distance of a source from the centre of its galaxy's light (n,), arcsec."""
    scene = setting.scene
    light = np.where(bright > OUTER * bright.max(), bright, 0.0)
    if not light.any():
        return float("inf")
    return float(np.hypot(light @ scene.x / light.sum() - values[0], light @ scene.y / light.sum() - values[1]))


def _places(setting: Setting, values: F8, bright: F8, width: float) -> NDArray[np.intp]:
    """Bright lenslets (p,) apart from each other and from the source."""
    scene = setting.scene
    far = np.hypot(scene.x - values[0], scene.y - values[1])
    order = np.argsort(-bright, kind="stable")
    inside = np.hypot(scene.x - scene.x.mean(), scene.y - scene.y.mean()) < np.ptp(scene.x) / 2.0 - width
    chosen: list[int] = []
    for index in order[(far > width)[order] & inside[order]]:
        gap = np.hypot(scene.x[chosen] - scene.x[index], scene.y[chosen] - scene.y[index])
        if (gap > APART * width).all():
            chosen.append(int(index))
        if len(chosen) == PLACES:
            break
    return np.array(chosen, dtype=np.intp)


def _elsewhere(setting: Setting, seen: Seen, frame: _Frame, values: F8, places: NDArray[np.intp]) -> tuple[F8, F8, F8]:
    """Flux (p, k) that a source finds where none is, its covariance (p, k, k), and the light beneath (p,).

    A region drawn closely about the source has no place elsewhere: p is 0.
    """
    if not places.size:
        slices = setting.slices.wave.size
        return np.empty((0, slices)), np.empty((0, slices, slices)), np.empty(0)
    scene, track = setting.scene, setting.slices.track
    at, shape = (scene.x[places], scene.y[places]), shape_of(values)
    rows = [
        point_columns(scene.x - east, scene.y - north, at, shape, table)
        for east, north, table in zip(*refraction_of(values, track), seen.points.tables(track), strict=True)
    ]
    star = np.array(rows) * frame.root[:, :, None]
    passed = np.einsum("knp,kn->kp", star, frame.light) / np.maximum(np.einsum("knp,knp->kp", star, star), 1e-300)
    star = np.swapaxes(_free(np.swapaxes(star, 1, 2), frame.basis), 1, 2)
    slope = _slope(seen, np.matmul(seen.rows, star), np.matmul(frame.tangent, star))
    known = (seen.root @ slope.reshape(slope.shape[0], -1)).reshape(-1, *slope.shape[1:])
    normal = -np.einsum("ipk,ipl->pkl", known, known, optimize=True)
    normal[:, np.arange(len(rows)), np.arange(len(rows))] += np.einsum("knp,knp->pk", star, star)
    covariance = np.linalg.inv(normal)
    found = np.einsum("pkl,lnp,ln->pk", covariance, star, frame.left, optimize=True)
    return found, covariance, passed.sum(axis=0)


def _detail(found: F8, covariance: F8, passed: F8, beneath: F8) -> F8:
    """Covariance (k, k) of the light in a point beneath the source, from that at places as bright.

    What is found over what passed has a spread beyond its errors, and colours of its own: those of knots. Where places
    tell little of the colours, they are those of the light beneath (k,), for which one place more is taken.
    """
    total = float(beneath.sum())
    order = np.argsort(-passed, kind="stable")
    bright = order[: max(FEWEST, np.count_nonzero(passed > BRIGHT * total))]
    bright = bright[passed[bright] > 0]
    ratio, noise = found[bright] / passed[bright, None], covariance[bright] / passed[bright, None, None] ** 2
    noise2 = np.maximum(noise.sum(axis=(1, 2)), 1e-30)
    spread2 = _spread2(ratio.sum(axis=1) ** 2, noise2)
    own = np.outer(beneath, beneath) / max(total**2, 1e-300)
    if not bright.size:
        return spread2 * total**2 * own
    share = (noise2 + spread2) ** -2
    size, along = np.linalg.eigh(
        np.einsum("p,pkl->kl", share / share.sum(), ratio[:, :, None] * ratio[:, None] - noise)
    )
    alike = (along * np.maximum(size, 0.0)) @ along.T + spread2 / bright.size * own
    return np.asarray(alike * (spread2 * total**2 / max(float(alike.sum()), 1e-300)))


def _spread2(ratio2: F8, noise2: F8) -> float:
    """Mean square of the spread that squares (p,) of ratios leave beyond errors, where all `SPREADS` are as likely.

    The likeliest spread is zero where few places show none, and too small on the mean.
    """
    total = noise2[:, None] + SPREADS**2
    chance = -0.5 * np.sum(np.log(total) + ratio2[:, None] / total, axis=0)
    weight = np.exp(chance - chance.max()) * np.gradient(SPREADS)
    return float(np.sum(weight * SPREADS**2) / weight.sum())
