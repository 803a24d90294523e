"""Pixels that no lenslet near the star sends light to: they tell of the thermal background under the spectra."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from tracecube.core.fields import BoolArray
from tracecube.core.optics import Layout, PixelMap

__all__ = ["clear_pixels"]


def clear_pixels(pixel_map: PixelMap, layout: Layout, *, distance: float, star_radius: float) -> BoolArray:
    """Return the pixels (y, x) away from spectra, and from those of lenslets around the star above all.

    Between spectra there are none: their wings meet. Those outside the field's border are left.

    Parameters
    ----------
    pixel_map : PixelMap
    layout : Layout
    distance : float, px
        From the nearest pixel of a spectrum.
    star_radius : float, arcsec
        From the field's middle, where the star is: pixels whose nearest lenslet is closer do not count.
    """
    away, nearest = ndimage.distance_transform_edt(pixel_map.aperture < 0, return_indices=True)
    place = np.full(max(int(pixel_map.aperture.max()), int(layout.aperture.max())) + 1, np.inf)
    place[layout.aperture] = np.hypot(layout.x, layout.y)
    return np.asarray((away > distance) & (place[pixel_map.aperture[tuple(nearest)]] > star_radius))
