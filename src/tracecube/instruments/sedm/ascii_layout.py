"""The observatory's text form of a spectrum, which classifiers and brokers read."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import PER_PRODUCT, Meta, Scalar, places
from tracecube.core.spectra import Spectrum
from tracecube.core.spectral_type import SpectralType
from tracecube.core.target import Target

__all__ = ["ascii_spectrum", "spectrum_name", "type_cards"]

OUTSIDE = 3  # quality code of a target outside the field


def spectrum_name(object_: str, raw: str, tag: str = "robot") -> str:
    """Name of a spectrum's files by the observatory's custom, without the ending.

    Parameters
    ----------
    object_, raw : str
        Target, and raw file.
    tag : str
        Of the extraction.

    Examples
    --------
    >>> spectrum_name("ZTF18abc", "ifu20180907_10_55_22", "redo101500")
    'spec_auto_redo101500_lstep1__crr_b_ifu20180907_10_55_22_ZTF18abc'
    """
    return f"spec_auto_{tag}_lstep1__crr_b_{raw}_{object_}"


def ascii_spectrum(spectrum: Spectrum, target: Target, meta: Meta, more: Meta | None = None) -> str:
    """Write a calibrated spectrum as ``# KEY: value`` lines, then wavelength, flux and variance.

    Wavelengths are vacuum, as in the observatory's files. Bad samples are left out: the readers of
    this form know no flags.

    Parameters
    ----------
    spectrum : Spectrum
    target : Target
    meta : mapping
        Header of the exposure. Blank cards are left out, and those of one FITS product alone.
    more : mapping or None
        Cards to add: what the spectrum was classified as.
    """
    good = (spectrum.flags == 0) & np.isfinite(spectrum.flux) & (spectrum.variance > 0)
    own: dict[str, Scalar] = {
        "BUNIT": "erg/s/cm2/A",
        "WAVETYPE": spectrum.medium,
        "FLUXCAL": True,
        "POSOK": target.quality != OUTSIDE,
        "XPOS": target.x,
        "YPOS": target.y,
        "SRCPOS": target.source_position,
        "QUALITY": target.quality,
        "REASON": target.reason,
    }
    cards = {**meta, **spectrum.meta, **own, **(more or {})}
    lines = [f"# {key}: {value}" for key, value in cards.items() if _told(key, value)]
    columns = zip(spectrum.wave[good], spectrum.flux[good], spectrum.variance[good], strict=True)
    lines.extend(f"{wave:.1f} {flux:.3e} {variance:.3e}" for wave, flux, variance in columns)
    return "\n".join(lines) + "\n"


def type_cards(found: SpectralType | None) -> dict[str, Scalar]:
    """Return the cards of a classification; none of what is not known."""
    if found is None:
        return {}
    cards = {place.name: getattr(found, name) for name, place in places(SpectralType).items() if place.kind == "card"}
    known = {key: value for key, value in cards.items() if value == value}  # noqa: PLR0124 - not NaN
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in known.items()}


def _told(key: str, value: Scalar) -> bool:
    return value is not None and value != "" and not PER_PRODUCT.fullmatch(key)
