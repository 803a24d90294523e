"""Find the installed instruments: sub-packages of our own, and the entry points of others."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from tracecube.core.errors import BadData
from tracecube.core.instrument import Instrument

__all__ = ["GROUP", "Found", "discover", "load", "references"]

GROUP = "tracecube.instruments"
"""Package of our own instruments, and the entry-point group in which others announce theirs."""


@dataclass(frozen=True)
class Found:
    """An installed instrument and the reference by which another process finds it again.

    Parameters
    ----------
    reference : str
        ``module:attribute``.
    instrument : Instrument
    """

    reference: str
    instrument: Instrument


@cache
def load(reference: str) -> Instrument:
    """Import an instrument once a process.

    Raises
    ------
    BadData
        The module cannot be imported, or holds no instrument of that name.
    """
    module, _, attribute = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise BadData(
            f"instrument {reference} cannot be loaded ({error})", hint="install it again, or remove its entry point"
        ) from error
    if not isinstance(found, Instrument):
        raise BadData(f"{reference} is a {type(found).__name__}, not an Instrument", hint="correct its entry point")
    return found


def references() -> list[str]:
    """Return where instruments may be imported from, without importing any."""
    package = importlib.import_module(GROUP)
    own = [
        f"{module.name}:instrument" for module in pkgutil.iter_modules(package.__path__, f"{GROUP}.") if module.ispkg
    ]
    return sorted({*own, *(entry.value for entry in entry_points(group=GROUP))})


def discover() -> dict[str, Found]:
    """Return name -> installed instrument.

    Raises
    ------
    BadData
        One cannot be loaded, or two have one name.
    """
    found: dict[str, Found] = {}
    for reference in references():
        if _is_bare(reference):
            continue
        instrument = load(reference)
        if instrument.name in found:
            raise BadData(
                f"two instruments are called {instrument.name}: {found[instrument.name].reference} and {reference}",
                hint="remove one of the packages",
            )
        found[instrument.name] = Found(reference, instrument)
    return found


def _is_bare(reference: str) -> bool:
    """Whether a sub-package of our own announces nothing (yet)."""
    module, _, attribute = reference.partition(":")
    return module.startswith(GROUP) and not hasattr(importlib.import_module(module), attribute)
