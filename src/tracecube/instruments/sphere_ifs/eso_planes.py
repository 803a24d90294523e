"""Planes of ESO's files: four of a master, six of a pixel table, eight of a distortion map."""

from __future__ import annotations

import numpy as np

from tracecube.core.errors import MissingInput
from tracecube.core.fields import BoolArray, FloatArray, IntArray, Scalar
from tracecube.core.foreign import Plane
from tracecube.core.optics import Layout, PixelMap, Throughput, TraceSet, WavelengthSolution
from tracecube.instruments.sphere_ifs.headers import number
from tracecube.instruments.sphere_ifs.optics_steps import HALF_TRACE

__all__ = [
    "Cards",
    "distortion_planes",
    "four_planes",
    "pixel_table",
    "rows_of_apertures",
    "throughput_image",
]

Cards = dict[str, Scalar | tuple[Scalar, str]]

_UM = 1e-4  # of an Angstrom
_SIDE, _PIXEL = 291, 7.46e-3
"""Pixels a side of ESO's cubes, the field centre on the middle one, and their side, arcsec."""
_DEGREE = 5  # the highest that `ifs_distortion_map` fits: what it measured comes back exactly


def four_planes(
    image: FloatArray, bad: BoolArray, rms: FloatArray, weight: FloatArray, unit: str, prefix: str = ""
) -> tuple[Plane, ...]:
    """Return image, bad pixels, rms and weight, (y, x) or (wave, y, x)."""
    return (
        Plane(f"{prefix}IMAGE", image.astype(np.float32), unit, ""),
        Plane(f"{prefix}BADPIX", bad.astype(np.int32), "", "1 bad"),
        Plane(f"{prefix}RMS", rms.astype(np.float32), unit, "rms error"),
        Plane(f"{prefix}WEIGHT", weight.astype(np.float32), "", "weight of each value"),
    )


def rows_of_apertures(aperture: IntArray, image: IntArray) -> IntArray:
    """Return the row of a table of apertures (n,) that each pixel of an image of apertures (y, x) sees, -1 for none."""
    row = np.full(max(int(aperture.max(initial=-1)), int(image.max(initial=-1))) + 2, -1)  # -1 finds the last
    row[aperture] = np.arange(aperture.size)
    return np.asarray(row[image])


def pixel_table(pixels: PixelMap, wavelength: WavelengthSolution) -> tuple[Plane, ...]:
    """Return wavelength, region, lenslet, change of wavelength a row, its own change, and share that is lit (y, x)."""
    lit = pixels.aperture >= 0
    number_of = np.where(lit, pixels.aperture + 1, 0).astype(np.int32)
    row = rows_of_apertures(wavelength.aperture, pixels.aperture)[lit]
    sample = np.nonzero(lit)[0] - wavelength.start[row]
    first, second = (np.zeros(lit.shape) for _ in range(2))
    first[lit], second[lit] = (step[row, sample] for step in _steps(wavelength.wave * _UM))
    share = np.clip(HALF_TRACE + 0.5 - np.abs(pixels.along), 0.0, 1.0)
    return (
        Plane("WAVELENGTH", np.where(lit, pixels.wave * _UM, 0.0), "um", "vacuum"),
        Plane("REGION", number_of, "", "number of the spectrum, 0 for none"),
        Plane("LENSLET", number_of.copy(), "", "number of the lenslet, 0 for none"),
        Plane("WIDTH", first, "um", "change of wavelength from row to row"),
        Plane("SECOND", second, "um", "change of that from row to row"),
        Plane("ILLUMINATION", np.where(lit, share, 0.0).astype(np.float32), "", "share of the pixel in the spectrum"),
    )


