"""A point source on smooth light: a host galaxy as a few pictures, each with its own spectrum.

The pictures are sums of broad Gaussian blobs on a lattice, so that they can not make a point
source; the blobs' amplitudes share one variance a picture, found from the data (evidence
maximisation, MacKay 1992, Neural Computation 4, 415). Place and shape of the source are fitted
together with the blobs, flux and sky stay free in every slice: the galaxy is told from the source
by its smoothness and by its spectrum at once. Refraction moves the pictures as it moves the source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.recipes.science.chromatic_fit import (
    ChromaticFit,
    Prior,
    Setting,
    centre_of,
    judge,
)
from tracecube.recipes.science.scene import Slices, Track

__all__ = ["ExtendedLight", "fit_with_extended", "refraction_of", "smooth_light"]

F8 = NDArray[np.float64]
SEEN = 0.01  # arcsec: a hundredth of a blob's width


@dataclass(frozen=True)
class ExtendedLight:
    """Pictures of the smooth light.

    Parameters
    ----------
    node_x, node_y : array (j,), arcsec
        Places of the blobs at the reference wavelength.
    width : float, arcsec
        Gaussian width of a blob, and their spacing.
    amplitude : array (a, j)
        Blobs of each picture.
    spectrum : array (a, k)
        Brightness of each picture in the slices.
    gain : float
        Decrease of chi2 that the pictures bring.
    freedom : float
        Number of amplitudes that the data determine.
    precision : array (a,)
        Inverse variance of each picture's amplitudes, as found.
    """

    node_x: F8
    node_y: F8
    width: float
    amplitude: F8
    spectrum: F8
    precision: F8
    gain: float = 0.0
    freedom: float = 0.0

    def blobs(self, x: F8, y: F8, shift: tuple[F8, F8]) -> F8:
        """Brightness of single blobs in lenslets, array (m, j, n), at shifts (m,) in arcsec."""
        rows = []
        for shift_x, shift_y in zip(*shift, strict=True):
            dx = x[None, :] - (self.node_x + shift_x)[:, None]
            dy = y[None, :] - (self.node_y + shift_y)[:, None]
            rows.append(np.exp((dx * dx + dy * dy) * (-0.5 / self.width**2)))
        return np.array(rows)

    def pictures(self, x: F8, y: F8, shift: tuple[F8, F8]) -> F8:
        """Brightness of each picture in lenslets, array (m, a, n)."""
        one = ((np.array([sx]), np.array([sy])) for sx, sy in zip(*shift, strict=True))
        return np.array([self.amplitude @ self.blobs(x, y, pair)[0] for pair in one])


class _Blobs(NamedTuple):
    """Blobs in the slices (k, j, n), each sample over its error, their products (k, j, j), and where they were."""

    rows: F8
    products: F8
    shift: F8


class _System(NamedTuple):
    """Normal equations of blobs (b) and steps (t) of the shared numbers, with flux and sky projected out.

    ``bb`` (k, j, j) and ``bd`` (k, j) hold for unit brightness of a picture; ``bt`` (k, j, 11).
    """

    bb: F8
    bd: F8
    bt: F8
    tt: F8
    td: F8
    power: float


class _Joint(NamedTuple):
    """Solution of the normal equations: amplitudes (a, j), steps (11,), and their errors."""

    amplitude: F8
    step: F8
    precision: F8
    freedom: float
    step_covariance: F8


def refraction_of(values: F8, track: Track) -> tuple[F8, F8]:
    """Shift along a track, arcsec."""
    at_x, at_y = centre_of(values, track)
    return at_x - values[0], at_y - values[1]


def fit_with_extended(
    setting: Setting, prior: Prior, *, width: float, pictures: int, clip: float
) -> tuple[ChromaticFit, ExtendedLight]:
    """Fit place, shape and smooth light together.

    Parameters
    ----------
    setting, prior, clip
        As in `tracecube.recipes.science.chromatic_fit.fit_source`.
    width : float, arcsec
        Of a blob; broader than the core of the point-spread function.
    pictures : int
        Two let the bulge and the disc of a galaxy have their own colours.
    """
    slices, scene = setting.slices, setting.scene
    node_x, node_y = _lattice(scene.x, scene.y, width)
    empty = np.zeros((pictures, node_x.size))
    flat = np.full(pictures, 1e-6)
    extended = ExtendedLight(node_x, node_y, width, empty, _first_spectra(slices, pictures), flat)
    values, weight = prior.mean, slices.weight
    for _ in range(2):
        values, covariance, extended = _iterate(setting, weight, prior, values, extended)
        light = extended.pictures(scene.x, scene.y, refraction_of(values, slices.track))
        shared = values.size + extended.freedom
        model_error, kept, chi2 = judge(setting, weight, setting.columns(values, light), clip, shared=shared)
        weight = kept
    return ChromaticFit(values, covariance, chi2, model_error, weight), extended


def smooth_light(setting: Setting, prior: Prior, width: float) -> F8:
    """Blobs of which smooth light is made, in the slices (k, j, n), where the prior puts the source."""
    node_x, node_y = _lattice(setting.scene.x, setting.scene.y, width)
    none = np.zeros((1, node_x.size))
    shift = refraction_of(prior.mean, setting.slices.track)
    return ExtendedLight(node_x, node_y, width, none, none, none[0]).blobs(setting.scene.x, setting.scene.y, shift)


def _iterate(
    setting: Setting, weight: F8, prior: Prior, values: F8, extended: ExtendedLight
) -> tuple[F8, F8, ExtendedLight]:
    """Gauss-Newton steps until none moves by more than a fiftieth of its prior's width."""
    blobs: _Blobs | None = None
    for _ in range(12):
        blobs = _moved(setting, weight, values, extended, blobs)
        system = _linearise(setting, weight, prior, values, extended, blobs)
        joint = _solve(system, extended.spectrum, extended.precision, (values - prior.mean) / prior.sd)
        step = joint.step / max(1.0, float(np.abs(joint.step).max()))
        values = values + prior.sd * step
        right = system.bd - np.einsum("kjt,t->kj", system.bt, step)
        spectrum = _spectra(system.bb, right, joint.amplitude)
        size = np.sqrt(np.mean(spectrum**2, axis=1))
        amplitude, spectrum = joint.amplitude * size[:, None], spectrum / size[:, None]
        extended = replace(
            extended,
            amplitude=amplitude,
            spectrum=spectrum,
            precision=joint.precision / size**2,
            gain=system.power - _chi2(system, spectrum, amplitude),
            freedom=joint.freedom,
        )
        if np.abs(joint.step).max() < 0.02:
            break
    return values, joint.step_covariance * np.outer(prior.sd, prior.sd), extended


