"""Brightness of the star from DIT to DIT: which DITs tell, and when they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracecube.core.star import StarBrightness, StarCentre
from tracecube.instruments.sphere_ifs.headers import integration_time
from tracecube.instruments.sphere_ifs.observing import moment
from tracecube.recipes.science.spot_photometry import spot_amplitudes

__all__ = ["brightness_of"]

_LEAST = 2  # DITs: brightness is told by their ratio


def brightness_of(centres: Sequence[StarCentre]) -> tuple[StarBrightness | None, float, tuple[str, ...]]:
    """Return the brightness of the DITs that show satellite spots, the reduced chi-square, and caveats.

    Spots are brought to one integration time: DITs of unlike ones compare.

    Parameters
    ----------
    centres : sequence of StarCentre
        Of one star, one a DIT.

    Raises
    ------
    MissingInput
        A DIT with spots has no time.
    """
    shown = [one for one in centres if np.isfinite(one.spot_flux).any()]
    if len(shown) < _LEAST:
        hint = "add further OBJECT,CENTER frames, or observe with the spots on throughout"
        few = f"{len(shown)} of {len(centres)} DITs show satellite spots: no brightness from frame to frame"
        return None, float("nan"), (f"{few} (try: {hint})",)
    caveats: list[str] = []
    if len(shown) < len(centres):
        caveats.append(f"{len(centres) - len(shown)} of {len(centres)} DITs show no satellite spots and are left out")
    times = [moment(one.meta, str(one.file[0])) for one in shown]
    order = np.argsort([time.middle for time in times], kind="stable")
    shown, times = [shown[i] for i in order], [times[i] for i in order]
    dits = [integration_time(one.meta, str(one.file[0])) for one in shown]
    found = spot_amplitudes([_longer(one, dits[0] / dit) for one, dit in zip(shown, dits, strict=True)])
    caveats += [caveat for time in times for caveat in time.caveats]
    table = StarBrightness(
        file=np.array([str(one.file[0]) for one in shown]),
        plane=np.array([int(one.plane[0]) for one in shown], np.int64),
        mjd=np.array([time.middle for time in times]),
        brightness=found.amplitude,
        error=found.error,
        used=found.used,
        meta=shown[0].meta,
    )
    return table, found.chi2, tuple(dict.fromkeys(caveats))


def _longer(one: StarCentre, factor: float) -> StarCentre:
    """Return the centre with spots as an integration so many times as long has them."""
    return replace(one, spot_flux=one.spot_flux * factor, spot_variance=one.spot_variance * factor**2)
