"""The amplifier table and its reader."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.instruments.sedm.detectors import detector, generation, read_noise_range

PIXIS = {"ADCSPEED": 0.1}
ANDOR = {"ADCSPEED": 1.0, "PSCANX0": 1, "PSCANX1": 20, "OSCANX0": 2069, "OSCANX1": 2088}


@pytest.mark.parametrize("header", [PIXIS, ANDOR, {"ADCSPEED": 2.0}], ids=["pixis slow", "andor", "pixis fast"])
def test_sections_lie_on_the_chip_and_do_not_overlap(header: dict[str, object]) -> None:
    found = detector(header, "a.fits")
    seen = np.zeros(found.raw_shape, int)
    for amplifier in found.amplifiers:
        amplifier.data.of(seen)[:] += 1
    assert seen.max() == 1
    assert found.shape == (2048, 2048)
    for amplifier in found.amplifiers:
        for section in amplifier.level:
            level = section.of(seen)
            assert level.size > 0
            # covered columns of the PIXIS are physical pixels; scan columns of the Andor are not
            assert level.max() == (1 if generation(header) == "pixis" else 0)
        assert amplifier.linear < amplifier.saturation <= 65535


def test_only_covered_columns_are_dark() -> None:
    dark = detector(PIXIS, "a.fits").dark()
    assert dark[:, 2045:].all()
    assert not dark[:, :2045].any()
    assert not detector(ANDOR, "a.fits").dark().any()


def test_andor_sections_agree_with_its_own_header() -> None:
    found = detector(ANDOR, "a.fits")
    data = found.amplifiers[0].data
    assert (data.x0, data.x1) == (ANDOR["PSCANX1"], ANDOR["OSCANX0"] - 1)
    assert found.raw_shape == (2048, ANDOR["OSCANX1"])


def test_unknown_speed_and_missing_speed() -> None:
    with pytest.raises(BadData, match=r"a\.fits: ADCSPEED 0\.5 MHz .*known: 0\.1, 2\.0"):
        detector({"ADCSPEED": 0.5}, "a.fits")
    with pytest.raises(MissingInput, match="ADCSPEED"):
        detector({}, "a.fits")


def test_read_noise_rises_with_speed() -> None:
    assert read_noise_range(PIXIS, "a") < read_noise_range({"ADCSPEED": 2.0}, "a")
