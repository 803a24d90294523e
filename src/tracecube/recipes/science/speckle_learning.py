"""Learning the speckle model: courses along time, spectra along wavelength, and how strong speckles are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray
from tracecube.core.params import Params
from tracecube.kernels.running import running_median
from tracecube.recipes.science.speckles import Magnified, SpeckleModel, magnified_plane
from tracecube.recipes.science.star_sequence import StarSequence

__all__ = ["LearntSpeckles", "Method", "SpeckleParams", "learn_speckles"]

F8 = NDArray[np.float64]

Method = Literal["none", "adi", "sdi", "asdi", "pca-adi", "pca-sdi", "pca-asdi"]
LENSLETS_PER_TERM = 500  # some fifteen images of a source
ROUNDS = 3  # of mean image and brightness in turns: they settle to 1e-4 in two


class SpeckleParams(Params):
    """How speckles are told from companions."""

    method: Method = Field(
        "asdi",
        description="adi: what stands still while the field turns; sdi: what is magnified with wavelength (spectral "
        "deconvolution); asdi: both; pca-...: courses and spectra are principal components; none: neither",
    )
    order: int = Field(2, ge=0, le=6, description="degree in wavelength of a speckle's spectrum")
    damping: float = Field(0.5, gt=0.0, le=1.0, description="expected size of each degree over that of the one below")
    modes: int = Field(1, ge=1, le=20, description="principal components along time besides the mean, for pca-adi")
    spectral_modes: int = Field(3, ge=1, le=20, description="principal components along wavelength, for pca-sdi")
    inner: float = Field(0.09, ge=0.0, description="radius that the mask and its neighbourhood take, arcsec")
    outer: float = Field(0.90, gt=0.0, description="outer radius, arcsec")
    ring: float = Field(
        0.03, gt=0.0, description="width of the rings in which the size of speckles is measured, arcsec"
    )
    smooth: int = Field(
        6,
        ge=0,
        le=12,
        description="degree of what is smooth over the field and changes from exposure to exposure: halo, background; "
        "less where lenslets are few",
    )
    step: float = Field(0.45, gt=0.05, le=0.5, description="distance of the magnified plane's nodes, lambda / D")

    @property
    def along_time(self) -> bool:
        """Whether the field's rotation is used."""
        return "adi" in self.method or "asdi" in self.method

    @property
    def along_wave(self) -> bool:
        """Whether the magnification with wavelength is used."""
        return self.method.endswith("sdi")

    @property
    def learnt(self) -> bool:
        """Whether principal components are used."""
        return self.method.startswith("pca")


@dataclass(frozen=True)
class LearntSpeckles:
    """A speckle model and the data it is for.

    Parameters
    ----------
    model : SpeckleModel
    sequence : StarSequence
        Weights count speckles left over as noise; its flux holds zeros and takes no room.
    residual : array (n_time, n_wave, n)
        Of the data, the background's changes and speckles taken out.
    excess : array (n_ring, n_wave)
        Variance of the residual over that of the noise.
    """

    model: SpeckleModel
    sequence: StarSequence
    residual: FloatArray
    excess: F8


def learn_speckles(
    sequence: StarSequence, params: SpeckleParams, *, clean: StarSequence | None = None, plane: Magnified | None = None
) -> LearntSpeckles:
    """Learn the speckle model of a sequence.

    Parameters
    ----------
    sequence : StarSequence
    params : SpeckleParams
    clean : StarSequence, optional
        The same with known companions taken off: what speckles are like is learnt from it.
    plane : Magnified, optional
        Of the sequence, where it is known already.

    Raises
    ------
    BadData
        Too few exposures for the courses asked for, or too few lenslets in the rings.
    """
    source = clean or sequence
    rings = _rings(source, params)
    courses, offset = _courses(source, params, rings)
    source = _without_offset(source, offset)
    flux = source.flux if clean is None else _without_offset(sequence, offset).flux
    del offset
    if params.along_wave and plane is None:
        plane = magnified_plane(source, inner=max(0.5 * params.inner, float(source.unit[0])), step=params.step)
    scale = _halo(source, rings)
    empty = np.zeros((0, 0, 0))
    model = SpeckleModel(courses, source.weight, None, scale, np.zeros((source.wave.size, 0)), empty)
    still = model.apply(source.flux)
    if params.along_wave and plane is not None:
        freedom = _freedom(source, courses.shape[0])
        power = _power(source, still, rings, freedom) / scale**2
        spectra = _spectra(source, params, (still, scale, plane))
        fit = _ridge(source, plane, scale, spectra, power=_at(plane, power, params), damping=params.damping)
        model = replace(model, plane=plane, spectra=spectra, fit=fit)
        still = model.apply(source.flux)
    excess = _excess(source, still, rings, _freedom(source, courses.shape[0]))
    noisy = np.where(rings >= 0, excess.T[:, np.maximum(rings, 0)], excess[0][:, None]).astype(source.flux.dtype)
    if clean is not None:
        del source, still
        still = model.apply(flux)
    none = np.broadcast_to(np.zeros(1, flux.dtype), flux.shape)
    return LearntSpeckles(model, replace(sequence, flux=none, weight=sequence.weight / noisy), still, excess)


