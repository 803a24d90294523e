"""Planes and columns of ESO's files: image, Euro3D bits and variance; curves and wavelengths as polynomials."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.polynomial import polynomial

from tracecube.core.fields import FloatArray, IntArray, Scalar
from tracecube.core.flags import Flag
from tracecube.core.foreign import Plane
from tracecube.core.slices import SliceTraces, SliceWavelengths

__all__ = ["EURO3D", "euro3d_of", "flags_of", "three_planes", "trace_columns", "wavelength_columns"]

EURO3D: Mapping[Flag, int] = {
    Flag.COSMIC_RAY: 5,
    Flag.HOT_PIXEL: 8,
    Flag.SATURATED: 12,
    Flag.BAD_PIXEL: 14,
    Flag.OUTLIER: 26,
    Flag.NOT_MEASURED: 30,
}
"""Our flags -> bits of the Euro3D format (Kissler-Patig et al. 2004, AN 325, 159) that mean the same."""

_OTHERS = {6: Flag.LOW_THROUGHPUT, 11: Flag.SATURATED, 31: Flag.EXTRAPOLATED}
"""Bits that we do not write -> our flags: low efficiency, full well, outside the range; any other is a bad pixel."""

_ALL = 0xFFFFFFFF  # 32 bits

_SLICE, _ALONG = 2, 6
"""Orders of ESO's wavelengths across and along a slice (parameters `xorder` and `yorder` of its recipe)."""

_HDU: Mapping[str, Mapping[str, Scalar]] = {
    "DATA": {"HDUCLAS1": "IMAGE", "HDUCLAS2": "DATA", "ERRDATA": "STAT", "QUALDATA": "DQ"},
    "DQ": {
        "HDUCLAS1": "IMAGE",
        "HDUCLAS2": "QUALITY",
        "HDUCLAS3": "FLAG32BIT",
        "QUALMASK": 4294967295,
        "SCIDATA": "DATA",
        "ERRDATA": "STAT",
    },
    "STAT": {"HDUCLAS1": "IMAGE", "HDUCLAS2": "ERROR", "HDUCLAS3": "MSE", "SCIDATA": "DATA", "QUALDATA": "DQ"},
}
"""How ESO's data interface control document (version 6) ties the three extensions together."""


def euro3d_of(flags: IntArray) -> IntArray:
    """Return Euro3D bits of our flags, of any shape; flags that it has no word for are left out."""
    bits = np.zeros(flags.shape, np.int32)
    for flag, bit in EURO3D.items():
        bits |= np.where(flags & int(flag), np.int32(1 << bit), np.int32(0))
    return bits


def flags_of(bits: IntArray) -> IntArray:
    """Return our flags of Euro3D bits, of any shape; a bit that we have no word for is a bad pixel."""
    flags = np.zeros(bits.shape, np.int32)
    whole, known = bits.astype(np.int64), 0
    for flag, bit in [*EURO3D.items(), *((flag, bit) for bit, flag in _OTHERS.items())]:
        flags |= np.where(whole & (1 << bit), np.int32(flag), np.int32(0))
        known |= 1 << bit
    return flags | np.where(whole & (_ALL & ~known), np.int32(Flag.BAD_PIXEL), np.int32(0))


def three_planes(
    data: FloatArray, flags: IntArray | None, variance: FloatArray, unit: str, prefix: str = ""
) -> tuple[Plane, ...]:
    """Return DATA, DQ (where there are flags) and STAT, of any shape."""
    head = {"HDUCLASS": "ESO", "HDUDOC": "DICD", "HDUVERS": "DICD version 6"}
    planes = [Plane(f"{prefix}DATA", data.astype(np.float32), unit, "", {**head, **_HDU["DATA"]})]
    if flags is not None:
        planes.append(Plane(f"{prefix}DQ", euro3d_of(flags), "", "", {**head, **_HDU["DQ"]}))
    squared = f"({unit})**2" if unit else ""
    planes.append(Plane(f"{prefix}STAT", variance.astype(np.float32), squared, "", {**head, **_HDU["STAT"]}))
    return tuple(planes)


