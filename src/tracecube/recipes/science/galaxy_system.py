"""Normal equations of a galaxy's light, and of place and shape of the source beside it.

Unknown are the amplitudes of patterns in each picture of the galaxy, and steps of the numbers that place and shape are;
flux and sky of every slice are projected out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from tracecube.recipes.science.chromatic_fit import Prior, Setting
from tracecube.recipes.science.point_lattice import Points, refraction_of

__all__ = ["Joint", "Patterns", "System", "chi2_of", "linearise", "patterns_of", "solve", "spectra_of"]

F8 = NDArray[np.float64]
SEEN = 0.01  # arcsec: a hundredth of a pattern's detail
STEP = 1e-3  # of a prior's width, for tangents: far above rounding, far below the curvature
STALE = 0.3  # widths: tangents hold for so far


class Patterns(NamedTuple):
    """Patterns in the slices.

    Parameters
    ----------
    plain : array (k, j, n)
        Brightness in lenslets.
    rows : array (k, j, n)
        Over the errors of the samples.
    products : array (k, j, j)
        Of rows.
    shift : array (2, k), arcsec
        By refraction, where they are.
    """

    plain: F8
    rows: F8
    products: F8
    shift: F8


class System(NamedTuple):
    """Normal equations of patterns (b) and steps (t), for unit brightness of a picture.

    Those of patterns among each other are ``products`` (k, j, j) less ``inside`` (k, j, c) times itself; ``gaps``
    (11, k, n) are what the steps do to the share of the source, at ``values``; ``flux`` (k,) is its flux.
    """

    products: F8
    inside: F8
    bd: F8
    bt: F8
    tt: F8
    td: F8
    power: float
    gaps: F8
    values: F8
    flux: F8


class Joint(NamedTuple):
    """Solution: amplitudes (a, j), steps (11,), precision (a,) of the amplitudes' prior as the data have it.

    ``root`` is lower triangular: the covariance of amplitudes and steps, in this order, is its transpose times itself.
    """

    amplitude: F8
    step: F8
    precision: F8
    freedom: float
    root: F8


def patterns_of(points: Points, setting: Setting, weight: F8, values: F8, known: Patterns | None) -> Patterns:
    """Patterns at the present refraction; those that are known where it moves them by nothing one sees."""
    track, scene = setting.slices.track, setting.scene
    shift = np.array(refraction_of(values, track))
    if known is not None and float(np.abs(shift - known.shift).max()) < SEEN:
        return known
    plain = points.patterns(scene.x, scene.y, track, (shift[0], shift[1]), single=True)
    rows = plain * np.sqrt(weight)[:, None, :]
    return Patterns(plain, rows, np.array([row @ row.T for row in rows]), shift)


def linearise(
    setting: Setting, weight: F8, prior: Prior, values: F8, light: F8, patterns: Patterns, *, before: System | None
) -> System:
    """Build the normal equations at the present place and shape.

    Parameters
    ----------
    light : array (k, n)
        Of the galaxy, as known: only the flux of the source depends on it, by which place and shape count.
    before : System, optional
        Of the last step; its tangents are taken where place and shape have hardly moved.
    """
    root = np.sqrt(weight)
    columns = setting.columns(values) * root[:, None, :]
    basis = np.linalg.qr(np.moveaxis(columns, 1, 2))[0]

    def project(rows: F8) -> F8:
        return np.asarray(rows - np.matmul(np.matmul(rows, basis), np.swapaxes(basis, 1, 2)))

    data = setting.slices.flux * root
    flux = _flux(columns, data - light * root)
    if before is not None and np.abs((values - before.values) / prior.sd).max() < STALE:
        gaps, at = before.gaps, before.values
    else:
        share = setting.share(values)
        gaps = np.array([(setting.share(values + row) - share) / STEP for row in STEP * np.diag(prior.sd)])
        at = values
    tangent = project(np.moveaxis(gaps, 0, 1) * (flux[:, None] * root)[:, None, :])
    data = project(data[:, None, :])
    return System(
        products=patterns.products,
        inside=np.matmul(patterns.rows, basis),
        bd=np.matmul(patterns.rows, np.swapaxes(data, 1, 2))[..., 0],
        bt=np.matmul(patterns.rows, np.swapaxes(tangent, 1, 2)),
        tt=np.matmul(tangent, np.swapaxes(tangent, 1, 2)).sum(axis=0),
        td=np.matmul(tangent, np.swapaxes(data, 1, 2)).sum(axis=0)[:, 0],
        power=float(np.sum(data**2)),
        gaps=gaps,
        values=at,
        flux=flux,
    )


def _flux(columns: F8, data: F8) -> F8:
    """Flux (k,) of the source, the first of the columns (k, c, n)."""
    normal = np.matmul(columns, np.swapaxes(columns, 1, 2))
    scale = np.sqrt(np.maximum(np.einsum("kcc->kc", normal), 1e-300))
    normal = normal / (scale[:, :, None] * scale[:, None, :])
    right = np.matmul(columns, data[..., None]) / scale[..., None]
    return np.asarray(np.linalg.solve(normal, right)[:, 0, 0] / scale[:, 0])


def solve(system: System, spectrum: F8, precision: F8, offset: F8, *, errors: bool) -> Joint:
    """Solve patterns and steps together; find the precision (a,) of the patterns' prior (MacKay 1992, eq. 4.9).

    Parameters
    ----------
    offset : array (11,)
        Where the shared numbers stand from the means of their priors, in widths.
    errors : bool
        Find ``root`` to full accuracy; without, it serves for the precision only.
    """
    count, nodes, shared = spectrum.shape[0], system.bd.shape[1], system.tt.shape[0]
    size = count * nodes
    matrix = _matrix(system, spectrum)
    own = np.append(np.repeat(precision, nodes), np.ones(shared))
    matrix[np.arange(own.size), np.arange(own.size)] += own
    right = np.concatenate([np.einsum("ak,kj->aj", spectrum, system.bd).ravel(), system.td - offset])
    factor, failed = lapack.dpotrf(matrix, lower=1, clean=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError("normal equations of a galaxy's light are not positive definite")
    found = lapack.dpotrs(factor, right, lower=1)[0]
    root = lapack.dtrtri(factor, lower=1)[0] if errors else lapack.strtri(factor.astype(np.float32), lower=1)[0]
    amplitude = found[:size].reshape(count, nodes)
    spread = np.einsum("ij,ij->j", root, root)[:size].reshape(count, nodes)
    freedom = nodes - precision * np.sum(spread, axis=1)
    precision = np.maximum(freedom, 1.0) / np.maximum(np.sum(amplitude**2, axis=1), 1e-300)
    return Joint(amplitude, found[size:], precision, float(freedom.sum()), root)


def _matrix(system: System, spectrum: F8) -> F8:
    """Lower triangle of the normal equations of amplitudes and steps."""
    count, nodes, shared = spectrum.shape[0], system.bd.shape[1], system.tt.shape[0]
    size = count * nodes
    matrix = np.zeros((size + shared, size + shared), order="F")
    pairs = [(a, b) for a in range(count) for b in range(a + 1)]
    weight = np.array([spectrum[a] * spectrum[b] for a, b in pairs])
    blocks = (weight @ system.products.reshape(len(system.products), -1)).reshape(-1, nodes, nodes)
    for (a, b), block, bright in zip(pairs, blocks, weight, strict=True):
        inside = np.swapaxes(system.inside, 0, 1)
        lost = (inside * bright[:, None]).reshape(nodes, -1) @ inside.reshape(nodes, -1).T
        matrix[a * nodes : (a + 1) * nodes, b * nodes : (b + 1) * nodes] = block - lost
    matrix[size:, :size] = np.einsum("ak,kjt->taj", spectrum, system.bt).reshape(shared, size)
    matrix[size:, size:] = system.tt
    return matrix


def _quadratic(system: System, left: F8) -> F8:
    """Products (k, a, b) of sums (a, k, j) of patterns, flux and sky projected out."""
    sums = np.swapaxes(left, 0, 1)
    inside = np.matmul(sums, system.inside)
    whole = np.matmul(np.matmul(sums, system.products), np.swapaxes(sums, 1, 2))
    return np.asarray(whole - np.matmul(inside, np.swapaxes(inside, 1, 2)))


def spectra_of(system: System, step: F8, amplitude: F8) -> F8:
    """Spectra (a, k) of given pictures (a, j), after a step (11,)."""
    matrix = _quadratic(system, np.repeat(amplitude[:, None], len(system.products), axis=1))
    vector = np.einsum("aj,kj->ka", amplitude, system.bd - system.bt @ step)
    # A billionth keeps two pictures of one colour from running away together.
    ridge = 1e-9 * np.trace(matrix, axis1=1, axis2=2)[:, None, None] * np.eye(amplitude.shape[0])
    return np.asarray(np.linalg.solve(matrix + ridge, vector[..., None])[..., 0].T)


def chi2_of(system: System, spectrum: F8, amplitude: F8) -> float:
    """Chi2 with the pictures, without the steps."""
    mixed = np.einsum("ak,aj->kj", spectrum, amplitude)
    quadratic = _quadratic(system, mixed[None])
    return float(system.power - 2.0 * np.sum(mixed * system.bd) + quadratic.sum())
