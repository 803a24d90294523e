"""How the exposures of a field lie to each other, and what was found in them."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, TextArray, card, column, meta

__all__ = ["Offsets", "SourceList"]


@dataclass(frozen=True)
class Offsets:
    """Offsets of exposures, and the grid that holds them all.

    An offset is where a source appears in an exposure less where it appears in the reference: subtracted from the
    right ascension and declination of the exposure it brings both together.

    Parameters
    ----------
    date : str array (n,)
        DATE-OBS.
    mjd : float64 array (n,)
    ra, dec : float64 array (n,), degree
        Offset in the coordinates: that in right ascension is not times the cosine of declination.
    flux_scale : array (n,)
        What the flux of the exposure is to be multiplied with to be that of the reference.
    ra_error, dec_error : array (n,), degree
        Of the same coordinates.
    flux_error : array (n,)
    background, background_error : array (n,)
        Of the exposure's white image over that of the reference, in units of the image.
    sources : int array (n,)
        Point sources found.
    method : str array (n,)
        reference, images, list (given by the user), or header (nothing tells, see ``dq``).
    dq : int32 array (n,)
        1024 where the offset is not measured.
    exposure : str array (n,)
    first, second : int array (p,)
        Exposures of a pair, from 1.
    pair_x, pair_y : array (p,), arcsec
        Displacement of the second against the first, to the west and north.
    pair_x_error, pair_y_error : array (p,), arcsec
    pair_flux : array (p,)
        Flux of the second over that of the first.
    pair_chi2 : array (p,)
    pair_left : array (p,), arcsec
        Distance of the measurement from what all pairs together say.
    pair_used : int array (p,)
    grid_ra, grid_dec : float, degree
        Tangent point of the grid that holds all exposures.
    grid_x, grid_y, grid_side : float, arcsec
        Middle of the first spaxel to the west and north of it, and width of a spaxel.
    grid_columns, grid_rows : int
    grid_wave, grid_step : float, Angstrom
        First plane and step of an output grid that was asked for; 0 for the exposures' own.
    grid_planes : int
    """

    date: TextArray = column("OFFSET_LIST", "DATE_OBS")
    mjd: FloatArray = column("OFFSET_LIST", "MJD_OBS", unit="d")
    ra: FloatArray = column("OFFSET_LIST", "RA_OFFSET", unit="deg")
    dec: FloatArray = column("OFFSET_LIST", "DEC_OFFSET", unit="deg")
    flux_scale: FloatArray = column("OFFSET_LIST", "FLUX_SCALE")
    ra_error: FloatArray = column("OFFSET_LIST", "RA_OFFSET_ERR", unit="deg")
    dec_error: FloatArray = column("OFFSET_LIST", "DEC_OFFSET_ERR", unit="deg")
    flux_error: FloatArray = column("OFFSET_LIST", "FLUX_SCALE_ERR")
    background: FloatArray = column("OFFSET_LIST", "BACKGROUND")
    background_error: FloatArray = column("OFFSET_LIST", "BACKGROUND_ERR")
    sources: IntArray = column("OFFSET_LIST", "SOURCES")
    method: TextArray = column("OFFSET_LIST", "METHOD")
    dq: IntArray = column("OFFSET_LIST", "DQ")
    exposure: TextArray = column("OFFSET_LIST", "EXPOSURE")
    first: IntArray = column("PAIRS", "first")
    second: IntArray = column("PAIRS", "second")
    pair_x: FloatArray = column("PAIRS", "x", unit="arcsec")
    pair_y: FloatArray = column("PAIRS", "y", unit="arcsec")
    pair_x_error: FloatArray = column("PAIRS", "x_err", unit="arcsec")
    pair_y_error: FloatArray = column("PAIRS", "y_err", unit="arcsec")
    pair_flux: FloatArray = column("PAIRS", "flux")
    pair_chi2: FloatArray = column("PAIRS", "chi2")
    pair_left: FloatArray = column("PAIRS", "left", unit="arcsec")
    pair_used: IntArray = column("PAIRS", "used")
    grid_ra: float = card("GRIDRA", unit="deg", text="tangent point of the common grid")
    grid_dec: float = card("GRIDDEC", unit="deg", text="tangent point of the common grid")
    grid_x: float = card("GRIDX", unit="arcsec", text="first spaxel, to the west")
    grid_y: float = card("GRIDY", unit="arcsec", text="first spaxel, to the north")
    grid_side: float = card("GRIDSIDE", unit="arcsec", text="width of a spaxel")
    grid_columns: int = card("GRIDNX", text="spaxels to the west")
    grid_rows: int = card("GRIDNY", text="spaxels to the north")
    grid_wave: float = card("GRIDWAVE", unit="Angstrom", text="first plane; 0 for that of the exposures", default=0.0)
    grid_step: float = card("GRIDSTEP", unit="Angstrom", text="between planes; 0 for the exposures' own", default=0.0)
    grid_planes: int = card("GRIDNZ", text="planes; 0 for those of the exposures", default=0)
    meta: Meta = meta()


@dataclass(frozen=True)
class SourceList:
    """Point sources found in the white images of exposures.

    Parameters
    ----------
    exposure : int array (n,)
        From 1, in the order of `Offsets`.
    number : int array (n,)
    x, y : array (n,), px
        In the image of the exposure, from 1 as FITS counts.
    x_error, y_error : array (n,), px
    flux, flux_error : array (n,)
        Of the fitted Gaussian, in units of the image times spaxels.
    sharpness, roundness : array (n,)
    ra, dec : float64 array (n,), degree
        As it appears.
    ra_corrected, dec_corrected : float64 array (n,), degree
        With the offset.
    matches : int array (n,)
        Other exposures that show it.
    """

    exposure: IntArray = column("SOURCE_LIST", "EXPOSURE")
    number: IntArray = column("SOURCE_LIST", "Id")
    x: FloatArray = column("SOURCE_LIST", "X", unit="pix")
    y: FloatArray = column("SOURCE_LIST", "Y", unit="pix")
    x_error: FloatArray = column("SOURCE_LIST", "X_ERR", unit="pix")
    y_error: FloatArray = column("SOURCE_LIST", "Y_ERR", unit="pix")
    flux: FloatArray = column("SOURCE_LIST", "Flux")
    flux_error: FloatArray = column("SOURCE_LIST", "Flux_ERR")
    sharpness: FloatArray = column("SOURCE_LIST", "Sharpness")
    roundness: FloatArray = column("SOURCE_LIST", "Roundness")
    ra: FloatArray = column("SOURCE_LIST", "RA", unit="deg")
    dec: FloatArray = column("SOURCE_LIST", "DEC", unit="deg")
    ra_corrected: FloatArray = column("SOURCE_LIST", "RA_CORR", unit="deg")
    dec_corrected: FloatArray = column("SOURCE_LIST", "DEC_CORR", unit="deg")
    matches: IntArray = column("SOURCE_LIST", "MATCHES")
    meta: Meta = meta()
