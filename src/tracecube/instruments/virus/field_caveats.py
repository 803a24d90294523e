"""What people must be told of a field: on what less than it should its calibration rests."""

from __future__ import annotations

import numpy as np

from tracecube.core.fibre_light import FibreBands
from tracecube.core.fields import FloatArray, IntArray, Meta
from tracecube.core.sources import FieldSolution

__all__ = ["beside_stars", "beyond_table", "crowding", "dithers_lacking", "elsewhere", "unplaced"]

_BEAMS = 30.0  # a source, below which a field is crowded


def beyond_table(wave: FloatArray) -> tuple[str, ...]:
    """Say so where the flux is by a throughput that the table does not reach."""
    from tracecube.instruments.virus.layout import throughput_curve  # noqa: PLC0415 - slow to import

    known = throughput_curve()[0]
    low, high = known[0] - wave.min(), wave.max() - known[-1]
    if max(low, high) <= 0.0:
        return ()
    text = f"the table of the throughput ends at {known[0]:.0f} and {known[-1]:.0f} Angstrom"
    return (f"{text}: flux beyond is by its extrapolation, over {low:.0f} and {high:.0f} Angstrom",)


def unplaced(field: FieldSolution) -> tuple[str, ...]:
    """Say so where no stars told the places."""
    off = float(np.max(np.hypot(field.east_error, field.north_error)))
    text = f"places are those of the headers, {off:.0f} arcsec or more off, and flagged: no stars told them"
    return () if field.stars else (f"{text} (try: another catalogue, or a field with stars)",)


def beside_stars(slot: int, share: float, radius: float) -> tuple[str, ...]:
    """Say how much of a bundle lies beside stars, and is searched by their spectra alone."""
    if share == 0.0:
        return ()
    text = (
        f"bundle {slot:03d}: {share:.0%} of it lies within {radius:g} arcsec of known stars, farther from bright ones"
    )
    return (f"{text}: lines are sought in the stars' spectra there, and have the stars' places",)


def elsewhere(slot: IntArray, meta: Meta) -> tuple[str, ...]:
    """Name the bundles that stood in another slot than headers say."""
    from tracecube.instruments.virus.headers import day_of  # noqa: PLC0415
    from tracecube.instruments.virus.layout import slot_on  # noqa: PLC0415

    stood = {int(one): slot_on(int(one), day_of(meta)) for one in np.unique(slot)}
    return tuple(
        f"the bundle of slot {named:03d} stood in slot {other:03d} on this night, by the observatory's list: so placed"
        for named, other in stood.items()
        if other != named
    )


def dithers_lacking(exposures: IntArray) -> tuple[str, ...]:
    """Name the dithers that were not taken: fibres fill a third of a bundle in each."""
    from tracecube.instruments.virus.layout import DITHERS  # noqa: PLC0415 - slow to import

    taken = {int(one) for one in np.unique(exposures)}
    lacking = sorted(set(range(1, len(DITHERS) + 1)) - taken)
    if not lacking:
        return ()
    names = " and ".join(map(str, lacking))
    text = f"{len(taken)} of {len(DITHERS)} exposures, without dither {names}: parts of each bundle lie between fibres"
    return (text,)


def crowding(bands: FibreBands, solution: FieldSolution, stars: int) -> tuple[str, ...]:
    """Say so where stars are closer than one in thirty beams, beyond which they blend (Hogg 2001, AJ 121, 1207)."""
    area = float(np.ptp(bands.x) * np.ptp(bands.y))
    beam = np.pi / (4.0 * np.log(2.0)) * float(np.median(solution.fwhm)) ** 2
    beams = area / beam / max(stars, 1)
    if not np.isfinite(beams) or beams > _BEAMS:
        return ()
    return (f"crowded: one of {stars} stars in every {beams:.0f} beams: sources blend, little sky is left",)
