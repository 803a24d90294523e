"""White images as alignment sees them: place on the sky, and made ready for fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates, median_filter

from tracecube.core.errors import MissingInput
from tracecube.core.fields import BoolArray
from tracecube.core.spectra import Image
from tracecube.kernels.registration import Picture, prepare
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane

__all__ = ["White", "background", "flattened", "mapped", "sky_of", "white"]

F8 = NDArray[np.float64]

_BLOCK, _AROUND = 10, 5  # px of a block, and blocks of the median that is taken off where images are compared
_SIGMA = 2.0  # px, of the convolution there


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
    return White(
        data=data,
        variance=variance,
        known=known,
        ra=float(told["CRVAL1"]),
        dec=float(told["CRVAL2"]),
        x0=(1.0 - float(told["CRPIX1"])) * side,
        y0=(1.0 - float(told["CRPIX2"])) * side,
        side=side,
        picture=prepare(np.where(known, data, level), variance, known),
    )


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


def mapped(one: White, ra: F8, dec: F8) -> tuple[F8, F8]:
    """Return the pixels (y, x) of places on the sky."""
    east, north = sky_to_plane(ra, dec, one.ra, one.dec)
    return (north - one.y0) / one.side, (-east - one.x0) / one.side
