"""Few shapes that many images differ by, and how much of each is in another image, from some of its pixels.

Principal components under weights of the pixels (Jolliffe 2002, Principal Component Analysis, ch. 14.2), as many as
images left out one by one are predicted best by (Wold 1978, Technometrics 20, 397); coefficients by Tukey's
biweight (Beaton & Tukey 1974, Technometrics 16, 147) with Huber's covariance (1973, Ann. Stat. 1, 799), in which
pixels of one group may have an error in common (Liang & Zeger 1986, Biometrika 73, 13).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["Coefficients", "Principal", "left_out_errors", "principal_components", "robust_fit"]

F8 = NDArray[np.float64]
B1 = NDArray[np.bool_]

_TUNING = 4.685  # noises at which the biweight ends: 95 % efficient for Gaussian noise
_STEPS, _MET = 30, 1e-2  # of it at most; change of all coefficients, in their errors, at which it stands
_FIRST = 4  # steps of the fit that the biweight starts from
_RANK = 1e-10  # of the largest variance: what is below is rounding


class Principal(NamedTuple):
    """Mean and components of images.

    Parameters
    ----------
    mean : array (n,)
    components : array (k, n)
        Largest variance first; the weighted mean of the square of each is 1, between two of them 0.
    mix : array (k, m)
        ``components = mix @ images``; its rows sum to 0.
    spread : array (k,)
        Standard deviation of each coefficient from image to image.
    """

    mean: F8
    components: F8
    mix: F8
    spread: F8


class Coefficients(NamedTuple):
    """Coefficients (p,), their covariance (p, p), and the weight (n,) that each pixel had, 0 to 1."""

    value: F8
    covariance: F8
    weight: F8


def principal_components(images: F8, weight: F8) -> Principal:
    """Return the components by which images differ, at most one fewer than images.

    Parameters
    ----------
    images : array (m, n)
    weight : array (n,)
        0 for pixels that do not count.

    Examples
    --------
    >>> found = principal_components(np.array([[1.0, 3.0], [3.0, 5.0], [2.0, 4.0]]), np.ones(2))
    >>> found.mean, np.abs(found.components), found.spread
    (array([2., 4.]), array([[1., 1.]]), array([1.]))
    """
    m = images.shape[0]
    share = weight / weight.sum()
    mean = images.mean(axis=0)
    off = images - mean
    value, vector = np.linalg.eigh((off * share) @ off.T)
    order = np.argsort(value)[::-1][: max(m - 1, 0)]
    order = order[value[order] > _RANK * max(float(value[-1]), 1e-300)]
    mix = vector[:, order].T / np.sqrt(value[order])[:, None]
    return Principal(mean, mix @ off, mix - mix.mean(axis=1, keepdims=True), np.sqrt(value[order] / max(m - 1, 1)))


def left_out_errors(images: F8, weight: F8, told: B1, *, most: int) -> F8:
    """Return how well images are predicted from all others, by the number of components.

    Each image in turn is left out; mean and components are those of the others, its coefficients are fitted to
    its told pixels, and its error is that of the rest.

    Parameters
    ----------
    images : array (m, n)
        At least three.
    weight : array (n,)
    told : bool array (n,)
    most : int
        Components that are tried at most.

    Returns
    -------
    array (min(most, m - 2) + 1,)
        Weighted mean square over untold pixels and images, with 0, 1, ... components.
    """
    m = images.shape[0]
    inside, rest = weight * told, weight * ~told
    errors = np.zeros((m, min(most, m - 2) + 1))
    for i in range(m):
        others = principal_components(np.delete(images, i, axis=0), weight)
        off = images[i] - others.mean
        for k in range(errors.shape[1]):
            left = off - _projected(off, others.components[:k], inside)
            errors[i, k] = rest @ left**2 / rest.sum()
    return np.asarray(errors.mean(axis=0))


def _projected(off: F8, components: F8, weight: F8) -> F8:
    """Components as they fit best the pixels of weight, everywhere."""
    root = np.sqrt(weight)
    fit = np.linalg.lstsq((components * root).T, off * root, rcond=None)[0]
    return np.asarray(fit @ components)


def robust_fit(
    values: F8, ivar: F8, design: F8 | csr_array, *, prior: F8 | None = None, group: NDArray[np.intp]
) -> Coefficients:
    """Fit coefficients that pixels with other light in them do not pull.

    Parameters
    ----------
    values : array (n,)
    ivar : array (n,)
        Inverse variances; the noise may be larger by a common factor, and covariances say so.
    design : array or sparse array (n, p)
    prior : array (p,), optional
        Inverse variance of each coefficient about 0 as known before; 0 where nothing is.
    group : int array (n,)
        Pixels of one number may have an error in common (those of a row, for example).

    Raises
    ------
    numpy.linalg.LinAlgError
        The pixels do not tell the coefficients apart.
    """
    root = np.sqrt(ivar)
    x, y = csr_array(design).multiply(root[:, None]).tocsr(), values * root
    known = np.diag(np.zeros(x.shape[1]) if prior is None else prior)
    value = _start(x, y, known)
    for _ in range(_STEPS):
        left = y - x @ value
        scale = _scale(left)
        weight = np.asarray(np.maximum(1.0 - (left / (_TUNING * scale)) ** 2, 0.0) ** 2)
        normal = _normal(x, weight) + known
        step = np.linalg.solve(normal, x.T @ (weight * left) - known @ value)
        value = value + step
        if step @ normal @ step < (_MET * scale) ** 2 * value.size:
            break
    return Coefficients(value, _covariance(x, y - x @ value, known, scale, group), weight)


def _start(x: csr_array, y: F8, known: F8) -> F8:
    """Huber's fit, of which there is but one: where the biweight starts from."""
    value = np.zeros(x.shape[1])
    for _ in range(_FIRST):
        left = y - x @ value
        weight = np.minimum(1.0, 1.345 * _scale(left) / np.maximum(np.abs(left), 1e-300))
        value = np.linalg.solve(_normal(x, weight) + known, x.T @ (weight * y))
    return np.asarray(value)


def _scale(left: F8) -> float:
    """Standard deviation of most residuals; 1 where they vanish."""
    return 1.4826 * float(np.median(np.abs(left))) or 1.0


def _normal(x: csr_array, weight: F8) -> F8:
    return np.asarray((x.T @ x.multiply(weight[:, None])).toarray())


def _covariance(x: csr_array, left: F8, known: F8, scale: float, group: NDArray[np.intp]) -> F8:
    """Covariance from the scatter of the groups' pulls on the coefficients."""
    u = (left / (_TUNING * scale)) ** 2
    inside = u < 1.0
    slope = float(np.mean(np.where(inside, (1.0 - u) * (1.0 - 5.0 * u), 0.0)))
    pull = np.where(inside, left * (1.0 - u) ** 2, 0.0)
    members = csr_array((pull, (group, np.arange(group.size))), shape=(int(group.max()) + 1, group.size))
    sums = members @ x
    groups = np.unique(group).size
    meat = (sums.T @ sums).toarray() * groups / max(groups - 1, 1)
    inverse = np.linalg.inv(slope * _normal(x, np.ones(left.size)) + known)
    return np.asarray(inverse @ (meat + known) @ inverse)
