"""White images as alignment sees them: place on the sky, and made ready for fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, map_coordinates, median_filter

from tracecube.core.errors import MissingInput
from tracecube.core.fields import BoolArray
from tracecube.core.spectra import Image
from tracecube.kernels.registration import Picture, prepare
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.align.beyond import continued

__all__ = ["White", "background", "flattened", "mapped", "pattern_of", "sky_of", "white"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

_BLOCK, _AROUND = 10, 5  # px of a block, and blocks of the median that is taken off where images are compared
_SIGMA = 2.0  # px, of the convolution there
_LONG, _SMOOTH = 8.0, 1.5  # px: sigma along strips, of smoothing that is taken off across them
_TURNS = 12  # directions in which strips are looked for
_RIM, _FEWEST = 2, 2000  # px from what is not known, and pixels that tell of strips
_ROBUST = 5.0  # scatters beyond which light is cut off: stars
_TOLD = 0.5  # of the scatter in most directions, from which on strips are told


@dataclass(frozen=True)
class White:
    """One white image.

    Parameters
    ----------
    data, variance : array (y, x)
    known : bool array (y, x)
    ra, dec : float, degree
        Tangent point.
    x0, y0, side : float, arcsec
        Middle of the first spaxel to the west and north of it, width of a spaxel.
    picture : Picture
    pattern : float
        Scatter from strip to strip that slices of the field leave: no light of the sky.
    sky : float
        Brightness of the sky that was taken off; 0 where nothing tells.
    """

    data: F8
    variance: F8
    known: BoolArray
    ra: float
    dec: float
    x0: float
    y0: float
    side: float
    picture: Picture
    pattern: float = 0.0
    sky: float = 0.0


def white(image: Image, *, weigh: bool = True) -> White:
    """Make an image ready.

    Parameters
    ----------
    image : Image
        North up, east to the left.
    weigh : bool
        Pixels count by their variance; otherwise alike.

    Raises
    ------
    MissingInput
        It has no axes on the sky.
    """
    needed = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD2_2")
    told = {key: value for key in needed if isinstance(value := image.meta.get(key), int | float)}
    if len(told) < len(needed):
        raise MissingInput(
            f"white image without {', '.join(sorted(set(needed) - set(told)))}", hint="make the cube again"
        )
    side = float(told["CD2_2"]) * 3600.0
    known = (image.flags == 0) & np.isfinite(image.data) & (image.variance > 0)
    data, variance = (np.where(known, part, 0.0).astype(np.float64) for part in (image.data, image.variance))
    if not weigh and known.any():
        variance = np.where(known, float(np.median(variance[known])), 0.0)
    level = float(np.median(data[known])) if known.any() else 0.0
    strips = pattern_of(data, known)
    sky = image.meta.get("SKYLEVEL")
    beyond = continued(data, variance, known, level)
    unsure = variance + np.where(known, strips**2, 0.0)
    return White(
        data=data,
        variance=variance,
        known=known,
        ra=float(told["CRVAL1"]),
        dec=float(told["CRVAL2"]),
        x0=(1.0 - float(told["CRPIX1"])) * side,
        y0=(1.0 - float(told["CRPIX2"])) * side,
        side=side,
        picture=prepare(beyond.light, unsure, known, level, trusted=beyond.trusted),
        pattern=strips,
        sky=float(sky) if isinstance(sky, int | float) else 0.0,
    )


def pattern_of(data: F8, known: BoolArray) -> float:
    """Return the scatter from strip to strip of an image of slices, whichever way they lie; 0 where none is told.

    Slices of an image that are not equally bright leave long strips, a spaxel wide, which stay where they are on the
    detector when the telescope moves. Smoothed along one direction and sharpened across it, the image scatters more
    there than in most directions; stars and clouds of gas have no such direction.

    Parameters
    ----------
    data : array (y, x)
    known : bool array (y, x)
    """
    inside = binary_erosion(known, iterations=_RIM, border_value=0)
    if np.count_nonzero(inside) < _FEWEST:
        return 0.0
    flat = np.where(known, data - background(data, known), 0.0)
    bright = _ROBUST * 1.4826 * float(np.median(np.abs(flat[inside])))
    wave = [part.astype(np.float64) for part in np.meshgrid(*_waves(flat.shape), indexing="ij")]
    spectrum = rfft2(np.clip(flat, -bright, bright))
    scatter = []
    for turn in np.linspace(0.0, np.pi, _TURNS, endpoint=False):
        along = wave[1] * np.cos(turn) + wave[0] * np.sin(turn)
        across = wave[0] * np.cos(turn) - wave[1] * np.sin(turn)
        passed = np.exp(-0.5 * (_LONG * along) ** 2) * _sharp(across)
        seen = irfft2(spectrum * passed, flat.shape)[inside]
        scatter.append((1.4826 * float(np.median(np.abs(seen - np.median(seen))))) ** 2)
    excess = max(scatter) - float(np.median(scatter))
    if excess < _TOLD * float(np.median(scatter)):
        return 0.0
    return float(np.sqrt(excess / np.mean(_sharp(np.linspace(-np.pi, np.pi, 256)) ** 2)))


def _sharp(across: F8) -> F8:
    """Return by how much waves pass that are not smooth across strips."""
    return np.asarray(1.0 - np.exp(-0.5 * (_SMOOTH * across) ** 2))


def _waves(shape: tuple[int, ...]) -> tuple[F8, F8]:
    return 2.0 * np.pi * fftfreq(shape[0]), 2.0 * np.pi * rfftfreq(shape[1])


def background(data: F8, known: BoolArray) -> F8:
    """Return the large scales of an image: medians of blocks, of their neighbours, and straight lines between."""
    rows, columns = (-(-n // _BLOCK) for n in data.shape)
    padded = np.full((rows * _BLOCK, columns * _BLOCK), np.nan)
    padded[: data.shape[0], : data.shape[1]] = np.where(known, data, np.nan)
    blocks = padded.reshape(rows, _BLOCK, columns, _BLOCK).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    told = np.isfinite(blocks).sum(axis=2) > _BLOCK
    middle = np.full((rows, columns), float(np.median(data[known])) if known.any() else 0.0)
    middle[told] = np.nanmedian(blocks[told], axis=1)
    nearest = distance_transform_edt(~told, return_distances=False, return_indices=True) if told.any() else None
    middle = middle[tuple(nearest)] if nearest is not None else middle
    smooth = median_filter(middle, size=_AROUND, mode="nearest")
    y, x = ((np.arange(n) + 0.5) / _BLOCK - 0.5 for n in data.shape)
    return np.asarray(map_coordinates(smooth, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest"))


def flattened(one: White) -> F8:
    """Return the image without large scales, over its noise, bright light compressed: nothing outweighs the rest."""
    flat = np.where(one.known, one.data - background(one.data, one.known), 0.0)
    smooth = gaussian_filter(flat, _SIGMA)
    noise = np.sqrt(np.where(one.known, one.variance, 1.0) / (4.0 * np.pi * _SIGMA**2))
    clipped = np.arcsinh(smooth / np.maximum(noise, 1e-300) / 3.0)
    mean = float(np.mean(clipped[one.known])) if one.known.any() else 0.0
    return np.asarray(np.where(one.known, clipped - mean + 1e-12, 0.0))


def sky_of(one: White, y: F8, x: F8) -> tuple[F8, F8]:
    """Return right ascension and declination (degree) of pixels (from 0)."""
    return plane_to_sky(-(one.x0 + one.side * x), one.y0 + one.side * y, one.ra, one.dec)


def mapped(one: White, ra: Floats, dec: Floats) -> tuple[F8, F8]:
    """Return the pixels (y, x) of places on the sky."""
    east, north = sky_to_plane(ra, dec, one.ra, one.dec)
    return (north - one.y0) / one.side, (-east - one.x0) / one.side
