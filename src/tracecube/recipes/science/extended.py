"""A point source on a galaxy: the galaxy as a few pictures, each with its own spectrum.

The pictures are points of light seen through the source's own point-spread function, alike over a length and as strong
as the galaxy is bright (`tracecube.recipes.science.point_lattice`); the amplitudes of their patterns share one variance
a picture, found from the data (evidence maximisation, MacKay 1992, Neural Computation 4, 415). Place and shape of the
source are fitted together with them, flux and sky stay free in every slice: the galaxy is told from the source by its
smoothness and by its spectrum at once. Refraction moves the pictures as it moves the source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.recipes.science.chromatic_fit import ChromaticFit, Prior, Setting, judge
from tracecube.recipes.science.point_lattice import Points, points_with_patterns, refraction_of
from tracecube.recipes.science.scene import Slices, Track

__all__ = ["ExtendedLight", "fit_with_extended"]

F8 = NDArray[np.float64]
SEEN = 0.01  # arcsec: a hundredth of a pattern's detail
FAINT, BRIGHT = 5.0, 90.0  # per cent: before it is known, light is as strong as lies between these shares of lenslets
ROUNDS = 3  # brightness is even, then that of the light found, twice
SMOOTH = 0.7  # of the length over which light is alike: brightness is that of the surroundings
ROUGH = 0.005  # of the light: what flat and profile leave, which would pass for detail of a bright galaxy
LEAST = 0.05  # of the brightest: light that comes as a surprise


@dataclass(frozen=True)
class ExtendedLight:
    """Pictures of the light of a galaxy.

    Parameters
    ----------
    points : Points
    amplitude : array (a, j)
        Patterns in each picture.
    spectrum : array (a, k)
        Brightness of each picture in the slices.
    precision : array (a,)
        Inverse variance of each picture's amplitudes, as found.
    gain : float
        Decrease of chi2 that the pictures bring.
    freedom : float
        Number of amplitudes that the data determine.
    doubt : float
        Relative error of the source's flux level from the errors of the amplitudes.
    """

    points: Points
    amplitude: F8
    spectrum: F8
    precision: F8
    gain: float = 0.0
    freedom: float = 0.0
    doubt: float = 0.0

    def pictures(self, x: F8, y: F8, values: F8, track: Track) -> F8:
        """Brightness of each picture in lenslets, array (m, a, n)."""
        return self.points.pictures(self.amplitude, x, y, track, refraction_of(values, track))


class _Patterns(NamedTuple):
    """Patterns in the slices (k, j, n), each sample over its error, their products (k, j, j), and where they were."""

    rows: F8
    products: F8
    shift: F8


class _System(NamedTuple):
    """Normal equations of patterns (b) and steps (t) of the shared numbers, with flux and sky projected out.

    ``bb`` (k, j, j) and ``bd`` (k, j) hold for unit brightness of a picture; ``bt`` (k, j, 11).
    """

    bb: F8
    bd: F8
    bt: F8
    tt: F8
    td: F8
    power: float


class _Joint(NamedTuple):
    """Solution of the normal equations: amplitudes (a, j), steps (11,), and the covariance of each."""

    amplitude: F8
    step: F8
    precision: F8
    freedom: float
    covariance: F8
    step_covariance: F8


def fit_with_extended(
    setting: Setting, prior: Prior, *, length: float, pictures: int, clip: float
) -> tuple[ChromaticFit, ExtendedLight]:
    """Fit place, shape and the galaxy's light together.

    Parameters
    ----------
    setting, prior, clip
        As in `tracecube.recipes.science.chromatic_fit.fit_source`.
    length : float, arcsec
        Over which the galaxy's light is alike.
    pictures : int
        Two let the bulge and the disc of a galaxy have their own colours, three its knots.
    """
    slices = setting.slices
    values, sound = prior.mean, _rough(slices)
    weight = sound
    brightness: F8 | float = _spread(slices)
    spectrum = _first_spectra(slices, pictures)
    for _ in range(ROUNDS):
        points = points_with_patterns(setting, weight, values, brightness, length)
        none = np.zeros((pictures, len(points.pattern)))
        extended = ExtendedLight(points, none, spectrum, np.ones(pictures))
        values, covariance, extended = _iterate(setting, weight, prior, values, extended)
        light = extended.pictures(setting.scene.x, setting.scene.y, values, slices.track)
        shared = values.size + extended.freedom
        model_error, kept, chi2 = judge(setting, weight, setting.columns(values, light), clip, shared=shared)
        weight, spectrum = np.where(kept > 0, sound, 0.0), extended.spectrum
        brightness = _brightness(setting, extended, light, SMOOTH * length)
    return ChromaticFit(values, covariance, chi2, model_error, weight), extended


def _rough(slices: Slices) -> F8:
    """Weights (k, n) that allow for what flat and profile leave of light."""
    known = slices.weight > 0
    sky = np.array([[np.percentile(row[own], FAINT)] for row, own in zip(slices.flux, known, strict=True)])
    variance = 1.0 / np.where(known, slices.weight, 1.0) + (ROUGH * (slices.flux - sky)) ** 2
    return np.where(known, 1.0 / variance, 0.0)


def _spread(slices: Slices) -> float:
    """How bright a galaxy is here, per lenslet, before it is known."""
    known = (slices.weight > 0).all(axis=0)
    low, high = np.percentile(slices.flux[:, known].mean(axis=0), [FAINT, BRIGHT])
    return float(high - low)


def _brightness(setting: Setting, extended: ExtendedLight, light: F8, width: float) -> F8:
    """Brightness (q,) of the light found (k, a, n) about each point, smoothed; none is darker than a share."""
    seen = np.einsum("ak,kan->n", extended.spectrum, light) / light.shape[0]
    points, scene = extended.points, setting.scene
    gap2 = (points.x[:, None] - scene.x) ** 2 + (points.y[:, None] - scene.y) ** 2
    near = np.exp(-0.5 / width**2 * gap2)
    smooth = near @ seen / np.maximum(near.sum(axis=1), 1e-3)
    return np.asarray(np.maximum(smooth, LEAST * smooth.max()))


def _iterate(
    setting: Setting, weight: F8, prior: Prior, values: F8, extended: ExtendedLight
) -> tuple[F8, F8, ExtendedLight]:
    """Gauss-Newton steps until none moves by more than a fiftieth of its prior's width."""
    known: _Patterns | None = None
    for _ in range(12):
        known = patterns = _moved(setting, weight, values, extended, known)
        system = _linearise(setting, weight, prior, values, extended, patterns)
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
    scale = np.repeat(size, amplitude.shape[1])
    scaled = joint.covariance * np.outer(scale, scale)
    extended = replace(extended, doubt=_doubt(setting, weight, values, extended, patterns, scaled))
    return values, joint.step_covariance * np.outer(prior.sd, prior.sd), extended


