"""What is taken off fibres beside their sky: the ground, with its covariance, and samples without an error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from tests.unit.recipes.sky_fibres_drawn import M, N, draw
from tracecube.core.fibre_light import SkyModel
from tracecube.core.fibres import FibreSpectra, sum_variance
from tracecube.core.flags import Flag
from tracecube.recipes.sky.fibre_sky import SkyParams, fit_sky
from tracecube.recipes.sky.sky_subtraction import subtract_sky

STATED, GROUND = 0.6, 1.5
EVEN = np.ones((N, M))
ALL = np.ones(N, np.int32)


@pytest.fixture(scope="module")
def found() -> tuple[FibreSpectra, SkyModel]:
    """Two amplifiers of one bundle, the ground of the first too high, after the fewest turns."""
    spectra = []
    for seed, (amp, off) in enumerate((("LL", GROUND), ("RU", 0.0))):
        one = draw(47, np.ones(N), level=14.0, seed=seed)
        more = {"amp": np.full(N, amp), "ground_error": np.full(N, STATED), "box_ground": np.full(N, 0.5)}
        spectra.append(replace(one, flux=one.flux + off, box=one.flux + 0.5 * off, **more))
    model, numbers, _ = fit_sky([(one, EVEN) for one in spectra], SkyParams(rounds=4))
    assert {one.name: one.value for one in numbers}["GROUND ERROR"] > 0
    return spectra[0], model


def whole(made: FibreSpectra) -> np.ndarray:
    """Variance of sums of whole spectra, over that of samples with nothing in common."""
    assert made.correlation is not None
    return sum_variance(made.variance, np.ones((N, M)), made.correlation) / made.variance.sum(axis=1)


def test_fewer_turns_than_the_ground_needs_are_refused() -> None:
    with pytest.raises(ValidationError, match="rounds"):
        SkyParams(rounds=3)


def test_the_noise_of_fibres_that_told_the_ground_is_in_it_whether_they_are_blank_or_not(found) -> None:
    spectra, model = found
    rows = np.flatnonzero(np.asarray(model.amp) == "LL")
    assert model.told[rows].mean() > 0.8
    n = model.told.size
    for blank in (0, 1):
        for told, sign in ((1, -1.0), (0, 1.0)):
            given = replace(model, blank=np.full(n, blank, np.int32), told=np.full(n, told, np.int32))
            made = subtract_sky(spectra, EVEN, given)
            assert (np.sign(made.correlation) == sign).all()
            assert ((whole(made) - 1.0) * sign > 0).all()


def test_sums_keep_a_share_of_their_variance_however_large_the_error_of_the_ground(found) -> None:
    spectra, model = found
    n = model.told.size
    given = replace(model, told=np.ones(n, np.int32), ground_error=np.full(n, 3.0))
    made = subtract_sky(spectra, EVEN, given)
    assert whole(made) == pytest.approx(0.1, rel=0.1)
    weight = np.random.default_rng(1).random((N, M))
    alone = (weight**2 * made.variance).sum(axis=1)
    assert (sum_variance(made.variance, weight, made.correlation) > 0.1 * alone).all()


def test_the_error_of_the_ground_is_the_stated_one_where_none_was_found(found) -> None:
    spectra, model = found
    none = np.zeros(model.told.size)
    made = subtract_sky(spectra, EVEN, replace(model, ground=none, ground_error=none, told=none.astype(np.int32)))
    assert (made.ground_error == STATED).all()
    assert (made.correlation > 0).all()
    made = subtract_sky(spectra, EVEN, model)
    assert (made.ground_error < STATED).all()


def test_apertures_lose_as_much_of_the_ground_as_they_hold(found) -> None:
    spectra, model = found
    made = subtract_sky(spectra, EVEN, model)
    assert np.abs(model.ground).max() > 0.3
    ground = model.ground[np.asarray(model.amp) == "LL"][:, None]
    light = model.light[np.asarray(model.amp) == "LL"].mean()
    assert np.median(made.flux - made.box) == pytest.approx(0.5 * (GROUND - np.median(ground)) / light, abs=0.05)


def test_samples_without_an_error_of_their_throughput_are_not_measured(found) -> None:
    spectra, model = found
    error = np.full((N, M), 0.01)
    error[3], error[4, 7] = np.inf, np.nan
    made = subtract_sky(spectra, EVEN, model, error)
    assert (made.flags[3] == int(Flag.NOT_MEASURED)).all()
    assert np.argwhere(made.flags[4:]).tolist() == [[0, 7]]
    assert np.isfinite(made.variance).all()
    assert np.isfinite(made.correlation).all()
