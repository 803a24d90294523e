"""The star beside its mask from several frames: image and flux are means, their scatter tells how steady air was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.quality import QualityNumber
from tracecube.core.star import StarPsf

__all__ = ["MeanStar", "mean_star"]

F8 = NDArray[np.float64]

_LOST = int(Flag.SATURATED | Flag.NOT_MEASURED)
_FEWEST = 3  # frames: of two no one can say which is off
_LEAST = 0.10  # relative: adaptive optics change the core by some per cent from frame to frame
_OUTLIER = 5.0  # spreads


@dataclass(frozen=True)
class MeanStar:
    """The star of several frames.

    Parameters
    ----------
    psf : StarPsf
        For the integration time of the first; its lenslets (``x``, ``y``, ``share``) and its head are those of the
        first that counts.
    level : array (n,)
        Flux of each frame over the median of all.
    used : bool array (n,)
        Frames that count.
    quality : tuple of QualityNumber
        None of a single frame.
    """

    psf: StarPsf
    level: F8
    used: NDArray[np.bool_]
    quality: tuple[QualityNumber, ...] = ()


def mean_star(frames: Sequence[StarPsf]) -> MeanStar:
    """Average image and flux of a star over its frames, each weighing alike: what they differ by is air, not photons.

    Frames far off the others (loop open, cloud) are left out where three or more tell. Errors of the mean hold the
    noise of the frames; what their scatter says of the air is a quality number.

    Parameters
    ----------
    frames : sequence of StarPsf
        In order of time; one alone comes back as it is.

    Raises
    ------
    BadData
        Frames on other channels or radii than the first.
    """
    first = frames[0]
    if len(frames) == 1:
        return MeanStar(first, np.ones(1), np.ones(1, bool))
    if not all(_alike(one, first) for one in frames[1:]):
        raise BadData("flux frames on other channels or radii than the first", hint="reduce all with equal parameters")
    scale = np.array([first.dit / one.dit for one in frames])[:, None]
    flux = np.stack([np.asarray(one.flux, float) for one in frames]) * scale
    variance = np.stack([np.asarray(one.variance, float) for one in frames]) * scale**2
    flags = np.stack([np.asarray(one.flags) for one in frames])
    known = np.isfinite(flux) & np.isfinite(variance)
    level = _levels(np.where(known & ((flags & _LOST) == 0), flux, np.nan))
    used = _usual(level)
    good = known & ((flags & _LOST) == 0) & used[:, None]
    good = np.where(good.any(axis=0), good, known & used[:, None])  # lost in all: as each of them has it
    # a channel that one frame lacks is told by the others at their level, not drawn to it
    weight = np.where(good, level[used].mean() / level[:, None], 0.0) / np.maximum(good.sum(axis=0), 1)
    seen = good.any(axis=0)
    mean = np.where(seen, np.sum(weight * np.where(good, flux, 0.0), axis=0), np.nan)
    noise = np.where(seen, np.sum(weight**2 * np.where(good, variance, 0.0), axis=0), np.nan)
    bits = np.bitwise_or.reduce(np.where(good, flags, 0), axis=0)
    kept = [one for one, take in zip(frames, used, strict=True) if take]
    psf = _averaged(kept, replace(kept[0], flux=mean, variance=noise, flags=bits.astype(np.int32), dit=first.dit))
    scatter = float(np.std(np.log(level[used]), ddof=1)) if len(kept) > 1 else np.nan
    quality = (
        QualityNumber("FLUX FRAMES", float(len(kept))),
        QualityNumber("FLUX FRAMES SCATTER", 100.0 * scatter, "%", high=5.0),
    )
    return MeanStar(psf, level, used, quality)


def _alike(one: StarPsf, other: StarPsf) -> bool:
    """Whether two frames have the same channels and radii."""
    pairs = ((one.wave, other.wave), (one.radius, other.radius))
    return all(a.shape == b.shape and np.allclose(a, b) for a, b in pairs)


def _averaged(kept: Sequence[StarPsf], psf: StarPsf) -> StarPsf:
    """Return the star with the mean image and place of frames."""
    told = [one.tilt for one in kept if one.tilt is not None]
    return replace(
        psf,
        profile=np.mean([one.profile for one in kept], axis=0),
        profile_variance=np.mean([one.profile_variance for one in kept], axis=0) / len(kept),
        width=float(np.mean([one.width for one in kept])),
        tilt=np.mean(told, axis=0) if len(told) == len(kept) else None,
        at_x=float(np.mean([one.at_x for one in kept])),
        at_y=float(np.mean([one.at_y for one in kept])),
    )


def _levels(flux: F8) -> F8:
    """Flux of each frame over the median of all, array (n,): median of the channels that all have."""
    whole = np.isfinite(flux).all(axis=0) & (flux > 0).all(axis=0)
    if not whole.any():
        return np.ones(len(flux))
    return np.asarray(np.median(flux[:, whole] / np.median(flux[:, whole], axis=0), axis=1))


def _usual(level: F8) -> NDArray[np.bool_]:
    """Frames that are not far off the others."""
    off = np.abs(np.log(level) - np.median(np.log(level)))
    limit = max(_LEAST, _OUTLIER * 1.4826 * float(np.median(off)))
    return np.asarray(off <= limit) if level.size >= _FEWEST else np.ones(level.size, bool)
