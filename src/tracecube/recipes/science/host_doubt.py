"""How far the flux of a source may be off that stands in the light of a galaxy.

Three errors: that of the fit as such, amplitudes of the galaxy with place and shape of the source; that of detail which
the galaxy's model does not follow, from what a source finds at other bright places of the same galaxy, each of them
left out of the fit in turn; and that of a nucleus, which no other place tells of: where the source stands on the
brightest place of a galaxy, all light beneath it may once more be there in a point.
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
BRIGHT = 0.3  # of the light beneath the source: fainter places have other detail
FEWEST = 8  # places, the brightest, where fewer are so bright
NEAR = 0.35  # full widths: how well the brightest place is known beside a source, as a standard deviation


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
    """Relative errors of the flux level; distance of the galaxy's brightest place in full widths."""

    fit: float
    detail: float
    nucleus: float
    distance: float

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
    beneath = float(np.sum(np.einsum("kn,kn->k", star, light) / np.maximum(np.einsum("kn,kn->k", star, star), 1e-300)))
    level, width = max(abs(float(flux.sum())), 1e-30), full_width(shape_of(values))
    bright = (light / np.where(root > 0, root, np.inf)).sum(axis=0)
    places, distance, peak = _places(setting, values, bright, width)
    detail = _spread_beyond(*_elsewhere(setting, seen, frame, values, places), beneath) if places.size else 0.0
    return Doubt(
        fit=float(np.linalg.norm(seen.root @ slope.sum(axis=1))) / level,
        detail=detail * abs(beneath) / level,
        nucleus=float(np.exp(-0.5 * (distance / NEAR) ** 2) / peak**2) * abs(beneath) / level,
        distance=distance,
    )


def _free(rows: F8, basis: F8) -> F8:
    """Take away from rows (k, r, n) what columns (k, n, c) can make."""
    return np.asarray(rows - np.matmul(np.matmul(rows, basis), np.swapaxes(basis, 1, 2)))


def _slope(seen: Seen, lost: F8, moved: F8) -> F8:
    """What amplitudes, place and shape do to projections (k, j, p), (k, 11, p) of the light; array (a j + 11, p, k)."""
    amplitude = np.einsum("ak,kjp->ajpk", seen.spectrum, lost)
    return np.concatenate([amplitude.reshape(-1, *amplitude.shape[2:]), np.moveaxis(moved, 0, 2)])


def _places(setting: Setting, values: F8, bright: F8, width: float) -> tuple[NDArray[np.intp], float, float]:
    """Bright lenslets (p,) apart from each other and from the source.

    With the distance of the brightest from the source, in widths, and its brightness over that at the source: a nucleus
    that stands out beside the source is in the model.
    """
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
    peak = bright[order[0]] / max(float(bright[np.argmin(far)]), 1e-3 * float(bright[order[0]]))
    return np.array(chosen, dtype=np.intp), float(far[order[0]] / width), float(peak)


def _elsewhere(setting: Setting, seen: Seen, frame: _Frame, values: F8, places: NDArray[np.intp]) -> tuple[F8, F8, F8]:
    """Flux (p,) that a source finds where none is, its error, and the light beneath."""
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
    found = np.einsum("pkl,lnp,ln->p", covariance, star, frame.left, optimize=True)
    return found, np.sqrt(np.maximum(covariance.sum(axis=(1, 2)), 0.0)), passed.sum(axis=0)


def _spread_beyond(found: F8, error: F8, passed: F8, beneath: float) -> float:
    """Spread of what was found over what passed, beyond errors."""
    order = np.argsort(-passed, kind="stable")
    bright = order[: max(FEWEST, np.count_nonzero(passed > BRIGHT * beneath))]
    bright = bright[passed[bright] > 0]
    if not bright.size:
        return 0.0
    ratio2, noise2 = (found[bright] / passed[bright]) ** 2, (error[bright] / passed[bright]) ** 2
    spread2 = max(float(np.mean(ratio2 - noise2)), 0.0)
    for _ in range(10):
        share = (noise2 + spread2 + 1e-12) ** -2
        spread2 = max(float(np.sum(share * (ratio2 - noise2)) / share.sum()), 0.0)
    return float(np.sqrt(spread2))
