"""The product of a classification: its columns and cards, quality numbers, caveats."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.quality import QualityNumber
from tracecube.core.spectral_type import SpectralType
from tracecube.kernels.log_spectrum import grid
from tracecube.recipes.classify.kinds import CLASSES, KINDS, TYPE_OF, TYPES
from tracecube.recipes.classify.library import Templates
from tracecube.recipes.classify.matches import Candidate
from tracecube.recipes.classify.measures import Measures
from tracecube.recipes.classify.posterior import GRID
from tracecube.recipes.classify.prepare import Prepared

__all__ = ["caveats", "fields", "matches", "quality_numbers"]

_NOISY, _DOUBTFUL, _FAINT, _WRONG_ERRORS = 5.0, 0.7, 5.0, 1.5
_SNID = ("Ia", "Ib", "Ic", "II")
NONE = "-"


def fields(
    ready: Prepared, joint: FloatArray, verdict: tuple[int, int, FloatArray], measures: Measures
) -> dict[str, Any]:
    """Return the fields of a `SpectralType` that do not come from single templates.

    Parameters
    ----------
    ready : Prepared
    joint : array (kinds, m)
    verdict : type, kind, probabilities of the classes
    measures : Measures
    """
    type_, kind, classes = verdict
    each = joint.sum(1)
    types = {name: float(each[k == TYPE_OF].sum()) for k, name in enumerate(TYPES)}
    used = ready.flat.used
    return {
        "type": TYPES[type_],
        "subtype": KINDS[kind],
        "probability": types[TYPES[type_]],
        "z": measures.z,
        "z_error": measures.z_error,
        "age": measures.age,
        "age_error": measures.age_error,
        "snid_type": _parted(KINDS[kind])[0],
        "snid_subtype": _parted(KINDS[kind])[1],
        "snid_z_median": measures.z,
        "snid_z_error": measures.z_error,
        "snid_age_median": measures.age,
        "snid_age_error": measures.age_error,
        "snid_ia": types["Ia"],
        "snid_ib": types["Ib"],
        "snid_ic": types["Ic"],
        "snid_ii": types["II"],
        "snid_not": max(0.0, 1.0 - sum(types[name] for name in _SNID)),
        "label": np.array(CLASSES),
        "label_probability": classes,
        "kind": np.array(KINDS),
        "kind_type": np.array([TYPES[k] for k in TYPE_OF]),
        "kind_probability": each,
        "redshift": GRID[: joint.shape[1]],
        "redshift_probability": joint.sum(0),
        "wave": grid()[used],
        "value": ready.flat.value[used],
        "error": np.sqrt(ready.flat.variance[used]),
    }


def matches(ready: Prepared, own: list[Candidate], listed: list[Candidate], held: Templates) -> dict[str, Any]:
    """Return the fields of a `SpectralType` that single templates tell.

    Parameters
    ----------
    ready : Prepared
    own : list of Candidate
        Of the best template of the type, none if none fits at all.
    listed : list of Candidate
        Of the best templates of all types.
    held : Templates
    """
    best = own[0] if own else None
    rows = np.array([one.row for one in listed], dtype=int)
    used = ready.flat.used
    return {
        "host_share": best.host if best else np.nan,
        "snid_rlap": best.rlap if best else np.nan,
        "snid_z_match": best.z if best else np.nan,
        "snid_age_match": float(held.age[best.row]) if best else np.nan,
        "snid_template": str(held.name[best.row]) if best else NONE,
        "model": best.model[used] if best else np.full(int(used.sum()), np.nan),
        "match_name": held.name[rows],
        "match_type": held.type[rows],
        "match_subtype": held.subtype[rows],
        "match_age": held.age[rows],
        "match_z": np.array([one.z for one in listed]),
        "match_rlap": np.array([one.rlap for one in listed]),
        "match_correlation": np.array([one.correlation for one in listed]),
        "match_amplitude": np.array([one.amplitude for one in listed]),
        "match_host": np.array([one.host for one in listed]),
    }


def _parted(subtype: str) -> tuple[str, str]:
    """Return type and subtype as SNID parts them.

    Examples
    --------
    >>> _parted("Ia-norm"), _parted("IIP"), _parted("II-pec")
    (('Ia', 'norm'), ('IIP', '-'), ('II', 'pec'))
    """
    type_, _, rest = subtype.partition("-")
    return type_, rest or NONE


def quality_numbers(ready: Prepared, found: SpectralType) -> list[QualityNumber]:
    """Return what classification measured of its own work."""
    return [
        QualityNumber("TYPE PROBABILITY", found.probability, "", low=_DOUBTFUL),
        QualityNumber("SPECTRUM SNR", ready.snr, "", low=_FAINT),
        QualityNumber("NOISE RATIO", ready.noise_ratio, "", high=_WRONG_ERRORS),
        QualityNumber("COLLAPSED ERRORS", float(ready.collapsed), "", high=0.0),
    ]


def caveats(ready: Prepared, found: SpectralType) -> list[str]:
    """Return what people should know of a classification."""
    told = []
    if found.probability < _DOUBTFUL:
        told.append(f"type {found.type} with probability {found.probability:.2f} only")
    if ready.snr < _FAINT:
        told.append(f"signal to noise {ready.snr:.1f} a sample: probabilities were not calibrated below {_FAINT:g}")
    if ready.noise_ratio > _WRONG_ERRORS:
        told.append(
            f"neighbouring samples scatter {ready.noise_ratio:.1f} times more than their errors say: errors scaled"
        )
    if ready.collapsed:
        told.append(f"{ready.collapsed} samples had errors far below those around: raised")
    return told
