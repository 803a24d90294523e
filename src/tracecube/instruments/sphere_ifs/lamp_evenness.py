"""How evenly the lamp of the lenslet flat lit the field: told by the flat, the user, and the star's halo."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracecube.core.fields import Meta
from tracecube.core.quality import QualityNumber
from tracecube.core.star import StarPsf
from tracecube.instruments.sphere_ifs.sky import BENT, SLOPE, UNEVEN
from tracecube.recipes.science.halo_slope import evened, expected_slope, halo_slope
from tracecube.recipes.science.star_sequence import StarSequence

__all__ = ["Evened", "even_lamp"]

_ASSUMED_UNEVEN = 0.03  # of spectra that do not say how smooth their flat was


class Evened(NamedTuple):
    """A sequence freed of the lamp's slope as far as that is told, and what is left of it.

    Parameters
    ----------
    sequence : StarSequence
    error : float
        Of the ratio of star and companion by what the lamp may still do, relative.
    quality : tuple of QualityNumber
    caveats : tuple of str
    """

    sequence: StarSequence
    error: float
    quality: tuple[QualityNumber, ...] = ()
    caveats: tuple[str, ...] = ()


def even_lamp(sequence: StarSequence, psf: StarPsf, meta: Meta, illumination: float | None) -> Evened:
    """Free a sequence of the slope that the lamp of the lenslet flat gave it.

    Half of what is smooth in the flat is taken to be the lamp's; of that, the slope is measured in the halo.

    Parameters
    ----------
    sequence : StarSequence
    psf : StarPsf
        The star beside its mask: what is seen there stays as it is.
    meta : mapping
        Of the spectra, with what is smooth in their flat.
    illumination : float or None
        How uneven the lamp is, by the user: nothing is then measured.
    """
    told = meta.get(UNEVEN)
    if illumination is not None:
        return Evened(sequence, illumination)
    if not isinstance(told, float):
        what = f"how evenly the flat's lamp lights the field is not known: {_ASSUMED_UNEVEN:.0%} taken"
        return Evened(sequence, _ASSUMED_UNEVEN, caveats=(what,))
    slope, bent, at = meta.get(SLOPE), meta.get(BENT), np.array([psf.at_x, psf.at_y], float)
    if not isinstance(slope, float) or not isinstance(bent, float) or not np.isfinite(at).all():
        return Evened(sequence, told)
    found = halo_slope(sequence)
    if found is None:
        what = f"the star's halo does not tell how the flat's lamp lit the field: contrasts are uncertain by {told:.1%}"
        return Evened(sequence, told, caveats=(f"{what} for that alone",))
    lamp, error = expected_slope(found, 0.5 * slope)
    away = np.stack([sequence.lattice.x - at[0], sequence.lattice.y - at[1]])
    left = float(np.sqrt(np.mean(np.sum((error[:, None] * away) ** 2, axis=0))))
    numbers = (
        *(
            QualityNumber(f"HALO SLOPE {n}", 100.0 * float(v), "%/arcsec")
            for n, v in zip("XY", found.slope, strict=True)
        ),
        QualityNumber("HALO SLOPE ERROR", 100.0 * float(np.hypot(*found.error) / np.sqrt(2.0)), "%/arcsec"),
        QualityNumber("LAMP EVENNESS ERROR", 100.0 * float(np.hypot(left, bent)), "%", high=5.0),
    )
    return Evened(evened(sequence, lamp, at), float(np.hypot(left, bent)), numbers)