def _rings(sequence: StarSequence, params: SpeckleParams) -> NDArray[np.int64]:
    """Number of each lenslet's ring, -1 outside."""
    radius = sequence.radius
    rings = ((radius - params.inner) / params.ring).astype(np.int64)
    used = (radius >= params.inner) & (radius < params.outer)
    if np.count_nonzero(used) < 200:
        raise BadData(
            f"{np.count_nonzero(used)} lenslets between {params.inner} and {params.outer} arcsec",
            hint="widen 'inner' and 'outer'",
        )
    # A ring that the field's edge leaves with few lenslets says what its neighbour says.
    number = np.bincount(rings[used])
    last = int(np.flatnonzero(number >= min(60, number.max())).max())
    return np.where(used, np.minimum(rings, last), -1)


def _courses(sequence: StarSequence, params: SpeckleParams, rings: NDArray[np.int64]) -> tuple[F8, FloatArray]:
    """Courses of brightness (n_course, n_time, n_wave) and changes of what is smooth (n_time, n_wave, n or 1)."""
    times, waves = sequence.flux.shape[:2]
    inside = rings >= 0
    if not params.along_time or times < 2:
        return np.zeros((0, times, waves)), np.zeros((times, waves, 1))
    number = 1 + (params.modes if params.learnt else 0)
    if number >= times:
        raise BadData(f"{number} courses along time from {times} exposures", hint="lower 'modes'")
    gain, smooth = np.ones((times, waves)), np.zeros_like(sequence.flux)
    matrix, surfaces = np.zeros((times, times)), None
    if params.smooth:
        place = (sequence.lattice.x[inside], sequence.lattice.y[inside])
        surfaces = _surfaces(place, _degree(params.smooth, int(inside.sum())))
    for k in range(waves):
        flux, weight = (np.asarray(one[:, k, inside], float) for one in (sequence.flux, sequence.weight))
        gain[:, k], offset, mean = _brightness(flux, weight)
        left = flux - offset[:, None] - gain[:, [k]] * mean
        found = np.zeros_like(left) if surfaces is None else _smooth(left, weight, rings[inside], surfaces)
        smooth[:, k] = offset[:, None]
        smooth[:, k, inside] += found
        # Components along time of everything that moved: few against the samples they come from.
        left = np.sqrt(weight) * (left - found)
        matrix += left @ left.T
    modes = np.linalg.eigh(matrix)[1][:, ::-1][:, : number - 1]
    extra = [np.broadcast_to(mode[:, None], gain.shape) for mode in modes.T]
    return np.stack([gain, *extra]), smooth


def _brightness(flux: F8, weight: F8) -> tuple[F8, F8, F8]:
    """Brightness and offset of each exposure (n_time,) about a mean image (n,), of one channel (n_time, n)."""
    times = len(flux)
    gain, offset = np.ones(times), np.zeros(times)
    for _ in range(ROUNDS):
        above = np.einsum("t,ti->i", gain, weight * (flux - offset[:, None]))
        mean = above / np.maximum(np.einsum("t,ti->i", gain**2, weight), 1e-300)
        sums = [weight @ mean**p for p in range(3)]
        seen = [(weight * flux) @ mean**p for p in range(2)]
        det = sums[0] * sums[2] - sums[1] ** 2
        known = det > 1e-12 * sums[0] * sums[2]
        det = np.where(known, det, 1.0)
        gain = np.where(known, (sums[0] * seen[1] - sums[1] * seen[0]) / det, 1.0)
        offset = np.where(known, (sums[2] * seen[0] - sums[1] * seen[1]) / det, 0.0)
        gain, offset = gain / gain.mean(), offset - offset.mean()
    return gain, offset, mean