def _moved(setting: Setting, weight: F8, values: F8, extended: ExtendedLight, known: _Blobs | None) -> _Blobs:
    """Return the blobs at the present refraction; those that are known where that moves them by nothing one sees."""
    shift = refraction_of(values, setting.slices.track)
    if known is not None and float(np.abs(np.array(shift) - known.shift).max()) < SEEN:
        return known
    rows = extended.blobs(setting.scene.x, setting.scene.y, shift) * np.sqrt(weight)[:, None, :]
    return _Blobs(rows, np.matmul(rows, np.swapaxes(rows, 1, 2)), np.array(shift))


def _linearise(
    setting: Setting, weight: F8, prior: Prior, values: F8, extended: ExtendedLight, blobs: _Blobs
) -> _System:
    """Build the normal equations at the present place and shape."""
    slices = setting.slices
    root = np.sqrt(weight)
    plain = setting.columns(values)
    columns = plain * root[:, None, :]
    basis = np.linalg.qr(np.moveaxis(columns, 1, 2))[0]

    def project(rows: F8) -> F8:
        return np.asarray(rows - np.matmul(np.matmul(rows, basis), np.swapaxes(basis, 1, 2)))

    data = slices.flux * root
    bright = np.einsum("ak,aj->kj", extended.spectrum, extended.amplitude)
    light = np.matmul(bright[:, None, :], blobs.rows)[:, 0]
    normal = np.matmul(columns, np.swapaxes(columns, 1, 2))
    scale = np.sqrt(np.maximum(np.einsum("kcc->kc", normal), 1e-300))
    normal = normal / (scale[:, :, None] * scale[:, None, :]) + 1e-9 * np.eye(scale.shape[1])  # two nuclei may meet
    flux = np.linalg.solve(normal, np.matmul(columns, (data - light)[..., None]) / scale[..., None])[..., 0] / scale
    step = 1e-3  # of a prior's width: far above rounding, far below the curvature
    moved = [setting.columns(values + row) - plain for row in step * np.diag(prior.sd)]
    tangent = project(np.stack([np.einsum("kc,kcn->kn", flux, gap) * root / step for gap in moved], axis=1))
    data = project(data[:, None, :])
    inside = np.matmul(blobs.rows, basis)  # what the columns can make of each blob
    return _System(
        bb=blobs.products - np.matmul(inside, np.swapaxes(inside, 1, 2)),
        bd=np.matmul(blobs.rows, np.swapaxes(data, 1, 2))[..., 0],
        bt=np.matmul(blobs.rows, np.swapaxes(tangent, 1, 2)),
        tt=np.einsum("ktn,kun->tu", tangent, tangent, optimize=True),
        td=np.einsum("ktn,kcn->t", tangent, data, optimize=True),
        power=float(np.sum(data**2)),
    )


