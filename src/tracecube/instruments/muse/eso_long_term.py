"""Long-term calibrations in the layout of ESO's MUSE pipeline: tables that its recipes take, and headers."""

from __future__ import annotations

from tracecube.core.field_wcs import FieldWcs
from tracecube.core.foreign import Cards, ForeignFile, ForeignTable, Plane
from tracecube.core.outputs import OutputLinearity
from tracecube.core.slice_field import FieldGeometry

__all__ = ["astrometry_wcs", "geometry_table", "nonlinearity_gain"]


def geometry_table(cards: Cards, product: FieldGeometry) -> ForeignFile:
    """Lay out where slices lie; errors follow the observatory's columns."""
    columns = (
        Plane("SubField", product.sub_field, "", "channel"),
        Plane("SliceCCD", product.slice_ccd, "", "slice on the detector"),
        Plane("SliceSky", product.slice_sky, "", "slice on the sky"),
        Plane("x", product.x, "pix", "to the west"),
        Plane("y", product.y, "pix", "to the north"),
        Plane("angle", product.angle, "deg"),
        Plane("width", product.width, "pix"),
        Plane("xerr", product.x_error, "pix"),
        Plane("yerr", product.y_error, "pix"),
        Plane("angleerr", product.angle_error, "deg"),
        Plane("widtherr", product.width_error, "pix"),
    )
    return ForeignFile((), (ForeignTable("", columns),), product.meta, cards, primary="")


def astrometry_wcs(cards: Cards, product: FieldWcs) -> ForeignFile:
    """Lay out scale, turn and centre as cards; the stars follow as a table."""
    wcs: Cards = {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg",
        "CRPIX1": product.crpix1, "CRPIX2": product.crpix2,
        "CD1_1": product.cd11, "CD1_2": product.cd12, "CD2_1": product.cd21, "CD2_2": product.cd22,
    }  # fmt: skip
    names = ("x", "y", "ra", "dec", "residual_east", "residual_north", "used")
    stars = ForeignTable("STARS", tuple(Plane(name, getattr(product, name)) for name in names))
    return ForeignFile((), (stars,), product.meta, {**cards, **wcs}, primary="")


def nonlinearity_gain(cards: Cards, product: OutputLinearity) -> ForeignFile:
    """Lay out gain and polynomial of each output."""
    columns = [
        Plane("OUTPUT", product.output), Plane("GAIN", product.gain, "count/adu"),
        Plane("GAINERR", product.gain_error, "count/adu"), Plane("RON", product.noise, "count"),
        Plane("RONERR", product.noise_error, "count"), Plane("LIMIT", product.limit, "adu"),
    ]  # fmt: skip
    columns += [
        Plane(f"C{k + 1}", product.coefficient[:, k] / product.unit ** (k + 1), f"adu**-{k + 1}")
        for k in range(product.coefficient.shape[1])
    ]
    return ForeignFile((), (ForeignTable("NONLINEARITY", tuple(columns)),), product.meta, cards, primary="")
