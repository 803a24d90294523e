"""What is taken for the lamp's part in a lenslet flat: the user's, the flat's, the halo's, or assumed and said."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.recipes.science.test_halo_slope import CENTRE, halo
from tracecube.instruments.sphere_ifs.lamp_evenness import even_lamp
from tracecube.instruments.sphere_ifs.sky import BENT, SLOPE, UNEVEN

STAR = SimpleNamespace(at_x=-0.3, at_y=0.24)
NOWHERE = SimpleNamespace(at_x=float("nan"), at_y=float("nan"))


def test_the_lamps_unevenness_is_the_flats_the_users_or_assumed_and_said() -> None:
    sequence = halo(1, (-0.03, 0.02))
    flat = {UNEVEN: 0.017, SLOPE: 0.05, BENT: 0.004}
    for psf, meta, given, error in (
        (STAR, flat, 0.01, 0.01),  # by the user
        (STAR, {UNEVEN: 0.017}, None, 0.017),  # of spectra that do not say what of it is a slope
        (NOWHERE, flat, None, 0.017),  # of a star whose place is not told
    ):
        found = even_lamp(sequence, psf, meta, given)
        assert found.sequence is sequence
        assert found.error == pytest.approx(error)
        assert found.caveats == ()
    found = even_lamp(sequence, STAR, {}, None)
    assert found.error == pytest.approx(0.03)
    assert "not known: 3% taken" in found.caveats[0]


def test_a_slope_that_the_halo_tells_is_taken_off_and_its_error_stays() -> None:
    sequence = halo(1, (-0.03, 0.02))
    found = even_lamp(sequence, STAR, {UNEVEN: 0.05, SLOPE: 0.1, BENT: 0.004}, None)
    away = np.stack([sequence.lattice.x - STAR.at_x, sequence.lattice.y - STAR.at_y])
    slope = 1.0 + np.array([-0.03, 0.02]) @ np.stack([sequence.lattice.x, sequence.lattice.y]) - CENTRE @ [-0.03, 0.02]
    here = slope[np.argmin(np.hypot(*away))]
    ratio = (sequence.flux / found.sequence.flux).mean(axis=(0, 1)) / (slope / here)
    assert ratio == pytest.approx(np.ones(ratio.size), abs=0.006)
    assert 0.004 < found.error < 0.006
    numbers = {one.name: one.value for one in found.quality}
    assert numbers["HALO SLOPE X"] == pytest.approx(-3.0, abs=0.4)
    assert numbers["HALO SLOPE Y"] == pytest.approx(2.0, abs=0.4)


def test_a_halo_that_tells_nothing_is_said_and_the_whole_of_the_flat_is_the_error() -> None:
    sequence = halo(1, (-0.03, 0.02))
    few = sequence.only(np.arange(500))
    found = even_lamp(few, STAR, {UNEVEN: 0.05, SLOPE: 0.1, BENT: 0.004}, None)
    assert found.sequence is few
    assert found.error == pytest.approx(0.05)
    assert found.quality == ()
    [caveat] = found.caveats
    assert caveat.startswith("the star's halo does not tell how the flat's lamp lit the field")
    assert "uncertain by 5.0%" in caveat


def test_a_flat_without_a_slope_leaves_none_to_the_lamp() -> None:
    sequence = halo(1, (-0.03, 0.02))
    found = even_lamp(sequence, STAR, {UNEVEN: 0.02, SLOPE: 0.0, BENT: 0.02}, None)
    assert found.sequence.flux == pytest.approx(sequence.flux)
    assert found.error == pytest.approx(0.02)
