"""Where the light of an image slicer falls: slices, which are apertures with an extent on the sky."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, image, meta, samples

__all__ = [
    "SliceExposure",
    "SliceExposureOnDisk",
    "SliceGeometry",
    "SliceLsf",
    "SliceSegments",
    "SliceTraces",
    "SliceWavelengths",
]


@dataclass(frozen=True)
class SliceTraces:
    """Edges and middle of every slice of a detector, at every pixel along dispersion.

    Parameters
    ----------
    aperture : int array (n,)
        Number of the slice on the detector, from 1.
    start : int array (n,)
        Detector pixel of sample 0 along dispersion, 0-based.
    dq : int32 array (n,)
    edge : array (n,), px
        Width (Gaussian sigma) over which the light of a slice fades at its edges, that of a pixel included.
    centre, left, right : array (n, m), px
        Position across dispersion (0-based): half of the light of the slice's interior falls on a pixel at an edge,
        the centre lies midway.
    error : array (n, m), px
        One-sigma error of the centre.
    sample_dq : int32 array (n, m)
    axis : int
        Image axis of dispersion: 1 along x, 0 along y.
    """

    aperture: IntArray = column("TRACES", "aperture")
    start: IntArray = column("TRACES", "start", unit="pix")
    dq: IntArray = column("TRACES", "dq")
    edge: FloatArray = column("TRACES", "edge", unit="pix")
    centre: FloatArray = samples("TRACE_SAMPLES", "centre", unit="pix")
    left: FloatArray = samples("TRACE_SAMPLES", "left", unit="pix")
    right: FloatArray = samples("TRACE_SAMPLES", "right", unit="pix")
    error: FloatArray = samples("TRACE_SAMPLES", "error", unit="pix")
    sample_dq: IntArray = samples("TRACE_SAMPLES", "dq")
    axis: int = card("DISPAXIS", text="numpy axis of dispersion", default=0)
    meta: Meta = meta()


@dataclass(frozen=True)
class SliceWavelengths:
    """Wavelength at every place in every slice of a detector: one polynomial in two coordinates a slice.

    ``u = (y - middle) / half`` along dispersion, ``t = (x - centre(y)) / reach`` across it, both 0-based pixels; the
    wavelength is the sum of ``coefficient[:, i, j] t^i P_j(u)``, P_j Legendre's.

    Parameters
    ----------
    aperture : int array (n,)
    dq : int32 array (n,)
    coefficient : array (n, n_t, n_u), Angstrom
    covariance : array (n, k, k), Angstrom**2
        Of the coefficients of ``t^0``.
    rms : array (n,), Angstrom
        Scatter of the lines about the solution.
    middle, half, reach : float, px
    line_aperture, line_wave, line_lamp, line_pixel, line_residual, line_error, line_used
        Lines it rests on: slice, wavelength of the list, lamp, place along dispersion in the middle of the slice
        (px), measured less list (Angstrom), its error, and whether it was used.
    list_wave, list_offset, list_error : array (m,), Angstrom
        Lines of the list, and by how much all slices see each of them displaced: errors of the list, and faint lines
        that nobody listed close by.
    medium : {"AWAV", "WAVE"}
    """

    aperture: IntArray = column("SOLUTION", "aperture")
    dq: IntArray = column("SOLUTION", "dq")
    coefficient: FloatArray = column("SOLUTION", "coefficient", unit="Angstrom")
    covariance: FloatArray = column("SOLUTION", "covariance", unit="Angstrom**2")
    rms: FloatArray = column("SOLUTION", "rms", unit="Angstrom")
    line_aperture: IntArray = column("ARC_LINES", "aperture")
    line_wave: FloatArray = column("ARC_LINES", "wave", unit="Angstrom")
    line_lamp: IntArray = column("ARC_LINES", "lamp")
    line_pixel: FloatArray = column("ARC_LINES", "pixel", unit="pix")
    line_residual: FloatArray = column("ARC_LINES", "residual", unit="Angstrom")
    line_error: FloatArray = column("ARC_LINES", "error", unit="Angstrom")
    line_used: IntArray = column("ARC_LINES", "used")
    list_wave: FloatArray = column("LINE_LIST", "wave", unit="Angstrom")
    list_offset: FloatArray = column("LINE_LIST", "offset", unit="Angstrom")
    list_error: FloatArray = column("LINE_LIST", "error", unit="Angstrom")
    middle: float = card("WMIDDLE", unit="pix", text="where u is 0")
    half: float = card("WHALF", unit="pix", text="pixels to where u is 1")
    reach: float = card("WREACH", unit="pix", text="pixels to where t is 1")
    medium: str = card("WAVETYPE", text="AWAV air, WAVE vacuum", default="AWAV")
    meta: Meta = meta()

    def wave(self, row: int, along: FloatArray, across: FloatArray) -> FloatArray:
        """Return wavelengths (Angstrom) in slice ``row``.

        Parameters
        ----------
        row : int
            Of the arrays here, from 0.
        along : array, px
            Place along dispersion, 0-based.
        across : array, px
            Distance from the centre of the slice; broadcast against ``along``.
        """
        u, t = (np.asarray(along) - self.middle) / self.half, np.asarray(across) / self.reach
        value = np.zeros(np.broadcast_shapes(u.shape, t.shape))
        for coefficient in self.coefficient[row][::-1]:
            value = value * t + legendre.legval(u, coefficient)
        return value


@dataclass(frozen=True)
class SliceLsf:
    """Line-spread function of every slice: what a pixel sees of a line, against wavelength.

    Parameters
    ----------
    density : array (n, n_wave, n_offset), 1 / Angstrom
        At ``offset`` from the line; the pixel is included; integral 1. The place of a line is the centre of the
        Gaussian of least squares, as in `SliceWavelengths`.
    error : array (n, n_wave, n_offset)
    wave : array (1, n_wave), Angstrom
    offset : array (1, n_offset), Angstrom
    aperture : int array (n,)
    fwhm : array (n, n_wave), Angstrom
    dq : int32 array (n,)
    """

    density: FloatArray = image("LSF", unit="1/Angstrom")
    error: FloatArray = image("LSF_ERROR", unit="1/Angstrom")
    wave: FloatArray = column("LSF_AXES", "wave", unit="Angstrom")
    offset: FloatArray = column("LSF_AXES", "offset", unit="Angstrom")
    aperture: IntArray = column("SLICES", "aperture")
    fwhm: FloatArray = column("SLICES", "fwhm", unit="Angstrom")
    dq: IntArray = column("SLICES", "dq")
    meta: Meta = meta()


@dataclass(frozen=True)
class SliceGeometry:
    """Where the slices of a detector lie in the field.

    Parameters
    ----------
    aperture : int array (n,)
    x, y : array (n,), arcsec
        Middle of the slice from the centre of the field, ``x`` to the west, ``y`` to the north at position angle 0.
    angle : array (n,), degree
        Of the slice against the ``x`` axis.
    width : array (n,), arcsec
        Length of the slice; on the detector it runs the other way: x_sky = x - across / (right - left) * width.
    dq : int32 array (n,)
    """

    aperture: IntArray = column("GEOMETRY", "aperture")
    x: FloatArray = column("GEOMETRY", "x", unit="arcsec")
    y: FloatArray = column("GEOMETRY", "y", unit="arcsec")
    angle: FloatArray = column("GEOMETRY", "angle", unit="deg")
    width: FloatArray = column("GEOMETRY", "width", unit="arcsec")
    dq: IntArray = column("GEOMETRY", "dq")
    meta: Meta = meta()


@dataclass(frozen=True)
class SliceExposure:
    """An exposure of one detector over its flat, still on its pixels, and what it told of itself.

    Parameters
    ----------
    data : array (y, x)
        Electrons of the exposure over those of the flat (light relative to the lamp).
    variance : array (y, x)
    flags : int32 array (y, x)
    aperture : int array (n,)
    shift : array (n,), px
        By which the slice lies displaced across dispersion from its trace of the day.
    gain, gain_error : array (n,)
        Brightness of the slice relative to the flat that the illumination flat of the night tells.
    dq : int32 array (n,)
    """

    data: FloatArray = image("DATA")
    variance: FloatArray = image("STAT")
    flags: IntArray = image("DQ")
    aperture: IntArray = column("SLICES", "aperture")
    shift: FloatArray = column("SLICES", "shift", unit="pix")
    gain: FloatArray = column("SLICES", "gain")
    gain_error: FloatArray = column("SLICES", "gain_error")
    dq: IntArray = column("SLICES", "dq")
    meta: Meta = meta()


@dataclass(frozen=True)
class SliceExposureOnDisk:
    """An exposure of one detector whose rows are read when they are wanted.

    Parameters
    ----------
    shape : (int, int)
        y, x.
    rows : callable
        ``rows(start, stop)`` -> data, variance, flags of these rows, as of a `SliceExposure`.
    aperture, shift : array (n,)
        As of a `SliceExposure`.
    meta : mapping
    """

    shape: tuple[int, int]
    rows: Callable[[int, int], tuple[FloatArray, FloatArray, IntArray]]
    aperture: IntArray
    shift: FloatArray
    meta: Meta


@dataclass(frozen=True)
class SliceSegments:
    """Spectra of short pieces of slices: all that sky, shifts and brightness of an exposure are found from.

    Parameters
    ----------
    flux, variance, wave : array (n, m)
        Mean over the pixels of a piece in each row of the detector, its variance, and mean wavelength (Angstrom).
    flags : int32 array (n, m)
    aperture, piece : int array (n,)
        Slice, and number of the piece along it.
    x, y : array (n,), arcsec
        Place in the field.
    spread : array (n,), Angstrom**2
        Variance of the wavelengths of a piece's pixels in one row, for lines are tilted.
    white, white_error : array (n,)
        Median over wavelength.
    """

    flux: FloatArray = image("FLUX")
    variance: FloatArray = image("STAT")
    wave: FloatArray = image("WAVE", unit="Angstrom")
    flags: IntArray = image("DQ")
    aperture: IntArray = column("SEGMENTS", "aperture")
    piece: IntArray = column("SEGMENTS", "piece")
    x: FloatArray = column("SEGMENTS", "x", unit="arcsec")
    y: FloatArray = column("SEGMENTS", "y", unit="arcsec")
    spread: FloatArray = column("SEGMENTS", "spread", unit="Angstrom**2")
    white: FloatArray = column("SEGMENTS", "white")
    white_error: FloatArray = column("SEGMENTS", "white_error")
    meta: Meta = meta()