def _solve(system: _System, spectrum: F8, precision: F8, offset: F8) -> _Joint:
    """Solve blobs and steps together; find the precision (a,) of the blobs' prior.

    ``offset`` (11,) is where the shared numbers stand from the means of their priors, in widths.
    """
    count, nodes, shared = spectrum.shape[0], system.bb.shape[1], system.tt.shape[0]
    size = count * nodes
    matrix = np.empty((size + shared, size + shared))
    blobs = np.einsum("ak,bk,kji->ajbi", spectrum, spectrum, system.bb, optimize=True)
    matrix[:size, :size] = blobs.reshape(size, size)
    matrix[:size, size:] = np.einsum("ak,kjt->ajt", spectrum, system.bt).reshape(size, shared)
    matrix[size:, :size] = matrix[:size, size:].T
    matrix[size:, size:] = system.tt
    right = np.concatenate([np.einsum("ak,kj->aj", spectrum, system.bd).ravel(), system.td - offset])
    for _ in range(2):
        own = np.append(np.repeat(precision, nodes), np.ones(shared))
        inverse = np.linalg.inv(matrix + np.diag(own))
        found = inverse @ right
        amplitude = found[:size].reshape(count, nodes)
        spread = np.diag(inverse)[:size].reshape(count, nodes)
        freedom = size - float(np.sum(precision[:, None] * spread))
        precision = nodes / (np.sum(amplitude**2, axis=1) + np.sum(spread, axis=1))
    return _Joint(amplitude, found[size:], precision, freedom, inverse[size:, size:])


def _spectra(normal: F8, right: F8, amplitude: F8) -> F8:
    """Spectra (a, k) of given pictures."""
    matrix = np.einsum("aj,kji,bi->kab", amplitude, normal, amplitude, optimize=True)
    vector = np.einsum("aj,kj->ka", amplitude, right)
    # A billionth keeps two pictures of one colour from running away together.
    ridge = 1e-9 * np.trace(matrix, axis1=1, axis2=2)[:, None, None] * np.eye(amplitude.shape[0])
    return np.asarray(np.linalg.solve(matrix + ridge, vector[..., None])[..., 0].T)


def _chi2(system: _System, spectrum: F8, amplitude: F8) -> float:
    """Chi2 with the pictures, without the steps."""
    mixed = np.einsum("ak,aj->kj", spectrum, amplitude)
    quadratic = np.einsum("kj,kji,ki->", mixed, system.bb, mixed, optimize=True)
    return float(system.power - 2.0 * np.sum(mixed * system.bd) + quadratic)


def _first_spectra(slices: Slices, pictures: int) -> F8:
    """Start of the search: the mean spectrum of the scene, then the same with tilts of colour."""
    known = slices.weight > 0
    mean = np.sum(np.where(known, slices.flux, 0.0), axis=1) / np.maximum(known.sum(axis=1), 1)
    mean = np.maximum(mean, 1e-3 * np.max(np.abs(mean)))
    tilt = np.linspace(-1.0, 1.0, mean.size)
    return np.array([mean / mean.mean() * tilt**power for power in range(pictures)])


def _lattice(x: F8, y: F8, spacing: float) -> tuple[F8, F8]:
    """Hexagonal lattice that covers the lenslets."""
    half = float(max(np.ptp(x), np.ptp(y))) / 2.0 + 2.0 * spacing
    centre_x, centre_y = 0.5 * (x.max() + x.min()), 0.5 * (y.max() + y.min())
    steps = np.arange(-int(half / spacing) - 1, int(half / spacing) + 2)
    row, column = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    node_x = centre_x + spacing * (column + 0.5 * (row % 2))
    node_y = centre_y + spacing * np.sqrt(0.75) * row
    nearest = np.min(np.hypot(node_x[:, None] - x, node_y[:, None] - y), axis=1)
    keep = nearest <= spacing
    return node_x[keep], node_y[keep]
