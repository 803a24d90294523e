"""The observatory's text form of a spectrum, which classifiers and brokers read."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import PER_PRODUCT, Meta, Scalar
from tracecube.core.spectra import Spectrum
from tracecube.core.target import Target

__all__ = ["ascii_spectrum", "spectrum_name"]

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


def ascii_spectrum(spectrum: Spectrum, target: Target, meta: Meta) -> str:
    """Write a calibrated spectrum as ``# KEY: value`` lines, then wavelength, flux and variance.

    Wavelengths are vacuum, as in the observatory's files. Bad samples are left out: the readers of
    this form know no flags.

    Parameters
    ----------
    spectrum : Spectrum
    target : Target
    meta : mapping
        Header of the exposure. Blank cards are left out, and those of one FITS product alone.
    """
    good = (spectrum.flags == 0) & np.isfinite(spectrum.flux) & (spectrum.variance > 0)
    own: dict[str, Scalar] = {
        "BUNIT": "erg/s/cm2/A",
        "FLUXCAL": True,
        "POSOK": target.quality != OUTSIDE,
        "XPOS": target.x,
        "YPOS": target.y,
        "SRCPOS": target.source_position,
        "QUALITY": target.quality,
        "REASON": target.reason,
    }
    cards = {**meta, **spectrum.meta, **own}
    lines = [f"# {key}: {value}" for key, value in cards.items() if _told(key, value)]
    columns = zip(spectrum.wave[good], spectrum.flux[good], spectrum.variance[good], strict=True)
    lines.extend(f"{wave:.1f} {flux:.3e} {variance:.3e}" for wave, flux, variance in columns)
    return "\n".join(lines) + "\n"


def _told(key: str, value: Scalar) -> bool:
    return value is not None and value != "" and not PER_PRODUCT.fullmatch(key)
