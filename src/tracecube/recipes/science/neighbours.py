"""Neighbouring stars: found before the fit, so that it neither goes to them nor takes their wings for sky.

Each neighbour gets a column of its own, with the shape that the prior expects; its core, where an
error of that shape would matter, gets no weight.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.psf import full_width
from tracecube.recipes.science.chromatic_fit import Prior, Setting, fractions, shape_of, slice_solution
from tracecube.recipes.science.scene import Track

__all__ = ["find_neighbours", "neighbour_columns", "with_neighbours"]

F8 = NDArray[np.float64]
SIGNIFICANCE = 10.0  # sigma: a neighbour, and not the structure that an imperfect flat leaves
MOST = 5  # neighbours in one region; more is a cluster, and a task for another method


def find_neighbours(setting: Setting, prior: Prior, *, minimum_share: float) -> F8:
    """Find stars farther than two seeing discs from the source.

    The brightest is found in the residuals with a filter of the seeing's width, gets its column, and
    the next is looked for.

    Parameters
    ----------
    setting : Setting
    prior : Prior
        Place of the source, shape of all.
    minimum_share : float
        Flux over that of the source from which a neighbour matters.

    Returns
    -------
    array (p, 2), arcsec
        Places at the reference wavelength.
    """
    scene, slices = setting.scene, setting.slices
    width = full_width(shape_of(prior.mean))
    far = np.hypot(scene.x - prior.mean[0], scene.y - prior.mean[1]) > 2.0 * width
    gap2 = (scene.x[:, None] - scene.x) ** 2 + (scene.y[:, None] - scene.y) ** 2
    kernel = np.exp(-0.5 * gap2 / (width / 2.3548) ** 2)  # 2.3548: full width over the width of a Gaussian
    places = np.empty((0, 2))
    for _ in range(MOST):
        others = neighbour_columns(setting, slices.track, prior, places)
        columns = np.concatenate([setting.columns(prior.mean), others], axis=1)
        found = slice_solution(slices, slices.weight, columns)
        light, error = _white(setting, slices.flux - np.einsum("kc,kcn->kn", found, columns))
        measured = np.isfinite(light)
        light = np.where(measured, light, 0.0)
        power = (kernel**2) @ measured
        level = (kernel @ light) / np.maximum(power, 1e-300)
        near = [np.hypot(scene.x - x, scene.y - y) <= 1.5 * width for x, y in places]
        known = far & (power > 0.5 * np.median(power)) & ~np.any([np.zeros_like(far), *near], axis=0)
        peak = int(np.argmax(np.where(known, level, -np.inf)))
        source = abs(float(np.mean(found[:, 0] * columns[:, 0].max(axis=1))))
        least = max(SIGNIFICANCE * error / np.sqrt(max(float(power[peak]), 1e-300)), minimum_share * source)
        if not known[peak] or level[peak] < least:
            break
        light = np.where(kernel[peak] > 0.2, np.maximum(light, 0.0), 0.0)
        places = np.vstack([places, [[np.sum(light * axis) / light.sum() for axis in (scene.x, scene.y)]]])
    return places


def _white(setting: Setting, residual: F8) -> tuple[F8, float]:
    """Mean of residuals over the slices (n,), NaN where none was measured, and the error that the sky gives it.

    Slices weigh by their sky: by lenslet, a bright neighbour's own noise would hide it.
    """
    weight = setting.slices.weight
    known = weight > 0
    middle = np.array([np.median(row[good]) if good.any() else 0.0 for row, good in zip(weight, known, strict=True)])
    share = np.where(known, middle[:, None], 0.0)
    total = share.sum(axis=0)
    mean = np.sum(share * residual, axis=0) / np.where(total > 0, total, np.nan)
    return mean, float(max(middle.sum(), 1e-300) ** -0.5)


def neighbour_columns(setting: Setting, track: Track, prior: Prior, places: F8) -> F8:
    """Light of each neighbour at unit flux, array (m, p, n)."""
    rows = []
    for x, y in places:
        values = prior.mean.copy()
        values[:2] = x, y
        rows.append(fractions(values, track, setting.scene.x, setting.scene.y, setting.geometry))
    return np.stack(rows, axis=1) if rows else np.empty((track.east.size, 0, setting.scene.x.size))


def with_neighbours(setting: Setting, prior: Prior, places: F8) -> tuple[Setting, NDArray[np.bool_]]:
    """Return the setting with a column for each neighbour and no weight in its core, and those lenslets (n,)."""
    scene, slices = setting.scene, setting.slices
    width = full_width(shape_of(prior.mean))
    core = np.zeros(scene.x.size, dtype=bool)
    for x, y in places:
        core |= np.hypot(scene.x - x, scene.y - y) <= width
    columns = neighbour_columns(setting, slices.track, prior, places)
    return (
        replace(
            setting,
            slices=replace(slices, weight=np.where(core, 0.0, slices.weight)),
            sky=np.concatenate([setting.sky, columns], axis=1),
        ),
        core,
    )