def trace_columns(traces: SliceTraces) -> tuple[Plane, ...]:
    """Return centre, left and right edge of each slice as polynomials of degree 5; pixels count from 1.

    A slice that is not known has NaN.
    """
    degree = 5
    y = np.arange(traces.centre.shape[1]) + 1.0
    bad = traces.dq != 0
    width = np.where(bad, np.nan, np.nanmean(traces.right - traces.left, axis=1))
    columns = [
        Plane("SliceNo", traces.aperture.astype(np.int32), "No"),
        Plane("Width", width.astype(np.float32), "pix"),
    ]
    for number, curve in enumerate((traces.centre, traces.left, traces.right)):
        coefficient, left = np.full((len(curve), degree + 1), np.nan), np.full(len(curve), np.nan)
        for row in np.flatnonzero(~bad):
            known = np.isfinite(curve[row])
            coefficient[row] = _raw_powers(y[known], curve[row][known] + 1.0, degree)
            left[row] = np.mean((polynomial.polyval(y[known], coefficient[row]) - 1.0 - curve[row][known]) ** 2)
        columns += [Plane(f"tc{number}_{k:02d}", coefficient[:, k], "pix") for k in range(degree + 1)]
        columns.append(Plane(f"MSE{number}", left, "pix"))
    return tuple(columns)


def _raw_powers(at: FloatArray, value: FloatArray, degree: int) -> FloatArray:
    """Return coefficients of the plain powers of ``at``, fitted in a scaled variable."""
    middle, half = 0.5 * (at[0] + at[-1]), 0.5 * (at[-1] - at[0])
    scaled = polynomial.polyfit((at - middle) / half, value, degree)
    return _expanded(scaled, middle, half)


def wavelength_columns(
    traces: SliceTraces, solution: SliceWavelengths, *, orders: tuple[int, int] = (_SLICE, _ALONG)
) -> tuple[Plane, ...]:
    """Return the wavelength of each slice as a polynomial of pixel coordinates x and y, which count from 1.

    Fitted to our solution on the pixels of the slice, its bend included; MSE is the mean square of what that leaves
    and of the scatter of the lines. A slice that is not known has NaN.
    """
    nx, ny = orders
    count = len(solution.aperture)
    coefficient, mse = np.full((count, nx + 1, ny + 1), np.nan), np.full(count, np.nan)
    y = np.arange(0.0, traces.centre.shape[1], 32.0)
    for row in np.flatnonzero((solution.dq | traces.dq) == 0):
        at = y.astype(int)
        half = 0.5 * (traces.right[row] - traces.left[row])[at, None]
        across = np.linspace(-1.0, 1.0, 17) * half
        wave = solution.wave(int(row), y[:, None], across)
        place = traces.centre[row][at, None] + across
        coefficient[row], left = _plain_plane(place + 1.0, np.broadcast_to(y[:, None] + 1.0, place.shape), wave, orders)
        mse[row] = left + float(np.nan_to_num(solution.rms[row])) ** 2
    columns = [Plane("SliceNo", solution.aperture.astype(np.int32), "No")]
    columns += [Plane(f"wlc{i}{j}", coefficient[:, i, j], "Angstrom") for i in range(nx + 1) for j in range(ny + 1)]
    return (*columns, Plane("MSE", mse, "Angstrom"))


def _plain_plane(x: FloatArray, y: FloatArray, value: FloatArray, orders: tuple[int, int]) -> tuple[FloatArray, float]:
    """Return coefficients (i, j) of x^i y^j and the mean square left, fitted in scaled variables."""
    middle = [0.5 * (float(one.min()) + float(one.max())) for one in (x, y)]
    half = [0.5 * (float(one.max()) - float(one.min())) for one in (x, y)]
    u, v = ((one - m) / h for one, m, h in zip((x, y), middle, half, strict=True))
    design = polynomial.polyvander2d(u.ravel(), v.ravel(), orders)
    found = np.linalg.lstsq(design, value.ravel(), rcond=None)[0]
    left = float(np.mean((design @ found - value.ravel()) ** 2))
    scaled = found.reshape(orders[0] + 1, orders[1] + 1)
    along = np.array([_expanded(row, middle[1], half[1]) for row in scaled])
    return np.array([_expanded(column, middle[0], half[0]) for column in along.T]).T, left


def _expanded(scaled: FloatArray, middle: float, half: float) -> FloatArray:
    """Return coefficients of the powers of x of a polynomial of (x - middle) / half."""
    total = np.zeros(1)
    for one in scaled[::-1]:
        total = polynomial.polyadd(polynomial.polymul(total, [-middle / half, 1.0 / half]), [one])
    return np.asarray(np.pad(total, (0, scaled.size))[: scaled.size])
