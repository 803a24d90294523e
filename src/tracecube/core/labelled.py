"""Nouns of which a recipe makes several, told apart by what they are of."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.spectra import Cube, Spectrum

__all__ = ["BundleCube", "SourceSpectrum"]


@dataclass(frozen=True)
class SourceSpectrum(Spectrum):
    """Spectrum of one source of a field; card OBJECT names it."""

    @property
    def object(self) -> str:
        """Name of the source."""
        return str(self.meta["OBJECT"])


@dataclass(frozen=True)
class BundleCube(Cube):
    """Cube of one fibre bundle; card IFUSLOT names it."""

    @property
    def object(self) -> str:
        """Slot of the bundle."""
        return f"{int(self.meta['IFUSLOT']):03d}"  # type: ignore[arg-type]
