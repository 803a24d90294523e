"""Nuclei of galaxies: light as compact as a star's, which broad blobs can not make, found before anything is fitted.

One after the other is sought where it explains most of the light that source, sky and smooth light leave over. All of
that is linear: the source stands where its prior puts it, and may differ from it by as much as the prior allows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.psf import full_width, lattice_pitch
from tracecube.recipes.science.chromatic_fit import Prior, Setting, nucleus_columns, shape_of, slice_solution

__all__ = ["find_nuclei"]

F8 = NDArray[np.float64]
MOST = 4  # places: a nucleus, and what is as bright beside it
CLOSEST = 0.9  # of the seeing's width: what is closer to the target no data of this sharpness tell from it
GAIN = 0.03  # decrease of chi2 a sample from which a nucleus is believed
SHARE = 0.1  # of the gain of the first, from which another counts: less is what the first leaves beside its true place
EVERY = 3  # slice that is looked at: a nucleus shows in all of them
FARTHEST = 6.0  # arcsec from the target: what is beyond does not reach it
STEP = 0.5  # of the lattice pitch: from candidate to candidate, twice the error that the fit allows a place
FAINT, BRIGHT = 5.0, 90.0  # per cent: smooth light may be as bright as lies between these shares of the lenslets


@dataclass
class _Search:
    """Candidates in one slice, samples over their errors.

    Parameters
    ----------
    light : array (c, n)
        Of each candidate at unit flux.
    left : array (n, n)
        Takes away what source, sky, smooth light and nuclei found before can make.
    data : array (n,)
    """

    light: F8
    left: F8
    data: F8

    def worth(self) -> tuple[F8, F8]:
        """Decrease of chi2 by each candidate (c,), and the flux that it would have, in its errors."""
        seen = self.light @ self.left
        power = np.maximum(np.einsum("cn,cn->c", seen, self.light), 1e-300)
        flux = seen @ self.data / np.sqrt(power)
        return flux**2, flux

    def add(self, column: F8) -> None:
        """Let a nucleus (n,) be free too."""
        seen = self.left @ column
        power = float(column @ seen)
        if power > 1e-9 * float(column @ column):
            self.left = self.left - np.outer(seen, seen) / power


def find_nuclei(setting: Setting, prior: Prior, blobs: F8) -> F8:
    """Return the places (p, 2) of nuclei, the most telling first.

    Parameters
    ----------
    setting : Setting
    prior : Prior
        Of the source.
    blobs : array (k, j, n)
        Smooth light can be any sum of these, about as bright as the field is.
    """
    slices, scene = setting.slices, setting.scene
    width = full_width(shape_of(prior.mean))
    candidates = _candidates(setting, prior, CLOSEST * width)
    looked = [k for k in range(EVERY // 2, slices.wave.size, EVERY) if (slices.weight[k] > 0).any()]
    columns, moved = setting.columns(prior.mean), _moved(setting, prior)
    searches = [_search(setting, prior, columns[k], np.vstack([moved[k], blobs[k]]), candidates, k) for k in looked]
    least = GAIN * sum(np.count_nonzero(slices.weight[k]) for k in looked)
    found: list[F8] = []
    while len(found) < MOST:
        worth = [search.worth() for search in searches]
        gain, level = (np.sum([one[part] for one in worth], axis=0) for part in (0, 1))
        best = int(np.argmax(np.where(level > 0, gain, -np.inf)))
        if not (level[best] > 0 and gain[best] > least):
            break
        found.append(candidates[best])
        least = max(least, SHARE * float(gain[best])) if len(found) == 1 else least
        values = np.concatenate([prior.mean, candidates[best]])
        nucleus = nucleus_columns(values, slices.track, scene.x, scene.y, setting.geometry)
        for search, k in zip(searches, looked, strict=True):
            for column in nucleus[k]:
                search.add(column * np.sqrt(slices.weight[k]))
    return np.array(found).reshape(-1, 2)


def _candidates(setting: Setting, prior: Prior, closest: float) -> F8:
    """Places on a fine lattice about the target, but not on it."""
    step = STEP * lattice_pitch(setting.scene.x, setting.scene.y)
    reach = np.arange(-FARTHEST, FARTHEST + step, step)
    x, y = (grid.ravel() for grid in np.meshgrid(reach, reach))
    gap = np.hypot(x, y)
    keep = (gap <= FARTHEST) & (gap >= closest)
    return np.column_stack([prior.mean[0] + x[keep], prior.mean[1] + y[keep]])


def _moved(setting: Setting, prior: Prior) -> F8:
    """What the source's light (k, 11, n) may differ by: one of the shared numbers moved by the width of its prior."""
    share, step = setting.share(prior.mean), 1e-3
    flux = slice_solution(setting.slices, setting.slices.weight, setting.columns(prior.mean))[:, 0]
    moved = [(setting.share(prior.mean + row) - share) / step for row in step * np.diag(prior.sd)]
    return np.asarray(np.stack(moved, axis=1) * flux[:, None, None])


def _search(setting: Setting, prior: Prior, columns: F8, given: F8, candidates: F8, k: int) -> _Search:
    """Set up a slice: columns (a, n) are free, the eleven moves of the source and the blobs in ``given`` (b, n) not."""
    flux, root = setting.slices.flux[k], np.sqrt(setting.slices.weight[k])
    low, high = np.percentile(flux[root > 0], [FAINT, BRIGHT])
    size = np.append(np.ones(prior.mean.size), np.full(len(given) - prior.mean.size, high - low))
    free = columns * root
    both = np.vstack([free, given * size[:, None] * root])
    ridge = np.concatenate([1e-9 * np.einsum("an,an->a", free, free), np.ones(len(given))])
    inverse = np.linalg.inv(both @ both.T + np.diag(np.maximum(ridge, 1e-300)))
    left = np.eye(root.size) - both.T @ inverse @ both
    return _Search(_glow(setting, prior, candidates, k) * root, left, flux * root)


def _glow(setting: Setting, prior: Prior, candidates: F8, k: int) -> F8:
    """Light of a star at each candidate, in a slice (c, n): a Gaussian of the seeing, which is enough to find one."""
    track = setting.slices.track
    width = full_width(shape_of(prior.mean)) * np.exp(prior.mean[8] * track.growth[k]) / 2.3548
    spread = width**2 + 0.09 * lattice_pitch(setting.scene.x, setting.scene.y) ** 2  # the lenslet's own width
    gap_x = setting.scene.x - (candidates[:, :1] + track.east[k])
    gap_y = setting.scene.y - (candidates[:, 1:] + track.north[k])
    return np.asarray(np.exp(-0.5 * (gap_x**2 + gap_y**2) / spread))
