"""Refraction from headers: what they do not tell is said."""

from __future__ import annotations

import numpy as np

from tracecube.instruments.sedm.refraction import refraction

WAVE = np.array([4000.0, 6200.0, 9000.0])
HEADER = {
    "AIRMASS": 1.3, "ENDAIR": 1.4, "TEL_RA": "14:04:04.38", "TEL_DEC": "+21:24:27.8", "EXPTIME": 900.0,
    "UTC": "2021-04-21T10:47:05.000", "MJD_OBS": 59325.44936, "OUT_AIR": 8.9, "OUT_HUM": 31.0,
}  # fmt: skip


def test_blue_light_is_lifted_towards_the_zenith() -> None:
    (east, north), caveats = refraction(HEADER, "a", WAVE, 6200.0)
    size = np.hypot(east, north)
    assert caveats == ()
    assert size[1] < 1e-9
    assert 0.5 < size[0] < 1.2
    assert east[0] * east[2] < 0


def test_a_silent_weather_station_is_named() -> None:
    silent = {**HEADER, "OUT_HUM": -999.0}
    (east, _), caveats = refraction(silent, "a", WAVE, 6200.0)
    assert len(caveats) == 1
    assert "OUT_HUM" in caveats[0]
    assert np.isfinite(east).all()


def test_no_airmass_and_no_coordinates_mean_no_refraction_and_a_caveat() -> None:
    blind = {key: value for key, value in HEADER.items() if key not in {"AIRMASS", "ENDAIR", "TEL_RA", "TEL_DEC"}}
    (east, north), caveats = refraction(blind, "a", WAVE, 6200.0)
    assert not east.any()
    assert not north.any()
    assert "not known" in caveats[0]


def test_an_airmass_that_the_header_does_not_tell_follows_from_the_coordinates_and_is_said() -> None:
    (east, north), _ = refraction(HEADER, "a", WAVE, 6200.0)
    for lost in ({"AIRMASS": None}, {"ENDAIR": -999.0}, {"AIRMASS": None, "ENDAIR": None}):
        (other_east, other_north), [caveat] = refraction({**HEADER, **lost}, "a", WAVE, 6200.0)
        assert "AIRMASS or ENDAIR not usable: 1." in caveat
        np.testing.assert_allclose(np.hypot(other_east, other_north), np.hypot(east, north), rtol=0.5)


def test_a_clock_that_is_wrong_is_told_by_the_telescope_s_angle_which_counts() -> None:
    told = {**HEADER, "TEL_PA": 63.2, "END_PA": 63.6}
    (east, north), caveats = refraction(told, "a", WAVE, 6200.0)
    assert caveats == ()
    wrong = {**told, "UTC": "2021-04-21T05:00:00.000", "MJD_OBS": 59325.20833}  # as far east as it was west
    (other_east, other_north), [caveat] = refraction(wrong, "a", WAVE, 6200.0)
    assert caveat.startswith("AIRMASS is 1.30, TEL_PA 63 where coordinates and time give 1.30, 297 degree")
    assert "refraction is along TEL_PA (try: repair the time" in caveat
    np.testing.assert_allclose((other_east, other_north), (east, north), atol=0.02)


def test_a_clock_that_is_wrong_is_told_by_the_airmass_alone() -> None:
    late = {**HEADER, "UTC": "2021-04-21T08:00:00.000", "MJD_OBS": 59325.33333}
    (_, _), [caveat] = refraction(late, "a", WAVE, 6200.0)
    assert caveat.startswith("AIRMASS is 1.30 where coordinates and time give 1.0")
    assert "along the latter" in caveat
