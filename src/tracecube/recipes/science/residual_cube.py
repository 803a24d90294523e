"""The surroundings of a star without its speckles, as a cube: north up, with errors and what is left of a source.

The samples go through the projection P that companions are solved with; what it leaves of every integration is brought
to the sky by one linear resampling and averaged. P takes some of a source's light too. Sources of known brightness,
sent through the same P and the same resampling, tell how much is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tracecube.core.companions import ResidualCube
from tracecube.core.fields import FloatArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.quality import QualityNumber
from tracecube.kernels.running import running_median
from tracecube.recipes.cube.star_cube import (
    Operator,
    StarCubeParams,
    StarFrame,
    good_weights,
    grid_of,
    operator_over,
    without_axes,
)
from tracecube.recipes.cube.star_stack import in_lenslet_plane, north_up
from tracecube.recipes.science.high_contrast import Surroundings
from tracecube.recipes.science.star_sequence import StarSequence

__all__ = ["residual_cube"]

F8 = NDArray[np.float64]

_GOLDEN = 2.399963  # angle between neighbours in distance: they are far from each other
_ANGLES = 2  # angles at which the throughput at a distance is measured
_TOLD = 30  # pixels in a ring from which their scatter tells something
_OUTLIER = 6.0  # errors: beyond lie speckles' tails
_CHANNELS = 7  # of neighbours that share how noise is rescaled
_BESIDE = ((0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, -1), (0, 0, 2), (0, 2, 0), (0, 0, 4), (0, 4, 0))
_OFFSETS = ((1, 0, 0), (2, 0, 0), *_BESIDE)


def residual_cube(
    found: Surroundings, params: StarCubeParams, *, target: tuple[float, float] | None, meta: Meta
) -> tuple[ResidualCube, tuple[QualityNumber, ...]]:
    """Make the cube of what was found around a star.

    Parameters
    ----------
    found : Surroundings
    params : StarCubeParams
        The grid; the star is on the middle pixel.
    target : (float, float) or None
        Right ascension and declination of the star, degree.
    meta : mapping

    Returns
    -------
    cube : ResidualCube
        Mean of one integration, electron / Angstrom a pixel. The variance is that of the weights, which count
        speckles left over, times the square of how much more pixels without companions scatter in a ring.
    numbers : tuple of QualityNumber
        ``RESIDUAL ERROR SCALE`` is the median of that factor.
    """
    sequence, separation = found.learnt.sequence, found.clean.separation
    throughput, peak = _throughput(found, params)
    both = (found.learnt.residual, _with_sources(found))
    pull, whole, variance, inside = _averaged(both, sequence, params)
    del both
    pull /= np.sqrt(variance)
    radius = np.hypot(*grid_of(params).T)
    scale = _scale(pull, radius, separation, float(np.median(sequence.unit)))
    pull /= scale
    correlation = _correlations(pull, params.size)
    del pull
    variance *= scale**2
    seen = np.isfinite(whole)
    flags = np.where(seen, 0, np.where(inside, int(Flag.NOT_MEASURED), int(Flag.NOT_ILLUMINATED)))
    flags |= np.where(seen & (radius < separation[0]), int(Flag.LOW_THROUGHPUT), 0)  # behind the mask
    shape = (sequence.wave.size, params.size, params.size)
    cube = ResidualCube(
        data=whole.reshape(shape),
        variance=variance.reshape(shape),
        flags=flags.reshape(shape).astype(np.int32),
        covariance_offset=np.array(_OFFSETS),
        covariance_value=correlation,
        meta={**without_axes(meta), **north_up(sequence.wave, "WAVE", params, target), "NDITS": len(sequence.angle)},
        separation=separation,
        throughput=throughput.astype(np.float32),
        peak=peak,
    )
    near = int(np.argmin(np.abs(separation - 0.2)))
    return cube, (
        QualityNumber("RESIDUAL ERROR SCALE", float(np.nanmedian(scale[seen])), "", 0.5, 2.0),
        QualityNumber("THROUGHPUT 0.2", float(np.nanmedian(throughput[near])), ""),
    )


def _with_sources(found: Surroundings) -> FloatArray:
    """What the projection leaves of the data with everything in them that was taken off, array (n_time, n_wave, n)."""
    if not found.taken:
        return found.learnt.residual
    light = np.stack([np.where(np.isfinite(one.contrast), one.contrast, 0.0) for one in found.taken])
    east, north = (np.array([getattr(one, axis) for one in found.taken]) for axis in ("east", "north"))
    image = found.learnt.sequence.image(east, north, light)
    image[found.learnt.sequence.weight <= 0] = 0.0
    left = found.learnt.model.apply(image)
    left += found.learnt.residual
    return left


def _frames(sequence: StarSequence, targets: F8, params: StarCubeParams) -> Iterator[tuple[int, Operator, float]]:
    """Operators, one an integration, that give places (n, 2) west and north of the star; a pixel's share of a lenslet.

    The star's place is the mean of the channels: residual refraction is a fraction of a pixel.
    """
    lenslets = np.asarray(sequence.lattice.x, float), np.asarray(sequence.lattice.y, float)
    for t, angle in enumerate(sequence.angle):
        star = StarFrame(float(sequence.star_x[t].mean()), float(sequence.star_y[t].mean()), float(angle), 0.0, 0.0)
        yield t, *operator_over(in_lenslet_plane(targets, star), lenslets, float(sequence.wave[0]), params)


def _averaged(
    samples: Sequence[FloatArray], sequence: StarSequence, params: StarCubeParams
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]:
    """Averages (n_wave, n_pixel) of two sets of samples (n_time, n_wave, n), their variance, pixels that were seen.

    Integrations weigh by the median of their noise in a channel, not pixel by pixel.
    """
    shape = (sequence.wave.size, params.size**2)
    first, second, noise, weight = (np.zeros(shape, np.float32) for _ in range(4))
    inside = np.zeros(shape[1], bool)
    for t, operator, share in _frames(sequence, grid_of(params), params):
        inside[operator.rows] = True
        for k in range(shape[0]):
            good = sequence.weight[t, k] > 0
            if not good.any():
                continue
            lenslets, ok = good_weights(operator, good, params.least_share)
            lenslets[~ok] = 0.0
            variance = np.where(good, 1.0 / np.where(good, sequence.weight[t, k], 1.0), 0.0)
            spread = np.einsum("mk,mk->m", lenslets**2, variance[operator.near])
            trust = np.where(ok, 1.0 / np.median(spread[ok]), 0.0) if ok.any() else np.zeros(ok.size)
            for total, one in zip((first, second), samples, strict=True):
                value = np.where(good, one[t, k], 0.0)[operator.near]
                total[k, operator.rows] += trust * share * np.einsum("mk,mk->m", lenslets, value)
            noise[k, operator.rows] += (trust * share) ** 2 * spread
            weight[k, operator.rows] += trust
    weight[weight <= 0.0] = np.nan
    first /= weight
    second /= weight
    noise /= weight**2
    return first, second, noise, inside


def _scale(pull: FloatArray, radius: F8, rings: F8, unit: float) -> FloatArray:
    """How much more than their errors pixels without companions scatter, array (n_wave, n_pixel).

    By rings about the star and a few neighbouring channels; straight lines between the rings.
    """
    told = np.full((pull.shape[0], rings.size), np.nan, np.float32)
    for r, ring in enumerate(rings):
        some = pull[:, np.abs(radius - ring) < unit]
        known = np.isfinite(some).sum(axis=1) >= _TOLD
        told[known, r] = 1.4826 * np.nanmedian(np.abs(some[known]), axis=1)
    known = np.isfinite(told) & (told > 0.0)
    smooth = running_median(np.where(known, told, 1.0).T.astype(np.float32), known.T, _CHANNELS // 2).T
    found = np.ones(pull.shape, np.float32)
    for k, line in enumerate(smooth):
        if np.isfinite(line).any():
            found[k] = np.interp(radius, rings[np.isfinite(line)], line[np.isfinite(line)])
    return found


def _correlations(pull: FloatArray, size: int) -> F8:
    """Mean correlation coefficients of pixels without companions at `_OFFSETS`: speckles left over are in them."""
    cube = pull.reshape(-1, size, size)
    found = []
    for dw, dy, dx in _OFFSETS:
        sums = np.zeros(3)
        for one, other in zip(cube[: len(cube) - dw], cube[dw:], strict=True):
            a = one[: size - dy, max(0, -dx) : size - max(0, dx)]
            b = other[dy:, max(0, dx) : size - max(0, -dx)]
            both = (np.abs(a) < _OUTLIER) & (np.abs(b) < _OUTLIER)
            x, y = a[both].astype(float), b[both].astype(float)
            sums += x @ y, x @ x, y @ y
        found.append(float(sums[0] / np.sqrt(sums[1] * sums[2])) if sums[1] * sums[2] > 0 else 0.0)
    return np.array(found)


def _throughput(found: Surroundings, params: StarCubeParams) -> tuple[F8, F8]:
    """Share (n_ring, n_wave) that is left in the middle of a source of the star's colour, and what would be there."""
    sequence, rings = found.learnt.sequence, found.clean.separation
    light = np.broadcast_to(np.where(sequence.light > 0, 1.0, 0.0), (rings.size, sequence.wave.size))
    left, given, number = (np.zeros(light.shape) for _ in range(3))
    for turn in range(_ANGLES):
        angle = _GOLDEN * np.arange(rings.size) + 2.0 * np.pi * turn / _ANGLES
        image = sequence.image(rings * np.sin(angle), rings * np.cos(angle), light)
        image[sequence.weight <= 0] = 0.0
        targets = np.stack([-rings * np.sin(angle), rings * np.cos(angle)], axis=1)
        middle = [_middles(one, sequence, targets, params) for one in (found.learnt.model.apply(image), image)]
        both = np.isfinite(middle[0]) & np.isfinite(middle[1])
        left, given = (total + np.where(both, one, 0.0) for total, one in zip((left, given), middle, strict=True))
        number += both
    known = given > 0.0
    share = np.where(known, left / np.where(known, given, 1.0), np.nan)
    return share, np.median(given / np.maximum(number, 1), axis=0)


def _middles(samples: FloatArray, sequence: StarSequence, targets: F8, params: StarCubeParams) -> F8:
    """Averages (n_place, n_wave) of samples at places (n_place, 2) west and north of the star, as in `_averaged`."""
    total, weight = (np.zeros((len(targets), sequence.wave.size)) for _ in range(2))
    for t, operator, share in _frames(sequence, targets, params):
        for k in range(sequence.wave.size):
            good = sequence.weight[t, k] > 0
            if not good.any():
                continue
            lenslets, ok = good_weights(operator, good, params.least_share)
            trust = np.where(ok, float(np.median(sequence.weight[t, k][good])), 0.0)
            value = np.einsum("mk,mk->m", lenslets, np.where(good, samples[t, k], 0.0)[operator.near])
            total[operator.rows, k] += trust * share * np.where(ok, value, 0.0)
            weight[operator.rows, k] += trust
    return np.where(weight > 0.0, total / np.where(weight > 0.0, weight, 1.0), np.nan)
