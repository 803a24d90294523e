"""The kinds of source that are told apart, and the types and classes that they belong to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "CLASS_OF", "KINDS", "TYPES", "TYPE_OF", "kind_of"]

CLASSES = ("Ia", "Ibc", "II", "other")

_TYPES = {
    "Ia": ("Ia-norm", "Ia-91T", "Ia-91bg", "Ia-02cx", "Ia-03fg", "Ia-csm", "Ia-pec"),
    "Ib": ("Ib",),
    "Ibn": ("Ibn",),
    "Ic": ("Ic", "Ic-broad"),
    "II": ("IIP", "IIb", "IIn", "II-pec"),
    "SLSN": ("SLSN",),
    "TDE": ("TDE",),
    "AGN": ("AGN",),
    "Galaxy": ("Galaxy",),
    "Star": ("Star",),
    "GAP": ("GAP",),
    "LFBOT": ("LFBOT",),
}
_CLASS = {"Ia": 0, "Ib": 1, "Ibn": 1, "Ic": 1, "II": 2}
_SAME = {
    "Ia-02es": "Ia-pec",
    "Ia-Ca-rich": "Ia-pec",
    "Ib-norm": "Ib",
    "Ib-pec": "Ib",
    "Icn": "Ibn",
    "Ic-norm": "Ic",
    "Ic-Ca-rich": "Ic",
    "IIL": "IIP",
    "IIn-pec": "IIn",
    "II-flash": "IIn",
}
"""Subtypes of the library that are too few to stand alone, or look alike."""

TYPES = tuple(_TYPES)
KINDS = tuple(kind for kinds in _TYPES.values() for kind in kinds)
"""Subtypes told apart. GAP: luminous blue variables and luminous red novae; LFBOT: fast blue transients, a kilonova."""
TYPE_OF: NDArray[np.int64] = np.array([k for k, kinds in enumerate(_TYPES.values()) for _ in kinds])
"""Type of each kind."""
CLASS_OF: NDArray[np.int64] = np.array([_CLASS.get(TYPES[k], 3) for k in TYPE_OF])
"""Class of each kind."""


def kind_of(type_: str, subtype: str) -> int:
    """Return the kind of a template.

    Examples
    --------
    >>> KINDS[kind_of("Ib", "Ib-norm")], KINDS[kind_of("KN", "17gfo")], KINDS[kind_of("Galaxy", "Gal-E")]
    ('Ib', 'LFBOT', 'Galaxy')
    """
    name = _SAME.get(subtype, subtype)
    if name in KINDS:
        return KINDS.index(name)
    return KINDS.index("LFBOT" if type_ == "KN" else type_)
