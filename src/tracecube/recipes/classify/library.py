"""The packaged templates: flattened spectra of supernovae and of what is taken for them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from tracecube.core.fields import FloatArray, IntArray
from tracecube.kernels.log_spectrum import STEP
from tracecube.kernels.template_match import Library
from tracecube.recipes.classify.kinds import kind_of

__all__ = ["PACKAGE", "Templates", "matched", "templates"]

PACKAGE = "tracecube.recipes.classify"
FWHM = float(np.sqrt(8.0 * np.log(2.0)))


@dataclass(frozen=True)
class Templates:
    """Spectra over their continuum less 1, in the rest frame, those of an object together.

    Parameters
    ----------
    flux : float16 array (n, bins)
        NaN where not known; memory-mapped.
    name, type, subtype : str array (n,)
    age : array (n,), day
        From maximum light; NaN where there is none.
    kind : int array (n,)
    object : int array (n,)
        Number of the object, rising.
    objects : str array (m,)
    first : int array (m,)
        First row of each object.
    """

    flux: NDArray[Any]
    name: NDArray[np.str_]
    type: NDArray[np.str_]
    subtype: NDArray[np.str_]
    age: FloatArray
    kind: IntArray
    object: IntArray
    objects: NDArray[np.str_]
    first: IntArray


@cache
def templates() -> Templates:
    """Return the packaged templates."""
    folder = files(PACKAGE).joinpath("static")
    rows = list(csv.DictReader(folder.joinpath("templates.csv").read_text(encoding="utf-8").splitlines()))
    with as_file(folder.joinpath("templates.npy")) as path:
        flux = np.load(path, mmap_mode="r")
    name = np.array([row["object"] for row in rows])
    objects, number = np.unique(name, return_inverse=True)
    return Templates(
        flux=flux,
        name=name,
        type=np.array([row["type"] for row in rows]),
        subtype=np.array([row["subtype"] for row in rows]),
        age=np.array([float(row["age"] or "nan") for row in rows]),
        kind=np.array([kind_of(row["type"], row["subtype"]) for row in rows]),
        object=number,
        objects=objects,
        first=np.searchsorted(number, np.arange(len(objects))),
    )


@cache
def matched(resolution: float) -> Library:
    """Return the templates as a spectrograph of resolving power ``resolution`` would see them."""
    held = templates()
    known = np.isfinite(held.flux)
    width = 1.0 / (resolution * FWHM * STEP)
    share = gaussian_filter1d(known.astype(np.float32), width, axis=1)
    flux = gaussian_filter1d(np.where(known, held.flux, 0.0).astype(np.float32), width, axis=1)
    flux = np.where(known, flux / np.maximum(share, 1e-3), 0.0).astype(np.float32)
    return Library(flux, flux**2, known.astype(np.float32))
