"""Header cards as text and numbers; what an instrument's headers need besides stands in its own folder."""

from __future__ import annotations

import math

from tracecube.core.fields import Meta

__all__ = ["number", "text"]


def text(header: Meta, key: str) -> str:
    """Return a card as a stripped string, empty when it is absent or blank."""
    value = header.get(key)
    return "" if value is None else str(value).strip()


def number(header: Meta, key: str) -> float | None:
    """Return a card as a finite number, None when it is absent, blank or a placeholder ("NA").

    Examples
    --------
    >>> number({"EXPTIME": "30.0", "DOMEST": "NA"}, "EXPTIME"), number({"DOMEST": "NA"}, "DOMEST")
    (30.0, None)
    """
    value = header.get(key)
    if value is None or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
