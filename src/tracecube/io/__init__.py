"""Nouns to files and back; the only place that knows FITS."""

from __future__ import annotations

from tracecube.io.headers import bare_name, read_header
from tracecube.io.products import read_cards, read_product, verify_product, write_product
from tracecube.io.raw import read_raw

__all__ = ["bare_name", "read_cards", "read_header", "read_product", "read_raw", "verify_product", "write_product"]
