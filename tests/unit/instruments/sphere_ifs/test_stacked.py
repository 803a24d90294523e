"""All DITs of a star in one cube: turned by their own angles, or refused where north is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.sphere_ifs.test_observing import HEADER
from tests.unit.recipes.star_field import lattice, source, spectra_of
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.core.star import StarCentre
from tracecube.instruments.sphere_ifs import stacked as module
from tracecube.instruments.sphere_ifs.observing import orientation
from tracecube.instruments.sphere_ifs.science_parameters import StackParams
from tracecube.instruments.sphere_ifs.science_steps import ifs_stack

WAVE, SPREAD = np.linspace(9600.0, 16400.0, 3), np.full(3, 150.0)
X, Y = lattice(0.3)
NAME, PARAMS = "SPHER.2018-11-18T03:43:25.807", StackParams(size=51)
EAST, NORTH = 0.11, -0.06


def dit(plane: int):
    meta = {**HEADER, "ARCFILE": f"{NAME}.fits", "PLANE": plane}
    turn = np.radians(orientation(meta, NAME).angle)
    x, y = NORTH * np.sin(turn) - EAST * np.cos(turn), NORTH * np.cos(turn) + EAST * np.sin(turn)
    light = source(X, Y, WAVE, SPREAD, lambda _: (x, y), 1.0)
    return spectra_of(X, Y, WAVE, SPREAD, light, np.full(light.shape, 1e-6), meta)


def centre(plane: int, dq: int = 0) -> StarCentre:
    none = np.zeros(WAVE.size)
    return StarCentre(
        file=np.full(WAVE.size, NAME), plane=np.full(WAVE.size, plane), wave=WAVE, x=none, y=none, x_error=none,
        y_error=none, dq=np.full(WAVE.size, dq, np.int32), spot_flux=np.zeros((WAVE.size, 0)),
        spot_variance=np.zeros((WAVE.size, 0)), reference_wave=12500.0, centre_x=0.0, centre_y=0.0,
        centre_x_error=2e-4, centre_y_error=2e-4, refraction_x=0.0, refraction_y=0.0, method="halo",
    )  # fmt: skip


def test_a_companion_stands_where_the_sky_has_it() -> None:
    made = ifs_stack(channels=[dit(1), dit(0)], dit_centre=[centre(0), centre(1)], params=PARAMS)
    light = np.nan_to_num(made.cube.data[0])
    y, x = np.unravel_index(int(np.argmax(light)), light.shape)
    assert ((25 - x) * PARAMS.pixel, (y - 25) * PARAMS.pixel) == pytest.approx((EAST, NORTH), abs=PARAMS.pixel)
    assert made.cube.meta["NDITS"] == 2
    assert made.caveats == ()
    told = {one.name: one.value for one in made.quality}
    assert told["N FRAMES"] == 2.0


def test_what_is_missing_is_named() -> None:
    with pytest.raises(MissingInput, match="DIT 1: no star centre"):
        ifs_stack(channels=[dit(0), dit(1)], dit_centre=[centre(0)], params=PARAMS)
    unsure = ifs_stack(
        channels=[dit(0), dit(1)], dit_centre=[centre(0), centre(1, int(Flag.ASTROMETRY))], params=PARAMS
    )
    assert unsure.caveats == ("the star's place is not known in every DIT: the stack is blurred",)
    lost = {"ESO INS4 DROT2 RA": None, "ESO INS4 DROT2 DEC": None, "RA": None, "DEC": None}
    nowhere = [replace(one, meta={k: v for k, v in one.meta.items() if k not in lost}) for one in (dit(0), dit(1))]
    with pytest.raises((BadData, MissingInput)):
        ifs_stack(channels=nowhere, dit_centre=[centre(0), centre(1)], params=PARAMS)


def test_what_ties_lenslets_beside_each_other_is_not_kept_while_dits_are_stacked(monkeypatch):
    held = []
    whole = module.stack_star
    monkeypatch.setattr(module, "stack_star", lambda some, *rest: held.extend(some) or whole(some, *rest))
    rows = np.zeros(dit(0).flux.shape, np.int32)
    ties = {"beside": rows, "beside_sample": rows.astype(np.int16), "beside_correlation": np.zeros((*rows.shape, 7))}
    params, centres = StackParams(size=51), [centre(0), centre(1)]
    made = ifs_stack(channels=[replace(dit(k), **ties) for k in range(2)], dit_centre=centres, params=params)
    assert [one.beside_correlation for one in held] == [None, None]
    plain = ifs_stack(channels=[dit(0), dit(1)], dit_centre=centres, params=params)
    assert np.array_equal(made.cube.data, plain.cube.data, equal_nan=True)
