"""A simulated night: raw files and the truth about them, as nouns; whoever asked for it writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import Meta
from tracecube.core.frame import RawFrame

__all__ = ["raw_image", "text_table", "truth_arrays", "truth_json", "truth_table"]


def raw_image(name: str, tag: str, header: Meta, image: NDArray[Any]) -> RawFrame:
    """A raw file with one image; ``name`` without suffix."""
    return RawFrame(name=name, tag=tag, meta=header, images={"": image}, tables={})


def text_table(name: str, tag: str, columns: Mapping[str, Any]) -> RawFrame:
    """A table of text, ``name``.csv; columns (n_rows,)."""
    table = {key: np.asarray(values) for key, values in columns.items()}
    return RawFrame(name=name, tag=tag, meta={"COLUMNS": ",".join(table)}, images={}, tables={"": table})


def truth_table(name: str, header: Meta, tables: Mapping[str, Mapping[str, Any]]) -> RawFrame:
    """Tables of one file ``truth/name``.fits, by extension name; columns (n_rows, ...).

    Truth has the tag "TRUTH" and lies in its own folder, where no reduction looks.
    """
    made = {hdu: {key: np.asarray(values) for key, values in columns.items()} for hdu, columns in tables.items()}
    return RawFrame(name=f"truth/{name}", tag="TRUTH", meta=header, images={}, tables=made)


def truth_arrays(name: str, arrays: Mapping[str, Any]) -> RawFrame:
    """Arrays of one file ``truth/name``.npz, as NumPy packs them."""
    made = {key: np.asarray(values) for key, values in arrays.items()}
    return RawFrame(name=f"truth/{name}.npz", tag="TRUTH", meta={}, images={}, tables={"": made})


def truth_json(name: str, value: Mapping[str, Any] | Sequence[Any]) -> RawFrame:
    """Nested names, numbers and lists of one file ``truth/name``.json."""
    text = np.array([json.dumps(value, indent=1)])
    return RawFrame(name=f"truth/{name}.json", tag="TRUTH", meta={}, images={}, tables={"": {"json": text}})
