"""Frames of unlike integration times in one sequence: light is brought to one, none is taken for a brighter star."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.sphere_ifs.test_observing import HEADER
from tests.unit.instruments.sphere_ifs.test_stacked import NAME, centre, dit
from tests.unit.instruments.sphere_ifs.test_standards import META
from tests.unit.recipes.star_field import Star
from tracecube.core.errors import MissingInput
from tracecube.instruments.sphere_ifs.dits import on_one_dit
from tracecube.instruments.sphere_ifs.science_parameters import CompanionParams, StackParams
from tracecube.instruments.sphere_ifs.science_steps import ifs_frame_photometry, ifs_stack
from tracecube.instruments.sphere_ifs.star_parameters import CentreParams
from tracecube.instruments.sphere_ifs.star_place import star_in_frame
from tracecube.instruments.sphere_ifs.star_surroundings import find
from tracecube.simulate.coronagraph import CoronagraphScene, observe_star

FIELD = {"ESO INS4 DROT2 MODE": "SKY", "ESO INS4 DROT2 POSANG": 0.0}
"""The derotator holds the field: when the middle of a DIT is does not matter."""
SCENE = CoronagraphScene(
    wave=np.linspace(9700.0, 16300.0, 5), star=np.full(5, 6e4), east=np.array([0.23]), north=np.array([-0.19]),
    contrast=np.full((1, 5), 3e-4), angle=np.zeros(2), speckles=8e-5, memory=0.99,
)  # fmt: skip


def longer(spectra, factor: float):
    """The same light gathered for longer."""
    meta = {**spectra.meta, "ESO DET SEQ1 DIT": factor * float(spectra.meta["ESO DET SEQ1 DIT"])}
    parts = {"flux": factor, "variance": factor**2, "covariance": factor**2}
    return replace(spectra, meta=meta, **{key: getattr(spectra, key) * np.float32(f) for key, f in parts.items()})


def test_frames_of_one_dit_stay_what_they_are_and_others_come_to_it():
    short, long = dit(0), longer(dit(1), 4.0)
    same, nothing = on_one_dit([short], 16.0)
    assert same[0] is short
    assert nothing == ()
    made, [caveat] = on_one_dit([short, long], 16.0)
    assert made[1].flux == pytest.approx(dit(1).flux)
    assert made[1].variance == pytest.approx(dit(1).variance)
    assert caveat == "DITs of 64 s beside others of 16 s: their light and noise are brought to 16 s"
    with pytest.raises(MissingInput, match="ESO DET SEQ1 DIT"):
        on_one_dit([replace(short, meta={})], 16.0)


def test_a_stack_of_two_dits_is_that_of_one():
    params, centres = StackParams(size=51), [centre(0), centre(1)]
    one, two = (replace(frame, meta={**frame.meta, **FIELD}) for frame in (dit(0), dit(1)))
    alike = ifs_stack(channels=[one, two], dit_centre=centres, params=params)
    mixed = ifs_stack(channels=[one, longer(two, 2.0)], dit_centre=centres, params=params)
    assert mixed.cube.data == pytest.approx(alike.cube.data, rel=1e-5, abs=1e-7, nan_ok=True)
    assert mixed.cube.variance == pytest.approx(alike.cube.variance, rel=1e-5, nan_ok=True)
    assert "DITs of 32 s beside others of 16 s: their light and noise are brought to 16 s" in mixed.caveats


def test_a_longer_dit_is_no_brighter_star():
    star, centres = Star(12, channels=5), []
    for plane, times in enumerate((1.0, 3.0)):
        frame = longer(star.frame(meta={**META, "PLANE": plane}), times)
        centres.append(star_in_frame(frame, CentreParams())[0])
    assert ifs_frame_photometry(centres=centres).star_brightness.brightness == pytest.approx([1.0, 1.0], rel=0.03)


def test_companions_have_the_same_contrast_whatever_the_dits():
    seen = observe_star(SCENE, 3)
    metas = [{**HEADER, **FIELD, "ARCFILE": f"{NAME}.fits", "PLANE": k} for k in range(2)]
    channels = [replace(one, meta=meta) for one, meta in zip(seen.spectra, metas, strict=True)]
    centres = [
        replace(c, file=np.full(5, NAME), plane=np.full(5, k), meta=metas[k]) for k, c in enumerate(seen.centres)
    ]
    psf, params = replace(seen.psf, dit=16.0), CompanionParams(illumination=0.0, use_adi=0)
    alike, mixed = (find(one, centres, psf, params) for one in (channels, [channels[0], longer(channels[1], 2.5)]))
    assert mixed.curve.contrast == pytest.approx(alike.curve.contrast, rel=1e-3)
    assert mixed.image.data == pytest.approx(alike.image.data, rel=1e-3, abs=1e-8, nan_ok=True)
    said = "DITs of 40 s beside others of 16 s: their light and noise are brought to 16 s"
    assert said in mixed.caveats
    assert said not in alike.caveats


def test_products_of_unlike_dits_say_which_one_they_are_for():
    seen = observe_star(SCENE, 3)
    metas = [{**HEADER, **FIELD, "ARCFILE": f"{NAME}.fits", "PLANE": k} for k in range(2)]
    channels = [replace(one, meta=meta) for one, meta in zip(seen.spectra, metas, strict=True)]
    centres = [
        replace(c, file=np.full(5, NAME), plane=np.full(5, k), meta=metas[k]) for k, c in enumerate(seen.centres)
    ]
    psf, params = replace(seen.psf, dit=16.0), CompanionParams(illumination=0.0, use_adi=0)
    made = find([longer(channels[0], 2.5), channels[1]], centres, psf, params)
    assert made.residual.meta["ESO DET SEQ1 DIT"] == 16.0  # its light is that of 16 s
