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

from tracecube.kernels.psf import full_width
from tracecube.recipes.science.chromatic_fit import ChromaticFit, Prior, Setting, judge, shape_of
from tracecube.recipes.science.galaxy_system import Patterns, System, chi2_of, linearise, patterns_of, solve, spectra_of
from tracecube.recipes.science.host_doubt import Doubt, Seen, doubt_of
from tracecube.recipes.science.point_lattice import Points, points_with_patterns, refraction_of
from tracecube.recipes.science.scene import Slices, Track

__all__ = ["ROUGH", "ExtendedLight", "NoLight", "fit_with_extended"]

F8 = NDArray[np.float64]
FAINT, BRIGHT = 5.0, 90.0  # per cent: before it is known, light is as strong as lies between these shares of lenslets
SMOOTH = 0.7  # details: brightness is that of the surroundings
FEWEST = 20  # lenslets beside the source that tell the spectra of a galaxy
ROUGH = 0.005  # of the light: what flat and profile leave, which would pass for detail of a bright galaxy
STEP = 3.0  # widths of a (held) prior: the longest step
ROUNDS = ((200, 3, np.inf), (400, 4, 0.3), (480, 5, 0.1))
"""Patterns, steps at most, and the step, in widths of a prior, below which there is no other. In the first round
brightness is even and the source is where it is expected; then brightness is that of the light found."""
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
    doubt : Doubt, optional
        Relative errors of the source's flux level.
    seen : array (k, a, n), optional
        Brightness of each picture in the lenslets and slices that were fitted.
    """

    points: Points
    amplitude: F8
    spectrum: F8
    precision: F8
    gain: float = 0.0
    freedom: float = 0.0
    doubt: Doubt | None = None
    seen: F8 | None = None

    def light(self, patterns: F8) -> F8:
        """Brightness (k, n) of the galaxy in the slices, from that of the patterns (k, j, n)."""
        mixed = np.einsum("ak,aj->kj", self.spectrum, self.amplitude)
        return np.asarray(np.matmul(mixed[:, None, :], patterns)[:, 0])

    def in_slices(self, setting: Setting, values: F8) -> F8:
        """Brightness of each picture in the lenslets and slices of a setting, array (k, a, n)."""
        if self.seen is not None:
            return self.seen
        return self.pictures(setting.scene.x, setting.scene.y, values, setting.slices.track)

    def off(self, setting: Setting) -> Setting:
        """Take this light off the slices that it was fitted in."""
        if self.seen is None:
            return setting
        light = np.einsum("ak,kan->kn", self.spectrum, self.seen)
        return replace(setting, slices=replace(setting.slices, flux=setting.slices.flux - light))

    def pictures(self, x: F8, y: F8, values: F8, track: Track) -> F8:
        """Brightness of each picture in lenslets, array (m, a, n)."""
        return self.points.pictures(self.amplitude, x, y, track, refraction_of(values, track))


class NoLight(Exception):
    """Nothing of a galaxy stands out of the noise."""


class _Found(NamedTuple):
    """Result of a round: place and shape, galaxy, its patterns, and the weights of the samples (k, n)."""

    values: F8
    extended: ExtendedLight
    patterns: Patterns
    weight: F8


def fit_with_extended(
    setting: Setting, prior: Prior, *, detail: float, pictures: int, clip: float
) -> tuple[ChromaticFit, ExtendedLight]:
    """Fit place, shape and the galaxy's light together.

    Parameters
    ----------
    setting, prior, clip
        As in `tracecube.recipes.science.chromatic_fit.fit_source`.
    detail : float, arcsec
        Of the galaxy, as in `tracecube.recipes.science.point_lattice.points_with_patterns`.
    pictures : int
        Two let the bulge and the disc of a galaxy have their own colours, three and four its knots and lines.

    Raises
    ------
    NoLight
        Nothing stands out of the noise.
    """
    slices = setting.slices
    values, sound = prior.mean, _rough(slices)
    weight = sound
    brightness: F8 | float = _spread(slices)
    spectrum = _first_spectra(setting, sound, values, pictures)
    for most, steps, near in ROUNDS:
        points = points_with_patterns(setting, weight, values, brightness, detail, most=most)
        if not len(points.pattern):
            raise NoLight
        none = np.zeros((pictures, len(points.pattern)))
        extended = ExtendedLight(points, none, spectrum, np.ones(pictures))
        found = _iterate(setting, weight, prior, values, extended, steps=steps, near=near)
        values, extended = found.values, found.extended
        light = np.matmul(extended.amplitude, found.patterns.plain)
        shared = values.size + extended.freedom
        model_error, kept, chi2 = judge(setting, weight, setting.columns(values, light), clip, shared=shared)
        weight, spectrum = np.where(kept > 0, sound, 0.0), extended.spectrum
        brightness = _brightness(setting, extended, light, SMOOTH * detail)
    covariance, doubt = _errors(setting, prior, found)
    return ChromaticFit(values, covariance, chi2, model_error, weight), replace(extended, doubt=doubt, seen=light)


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
    setting: Setting, weight: F8, prior: Prior, values: F8, extended: ExtendedLight, *, steps: int, near: float
) -> _Found:
    """Gauss-Newton steps until none moves by more than ``near`` of its prior's width."""
    patterns: Patterns | None = None
    system: System | None = None
    for _ in range(steps):
        patterns = patterns_of(extended.points, setting, weight, values, patterns)
        light = extended.light(patterns.plain)
        system = linearise(setting, weight, prior, values, light, patterns, before=system)
        offset = (values - prior.mean) / prior.sd
        joint = solve(system, extended.spectrum, extended.precision, offset, errors=False)
        longest = float(np.abs(joint.step).max())
        step = joint.step / max(1.0, longest / STEP) * np.isfinite(near)
        values = values + prior.sd * step
        spectrum = spectra_of(system, step, joint.amplitude)
        size = np.sqrt(np.mean(spectrum**2, axis=1))
        amplitude, spectrum = joint.amplitude * size[:, None], spectrum / size[:, None]
        extended = replace(
            extended,
            amplitude=amplitude,
            spectrum=spectrum,
            precision=joint.precision / size**2,
            gain=system.power - chi2_of(system, spectrum, amplitude),
            freedom=joint.freedom,
        )
        if longest < near and np.isfinite(near):
            break
    return _Found(values, extended, patterns_of(extended.points, setting, weight, values, patterns), weight)


