"""Nouns of which a recipe makes several, told apart by what they are of."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.spectra import Image, Spectrum

__all__ = ["FilterImage", "SourceSpectrum"]


@dataclass(frozen=True)
class SourceSpectrum(Spectrum):
    """Spectrum of one source of a field; card OBJECT names it."""

    @property
    def object(self) -> str:
        """Name of the source."""
        return str(self.meta["OBJECT"])


@dataclass(frozen=True)
class FilterImage(Image):
    """Image through a filter; card FILTER names it."""

    @property
    def object(self) -> str:
        """Name of the filter."""
        return str(self.meta["FILTER"])
