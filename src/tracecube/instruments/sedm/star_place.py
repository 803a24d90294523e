"""Where to look for the target of an exposure, and at which lenslets: the guider, brightness, or a person says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tracecube.core.errors import BadData
from tracecube.instruments.sedm.guider import Pointing
from tracecube.instruments.sedm.star_parameters import ExtractStarParams
from tracecube.kernels.polygon import inside_polygon
from tracecube.kernels.psf import lattice_pitch
from tracecube.recipes.science.scene import Scene, brightest

__all__ = ["Start", "chosen_region", "is_inside", "start_at", "without_spaxels"]

BRIGHTEST_ERROR = 1.0  # arcsec: half a seeing disc, the error of a place found by brightness
_FEWEST = 20  # lenslets of a region: the fit has eleven shared numbers, flux and three of the sky in every slice


class Start(NamedTuple):
    """Where to look: place, error (arcsec), how it was found, and the width guide stars gave."""

    x: float
    y: float
    error: float
    how: str
    fwhm: float


def start_at(scene: Scene, pointing: Pointing | None, standard: bool, params: ExtractStarParams) -> Start:
    """Decide where to look; by brightness only where a person drew a line around, if one did."""
    fwhm = math.nan if pointing is None else pointing.fwhm
    if params.centroid_x is not None and params.centroid_y is not None:
        return Start(params.centroid_x, params.centroid_y, params.centroid_error, "manual", fwhm)
    if pointing is not None and not standard and params.centroid == "auto":
        return Start(pointing.x, pointing.y, pointing.error, "astrom", fwhm)
    x, y = brightest(scene, low=4500.0, high=8500.0, radius=2.0 * lattice_pitch(scene.x, scene.y))
    return Start(x, y, BRIGHTEST_ERROR, "brightest" if standard else "auto", fwhm)


def is_inside(scene: Scene, start: Start) -> bool:
    """Whether the place lies on a lenslet."""
    nearest = float(np.min(np.hypot(scene.x - start.x, scene.y - start.y)))
    return nearest <= 1.5 * lattice_pitch(scene.x, scene.y)  # one and a half: a dead lenslet is no border


def without_spaxels(scene: Scene, numbers: Sequence[int]) -> Scene:
    """Leave out the lenslets of these numbers.

    Raises
    ------
    BadData
        There is no lenslet of a number.
    """
    unknown = sorted(set(numbers) - set(scene.aperture.tolist()))
    if unknown:
        raise BadData(
            f"spaxels to exclude: no {', '.join(map(str, unknown))} in this field",
            hint="numbers are those of the column `aperture` of SPECTRA; the page of `--display` shows them",
        )
    return scene.only(~np.isin(scene.aperture, list(numbers))) if numbers else scene


def chosen_region(scene: Scene, corners: Sequence[tuple[float, float]] | None) -> Scene | None:
    """Return the lenslets whose centres lie in a polygon (arcsec), None where no person drew one.

    Raises
    ------
    BadData
        It holds too few to fit a source and the sky.
    """
    if not corners:
        return None
    region = scene.only(inside_polygon(scene.x, scene.y, np.array(corners, dtype=float)))
    if region.x.size < _FEWEST:
        raise BadData(
            f"region drawn by hand: {region.x.size} spaxels inside, {_FEWEST} are needed",
            hint="draw it wider: some sky about the source belongs to it; or take --aperture",
        )
    return region
