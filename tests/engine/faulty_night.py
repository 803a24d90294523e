"""A given night with something wrong: links to its raw frames, some left out, some written again otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tracecube.core.optics import Lenslets

__all__ = ["linked", "rewritten", "without_last_laser"]

Image = NDArray[np.float32]


def linked(night: Path, folder: Path, keep: Callable[[str], bool]) -> Path:
    """Link the frames of a night that are to be kept, by their names."""
    folder.mkdir(parents=True)
    for path in sorted(night.iterdir()):
        if keep(path.name):
            (folder / path.name).symlink_to(path)
    return folder


def rewritten(
    folder: Path,
    part: str,
    *,
    pixels: Callable[[Image], Image] | None = None,
    cards: dict[str, object] | None = None,
    without: Iterable[str] = (),
) -> str:
    """Put a changed copy in place of the frame whose name has ``part`` in it; return its name without .fits.

    Counts are written as 32-bit integers, which hold those of any camera: reference pixels may read below 0.
    """
    [path] = (path for path in folder.iterdir() if part in path.name)
    with fits.open(path) as file:
        data, header = np.asarray(file[1].data, np.float32), file[1].header
    for card in without:
        header.remove(card, ignore_missing=True)
    header.update(cards or {})
    data = data if pixels is None else pixels(data)
    path.unlink()
    bare = path.name.removesuffix(".fz").removesuffix(".fits")
    fits.writeto(folder / f"{bare}.fits", np.minimum(np.rint(data), 65535).astype(np.int32), header)
    return bare


def without_last_laser(lenslets: Lenslets) -> Callable[[Image], Image]:
    """Return what puts counts of unlit pixels where the nearest spot is one of the last laser."""
    spots = np.stack([lenslets.x, lenslets.y], axis=-1)
    last = lenslets.laser.size - 1

    def dark(image: Image) -> Image:
        x, y = np.meshgrid(*(np.arange(n) for n in image.shape[::-1]))
        distance, nearest = cKDTree(spots.reshape(-1, 2)).query(np.stack([x.ravel(), y.ravel()], axis=-1))
        inside = (distance < 15.0).reshape(image.shape)
        unlit = image[inside & (distance > 3.5).reshape(image.shape)]  # px: between the spots
        off = inside & (nearest % (last + 1) == last).reshape(image.shape)
        return np.where(off, np.random.default_rng(4).choice(unlit, image.shape), image)

    return dark
