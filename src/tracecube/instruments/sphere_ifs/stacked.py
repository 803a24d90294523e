"""The DITs of a star brought together with their star centres and angles, and stacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Cube, Spectra
from tracecube.core.star import StarCentre
from tracecube.instruments.sphere_ifs.dits import on_one_dit
from tracecube.instruments.sphere_ifs.headers import integration_time
from tracecube.instruments.sphere_ifs.observing import orientation, pointing
from tracecube.instruments.sphere_ifs.science_parameters import StackParams
from tracecube.instruments.sphere_ifs.star_place import frame_name
from tracecube.instruments.sphere_ifs.star_surroundings import in_order
from tracecube.recipes.cube.star_cube import StarCubeParams, StarFrame
from tracecube.recipes.cube.star_stack import stack_star

__all__ = ["stacked"]


def stacked(
    channels: Sequence[Spectra], centres: list[StarCentre], params: StackParams
) -> tuple[Cube, tuple[QualityNumber, ...], tuple[str, ...]]:
    """Stack the DITs of a star, read one after the other: what ties lenslets beside each other is not kept.

    Raises
    ------
    MissingInput
        A DIT without star centre, or without angle.
    BadData
        No coordinates of the target, or DITs on different channels.
    """
    alone = [replace(one, beside=None, beside_sample=None, beside_correlation=None) for one in channels]
    spectra, placed = in_order(alone, centres)
    names = [frame_name(one.meta) for one in spectra]
    turned = [orientation(one.meta, name) for one, name in zip(spectra, names, strict=True)]
    target = pointing(spectra[0].meta)
    if target is None:
        raise BadData("no coordinates of the target: north is not known", hint="write RA and DEC into the headers")
    frames = [
        StarFrame(centre.centre_x, centre.centre_y, o.angle, *target) for centre, o in zip(placed, turned, strict=True)
    ]
    spectra, unlike = on_one_dit(spectra, integration_time(spectra[0].meta, names[0]))
    cube = stack_star(spectra, frames, StarCubeParams(pixel=params.pixel, size=params.size))
    caveats = [*(caveat for one in turned for caveat in one.caveats), *unlike]
    if any((np.asarray(one.dq) & int(Flag.ASTROMETRY)).any() for one in placed):
        caveats.append("the star's place is not known in every DIT: the stack is blurred")
    angles = np.unwrap(np.radians([o.angle for o in turned]))
    numbers = (
        QualityNumber("N FRAMES", float(len(spectra))),
        QualityNumber("FIELD TURN", float(np.degrees(np.ptp(angles))), "deg"),
        QualityNumber("STACK COVERAGE", 100.0 * float(np.isfinite(cube.data).mean()), "%"),
    )
    meta = {**cube.meta, "ESO PRO CATG": "IFS_SCIENCE_DR"}
    return replace(cube, meta=meta), numbers, tuple(dict.fromkeys(caveats))
