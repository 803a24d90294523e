"""Nouns to files and back; the only place that knows FITS.

Headers come at once; what reads and writes pixels is imported when it is first asked for, for it
takes longer to import than a night's headers take to read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tracecube.io.headers import bare_name, read_header

if TYPE_CHECKING:
    from tracecube.io.one_spectrum import GivenSpectrum, read_spectrum
    from tracecube.io.products import holds, read_cards, read_product, verify_product, write_product
    from tracecube.io.raw import read_raw

__all__ = [
    "GivenSpectrum",
    "bare_name",
    "holds",
    "read_cards",
    "read_header",
    "read_product",
    "read_raw",
    "read_spectrum",
    "verify_product",
    "write_product",
]

_LATER = {
    "GivenSpectrum": "one_spectrum",
    "holds": "products",
    "read_cards": "products",
    "read_product": "products",
    "read_raw": "raw",
    "read_spectrum": "one_spectrum",
    "verify_product": "products",
    "write_product": "products",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
