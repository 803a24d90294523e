"""The images of a cube: in white light, as the observatory has it, and through filters."""

from __future__ import annotations

from collections.abc import Mapping

from tracecube.core.errors import MissingInput
from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.core.labelled import FilterImage
from tracecube.core.spectra import Cube, Image
from tracecube.instruments.muse.references import filter_curve
from tracecube.recipes.slices.cube import white_image
from tracecube.recipes.slices.filters import filter_image

__all__ = ["WHITE", "Curves", "filter_curves", "fov_image", "through_filters"]

WHITE = (4800.0, 9200.0)
"""Angstrom, of white light: all modes see these."""

Curves = Mapping[str, tuple[FloatArray, FloatArray]]
"""Name of a filter -> wavelengths (Angstrom) and transmission."""


def fov_image(cube: Cube, wave: FloatArray) -> Image:
    """Return the IMAGE_FOV of a cube whose planes have these wavelengths (n_wave,), Angstrom."""
    white = white_image(cube, wave, WHITE)
    return Image(white.data, white.variance, white.flags, {**white.meta, "ESO PRO CATG": "IMAGE_FOV"})


def filter_curves(table: RawFrame | None, wanted: str) -> Curves:
    """Return the curves of the filters that are wanted, by name: before anything long is begun.

    Raises
    ------
    MissingInput
        Filters are wanted, and there is no FILTER_LIST, or none has the name.
    """
    names = [name for one in wanted.split(",") if (name := one.strip()) and name != "white"]
    if not names:
        return {}
    if table is None:
        raise MissingInput(f"no FILTER_LIST for {', '.join(names)}", hint="put it beside the raw files")
    return {name: filter_curve(table, name) for name in names}


def through_filters(cube: Cube, wave: FloatArray, curves: Curves) -> tuple[tuple[FilterImage, ...], list[str]]:
    """Return images through filters, and which filters the cube does not hold whole."""
    made, caveats = [], []
    for name, curve in curves.items():
        image, share = filter_image(cube, wave, *curve)
        if share < 1.0:
            caveats.append(f"{name}: {100 * (1 - share):.1f} % of the filter lies outside the cube")
        made.append(FilterImage(image.data, image.variance, image.flags, {**image.meta, "FILTER": name}))
    return tuple(made), caveats
