"""Ragged arrays (aperture, along) as a long table of the samples that were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.fields import Place
from tracecube.io.units import Column

__all__ = ["along_arrays", "long_columns"]


def long_columns(
    aperture: NDArray[Any], start: NDArray[Any], items: Sequence[tuple[Place, NDArray[Any]]]
) -> tuple[list[Column], int]:
    """Return the columns of the long table, and the number of samples along dispersion.

    Parameters
    ----------
    aperture, start : int array (n,)
        Numbers of the apertures, all different, and the detector pixel of sample 0.
    items : sequence of (Place, array (n, m))
        Samples where the first of them is NaN are left out.

    Raises
    ------
    BadData
        An aperture number stands twice, or an array has another shape.
    """
    shape = items[0][1].shape
    if len(np.unique(aperture)) != len(aperture):
        raise BadData("an aperture number stands twice in a set of traces", hint="this is a fault of the recipe")
    wrong = {place.name: values.shape for place, values in items if values.shape != (len(aperture), *shape[1:])}
    if wrong or len(shape) != 2:
        raise BadData(
            f"samples of shape {wrong or shape} for {len(aperture)} apertures", hint="this is a fault of the recipe"
        )
    first = items[0][1]
    row, step = np.nonzero(~np.isnan(first) if first.dtype.kind == "f" else np.ones(shape, bool))
    columns = [
        Column("aperture", "", "number of the aperture", aperture[row].astype(np.int32)),
        Column("pixel", "pix", "0-based position along dispersion", (start[row] + step).astype(np.int32)),
    ]
    return [*columns, *(Column(p.name, p.unit, p.text, v[row, step]) for p, v in items)], shape[1]


def along_arrays(
    aperture: NDArray[Any], start: NDArray[Any], table: Mapping[str, NDArray[Any]], names: Sequence[str], extent: int
) -> list[NDArray[Any]]:
    """Return arrays (n, extent) from the long table: NaN, or 0 for integers, where it has no sample.

    Raises
    ------
    BadData
        The table has samples of no such aperture, or beyond its extent.
    """
    order = np.argsort(aperture, kind="stable")
    row = (
        order[np.searchsorted(aperture, table["aperture"], sorter=order).clip(0, max(len(order) - 1, 0))]
        if len(order)
        else np.zeros(0, int)
    )
    step = table["pixel"] - start[row]
    if len(row) != len(step) or np.any(aperture[row] != table["aperture"]) or np.any((step < 0) | (step >= extent)):
        raise BadData("samples of an aperture that is not listed, or beyond its extent", hint="make the product again")
    arrays = []
    for name in names:
        values = table[name]
        array = np.full((len(aperture), extent), np.nan if values.dtype.kind == "f" else 0, values.dtype)
        array[row, step] = values
        arrays.append(array)
    return arrays
