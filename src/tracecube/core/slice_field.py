"""Where slices lie in the field, as pinholes tell: light along the slices, places of one channel, the whole field."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, image, meta

__all__ = ["ChannelGeometry", "FieldGeometry", "MaskLight"]


@dataclass(frozen=True)
class MaskLight:
    """Light along every slice of a detector through a mask of pinholes, mean of arc lines, in bins across dispersion.

    Parameters
    ----------
    light, variance : array (n, m)
        Relative to the flat and to the frame's mean; NaN where nothing is known.
    place : array (n, m), px
        Mean distance of a bin's pixels from the centre of the slice.
    aperture : int array (n,)
    width : array (n,), px
        Distance of the slice's edges.
    line : array (k,), Angstrom
        Lines whose light it is.
    line_flux, line_error : array (k,)
        Of each line, mean of all slices, relative to the flat.
    step : float
        Place of the mask along its stage, in the stage's own unit; NaN where the header does not tell.
    mjd : float
        Start of the exposure.
    scale : float, arcsec/mm
        Of the focal plane.
    """

    light: FloatArray = image("LIGHT")
    variance: FloatArray = image("STAT")
    place: FloatArray = image("PLACE", unit="pix")
    aperture: IntArray = column("SLICES", "aperture")
    width: FloatArray = column("SLICES", "width", unit="pix")
    line: FloatArray = column("LINES", "wave", unit="Angstrom")
    line_flux: FloatArray = column("LINES", "flux")
    line_error: FloatArray = column("LINES", "error")
    step: float = card("MASKSTEP", text="place of the mask along its stage")
    mjd: float = card("MASKMJD", unit="d", text="start of the exposure")
    scale: float = card("MASKSCAL", unit="arcsec/mm", text="of the focal plane")
    meta: Meta = meta()


@dataclass(frozen=True)
class ChannelGeometry:
    """Where the slices of one detector lie on the grid of pinholes.

    Parameters
    ----------
    aperture, dq : int array (n,)
    x, y : array (n,), arcsec
        Middle of the slice along slices and across them, each known but for whole distances of pinholes.
    angle : array (n,), degree
    width : array (n,), arcsec
    x_error, y_error, angle_error, width_error : array (n,)
    spot_along, spot_across : array (n,), arcsec
        Width (Gaussian sigma) of a pinhole's image.
    chi2 : array (n,)
        Of the slice, a degree of freedom; errors include it.
    step_mjd, step_place, step_light : array (k,)
        Start of each exposure, place of the mask (arcsec, 0 in the mean), brightness relative to the mean.
    pitch_x, pitch_y : float, arcsec
        Distance of pinholes.
    """

    aperture: IntArray = column("GEOMETRY", "aperture")
    dq: IntArray = column("GEOMETRY", "dq")
    x: FloatArray = column("GEOMETRY", "x", unit="arcsec")
    y: FloatArray = column("GEOMETRY", "y", unit="arcsec")
    angle: FloatArray = column("GEOMETRY", "angle", unit="deg")
    width: FloatArray = column("GEOMETRY", "width", unit="arcsec")
    x_error: FloatArray = column("GEOMETRY", "x_error", unit="arcsec")
    y_error: FloatArray = column("GEOMETRY", "y_error", unit="arcsec")
    angle_error: FloatArray = column("GEOMETRY", "angle_error", unit="deg")
    width_error: FloatArray = column("GEOMETRY", "width_error", unit="arcsec")
    spot_along: FloatArray = column("GEOMETRY", "spot_along", unit="arcsec")
    spot_across: FloatArray = column("GEOMETRY", "spot_across", unit="arcsec")
    chi2: FloatArray = column("GEOMETRY", "chi2")
    step_mjd: FloatArray = column("STEPS", "mjd", unit="d")
    step_place: FloatArray = column("STEPS", "place", unit="arcsec")
    step_light: FloatArray = column("STEPS", "light")
    pitch_x: float = card("PITCHX", unit="arcsec", text="distance of pinholes along slices")
    pitch_y: float = card("PITCHY", unit="arcsec", text="distance of pinholes across slices")
    meta: Meta = meta()


@dataclass(frozen=True)
class FieldGeometry:
    """Where the slices of all detectors lie in the field: the observatory's table, with errors beside it.

    Parameters
    ----------
    sub_field, slice_ccd, slice_sky : int array (n,)
        Detector, slice on it, and the slice's number on the sky.
    x, y : array (n,), spaxel
        Middle of the slice from the centre of the field.
    angle : array (n,), degree
    width : array (n,), spaxel
        Length of the slice.
    x_error, y_error, angle_error, width_error : array (n,)
    x_own, y_own, angle_own, width_own : array (n,)
        As measured, not drawn to the neighbours in the stack; NaN where nothing was.
    dq : int32 array (n,)
    """

    sub_field: IntArray = column("GEOMETRY_TABLE", "SubField")
    slice_ccd: IntArray = column("GEOMETRY_TABLE", "SliceCCD")
    slice_sky: IntArray = column("GEOMETRY_TABLE", "SliceSky")
    x: FloatArray = column("GEOMETRY_TABLE", "x", unit="pix")
    y: FloatArray = column("GEOMETRY_TABLE", "y", unit="pix")
    angle: FloatArray = column("GEOMETRY_TABLE", "angle", unit="deg")
    width: FloatArray = column("GEOMETRY_TABLE", "width", unit="pix")
    x_error: FloatArray = column("GEOMETRY_TABLE", "xerr", unit="pix")
    y_error: FloatArray = column("GEOMETRY_TABLE", "yerr", unit="pix")
    angle_error: FloatArray = column("GEOMETRY_TABLE", "angleerr", unit="deg")
    width_error: FloatArray = column("GEOMETRY_TABLE", "widtherr", unit="pix")
    x_own: FloatArray = column("GEOMETRY_TABLE", "xown", unit="pix")
    y_own: FloatArray = column("GEOMETRY_TABLE", "yown", unit="pix")
    angle_own: FloatArray = column("GEOMETRY_TABLE", "angleown", unit="deg")
    width_own: FloatArray = column("GEOMETRY_TABLE", "widthown", unit="pix")
    dq: IntArray = column("GEOMETRY_TABLE", "dq")
    meta: Meta = meta()
