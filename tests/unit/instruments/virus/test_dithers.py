"""Exposures of an observation are told apart by DITHER; one whose number is taken already is left out, by name."""

from __future__ import annotations

import numpy as np

from tracecube.core.fibre_light import SkyModel
from tracecube.instruments.virus.science_steps import _by_dither


def sky(dither: int, start: str) -> SkyModel:
    """Make the sky of one fibre."""
    one = np.ones(1)
    return SkyModel(
        coefficients=one,
        covariance=np.ones((1, 4)),
        wave=one,
        sigma=one,
        unit=np.array(["047/308/024/0087"]),
        amp=np.array(["LL"]),
        fibre=np.ones(1, int),
        exp=np.full(1, dither),
        light=one,
        light_error=one,
        colour=np.ones((1, 1)),
        shift=one,
        blank=np.ones(1, int),
        ground=one,
        ground_error=one,
        told=np.ones(1, int),
        first=3500.0,
        step=2.0,
        meta={"RAW1": f"20190204_{start}_047-308-024-0087_047L_FIBRE_SPECTRA"},
    )


def test_each_exposure_has_its_own_number() -> None:
    models, twice = _by_dither([sky(2, "20190204T062339.1"), sky(1, "20190204T061705.1")])
    assert sorted(models) == [1, 2]
    assert not twice


def test_a_number_that_is_taken_is_named_and_the_first_exposure_counts() -> None:
    given = [sky(1, "20190204T062339.1"), sky(1, "20190204T061705.1"), sky(3, "20190204T063013.1")]
    models, twice = _by_dither(given)
    assert models == {1: given[1], 3: given[2]}
    assert list(twice) == ["20190204T062339.1"]
    assert "has DITHER 1, as that begun 20190204T061705.1: left out (try: repair DITHER" in twice["20190204T062339.1"]
