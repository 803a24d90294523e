"""The star's image and flux from all its frames beside the mask: every DIT of them tells."""

from __future__ import annotations

from collections.abc import Sequence

from tracecube.core.errors import MissingInput
from tracecube.core.fields import Meta
from tracecube.core.quality import QualityNumber
from tracecube.core.star import StarPsf
from tracecube.instruments.sphere_ifs.headers import start_mjd
from tracecube.instruments.sphere_ifs.star_place import another_star, frame_name
from tracecube.recipes.science.mean_star import MeanStar, mean_star

__all__ = ["of_one_star", "star_of_frames"]


def star_of_frames(frames: Sequence[StarPsf], meta: Meta) -> tuple[StarPsf, tuple[QualityNumber, ...], tuple[str, ...]]:
    """Return the mean of the flux frames of a star, of one other star where it has none itself, and what is said.

    Parameters
    ----------
    frames : sequence of StarPsf
        One a DIT beside the mask.
    meta : mapping
        Of a DIT of the star behind its mask.
    """
    own, made = of_one_star(frames, meta)
    off = [
        f"{frame_name(one.meta)}, DIT {int(one.meta.get('PLANE') or 0)}, {level:.2f} times"
        for one, level, used in zip(own, made.level, made.used, strict=True)
        if not used
    ]
    caveats = (f"flux frames far off the others in brightness are left out: {'; '.join(off)}",) if off else ()
    return made.psf, made.quality, caveats


def of_one_star(frames: Sequence[StarPsf], meta: Meta) -> tuple[list[StarPsf], MeanStar]:
    """Return the flux frames of the star of a DIT, in order of time, and their mean.

    Where it has none itself, those of the other star whose frame is the nearest in time.
    """
    own = [one for one in frames if not another_star(meta, one.meta)]
    if not own:
        nearest = min(frames, key=lambda one: abs(_begin(one.meta) - _begin(meta)))
        own = [one for one in frames if not another_star(nearest.meta, one.meta)]
    own.sort(key=lambda one: (frame_name(one.meta), int(one.meta.get("PLANE") or 0)))
    return own, mean_star(own)


def _begin(meta: Meta) -> float:
    """Start of the exposure (MJD), 0 where nothing tells it."""
    try:
        return start_mjd(meta, frame_name(meta))
    except MissingInput:
        return 0.0
