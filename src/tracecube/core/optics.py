"""Where the light of each aperture falls: traces, wavelengths and places on the sky."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, image, meta, samples

__all__ = [
    "LampSpectrum",
    "Layout",
    "Lenslets",
    "LineWings",
    "PixelMap",
    "PointPattern",
    "Throughput",
    "TraceSet",
    "WavelengthSolution",
]


@dataclass(frozen=True)
class TraceSet:
    """Where the light goes: centre and width of every aperture at every pixel along dispersion.

    Sample ``j`` of aperture ``a`` sits at detector pixel ``start[a] + j`` along dispersion.

    Parameters
    ----------
    aperture : int array (n,)
        Number of the aperture; its identity in all products of the night.
    start : int array (n,)
        Detector pixel of sample 0, 0-based.
    q, r : int array (n,)
        Indices of the aperture in its lattice (hexagonal axial indices, for example).
    dq : int32 array (n,)
    centre, sigma : array (n, m), px
        Position across dispersion (0-based) and width of the core; NaN where there is no trace.
    sample_dq : int32 array (n, m)
    profile_u : array (k,)
        Distance from the centre in units of ``sigma``, rising.
    profile : array (k,) or (k, n_shape)
        Cross-dispersion profile density at ``profile_u``; its integral is 1. With several shapes (the
        first of integral 1, the others of 0) the profile of a sample is their sum weighted by ``mix``; they
        are effective profiles, in which the width of a pixel is included.
    mix : array (n_shape, n, m) or None
        Weights of the shapes in every sample; None where there is one shape.
    axis : int
        Image axis of dispersion: 1 along x, 0 along y.
    """

    aperture: IntArray = column("TRACES", "aperture")
    start: IntArray = column("TRACES", "start", unit="pix")
    q: IntArray = column("TRACES", "q")
    r: IntArray = column("TRACES", "r")
    dq: IntArray = column("TRACES", "dq")
    centre: FloatArray = samples("TRACE_SAMPLES", "centre", unit="pix")
    sigma: FloatArray = samples("TRACE_SAMPLES", "sigma", unit="pix")
    sample_dq: IntArray = samples("TRACE_SAMPLES", "dq")
    profile_u: FloatArray = column("PROFILE", "u")
    profile: FloatArray = column("PROFILE", "density")
    mix: FloatArray | None = image("MIX", text="weights of the shapes of the profile", default=None)
    axis: int = card("DISPAXIS", text="numpy axis of dispersion", default=1)
    meta: Meta = meta()


@dataclass(frozen=True)
class Lenslets:
    """Where each laser falls in the column of every lenslet, and what its spot looks like.

    Parameters
    ----------
    aperture, q, r : int array (n,)
        Number, and axial indices in the hexagonal lattice.
    dq : int32 array (n,)
    x, y : array (n, n_laser), px
        Place of the spots' cores: a smooth model of the lattice plus one offset a lenslet.
    x_residual, y_residual : array (n, n_laser), px
        Measured place less that; NaN where a spot was not measured.
    x_error, y_error : array (n, n_laser), px
        One-sigma errors of the measured places.
    flux : array (n, n_laser), electron
    laser : array (n_laser,), Angstrom, vacuum
    template : array (n_laser, zones, zones, k, k)
        Effective point-spread functions, ``step`` px a grid point, by zone (y, x) of the detector.
    step : float, px
    """

    aperture: IntArray = column("LENSLETS", "aperture")
    q: IntArray = column("LENSLETS", "q")
    r: IntArray = column("LENSLETS", "r")
    dq: IntArray = column("LENSLETS", "dq")
    x: FloatArray = column("LENSLETS", "x", unit="pix")
    y: FloatArray = column("LENSLETS", "y", unit="pix")
    x_residual: FloatArray = column("LENSLETS", "x_residual", unit="pix")
    y_residual: FloatArray = column("LENSLETS", "y_residual", unit="pix")
    x_error: FloatArray = column("LENSLETS", "x_error", unit="pix")
    y_error: FloatArray = column("LENSLETS", "y_error", unit="pix")
    flux: FloatArray = column("LENSLETS", "flux", unit="electron")
    laser: FloatArray = column("LASERS", "wave", unit="Angstrom")
    template: FloatArray = image("TEMPLATE")
    step: float = card("PSFSTEP", unit="pix", text="grid of the templates")
    meta: Meta = meta()


@dataclass(frozen=True)
class WavelengthSolution:
    """Wavelength of every trace sample, with its error and the line-spread function.

    Rows are those of the `TraceSet` it was made with (same ``aperture`` and ``start``).

    Parameters
    ----------
    aperture, start : int array (n,)
    dq : int32 array (n,)
    wave : array (n, m), Angstrom
    error : array (n, m), Angstrom
        One-sigma error of ``wave``.
    lsf_sigma : array (n, m), px
        Width of the line-spread function along dispersion.
    medium : {"AWAV", "WAVE"}
        Air or vacuum.
    line_aperture, line_wave, line_pixel, line_residual, line_error, line_used
        The arc-line positions the solution rests on (residual and error in Angstrom).
    """

    aperture: IntArray = column("SOLUTION", "aperture")
    start: IntArray = column("SOLUTION", "start", unit="pix")
    dq: IntArray = column("SOLUTION", "dq")
    wave: FloatArray = samples("WAVE_SAMPLES", "wave", unit="Angstrom")
    error: FloatArray = samples("WAVE_SAMPLES", "error", unit="Angstrom")
    lsf_sigma: FloatArray = samples("WAVE_SAMPLES", "lsf_sigma", unit="pix")
    line_aperture: IntArray = column("ARC_LINES", "aperture")
    line_wave: FloatArray = column("ARC_LINES", "wave", unit="Angstrom")
    line_pixel: FloatArray = column("ARC_LINES", "pixel", unit="pix")
    line_residual: FloatArray = column("ARC_LINES", "residual", unit="Angstrom")
    line_error: FloatArray = column("ARC_LINES", "error", unit="Angstrom")
    line_used: IntArray = column("ARC_LINES", "used")
    medium: str = card("WAVETYPE", text="AWAV air, WAVE vacuum", default="WAVE")
    meta: Meta = meta()


@dataclass(frozen=True)
class LineWings:
    """Where the extraction finds the light of a line beyond its core, along dispersion in the line's own trace.

    Parameters
    ----------
    wave : array (l,), Angstrom
        Of the lines that tell, in order.
    offset : array (q,), px
        Whole samples from the line, towards the red.
    share, error : array (l, q)
        Of the line's light, and its one-sigma error.
    core : array (l,), px
        Width (Gaussian sigma) of what is left without the wings.
    """

    wave: FloatArray = column("LINES", "wave", unit="Angstrom")
    core: FloatArray = column("LINES", "core", unit="pix")
    offset: FloatArray = column("OFFSETS", "offset", unit="pix")
    share: FloatArray = image("SHARE")
    error: FloatArray = image("ERROR")
    meta: Meta = meta()


@dataclass(frozen=True)
class PixelMap:
    """Which light each detector pixel sees.

    Parameters
    ----------
    wave : float64 array (y, x), Angstrom, NaN outside
    aperture : int32 array (y, x), -1 outside
    along : array (y, x), px
        Distance from the trace centre across dispersion (lenslets, fibres) or place in the slice.
    medium : {"AWAV", "WAVE"}
    """

    wave: FloatArray = image("WAVE", unit="Angstrom")
    aperture: IntArray = image("APERTURE")
    along: FloatArray = image("ALONG", unit="pix")
    medium: str = card("WAVETYPE", text="AWAV air, WAVE vacuum", default="WAVE")
    meta: Meta = meta()


@dataclass(frozen=True)
class Layout:
    """Place of every aperture on the sky plane, seen from the field centre.

    Parameters
    ----------
    aperture : int array (n,)
    x, y : array (n,), arcsec
        ``x`` to the east, ``y`` to the north.
    dq : int32 array (n,)
    pitch : float, arcsec
        Distance between neighbouring apertures.
    angle : float, degree
        Position angle of the first lattice axis, from north through east.
    """

    aperture: IntArray = column("LAYOUT", "aperture")
    x: FloatArray = column("LAYOUT", "x", unit="arcsec")
    y: FloatArray = column("LAYOUT", "y", unit="arcsec")
    dq: IntArray = column("LAYOUT", "dq")
    pitch: float = card("LENSPIT", unit="arcsec")
    angle: float = card("ARRPA", unit="deg")
    meta: Meta = meta()


@dataclass(frozen=True)
class PointPattern:
    """Points of a regular grid, seen through the apertures, that tell the apertures' places on the sky.

    Parameters
    ----------
    x, y : array (n,), arcsec
        Where a point is seen if the lattice of apertures is taken as regular, of its mean pitch, from its middle.
    error : array (n,), arcsec
        Of either by noise.
    grid_x, grid_y : array (n,), arcsec
        Where the grid has it, in the coordinates of the `Layout`: the difference is distortion.
    used : int array (n,)
        1 where the layout was fitted to it.
    """

    x: FloatArray = column("POINTS", "x", unit="arcsec")
    y: FloatArray = column("POINTS", "y", unit="arcsec")
    error: FloatArray = column("POINTS", "error", unit="arcsec")
    grid_x: FloatArray = column("POINTS", "grid_x", unit="arcsec")
    grid_y: FloatArray = column("POINTS", "grid_y", unit="arcsec")
    used: IntArray = column("POINTS", "used")
    meta: Meta = meta()


@dataclass(frozen=True)
class LampSpectrum:
    """Mean spectrum of a lamp through all whole apertures, as the instrument passes it.

    Parameters
    ----------
    wave : array (k,), Angstrom
        Evenly spaced, finer than the pixels.
    flux : array (k,), electron / Angstrom
    """

    wave: FloatArray = column("LAMP", "wave", unit="Angstrom")
    flux: FloatArray = column("LAMP", "flux", unit="electron/Angstrom")
    meta: Meta = meta()


@dataclass(frozen=True)
class Throughput:
    """Relative throughput of the apertures against wavelength; its median over the field is 1.

    Parameters
    ----------
    aperture : int array (n,)
    dq : int32 array (n,)
    mean : array (n,)
        Throughput averaged over wavelength.
    wave : array (k,), Angstrom
    value, error : array (n, k)
        Throughput and its one-sigma error; NaN where an aperture gave no light.
    """

    aperture: IntArray = column("THROUGHPUT", "aperture")
    dq: IntArray = column("THROUGHPUT", "dq")
    mean: FloatArray = column("THROUGHPUT", "mean")
    value: FloatArray = image("VALUE")
    error: FloatArray = image("ERROR")
    wave: FloatArray = image("WAVE", unit="Angstrom")
    meta: Meta = meta()
