"""Rules by which samples, fibres and amplifiers are masked: each flags, none changes a value.

They are those of Remedy (G. Zeimann): samples whose pixels do not look like a fibre, fibres whose illumination is off
by more than a pupil can do, fibres of which a fifth is flagged, amplifiers of which a fifth is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydantic import Field
from scipy.ndimage import maximum_filter1d

from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber

__all__ = ["FibreMaskParams", "mask_fibres", "mask_samples"]

_ROW = int(Flag.OUTLIER)


class FibreMaskParams(Params):
    """When samples, fibres and amplifiers are masked."""

    chi2: float = Field(5.0, gt=1.0, description="reduced chi-square of a sample's pixels beyond which it is flagged")
    chi2_reach: int = Field(2, ge=0, le=20, description="columns on either side that are flagged with it")
    trust: float = Field(
        0.05, ge=0.0, lt=1.0, description="share of its light by which a sample's profile may be off before chi2 counts"
    )
    correction: float = Field(0.1, gt=0.0, lt=1.0, description="largest correction of a fibre's illumination")
    fibre_share: float = Field(0.2, gt=0.0, le=1.0, description="share of flagged samples that flags all of a fibre")
    amplifier_share: float = Field(
        0.2, gt=0.0, le=1.0, description="share of flagged fibres that flags all of an amplifier"
    )


def mask_samples(spectra: FibreSpectra, params: FibreMaskParams) -> tuple[FibreSpectra, int]:
    """Flag samples whose pixels do not look like a fibre, with their neighbours; return how many were not flagged yet.

    A bright fibre shows every fault of its profile: chi-square counts beyond what ``trust`` of its light explains.
    """
    if spectra.chi2 is None:
        return spectra, 0
    signal = np.maximum(spectra.flux, 0.0) ** 2 / np.where(spectra.variance > 0, spectra.variance, np.inf)
    allowed = params.chi2 + params.trust**2 * signal
    with np.errstate(invalid="ignore"):
        off = np.isfinite(spectra.chi2) & (spectra.chi2 > allowed)
    off = maximum_filter1d(off, 2 * params.chi2_reach + 1, axis=1, mode="constant")
    fresh = int(np.count_nonzero(off & (spectra.flags == 0)))
    return replace(spectra, flags=(spectra.flags | np.where(off, _ROW, 0)).astype(np.int32)), fresh


def mask_fibres(
    all_spectra: Sequence[FibreSpectra], correction: Sequence[FloatArray], params: FibreMaskParams
) -> tuple[list[FibreSpectra], tuple[QualityNumber, ...], tuple[str, ...]]:
    """Flag fibres and amplifiers by the rules.

    Parameters
    ----------
    all_spectra : sequence of FibreSpectra
    correction : sequence of array (n,)
        Illumination of each fibre over that of the field; NaN where it is not known.
    params : FibreMaskParams

    Returns
    -------
    list of FibreSpectra
        Bit OUTLIER of ``dq`` set.
    quality, caveats : tuple
    """
    made, numbers, caveats = [], np.zeros(3, int), []
    for one, found in zip(all_spectra, correction, strict=True):
        with np.errstate(invalid="ignore"):
            beyond = np.isfinite(found) & (np.abs(found - 1.0) > params.correction)
        before = one.dq != 0
        holed = (one.flags != 0).mean(axis=1) > params.fibre_share
        dq = one.dq | np.where(beyond | holed, _ROW, 0).astype(np.int32)
        whole = _amplifiers(one, dq, params.amplifier_share)
        dq = dq | np.where(whole, _ROW, 0).astype(np.int32)
        numbers += (beyond & ~before).sum(), (holed & ~before).sum(), (whole & ~before).sum()
        made.append(replace(one, dq=dq.astype(np.int32)))
        caveats += [
            f"unit {unit}: more than {params.amplifier_share:.0%} of the fibres of amplifier {amp} are flagged: all are"
            for unit, amp in sorted(
                {(str(u).strip(), str(a).strip()) for u, a in zip(one.unit[whole], one.amp[whole], strict=True)}
            )
        ]
    names = ("MASKED CORRECTION", "MASKED FIBRES", "MASKED BY AMPLIFIER")
    return made, tuple(QualityNumber(n, float(v), "") for n, v in zip(names, numbers, strict=True)), tuple(caveats)


def _amplifiers(one: FibreSpectra, dq: IntArray, share: float) -> BoolArray:
    """Return which fibres (n,) belong to an amplifier of which more than a share is flagged."""
    whole = np.zeros(len(one.amp), bool)
    for amp in np.unique(one.amp):
        own = one.amp == amp
        whole[own] = (dq[own] != 0).mean() > share
    return whole
