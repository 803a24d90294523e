"""The star's image and flux from all its frames beside the mask: every DIT of them tells."""

from __future__ import annotations

from collections.abc import Sequence

from tracecube.core.fields import Meta
from tracecube.core.quality import QualityNumber
from tracecube.core.star import StarPsf
from tracecube.instruments.sphere_ifs.star_place import another_star, frame_name
from tracecube.recipes.science.mean_star import MeanStar, mean_star

__all__ = ["of_one_star", "star_of_frames"]


def star_of_frames(frames: Sequence[StarPsf], meta: Meta) -> tuple[StarPsf, tuple[QualityNumber, ...], tuple[str, ...]]:
    """Return the mean of the flux frames of a star, those of other stars where it has none itself, and what is said.

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
    """Return the flux frames that are of the star of a DIT, in order of time (all, where none is), and their mean."""
    own = [one for one in frames if not another_star(meta, one.meta)] or list(frames)
    own.sort(key=lambda one: (frame_name(one.meta), int(one.meta.get("PLANE") or 0)))
    return own, mean_star(own)