def _steps(wave: FloatArray) -> tuple[FloatArray, FloatArray]:
    """First and second difference (n, m) of wavelengths (n, m) from sample to sample; at either end that beside it."""
    step = np.diff(wave, axis=1, prepend=np.nan, append=np.nan)
    before, after = step[:, :-1], step[:, 1:]
    second = after - before
    first = np.where(np.isfinite(second), 0.5 * (before + after), np.where(np.isfinite(before), before, after))
    beside = np.pad(second, ((0, 0), (1, 1)), constant_values=np.nan)
    near = np.where(np.isfinite(beside[:, :-2]), beside[:, :-2], beside[:, 2:])
    return first, np.where(np.isfinite(second), second, np.where(np.isfinite(wave), near, np.nan))


def throughput_image(flat: Throughput, pixels: PixelMap) -> tuple[FloatArray, FloatArray]:
    """Return throughput and error (y, x) of the lenslet and wavelength that each pixel sees; NaN where none is known.

    Straight lines between the channels; beyond the first and last their value.
    """
    row = rows_of_apertures(flat.aperture, pixels.aperture)
    lit = (row >= 0) & np.isfinite(pixels.wave)
    place = np.interp(pixels.wave[lit], flat.wave, np.arange(flat.wave.size))
    low = np.minimum(place.astype(int), flat.wave.size - 2)
    share, at = place - low, row[lit]
    value, error = (np.full(pixels.wave.shape, np.nan) for _ in range(2))
    value[lit] = (1.0 - share) * flat.value[at, low] + share * flat.value[at, low + 1]
    error[lit] = np.hypot((1.0 - share) * flat.error[at, low], share * flat.error[at, low + 1])
    return value, error


def distortion_planes(layout: Layout, traces: TraceSet) -> tuple[tuple[Plane, ...], dict[str, Scalar]]:
    """Return distortion in x and y, px of ESO's cubes, four planes each, and the cards of their axes.

    Distortion is where a lenslet is, less where a regular lattice of the same mean pitch has it; it is drawn over
    the regular lattice's places. Plate scale and turn are in neither; anamorphism is.

    Raises
    ------
    MissingInput
        The layout does not tell how well it is known.
    """
    from scipy.spatial import cKDTree  # noqa: PLC0415 - none of these is wanted for planning

    from tracecube.kernels.polynomials import fit_field  # noqa: PLC0415
    from tracecube.recipes.optics.pinholes import lattice_plane  # noqa: PLC0415

    names = ("QC DISTMAP RESIDUAL", "QC DISTMAP NPOINTS OBS", "QC DISTMAP NREMOVED")
    known = [value for name in names if (value := number(layout.meta, name)) is not None]
    if len(known) < len(names):
        raise MissingInput(f"no card {' or '.join(names)} in the layout", hint="make the product again")
    residual, seen, removed = known
    plane = lattice_plane(traces.q, traces.r)
    regular = (plane - plane.mean(axis=0)) * layout.pitch
    moved = np.stack([layout.x, layout.y], axis=1) - regular
    axis = (np.arange(_SIDE) - _SIDE // 2) * _PIXEL
    grid = np.stack([one.ravel() for one in np.meshgrid(axis, axis)], axis=1)
    inside = np.isfinite(cKDTree(regular).query(grid, distance_upper_bound=layout.pitch / np.sqrt(3.0))[0])
    field = fit_field(regular, moved, degree=_DEGREE)(grid) / _PIXEL
    bad = ~inside.reshape(_SIDE, _SIDE)
    error = np.where(bad, np.nan, residual * 1e-3 / np.sqrt(2.0) / _PIXEL)
    weight = np.where(bad, 0.0, seen - removed)
    planes = [
        plane
        for k, name in enumerate(("DX_", "DY_"))
        for plane in four_planes(
            np.where(bad, np.nan, field[:, k].reshape(_SIDE, _SIDE)), bad, error, weight, "pix", name
        )
    ]
    middle = _SIDE // 2 + 1
    axes: dict[str, Scalar] = {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR", "CUNIT1": "arcsec", "CUNIT2": "arcsec"}
    axes |= {
        f"{key}{i}": value for i in (1, 2) for key, value in (("CRPIX", middle), ("CRVAL", 0.0), ("CDELT", _PIXEL))
    }
    return tuple(planes), axes
