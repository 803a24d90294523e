"""How two images of one field lie to each other: place, flux, background and seeing, by least squares.

J(x) = F (B_k I)(u(x) - d) + b, both images smoothed alike beforehand. B_k multiplies the image's transform by
exp(-k |q|^(5/3)): what a change of the seeing does (Fried 1966, J. Opt. Soc. Am. 56, 1372). Smoothing correlates
noise, so errors are those of the estimator: with H the normal matrix, D the derivatives, w the weights and G the
smoothing, the covariance is H^-1 [sum (G * D w)^2 (var J + F^2 var I)] H^-1 (sandwich; Huber 1967, Proc. Fifth
Berkeley Symp. 1, 221). What noise of I adds to H is taken off, for F would come out too small (Fuller 1987,
Measurement Error Models, section 2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfft2, next_fast_len, rfft2, rfftfreq
from scipy.ndimage import (
    binary_dilation,
    binary_erosion,
    binary_fill_holes,
    gaussian_filter,
    map_coordinates,
    spline_filter,
)

__all__ = ["Picture", "Shift", "fit_shift", "prepare"]

F8 = NDArray[np.float64]
B1 = NDArray[np.bool_]
C16 = NDArray[np.complex128]

_SMOOTH = 1.0  # px, sigma by which images are smoothed
_REACH = 4  # px, to which the smoothing reaches
_TERMS = 5  # place (y, x), flux, seeing, background
_MODEL = 0.03  # of the light: what unlike point-spread functions leave
_CAP = 4.0  # errors beyond which a pixel counts less (Huber)
_STEP = 2.0  # px, the longest step
_SEEING = 0.15  # by which the seeing may differ, k: 0.80 and 0.85 arcsec at 0.2 arcsec a pixel
_FARTHEST = 2.0  # k beyond which the images are not alike: 0.8 and 1.2 arcsec
_SAME = 0.003  # change of k that a straight line follows
_TOLD = 0.05  # error of k with which it is fitted at all
_HELD = 1e-4  # error of k where it is not
_WINGS = 0.012  # of the flux, times k: wings of a star do not change with seeing as its core does
_WIDE = 3.0  # px, sigma by which images are smoothed where fluxes are compared
_FEWEST = 300  # pixels for that
_SETTLED = 0.05  # errors by which a value may still change
_BLANK = 4000  # pixels that tell of the background
_PAD = 16  # px of nothing about an image
_WHOLE = 0.999  # of the pixels between which I is interpolated
_MOST = 0.9  # of the normal matrix that may be noise of I


class Picture(NamedTuple):
    """An image made ready: its transform, and arrays (y, x): smoothed, variance, and which pixels count.

    ``rim`` px about it, what is thought to be there is known, too.
    """

    spectrum: C16
    smoothed: F8
    variance: F8
    known: B1
    rim: int


class Shift(NamedTuple):
    """What a fit found.

    Parameters
    ----------
    value : array (5,)
        Displacement of J against I (y, x; px), flux of J over that of I, change k of the seeing from I to J,
        background of J over that of I.
    of_first, of_second : array (5, 5)
        Their covariance, what noise of I and of J make of it.
    chi2 : float
        Of the pixels that count, their model error included.
    first, second : array (y, x)
        How much each pixel of I and of J tells of the place.
    pixels : int
    converged : bool
    """

    value: F8
    of_first: F8
    of_second: F8
    chi2: float
    first: F8
    second: F8
    pixels: int
    converged: bool


def prepare(image: F8, variance: F8, known: B1, level: float = 0.0, *, trusted: B1 | None = None) -> Picture:
    """Return an image made ready; pixels not known do not count, nor those so near that smoothing brings them in.

    Parameters
    ----------
    image : array (y + 2 r, x + 2 r)
        Where it is not known, what is thought to be there: smoothing brings some of it in. As many px on each side as
        it has more than ``known`` (8 at most) lie beyond the array.
    variance : array (y, x)
    known : bool array (y, x)
    level : float
        Light farther outside.
    trusted : bool array like the image, optional
        Where that is good: of the pixels beside, one row does not count. All but holes, if it is not said. Pixels that
        are known and not good do not count.
    """
    rim = (image.shape[0] - known.shape[0]) // 2
    shape = [next_fast_len(known.shape[0] + _PAD), 2 * next_fast_len((known.shape[1] + _PAD + 1) // 2)]
    wave = _waves(shape)
    full = np.full(shape, level)
    full[_around(shape, known.shape, rim)] = image
    spectrum = rfft2(full, shape) * np.exp(-0.5 * _SMOOTH**2 * (wave[0] ** 2 + wave[1] ** 2))
    seen = np.pad(known, rim + 1)  # a row beyond all: the frame is an edge, too
    good = seen | ~binary_fill_holes(seen) if trusted is None else np.pad(trusted, 1, mode="edge")
    near = binary_dilation(~seen) | binary_dilation(~seen & ~good, iterations=_REACH) | ~good
    inner = slice(rim + 1, -(rim + 1))
    smoothed = _image(spectrum, known.shape)
    return Picture(spectrum, smoothed, np.where(known, variance, 0.0), known & ~near[inner, inner], rim)


def _around(whole: Sequence[int], shape: tuple[int, ...], rim: int) -> tuple[NDArray[np.intp], ...]:
    """Return where an image and its rim lie in an array that goes round."""
    return np.ix_(*(np.arange(-rim, count + rim) % size for size, count in zip(whole, shape, strict=True)))


def _whole_shape(picture: Picture) -> list[int]:
    return [picture.spectrum.shape[0], 2 * (picture.spectrum.shape[1] - 1)]


def _waves_squared() -> F8:
    """Return squares of wave numbers on a grid that fills the band."""
    y, x = _waves([128, 128])
    return y**2 + x**2


def _waves(shape: list[int]) -> tuple[F8, F8]:
    """Return wave numbers along y and x, radian per pixel."""
    return 2.0 * np.pi * fftfreq(shape[0])[:, None], 2.0 * np.pi * rfftfreq(shape[1])[None, :]


def _image(spectrum: C16, shape: tuple[int, ...], rim: int = 0) -> F8:
    full = (spectrum.shape[0], 2 * (spectrum.shape[1] - 1))
    return np.asarray(irfft2(spectrum, full)[_around(full, shape, rim)])


class _Parts(NamedTuple):
    """The image as a change of seeing makes it.

    Splines of the image, its slopes and its change with seeing, with their rim; of white noise, what is left of its
    variance, of that of its slopes, its covariance with its change, and the variance of that.
    """

    images: list[F8]
    seeing: float
    left: float
    slope: float
    change: float
    curve: float


def _parts(picture: Picture, seeing: float) -> _Parts:
    wave = _waves(_whole_shape(picture))
    square = wave[0] ** 2 + wave[1] ** 2
    blur = square ** (5.0 / 6.0)
    factor = np.exp(-seeing * blur)
    own = picture.spectrum * factor
    images = [
        spline_filter(_image(part, picture.known.shape, picture.rim), order=3, mode="constant")
        for part in (own, 1j * wave[0] * own, 1j * wave[1] * own, -blur * own)
    ]
    power = (factor * np.exp(-0.5 * _SMOOTH**2 * square)) ** 2
    of_slope, of_change = float(np.mean(0.5 * square * power)), -float(np.mean(blur * power))
    return _Parts(images, seeing, float(np.mean(power)), of_slope, of_change, float(np.mean(blur**2 * power)))


def fit_shift(one: Picture, other: Picture, place: tuple[F8, F8], use: B1, start: F8, *, rounds: int = 25) -> Shift:
    """Fit the displacement of ``other`` against ``one``.

    Parameters
    ----------
    one, other : Picture
        I and J.
    place : (array, array), px
        Where pixels of J lie in I (y, x) if nothing is displaced.
    use : bool array (y, x)
        Pixels of J that tell of place, flux and seeing; the others tell of the background.
    start : array (2,), px
        First guess of the displacement (y, x).
    """
    known = np.flatnonzero(other.known & ~use)
    used = np.concatenate([np.flatnonzero(other.known & use), known[:: max(known.size // _BLANK, 1)]])
    at = np.unravel_index(used, use.shape)
    there = place[0][at], place[1][at]
    value = np.array([start[0], start[1], 1.0, 0.0, 0.0])
    sky = _Seen(one, at, there, (other.smoothed[at], other.variance[at]), use[at])
    value, state, converged = _iterate(sky, value, rounds, free=False)
    if converged and state.told > 1.0 / _TOLD**2:
        freed, state_freed, well = _iterate(sky, value, rounds, free=True)
        if well and abs(freed[3]) < _FARTHEST:
            found = _result(sky, other, freed, state_freed, converged=True)
            return _with_flux(found, _wide_flux(sky, other, freed))
    found = _result(sky, other, value, state, converged=converged)
    found.of_second[2, 2] += float(_SEEING * state.matrix[2, 3] / max(state.matrix[2, 2], 1e-300)) ** 2
    return found


class _Flux(NamedTuple):
    """Flux and background (2,), and their covariances for noise of I and of J (2, 2)."""

    value: F8
    of_first: F8
    of_second: F8


def _wide_flux(sky: _Seen, other: Picture, value: F8) -> _Flux | None:
    """Return flux and background of widely smoothed images, which unlike wings and cores of stars hardly touch."""
    one = sky.one
    square = sum(part**2 for part in _waves(_whole_shape(one)))
    wide = np.exp(-0.5 * (_WIDE**2 - _SMOOTH**2) * square)
    first = spline_filter(_image(one.spectrum * wide * np.exp(-value[3] * square ** (5.0 / 6.0)), one.known.shape))
    square = sum(part**2 for part in _waves(_whole_shape(other)))
    second = _image(other.spectrum * np.exp(-0.5 * (_WIDE**2 - _SMOOTH**2) * square), other.known.shape)
    inside = [binary_erosion(part.known, iterations=int(2 * _WIDE)) for part in (one, other)]  # one is off already
    at = [sky.there[0] - value[0], sky.there[1] - value[1]]
    good = inside[1][sky.at] & (map_coordinates(inside[0].astype(np.float32), at, order=1, mode="constant") > _WHOLE)
    if good.sum() < _FEWEST:
        return None
    light = map_coordinates(first, at, order=3, prefilter=False, mode="constant")[good]
    noise = map_coordinates(one.variance, at, order=1, mode="constant")[good], sky.values[1][good]
    weight = 1.0 / (noise[1] + value[2] ** 2 * noise[0])
    design = np.stack([light, np.ones_like(light)])
    matrix = (design * weight) @ design.T
    left = float(np.mean(np.exp(-(_WIDE**2) * _waves_squared())))
    matrix[0, 0] -= min(left * float(np.sum(weight * noise[0])), 0.5 * matrix[0, 0])
    inverse = np.linalg.inv(matrix)
    found = inverse @ ((design * weight) @ second[sky.at][good])
    influence = np.zeros((2, *second.shape))
    for image, part in zip(influence, design * weight, strict=True):
        image[tuple(axis[good] for axis in sky.at)] = part
        gaussian_filter(image, _WIDE, mode="constant", output=image)
    maps = [np.zeros(second.shape), np.where(other.known, other.variance, 0.0)]
    maps[0][tuple(axis[good] for axis in sky.at)] = value[2] ** 2 * noise[0]
    middle = [np.einsum("ayx,byx,yx->ab", influence, influence, part) for part in maps]
    covariance = [inverse @ part @ inverse for part in middle]
    covariance[1][0, 0] += (_WINGS * value[3] * found[0]) ** 2
    return _Flux(found, covariance[0], covariance[1])


def _with_flux(found: Shift, flux: _Flux | None) -> Shift:
    """Put flux and background of the widely smoothed images in place of those of the fit."""
    if flux is None:
        found.of_second[2, 2] += (_WINGS * 2.0 * found.value[3]) ** 2
        return found
    at = np.ix_([2, 4], [2, 4])
    found.value[[2, 4]] = flux.value
    found.of_first[at], found.of_second[at] = flux.of_first, flux.of_second
    return found


class _Seen(NamedTuple):
    """I, and of J the pixels that count, where they lie in I, values and variances, and which tell of the place."""

    one: Picture
    at: tuple[NDArray[np.intp], ...]
    there: tuple[F8, F8]
    values: tuple[F8, F8]
    tells: B1


def _iterate(sky: _Seen, value: F8, rounds: int, *, free: bool) -> tuple[F8, _Equations, bool]:
    """Return the values where they settle, with the change of seeing free or held, and whether they do."""
    value = value.copy()
    parts = _parts(sky.one, value[3])
    state = _equations(sky, parts, value, free=free)
    for _ in range(rounds):
        if not np.diag(state.matrix).min() > 0:
            break
        inverse = _inverse(state.matrix - np.diag(state.own))
        change = inverse @ state.rhs
        change[:2] *= min(1.0, _STEP / max(float(np.hypot(*change[:2])), 1e-9))
        change[2] = np.clip(change[2], -0.5 * abs(value[2]), 0.5 * abs(value[2]))
        change[3] = np.clip(value[3] + change[3], -_FARTHEST, _FARTHEST) - value[3]
        value = value + change
        parts = _parts(sky.one, value[3]) if abs(value[3] - parts.seeing) > _SAME else parts
        state = _equations(sky, parts, value, free=free)
        if np.all(np.abs(change) < _SETTLED * np.sqrt(np.abs(np.diag(inverse))) + 1e-5):
            return value, state, True
    return value, state, False


class _Equations(NamedTuple):
    """Equations of a step.

    Normal matrix, what of its diagonal is noise of I, what it tells of the seeing, right-hand side, derivatives times
    weights (5, k), variance of I at the pixels, chi-square.
    """

    matrix: F8
    own: F8
    told: float
    rhs: F8
    weighted: F8
    noise: F8
    chi2: float


def _inverse(matrix: F8) -> F8:
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    return np.asarray(np.linalg.pinv(matrix / np.outer(scale, scale), hermitian=True) / np.outer(scale, scale))


def _equations(sky: _Seen, parts: _Parts, value: F8, *, free: bool) -> _Equations:
    """Return the equations of a step at the pixels that count."""
    one, tells = sky.one, sky.tells
    at = [sky.there[0] - value[0], sky.there[1] - value[1]]
    good = map_coordinates(one.known.astype(np.float32), at, order=1, mode="constant") > _WHOLE
    if (good & tells).sum() < 3 * _TERMS:
        zero = np.zeros((_TERMS, good.size))
        return _Equations(np.zeros((_TERMS, _TERMS)), zero[:, 0], 0.0, zero[:, 0], zero, zero[0], np.inf)
    with_rim = [axis + one.rim for axis in at]
    light, dy, dx, blur = (
        map_coordinates(part, with_rim, order=3, prefilter=False, mode="constant") for part in parts.images
    )
    light = light + (value[3] - parts.seeing) * blur
    noise = map_coordinates(one.variance, at, order=1, mode="constant")
    design = np.stack([-value[2] * dy, -value[2] * dx, light, value[2] * blur, np.ones_like(light)])
    left = 1.0 / (4.0 * np.pi * _SMOOTH**2)  # of the variance, once smoothed
    unlike = _MODEL * value[2] * (light - float(np.median(light[good])))
    both = left * (sky.values[1] + value[2] ** 2 * noise) + unlike**2
    design[:4, ~tells] = 0.0
    residual = sky.values[0] - value[2] * light - value[4]
    weight = np.where(good, 1.0 / np.where(both > 0, both, np.inf), 0.0)
    pull = residual * np.sqrt(weight)
    chi2 = float(np.mean(np.minimum(pull[good & tells] ** 2, _CAP**2)))
    weight *= np.minimum(1.0, _CAP / np.maximum(np.abs(pull), 1e-9))
    weighted = design * weight
    matrix, rhs = weighted @ design.T, weighted @ residual
    total = float(np.sum(weight[tells] * noise[tells]))
    slope = value[2] ** 2 * parts.slope
    own = np.minimum(total * np.array([slope, slope, parts.left, 0.0, 0.0]), _MOST * np.diag(matrix))
    rhs[2] += own[2] * value[2]  # the residual holds -F n where the derivative holds n
    rhs[3] += total * value[2] ** 2 * parts.change
    told = float(matrix[3, 3]) - total * value[2] ** 2 * parts.curve
    prior = _FARTHEST if free else _HELD
    matrix[3, 3] += 1.0 / prior**2
    rhs[3] -= value[3] / prior**2
    return _Equations(matrix, own, told, rhs, weighted, noise, chi2)


def _result(sky: _Seen, other: Picture, value: F8, state: _Equations, *, converged: bool) -> Shift:
    """Return the fit with its covariances."""
    one, at, there = sky.one, sky.at, sky.there
    first, second = np.zeros_like(one.variance), np.zeros_like(other.variance)
    if not np.isfinite(state.chi2) or not np.diag(state.matrix).min() > 0:
        lost = np.full((_TERMS, _TERMS), np.inf)
        return Shift(value, lost, lost, np.inf, first, second, at[0].size, converged=False)
    inverse = _inverse(state.matrix - np.diag(state.own))
    influence = np.zeros((_TERMS, *second.shape))
    noise = np.zeros_like(second)
    noise[at] = state.noise
    for image, part in zip(influence, state.weighted, strict=True):
        image[at] = part
        gaussian_filter(image, _SMOOTH, mode="constant", output=image)
    of_first = value[2] ** 2 * np.einsum("ayx,byx,yx->ab", influence, influence, noise)
    of_second = np.einsum("ayx,byx,yx->ab", influence, influence, other.variance)
    second += influence[0] ** 2 + influence[1] ** 2
    y, x = np.rint(there[0] - value[0]).astype(int), np.rint(there[1] - value[1]).astype(int)
    inside = (y >= 0) & (y < first.shape[0]) & (x >= 0) & (x < first.shape[1])
    np.add.at(first, (y[inside], x[inside]), second[at][inside])
    covariance = [inverse @ middle @ inverse for middle in (of_first, of_second)]
    return Shift(value, covariance[0], covariance[1], state.chi2, first, second, at[0].size, converged)
