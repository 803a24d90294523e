"""Checksums against astropy's."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from tracecube.io.checksum import checksum_card_value, datasum
from tracecube.io.units import image_unit

WORDS = st.binary(min_size=2880, max_size=2880)


@given(WORDS)
def test_datasum_is_astropys(data: bytes) -> None:
    hdu = fits.ImageHDU(np.frombuffer(data, ">i4"))
    assert datasum(data) == int(hdu.add_datasum("") or hdu.header["DATASUM"])


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=30))
def test_a_sealed_unit_sums_to_ones(pixels: list[int]) -> None:
    unit = image_unit("X", np.array(pixels, np.int32), {})
    assert datasum(unit.sealed() + unit.data) == 0xFFFFFFFF


@given(st.binary(min_size=2880, max_size=2880), st.integers(0, 2**32 - 1))
def test_the_code_is_letters_and_digits(header: bytes, data_sum: int) -> None:
    code = checksum_card_value(header, data_sum)
    assert len(code) == 16
    assert code.isalnum()
    assert code.isascii()
