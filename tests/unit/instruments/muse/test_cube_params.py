"""What users choose of a cube: the observatory's words, and what is refused before anything long is begun."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from tracecube.core.errors import BadData
from tracecube.instruments.muse import instrument
from tracecube.instruments.muse.cube_params import CubeParams
from tracecube.instruments.muse.object_steps import AlignedParams, ObjectParams, common_grid
from tracecube.kernels.weighted_voxels import Weighting
from tracecube.workflow.choices import opened
from tracecube.workflow.discover import discover
from tracecube.workflow.settings import params_of, resolve

META = {"ESO INS MODE": "WFM-NOAO-N"}
[OBJECT] = [task for task in instrument.workflow.tasks if task.name == "object"]


@pytest.mark.parametrize(
    ("words", "drop"),
    [
        ({"pixfrac": "0.6"}, (0.6, 0.6, 0.6)),
        ({"pixfrac": "0.6,0.9"}, (0.9, 0.6, 0.6)),
        ({"pixfrac": "0.5,0.6,0.9"}, (0.9, 0.6, 0.5)),
        ({"dx": "0.4"}, (0.8, 0.4, 0.4)),
        ({"dlambda": "2.5"}, (0.4, 0.8, 0.8)),
        ({"dlambda": "0.0", "dx": "0.0"}, (0.8, 0.8, 0.8)),
        ({}, (0.8, 0.8, 0.8)),
    ],
)
def test_drops_are_as_large_as_the_observatory_has_them(words, drop):
    params = params_of(OBJECT, {"resample": "drizzle", **words})
    found = params.weighting(META, params.step, params.side or 0.2)
    assert found.method == "drizzle"
    assert found.drop == pytest.approx(drop)


def test_what_other_methods_are_told():
    params = params_of(OBJECT, {"resample": "renka", "rc": "1.5", "ld": "2"})
    assert params.weighting(META, 1.25, 0.2) == Weighting(
        "renka", 2, pytest.approx(1.5 * 3**0.5), pytest.approx((0.8, 0.8, 0.8))
    )
    assert AlignedParams().pixfrac == (0.6, 0.6)


def test_voxels_that_are_solved_for_are_no_finer_than_pixels():
    assert CubeParams().weighting(META, 1.0, 0.2) is None
    for step, side in ((0.6, 0.2), (1.25, 0.1)):
        with pytest.raises(BadData, match="finer than pixels"):
            CubeParams().weighting(META, step, side)
        assert CubeParams(resample="drizzle").weighting(META, step, side) is not None


@pytest.mark.parametrize(
    "wrong", [{"lambdamin": 9500.0}, {"pixfrac": (0.8, -1.0)}, {"rvcorr": "moon"}, {"ld": 0}, {"resample": "cubic"}]
)
def test_what_can_not_be_is_refused_before_the_night_is_reduced(wrong):
    with pytest.raises(ValidationError):
        ObjectParams(**wrong)


def test_a_cube_that_ends_before_its_mode_begins_is_refused():
    with pytest.raises(BadData, match="is no cube"):
        CubeParams(highest=4700.0).band(META)
    assert CubeParams(lowest=4600.0, highest=4700.0).band(META) == (4600.0, 4700.0)


@pytest.mark.parametrize(
    ("words", "in_slices", "around"),
    [
        ({}, 6.0, None),
        ({"crsigma": "4"}, 4.0, None),
        ({"crsigma": "0"}, np.inf, None),
        ({"crtype": "median"}, np.inf, ("median", 15.0)),
        ({"crtype": "iraf", "crsigma": "8"}, np.inf, ("iraf", 8.0)),
        ({"crtype": "mean", "crsigma": "-1"}, np.inf, None),
    ],
)
def test_hits_are_told_within_slices_or_by_the_samples_around(words, in_slices, around):
    params = params_of(OBJECT, words)
    sieve = params.sieve()
    assert params.hit_limit == in_slices
    assert (sieve and (sieve.statistic, sieve.limit)) == around
    assert AlignedParams(crtype="median").sieve().limit == 10.0


def test_the_observatorys_range_ends_where_its_spectra_do():
    assert CubeParams(lowest=4000.0, highest=10000.0).band(META) == (4600.0, 9350.0)
    assert CubeParams(highest=10000.0).band(META) == (4750.0, 9350.0)


def test_one_word_resamples_all_cubes_in_one_way():
    _, told = opened({"muse": discover()["muse"]}, {"muse": {"resample": "lanczos"}})
    found = resolve(told, [instrument])
    cubes = ("object", "object_aligned", "object_sky", "object_sky_aligned")
    assert {found["muse", task].resample for task in cubes} == {"lanczos"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"lambdamin": "9000", "lambdamax": "5000"}, "object: from 9000 to 5000 Angstrom is no cube"),
        ({"lambdamax": "4610"}, "object: from 0 to 4610 Angstrom is no cube"),
        ({"pixfrac": "0.8,0"}, r"object: pixfrac=\(0.8, 0.0\): each is to be above 0"),
    ],
)
def test_why_a_cube_can_not_be_is_said(words, said):
    with pytest.raises(BadData, match=said):
        params_of(OBJECT, words)


def test_the_full_names_of_the_observatory_resample_too():
    full = {f"muse.muse_scipost.{key}": value for key, value in (("resample", "renka"), ("crtype", "mean"))}
    assert params_of(OBJECT, full).resample == "renka"
    assert params_of(OBJECT, full).crtype == "mean"


def test_spaxels_of_another_side_cover_the_same_field():
    field = SimpleNamespace(
        grid_wave=0.0, grid_step=0.0, grid_planes=0, grid_x=-30.0, grid_y=4.0, grid_side=0.2, grid_rows=33,
        grid_columns=300,
    )  # fmt: skip
    plain = common_grid(field, AlignedParams(), META)
    assert (plain.side, plain.shape[1:], plain.x0, plain.y0) == (0.2, (33, 300), -30.0, 4.0)
    wide = common_grid(field, AlignedParams(dx=0.4, dy=0.4), META)
    assert (wide.side, wide.shape[1:]) == (0.4, (17, 150))
    assert (wide.x0 - 0.5 * wide.side, wide.y0 - 0.5 * wide.side) == pytest.approx((-30.1, 3.9))
    with pytest.raises(BadData, match=r"object: dx=0\.4, dy=0\.2: spaxels are square"):
        params_of(OBJECT, {"dx": "0.4", "dy": "0.2"})
