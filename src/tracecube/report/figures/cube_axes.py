"""The axes of a cube, as its header has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import HasMeta, Meta
from tracecube.core.headers import number
from tracecube.core.spectra import Cube

__all__ = ["spaxel", "wavelengths"]


def wavelengths(cube: Cube) -> NDArray[np.float64]:
    """Wavelengths of the planes (n_wave,), Angstrom; their numbers where the header tells none."""
    first, step, at = (_first_of(cube.meta, *keys) for keys in (("CRVAL3",), ("CD3_3", "CDELT3"), ("CRPIX3",)))
    place = np.arange(len(cube.data)) + 1.0 - (1.0 if at is None else at)
    return np.asarray((first or 0.0) + (step or 1.0) * place)


def spaxel(cube: HasMeta) -> float:
    """Side of a spaxel, arcsec; 1 where the header tells none."""
    meta = cube.meta
    turned = np.hypot(number(meta, "CD1_1") or 0.0, number(meta, "CD2_1") or 0.0)
    if turned:
        return 3600.0 * float(turned)
    side = abs(number(meta, "CDELT2") or 0.0)
    return side * (1.0 if meta.get("CUNIT2") == "arcsec" else 3600.0) or 1.0


def _first_of(meta: Meta, *keys: str) -> float | None:
    """Return the first of some cards that is there."""
    return next((found for key in keys if (found := number(meta, key)) is not None), None)