def _doubt(
    setting: Setting, weight: F8, values: F8, extended: ExtendedLight, patterns: _Patterns, covariance: F8
) -> float:
    """Relative error of the mean flux from the covariance of the amplitudes (a j, a j)."""
    root = np.sqrt(weight)
    own, data = setting.share(values) * root, setting.slices.flux * root
    basis = np.linalg.qr(np.moveaxis(setting.sky * root[:, None, :], 1, 2))[0]
    own -= np.einsum("knc,kmc,km->kn", basis, basis, own, optimize=True)
    own /= np.maximum(np.einsum("kn,kn->k", own, own), 1e-300)[:, None]
    lost = np.matmul(patterns.rows, own[..., None])[..., 0]
    slope = np.einsum("ak,kj->aj", extended.spectrum, lost).ravel()
    light = np.einsum("ak,aj,kj->", extended.spectrum, extended.amplitude, lost, optimize=True)
    flux = float(np.sum(own * data)) - float(light)
    return float(np.sqrt(max(float(slope @ covariance @ slope), 0.0)) / max(abs(flux), 1e-30))


def _moved(setting: Setting, weight: F8, values: F8, extended: ExtendedLight, known: _Patterns | None) -> _Patterns:
    """Return the patterns at the present refraction; those that are known where that moves them by nothing one sees."""
    track, scene = setting.slices.track, setting.scene
    shift = refraction_of(values, track)
    if known is not None and float(np.abs(np.array(shift) - known.shift).max()) < SEEN:
        return known
    rows = extended.points.patterns(scene.x, scene.y, track, shift) * np.sqrt(weight)[:, None, :]
    return _Patterns(rows, np.matmul(rows, np.swapaxes(rows, 1, 2)), np.array(shift))


def _linearise(
    setting: Setting, weight: F8, prior: Prior, values: F8, extended: ExtendedLight, patterns: _Patterns
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
    light = np.matmul(bright[:, None, :], patterns.rows)[:, 0]
    normal = np.matmul(columns, np.swapaxes(columns, 1, 2))
    scale = np.sqrt(np.maximum(np.einsum("kcc->kc", normal), 1e-300))
    normal = normal / (scale[:, :, None] * scale[:, None, :])
    flux = np.linalg.solve(normal, np.matmul(columns, (data - light)[..., None]) / scale[..., None])[..., 0] / scale
    step = 1e-3  # of a prior's width: far above rounding, far below the curvature
    moved = [setting.columns(values + row) - plain for row in step * np.diag(prior.sd)]
    tangent = project(np.stack([np.einsum("kc,kcn->kn", flux, gap) * root / step for gap in moved], axis=1))
    data = project(data[:, None, :])
    inside = np.matmul(patterns.rows, basis)  # what the columns can make of each pattern
    return _System(
        bb=patterns.products - np.matmul(inside, np.swapaxes(inside, 1, 2)),
        bd=np.matmul(patterns.rows, np.swapaxes(data, 1, 2))[..., 0],
        bt=np.matmul(patterns.rows, np.swapaxes(tangent, 1, 2)),
        tt=np.einsum("ktn,kun->tu", tangent, tangent, optimize=True),
        td=np.einsum("ktn,kcn->t", tangent, data, optimize=True),
        power=float(np.sum(data**2)),
    )


def _solve(system: _System, spectrum: F8, precision: F8, offset: F8) -> _Joint:
    """Solve patterns and steps together; find the precision (a,) of the patterns' prior.

    ``offset`` (11,) is where the shared numbers stand from the means of their priors, in widths.
    """
    count, nodes, shared = spectrum.shape[0], system.bb.shape[1], system.tt.shape[0]
    size = count * nodes
    matrix = np.empty((size + shared, size + shared))
    patterns = np.einsum("ak,bk,kji->ajbi", spectrum, spectrum, system.bb, optimize=True)
    matrix[:size, :size] = patterns.reshape(size, size)
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
    return _Joint(amplitude, found[size:], precision, freedom, inverse[:size, :size], inverse[size:, size:])


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
