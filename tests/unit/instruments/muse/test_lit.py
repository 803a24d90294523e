"""A response of another night serves whatever lamp and twilight exposures were divided by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.muse.test_eso_reduced import given
from tracecube.instruments.muse.lit import lit_cards, relative_light
from tracecube.instruments.muse.object_light import ObjectInputs
from tracecube.instruments.muse.object_steps import ObjectParams, exposure_light


def meta(channel: int, lamp: float | None, level: float):
    return {"DETECTOR": f"CHAN{channel:02d}", "SKYLIGHT": level} | ({} if lamp is None else {"LAMPMEAN": lamp})


def test_lamps_and_twilights_of_two_nights_are_held_against_each_other_in_the_channels_that_both_have() -> None:
    response = lit_cards([meta(3, 30000.0, 0.2), meta(7, 28000.0, 0.25), meta(9, None, 0.2)])
    assert response == {"LIT03": 6000.0, "LIT07": 7000.0}
    factor, said = relative_light([meta(7, 35000.0, 0.4), meta(8, 1.0, 1.0)], response)
    assert factor == pytest.approx(35000.0 * 0.4 / 7000.0)
    assert said == ()
    factor, [said] = relative_light([meta(8, 35000.0, 0.4)], response)
    assert factor == 1.0
    assert "of other channels" in said
    assert relative_light([meta(8, 35000.0, 0.4)], {}) == (1.0, ())


def test_the_flux_of_an_exposure_does_not_depend_on_how_bright_its_twilight_was() -> None:
    inputs, params = ObjectInputs(**given()), ObjectParams()
    same = exposure_light(inputs, params).worth[1]
    response = replace(inputs.response, meta={**inputs.response.meta, "LIT07": 30000.0 * 0.2})
    for lamp, level in ((30000.0, 0.2), (30000.0, 0.5), (15000.0, 0.2)):
        [one] = inputs.exposures
        own = replace(one, meta={**one.meta, "LAMPMEAN": lamp, "SKYLIGHT": level})
        light = exposure_light(replace(inputs, exposures=[own], response=response), params)
        # the same counts over a brighter flat are less light: 1 of it is worth more
        assert np.allclose(light.worth[1] / (lamp * level), same / 6000.0)
        assert light.notes == ()
