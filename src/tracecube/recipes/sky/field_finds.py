"""Point sources in the light of fibres, by their likelihood under the expected image of a star, brightest first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.fibre_disc import disc_light, disc_share
from tracecube.recipes.sky.field_astrometry import FieldMatchParams, Finds

__all__ = ["find_sources"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

_MODEL = 0.1  # relative error of a star's image before the seeing is known


def find_sources(
    east: F8, north: F8, flux: F8, variance: F8, group: I8, params: FieldMatchParams = FieldMatchParams()
) -> Finds:
    """Find point sources in the light of fibres, all exposures together.

    Parameters
    ----------
    east, north : array (n,), arcsec
        Nominal places.
    flux, variance : array (n,)
        Light in one wide band; variance infinite where nothing was measured.
    group : int array (n,)
        Bundle of the fibre.
    """
    rows = [
        _find_in_bundle(east[one], north[one], flux[one], variance[one], params)
        for one in (np.flatnonzero(group == g) for g in np.unique(group))
    ]
    found = np.concatenate(rows) if rows else np.zeros((0, 4))
    found = found[np.argsort(found[:, 3], kind="stable")]
    return Finds(found[:, 0], found[:, 1], found[:, 2], found[:, 3], np.zeros(len(found), dtype=np.int64))


def _find_in_bundle(east: F8, north: F8, flux: F8, variance: F8, params: FieldMatchParams) -> F8:
    """Rows (east, north, error, magnitude) of the sources of one bundle, one after the other subtracted."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - slow to import
    from scipy.spatial import cKDTree  # noqa: PLC0415

    step, reach, radius = 0.5, 4.0, 0.75
    ok = np.isfinite(flux) & np.isfinite(variance) & (variance > 0)
    if ok.sum() < 8:
        return np.zeros((0, 4))
    # in units of the noise: brightness and place have slopes of one order then
    unit = float(np.sqrt(np.median(variance[ok])))
    east, north, light, noise = east[ok], north[ok], flux[ok] / unit, variance[ok] / unit**2
    nodes_e, nodes_n = np.meshgrid(
        np.arange(east.min() - 1.5, east.max() + 1.5, step), np.arange(north.min() - 1.5, north.max() + 1.5, step)
    )
    grid = np.column_stack([nodes_e.ravel(), nodes_n.ravel()])
    near = cKDTree(grid).sparse_distance_matrix(
        cKDTree(np.column_stack([east, north])), reach, output_type="coo_matrix"
    )
    width = np.array(params.seeing)
    share = disc_light(near.data, np.zeros(near.nnz), width, 3.5, radius)
    image = csr_array((share, (near.row, near.col)), shape=(len(grid), len(light)))
    power = csr_array((share**2, (near.row, near.col)), shape=image.shape)
    found: list[tuple[float, float, float, float]] = []
    # a star is where its light is: weighted with its own photon noise, the wings of a bright one would tell more
    dark = np.ones(len(light))
    for _ in range(params.brightest):
        up, down = image @ (light / dark), power @ (1.0 / dark)
        signal = np.where(down > 0.02, up / np.sqrt(np.maximum(down, 1e-300)), 0.0)
        peak = int(np.argmax(signal))
        if signal[peak] < params.threshold:
            break
        at, model, brightness, error = _polish(grid[peak], east, north, (light, noise), width)
        # what the image of a bright star leaves is no source: the model's own error is a tenth of its light
        noise += (_MODEL * model) ** 2
        dark += (_MODEL * model) ** 2
        light -= model
        ghost = any(np.hypot(at[0] - e, at[1] - n) < 2.0 for e, n, *_ in found)
        if brightness > 0 and not ghost:
            found.append((at[0], at[1], error, -2.5 * np.log10(brightness * unit)))
    return np.array(found).reshape(-1, 4)


def _polish(start: F8, east: F8, north: F8, data: tuple[F8, F8], width: F8) -> tuple[F8, F8, float, float]:
    """Place, model, brightness and error of a source by a few steps of Gauss and Newton."""
    light, noise = data
    at, error = start.copy(), 0.3
    near = np.hypot(east - at[0], north - at[1]) < 6.0
    brightness, model = 0.0, np.zeros(len(light))
    for _ in range(8):
        part = disc_share(at[0] - east[near], at[1] - north[near], width, 3.5, 0.75)
        for _ in range(2):
            weight = 1.0 / (noise[near] + (_MODEL * model[near]) ** 2)
            down = np.sum(weight * part.share**2)
            brightness = float(np.sum(weight * part.share * light[near]) / max(down, 1e-300))
            model[near] = brightness * part.share
        # the brightness as a share of itself, so that all three steps are of order one
        jacobian = brightness * np.column_stack([part.share, part.by_x, part.by_y])
        normal = jacobian.T @ (weight[:, None] * jacobian)
        normal[np.diag_indices(3)] *= 1.0 + 1e-3
        move = np.linalg.lstsq(normal, jacobian.T @ (weight * (light[near] - model[near])), rcond=None)[0][1:]
        move *= min(1.0, 0.4 / max(float(np.hypot(*move)), 1e-9))
        if np.hypot(*(at + move - start)) > 1.0:
            break
        at = at + move
        error = float(np.sqrt(np.clip(np.trace(np.linalg.pinv(normal)[1:, 1:]) / 2.0, 1e-6, 1.0)))
    return at, model, brightness, error