def _degree(most: int, lenslets: int) -> int:
    """Degree of polynomials of which each has `LENSLETS_PER_TERM` to itself: a source is then no part of them."""
    return max(d for d in range(most + 1) if d == 0 or (d + 1) * (d + 2) // 2 * LENSLETS_PER_TERM <= lenslets)


def _surfaces(place: tuple[F8, F8], degree: int) -> F8:
    """Polynomials (n, m) up to a degree over places, orthogonal on the square around them."""
    x, y = (2.0 * (axis - axis.min()) / np.ptp(axis) - 1.0 for axis in place)
    along, up = (np.polynomial.legendre.legvander(axis, degree) for axis in (x, y))
    columns = along[:, :, None] * up[:, None]
    few = np.add.outer(np.arange(degree + 1), np.arange(degree + 1)) <= degree
    return np.asarray(columns[:, few])


def _smooth(left: F8, weight: F8, rings: NDArray[np.int64], surfaces: F8) -> F8:
    """Smooth part of what is left in a channel (n_time, n), exposure by exposure.

    Rings whose speckles are strong weigh by what they scatter, not by their photons.
    """
    found = np.zeros(left.shape)
    count = np.bincount(rings, (weight > 0).sum(axis=0))
    scatter = np.bincount(rings, (weight * left**2).sum(axis=0)) / np.maximum(count, 1)
    share = 1.0 / np.maximum(scatter, 1.0)[rings]
    for t in range(len(left)):
        weighted = surfaces * (weight[t] * share)[:, None]
        normal = weighted.T @ surfaces
        if np.count_nonzero(weight[t]) > 10 * len(normal):  # noqa: PLR2004 - otherwise noise would be fitted
            found[t] = surfaces @ np.linalg.solve(normal, weighted.T @ left[t])
    return found


def _without_offset(sequence: StarSequence, offset: FloatArray) -> StarSequence:
    flux = sequence.flux - offset.astype(sequence.flux.dtype, copy=False)
    flux[sequence.weight <= 0] = 0.0
    return replace(sequence, flux=flux)


def _halo(sequence: StarSequence, rings: NDArray[np.int64]) -> F8:
    """Brightness of the halo in each channel: weighted mean over the inner third of the rings."""
    inside = (rings >= 0) & (rings <= max(1, rings.max() // 3))
    weight = sequence.weight[..., inside]
    total = weight.sum(axis=(0, 2), dtype=float)
    mean = (weight * sequence.flux[..., inside]).sum(axis=(0, 2), dtype=float) / np.maximum(total, 1e-300)
    # Never less than a thousandth of the brightest: an empty channel must not blow up.
    return np.asarray(np.maximum(mean, max(1e-3 * float(mean.max()), 1e-30)))


def _freedom(sequence: StarSequence, courses: int) -> F8:
    """Share of the noise's variance that the courses leave, array (n_wave, n)."""
    number = (sequence.weight > 0).sum(axis=0)
    return np.where(number > courses, (number - courses) / np.maximum(number, 1), 0.0)


def _per_ring(rings: NDArray[np.int64], values: F8) -> F8:
    """Mean over rings of values (n_wave, n) that are finite, array (n_ring, n_wave)."""
    count = rings.max() + 1
    found = np.zeros((count, values.shape[0]))
    for k, row in enumerate(values):
        ok = (rings >= 0) & np.isfinite(row)
        number = np.bincount(rings[ok], minlength=count)
        found[:, k] = np.bincount(rings[ok], row[ok], count) / np.maximum(number, 1)
    return found


def _power(sequence: StarSequence, still: FloatArray, rings: NDArray[np.int64], freedom: F8) -> F8:
    """Variance of what moved above the noise's, array (n_ring, n_wave)."""
    above = np.full(freedom.shape, np.nan)
    for k in range(len(above)):
        used = (sequence.weight[:, k] > 0) & (freedom[k] > 0)
        number = np.maximum(used.sum(axis=0), 1)
        noise = np.where(used, 1.0 / np.where(used, sequence.weight[:, k], 1.0), 0.0).sum(axis=0) / number
        power = np.where(used, still[:, k] ** 2, 0.0).sum(axis=0) / number
        above[k] = np.where(used.any(axis=0), power - noise * freedom[k], np.nan)
    return np.maximum(_per_ring(rings, above), 0.0)


def _excess(sequence: StarSequence, still: FloatArray, rings: NDArray[np.int64], freedom: F8) -> F8:
    """Variance of the residual over that of the noise, at least 1, smooth along wavelength."""
    ratio = np.full(freedom.shape, np.nan)
    for k in range(len(ratio)):
        used = (sequence.weight[:, k] > 0) & (freedom[k] > 0)
        number = used.sum(axis=0)
        square = np.where(used, sequence.weight[:, k] * still[:, k] ** 2, 0.0).sum(axis=0)
        ratio[k] = np.where(number > 0, square / np.maximum(number * freedom[k], 1e-300), np.nan)
    found = np.maximum(_per_ring(rings, ratio), 1.0)
    return np.asarray(running_median(found.astype(np.float32), np.isfinite(found), 2), float)


def _at(plane: Magnified, power: F8, params: SpeckleParams) -> F8:
    """Relative variance of speckles at the nodes: median over channels of the ring's, array (n_node,)."""
    centre = params.inner + params.ring * (np.arange(power.shape[0]) + 0.5)
    # Rings are at places in the field; a node's place there is magnified: the middle channel stands for all.
    middle = np.median(power, axis=1)
    return np.interp(np.hypot(plane.x, plane.y), centre, middle)


def _spectra(sequence: StarSequence, params: SpeckleParams, found: tuple[FloatArray, F8, Magnified]) -> F8:
    """Spectra of speckles over the halo's, array (n_wave, n_spectrum)."""
    still, scale, plane = found
    wave = sequence.wave
    if not params.learnt:
        t = 2.0 * (wave - wave[0]) / (wave[-1] - wave[0]) - 1.0
        return np.asarray(np.polynomial.legendre.legvander(t, params.order))
    nodes = np.stack([m @ still[:, k].T / scale[k] for k, m in enumerate(plane.onto)])
    whole = plane.seen.all(axis=0)
    if np.count_nonzero(whole) < 4 * wave.size:
        raise BadData("too few places are seen at all wavelengths for components", hint="use method 'asdi'")
    rows = nodes[:, whole].reshape(wave.size, -1)
    noise = np.median(1.0 / np.sqrt(np.maximum(sequence.weight.max(axis=(0, 2)).astype(float), 1e-300)) / scale)
    vectors = np.linalg.eigh(rows @ rows.T / max(noise, 1e-300) ** 2)[1][:, ::-1]
    return np.asarray(vectors[:, : params.spectral_modes] * np.sqrt(wave.size))


def _ridge(sequence: StarSequence, plane: Magnified, scale: F8, spectra: F8, *, power: F8, damping: float) -> F8:
    """Coefficients of spectra from nodes by Bayesian least squares, array (n_node, n_spectrum, n_wave).

    Speckles of known variance in noise of known variance: where there are none, nothing is taken.
    """
    mean = sequence.weight.mean(axis=0)
    variance = np.where(mean > 0, 1.0 / np.where(mean > 0, mean, 1.0), np.nan)
    weight = np.zeros(plane.seen.shape)
    for k, m in enumerate(plane.onto):
        row = np.where(np.isfinite(variance[k]), variance[k], np.nanmedian(variance[k]))
        noise = m.power(2) @ row / scale[k] ** 2
        weight[k] = np.where(plane.seen[k] & (noise > 0), 1.0 / np.where(noise > 0, noise, 1.0), 0.0)
    expected = np.maximum(power, 1e-30)[:, None] * damping ** (2.0 * np.arange(spectra.shape[1]))
    normal = np.einsum("kp,kn,kq->npq", spectra, weight, spectra)
    normal[:, np.arange(spectra.shape[1]), np.arange(spectra.shape[1])] += 1.0 / expected
    return np.asarray(np.linalg.solve(normal, np.einsum("kp,kn->npk", spectra, weight)))
