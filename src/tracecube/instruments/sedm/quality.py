"""The observatory's quality codes of a spectrum, in the order in which its users know them tried."""

from __future__ import annotations

__all__ = ["NEGATIVE_SHARE", "REASONS", "REFUSED_FOR_NEGATIVE", "quality_code"]

REASONS = {
    0: "good",
    1: "recovered: a person found the brightest source to be the target",
    2: "minor problem",
    3: "target outside the field",
    4: "more than a fifth of the samples are negative",
    5: "no astrometry from the guider: found by brightness",
    9: "not extracted",
}
"""Codes of the observatory's documentation. None gets 2, there or here: what is minor is said in words, as a caveat."""

NEGATIVE_SHARE = 0.2  # of the samples, from which a spectrum gets code 4 (documentation of the observatory)
REFUSED_FOR_NEGATIVE = 4


def quality_code(
    *, standard: bool, located: bool, manual: bool, inside: bool, negative: float, recovered: bool = False
) -> int:
    """Return the code of an extraction: 5, then 3, then 4, else 0; 1 is a 5 that a person recovered.

    Parameters
    ----------
    standard : bool
        Standards are found by brightness as a rule, and never get 5.
    located : bool
        The guider's astrometry gave the place.
    manual : bool
        A person gave the place: no astrometry is needed.
    inside : bool
        The place lies in the field.
    negative : float
        Share of the samples below zero.
    recovered : bool
        A person looked and found the brightest source to be the target: 1 takes the place of 5.

    Examples
    --------
    >>> quality_code(standard=False, located=False, manual=False, inside=True, negative=0.0)
    5
    >>> quality_code(standard=False, located=False, manual=False, inside=True, negative=0.0, recovered=True)
    1
    >>> quality_code(standard=False, located=True, manual=False, inside=False, negative=0.0)
    3
    """
    if not (standard or located or manual):
        return 1 if recovered else 5
    if not inside:
        return 3
    if negative > NEGATIVE_SHARE:
        return REFUSED_FOR_NEGATIVE
    return 0
