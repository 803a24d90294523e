"""All exposures of a star in one cube, north up: every lenslet of every exposure is resampled once.

The field turned between exposures and the star moved; the grid is laid over each exposure where its own star and north
are, and pixels are averaged. Exposures weigh by their noise, channel by channel and not pixel by pixel: a weight that
followed the light of a pixel would draw its mean down.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, Scalar
from tracecube.core.flags import Flag
from tracecube.core.spectra import Cube, Spectra
from tracecube.recipes.cube.star_cube import (
    StarCubeParams,
    StarFrame,
    grid_correlations,
    grid_of,
    operator_at,
    resampled,
    usable_samples,
    without_axes,
)

__all__ = ["in_lenslet_plane", "north_up", "stack_star"]

F8 = NDArray[np.float64]


def stack_star(spectra: Sequence[Spectra], frames: Sequence[StarFrame], params: StarCubeParams) -> Cube:
    """Stack the exposures of a star; the star is on the middle pixel, east is left.

    Parameters
    ----------
    spectra : sequence of Spectra
        On one wavelength grid.
    frames : sequence of StarFrame
        Star and north of each.
    params : StarCubeParams

    Returns
    -------
    Cube
        Mean of one exposure (electron / Angstrom a pixel). The variance is that of the samples: what speckles changed
        between exposures is not in it. Correlations are the exposures' mean; that of lenslets that lie beside each
        other on the detector is left out: the field's turn spreads it over all directions.

    Raises
    ------
    BadData
        No exposure, or exposures on different grids.
    """
    _alike(spectra, frames)
    wave = np.asarray(spectra[0].wave, float)
    shape = (wave.size, params.size**2)
    total, noise, weight = (np.zeros(shape) for _ in range(3))
    bits, inside = np.zeros(shape, np.int32), np.zeros(params.size**2, bool)
    known: dict[tuple[int, int, int], float] = {}
    for one, frame in zip(spectra, frames, strict=True):
        operator, share = operator_at(in_lenslet_plane(grid_of(params), frame), one, params)
        usable = usable_samples(one)
        inside[operator.rows] = True
        for k in range(wave.size):
            light, variance, flags = resampled(one, k, usable[:, k], operator, params.least_share)
            ok = np.isfinite(light)
            if not ok.any():
                continue
            trust = np.where(ok, 1.0 / np.median(variance[ok]), 0.0)
            total[k, operator.rows] += trust * np.where(ok, light * share, 0.0)
            noise[k, operator.rows] += trust**2 * np.where(ok, variance * share**2, 0.0)
            weight[k, operator.rows] += trust
            bits[k, operator.rows] |= np.where(ok, flags, 0)
        for key, value in grid_correlations(one, operator, params, usable).items():
            known[key] = known.get(key, 0.0) + value / len(spectra)
    seen = weight > 0.0
    scale = np.where(seen, weight, np.nan)
    flags = np.where(seen, bits, np.where(inside, int(Flag.NOT_MEASURED), int(Flag.NOT_ILLUMINATED)))
    size = (wave.size, params.size, params.size)
    axes = north_up(wave, spectra[0].medium, params, (frames[0].right_ascension, frames[0].declination))
    return Cube(
        data=(total / scale).reshape(size).astype(np.float32),
        variance=(noise / scale**2).reshape(size).astype(np.float32),
        flags=flags.reshape(size).astype(np.int32),
        covariance_offset=np.array(list(known)),
        covariance_value=np.array(list(known.values())),
        meta={**without_axes(spectra[0].meta), **axes, "NDITS": len(spectra)},
    )


def _alike(spectra: Sequence[Spectra], frames: Sequence[StarFrame]) -> None:
    """Check that the exposures belong together."""
    if not spectra or len(spectra) != len(frames):
        raise BadData(f"{len(spectra)} exposures and {len(frames)} places of the star", hint="give one place each")
    first = np.asarray(spectra[0].wave, float)
    for number, one in enumerate(spectra):
        if np.asarray(one.wave).shape != first.shape or first.ndim != 1 or not np.allclose(one.wave, first):
            raise BadData(f"exposure {number}: other channels than the first", hint="extract all with the same grid")


def in_lenslet_plane(offset: F8, frame: StarFrame) -> F8:
    """Places (n, 2) in an exposure's lenslet plane of offsets (n, 2) from the star, west and north."""
    turn = np.radians(frame.angle)
    west, north = offset.T
    x = frame.x + west * np.cos(turn) + north * np.sin(turn)
    y = frame.y + north * np.cos(turn) - west * np.sin(turn)
    return np.stack([x, y], axis=1)


def north_up(
    wave: FloatArray, medium: str, params: StarCubeParams, target: tuple[float, float] | None
) -> dict[str, Scalar]:
    """World coordinates of channels (n_wave,), Angstrom: tangent plane about the star, north up, east left.

    ``target`` is the star's right ascension and declination, degree; None gives linear offsets from it, arcsec.
    """
    middle, unit = params.size // 2 + 1.0, 3600.0 if target is not None else 1.0
    names = ("RA---TAN", "DEC--TAN") if target is not None else ("LINEAR", "LINEAR")
    axes: dict[str, Scalar] = {}
    for k, value in enumerate(target or (0.0, 0.0), start=1):
        axes |= {f"CTYPE{k}": names[k - 1], f"CUNIT{k}": "deg" if target is not None else "arcsec"}
        axes |= {f"CRVAL{k}": value, f"CRPIX{k}": middle}
    step = params.pixel / unit
    return {
        **axes,
        "CD1_1": -step,
        "CD1_2": 0.0,
        "CD2_1": 0.0,
        "CD2_2": step,
        "CTYPE3": medium,
        "CUNIT3": "Angstrom",
        "CRVAL3": float(wave[0]),
        "CRPIX3": 1.0,
        "CD3_3": float(wave[1] - wave[0]),
        "BUNIT": "electron/Angstrom",
    }
