"""The image of a cube in white light, as the observatory has it."""

from __future__ import annotations

from tracecube.core.fields import FloatArray
from tracecube.core.spectra import Cube, Image
from tracecube.recipes.slices.cube import white_image

__all__ = ["fov_image"]

_WHITE = (4800.0, 9200.0)  # Angstrom, that all modes see


def fov_image(cube: Cube, wave: FloatArray) -> Image:
    """Return the IMAGE_FOV of a cube whose planes have these wavelengths (n_wave,), Angstrom."""
    white = white_image(cube, wave, _WHITE)
    return Image(white.data, white.variance, white.flags, {**white.meta, "ESO PRO CATG": "IMAGE_FOV"})