def _errors(setting: Setting, prior: Prior, found: _Found) -> tuple[F8, Doubt]:
    """Covariance of place and shape, and the errors of the source's flux."""
    values, extended, patterns, weight = found
    light = extended.light(patterns.plain)
    system = linearise(setting, weight, prior, values, light, patterns, before=None)
    offset = (values - prior.mean) / prior.sd
    joint = solve(system, extended.spectrum, extended.precision, offset, errors=True)
    moves = joint.root[:, -values.size :] * prior.sd
    tangent = system.gaps * system.flux[:, None]
    seen = Seen(extended.points, patterns.rows, joint.amplitude, extended.spectrum, joint.root, tangent, joint.step)
    return moves.T @ moves, doubt_of(setting, weight, values, seen)


def _first_spectra(setting: Setting, weight: F8, values: F8, pictures: int) -> F8:
    """Start of the search: spectra that span most of the light beyond the source, sky taken off."""
    scene, slices = setting.scene, setting.slices
    shape = shape_of(values)
    far = (weight > 0).all(axis=0) & (np.hypot(scene.x - values[0], scene.y - values[1]) > full_width(shape))
    if np.count_nonzero(far) < FEWEST:
        raise np.linalg.LinAlgError("too few lenslets beside the source to tell a galaxy's spectra")
    sky = np.percentile(slices.flux[:, far], FAINT, axis=1)
    scale = np.sqrt(np.median(weight[:, far], axis=1))
    light = (slices.flux[:, far] - sky[:, None]) * scale[:, None]
    spectra = np.linalg.svd(light, full_matrices=False)[0][:, :pictures].T / scale
    return np.asarray(spectra / np.sqrt(np.mean(spectra**2, axis=1))[:, None])
