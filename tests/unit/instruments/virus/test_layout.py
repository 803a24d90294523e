from datetime import date

import numpy as np
import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.instruments.virus.layout import (
    DITHERS,
    amplifier_places,
    bundle_places,
    field_rotation,
    nominal_places,
    regular_places,
    slot_on,
    throughput_curve,
    zenith_angle,
)


@pytest.fixture
def numbered():
    """A table whose x is its row, so that the order can be read off."""
    return bundle_places(np.arange(1, 449), np.arange(448.0), np.zeros(448))


@pytest.mark.parametrize(
    ("amp", "first", "last"), [("LU", 111, 0), ("LL", 223, 112), ("RL", 335, 224), ("RU", 447, 336)]
)
def test_amplifiers_see_their_rows_from_the_last(numbered, amp, first, last):
    x, _ = amplifier_places(numbered, "020", amp)
    assert len(x) == 112
    assert (x[0], x[-1]) == (first, last)


def test_turned_and_exchanged_bundles(numbered):
    x, _ = amplifier_places(numbered, "8", "RL")
    assert (x[0], x[-1]) == (336, 447)
    x, _ = amplifier_places(numbered, "007", "LU")
    assert list(x[111 - 38 : 111 - 36]) == [37, 38]
    x, _ = amplifier_places(numbered, "041", "RL")
    assert list(x[335 - 252 : 335 - 250]) == [251, 252]


def test_every_fibre_once(numbered):
    for bundle in ("020", "003", "025", "038"):
        rows = np.concatenate([amplifier_places(numbered, bundle, amp)[0] for amp in ("LL", "LU", "RL", "RU")])
        assert sorted(rows) == list(range(448))


def test_table_in_any_order_and_refused_when_incomplete():
    order = np.random.default_rng(1).permutation(448)
    places = bundle_places(order + 1, order.astype(float), -order.astype(float))
    np.testing.assert_array_equal(places.x, np.arange(448))
    with pytest.raises(BadData, match="1 to 448"):
        bundle_places(np.arange(448), np.zeros(448), np.zeros(448))


def test_regular_lattice_says_so_and_has_the_design_s_extent():
    places = regular_places()
    assert len(places.x) == 448
    assert places.caveats
    assert (places.x.min(), places.x.max()) == (pytest.approx(-24.15), pytest.approx(24.15))
    assert (places.y.min(), places.y.max()) == (pytest.approx(-24.24), pytest.approx(24.24))
    assert places.x[0] == pytest.approx(-22.88, abs=0.01)


def test_slots_that_headers_name_wrongly_on_some_nights():
    assert slot_on(24, date(2020, 1, 1)) == 15
    assert slot_on(15, date(2020, 1, 1)) == 24
    assert slot_on(24, date(2020, 6, 24)) == 24
    assert slot_on(78, date(2020, 1, 20)) == 79
    assert slot_on(78, date(2020, 2, 20)) == 78


def test_plane_is_swapped_turned_and_mirrored():
    # PARANGLE so that the rotation is 0: x of the bundle and Y of the plane go west, y and X north
    assert field_rotation(268.45) == pytest.approx(0.0)
    east, north = nominal_places(
        np.array([1.0, 1.0]),
        np.array([2.0, 2.0]),
        np.array([53, 53]),
        np.array([1, 2]),
        plane={53: (10.0, 100.0)},
        rotation=0.0,
    )
    np.testing.assert_allclose(east, [-101.0, -101.0 - DITHERS[1, 0]])
    np.testing.assert_allclose(north, [12.0, 12.0 + DITHERS[1, 1]])
    with pytest.raises(MissingInput, match="47"):
        nominal_places(np.zeros(1), np.zeros(1), np.array([47]), np.ones(1, int), plane={}, rotation=0.0)


def test_zenith_lies_towards_minus_x():
    east, north = nominal_places(
        np.array([-1.0]),
        np.zeros(1),
        np.array([53]),
        np.ones(1, int),
        plane={53: (0.0, 0.0)},
        rotation=field_rotation(71.0),
    )
    assert np.degrees(np.arctan2(east[0], north[0])) % 360.0 == pytest.approx(zenith_angle(71.0))


def test_throughput_curve_is_rising_in_wavelength_and_a_share():
    wave, share = throughput_curve()
    assert np.all(np.diff(wave) > 0)
    assert np.all((share > 0.02) & (share < 0.2))
