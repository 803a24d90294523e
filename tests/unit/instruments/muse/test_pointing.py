"""Where the telescope pointed: cards, refraction along the field's axes, the Earth's motion."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import MissingInput
from tracecube.instruments.muse.pointing import REFERENCE, barycentric_velocity, pointing_of, refraction

CARDS = {
    "RA": 150.0, "DEC": -24.627, "EXPTIME": 864.0, "MJD-OBS": 58500.0,
    "ESO INS DROT POSANG": 0.0, "ESO INS DROT MODE": "SKY",
    "ESO TEL AIRM START": 1.2, "ESO TEL AIRM END": 1.3, "ESO TEL PARANG START": 60.0, "ESO TEL PARANG END": 64.0,
    "ESO TEL AMBI PRES START": 744.0, "ESO TEL AMBI TEMP": 0.0, "ESO TEL AMBI RHUM": 10.0,
}  # fmt: skip
WAVE = np.array([4800.0, REFERENCE, 9300.0])


def at(**more: float | None):
    return pointing_of({**CARDS, **more}, "a")


def test_cards():
    found = at()
    assert (found.ra, found.dec, found.exptime) == (150.0, -24.627, 864.0)
    assert found.mean_airmass == pytest.approx(1.25)
    assert found.mjd == pytest.approx(58500.005)
    assert (found.temperature, found.pressure, found.humidity) == (0.0, 744.0, 10.0)


def test_parallactic_angles_go_the_short_way_round():
    found = at(**{"ESO TEL PARANG START": 178.0, "ESO TEL PARANG END": -178.0})
    assert found.parallactic == pytest.approx((178.0, 182.0))


@pytest.mark.parametrize(
    "key",
    [
        "RA",
        "DEC",
        "EXPTIME",
        "ESO INS DROT POSANG",
        "ESO TEL AIRM START",
        "ESO TEL AIRM END",
        "ESO TEL PARANG START",
        "ESO TEL PARANG END",
    ],
)
def test_what_nothing_else_tells_is_not_made_up(key):
    with pytest.raises(MissingInput, match=key):
        at(**{key: None})


@pytest.mark.parametrize(("how", "angle"), [("SKY", 30.0), (None, 30.0), ("STAT", -30.0), ("ELEV", 30.0)])
def test_a_derotator_at_rest_counts_the_other_way(how, angle):
    """Of a frame with its cards changed ESO's muse_scipost 2.8.7 has E, N = -x cos p + y sin p, x sin p + y cos p."""
    found = at(**{"ESO INS DROT POSANG": 30.0, "ESO INS DROT MODE": how})
    assert found.angle == angle
    assert bool(found.caveats) is (how in {"ELEV", None})


def test_weather_that_is_not_told_is_the_sites_and_said():
    assert at().caveats == ()
    found = at(**{"ESO TEL AMBI TEMP": None})
    assert found.temperature == 12.0
    assert "ESO TEL AMBI TEMP" in found.caveats[0]
    assert "ESO TEL AMBI RHUM" not in found.caveats[0]


def test_light_of_the_blue_stands_towards_the_zenith():
    """The zenith at position angle q (north through east): east = r sin q, north = r cos q; x runs west."""
    found = at(**{"ESO TEL PARANG START": 60.0, "ESO TEL PARANG END": 60.0})
    west, north = refraction(found, WAVE)
    assert abs(west[1]) < 1e-9
    assert abs(north[1]) < 1e-9
    assert north[0] > 0 > north[2]
    assert np.allclose(west, -np.tan(np.radians(60.0)) * north, rtol=1e-6, atol=1e-9)
    assert 0.5 < np.hypot(west[0] - west[2], north[0] - north[2]) < 1.3  # arcsec between 4800 and 9300 at airmass 1.25


def test_a_turned_field_sees_the_zenith_turned():
    """Axes at position angle p: y points p east of north, x to its right, which is west at p = 0."""
    plain, turned = at(), at(**{"ESO INS DROT POSANG": 30.0})
    west, north = refraction(plain, WAVE)
    x, y = refraction(turned, WAVE)
    p = np.radians(30.0)
    assert np.allclose(y, north * np.cos(p) - west * np.sin(p))
    assert np.allclose(x, west * np.cos(p) + north * np.sin(p))
    assert np.allclose(np.hypot(x, y), np.hypot(west, north))


def test_the_earth_moves_towards_what_rises_after_midnight():
    """A target on the ecliptic ahead of the Earth is approached with its 30 km/s, one behind it is left."""
    # on 2019-03-20 (MJD 58562) the Sun is at RA 0: the Earth moves towards RA 270, DEC -23.4
    ahead = at(RA=270.0, DEC=-23.4, **{"MJD-OBS": 58562.3})
    behind = at(RA=90.0, DEC=23.4, **{"MJD-OBS": 58562.3})
    assert barycentric_velocity(ahead) == pytest.approx(29.9, abs=0.7)
    assert barycentric_velocity(behind) == pytest.approx(-29.9, abs=0.7)


def test_whose_rest_is_meant():
    """The Sun moves by metres a second about the barycentre, the telescope by 0.42 km/s at most about the Earth."""
    ahead = at(RA=270.0, DEC=-23.4, **{"MJD-OBS": 58562.3})
    bary, helio, geo, none = (barycentric_velocity(ahead, frame) for frame in ("bary", "helio", "geo", "none"))
    assert 0.0 < abs(helio - bary) < 0.02
    assert 0.0 < abs(geo) < 0.43
    assert none == 0.0
