"""FITS checksums: one's-complement sums of header and data units.

References
----------
FITS Standard 4.0, appendix J.
"""

from __future__ import annotations

import numpy as np

__all__ = ["checksum_card_value", "datasum"]

_EXCLUDED = frozenset(range(0x3A, 0x41)) | frozenset(range(0x5B, 0x61))  # punctuation, appendix J.2
_OFFSET = 0x30  # ASCII zero


def datasum(data: bytes | bytearray | memoryview) -> int:
    r"""Return the 32-bit one's-complement sum of a data unit.

    Parameters
    ----------
    data : bytes
        A whole number of 4-byte words.

    Examples
    --------
    >>> datasum(b"\xff\xff\xff\xff\x00\x00\x00\x02")
    2
    """
    total = int(np.frombuffer(data, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def checksum_card_value(header: bytes, data_sum: int) -> str:
    """Return the 16 characters that make the sum of the whole unit all ones.

    Parameters
    ----------
    header : bytes
        The padded header unit, its CHECKSUM being sixteen zeros.
    data_sum : int
        `datasum` of the data unit.
    """
    total = datasum(header) + data_sum
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    complement = 0xFFFFFFFF - total
    columns = [_four_characters((complement >> shift) & 0xFF) for shift in (24, 16, 8, 0)]
    text = "".join(chr(columns[byte][place]) for place in range(4) for byte in range(4))
    return text[-1] + text[:-1]


def _four_characters(byte: int) -> list[int]:
    """Spread one byte over four letters or digits with the same sum."""
    quotient, rest = divmod(byte, 4)
    codes = [quotient + _OFFSET + (rest if i == 0 else 0) for i in range(4)]
    while any(code in _EXCLUDED for code in codes):
        for first in (0, 2):
            if codes[first] in _EXCLUDED or codes[first + 1] in _EXCLUDED:
                codes[first] += 1
                codes[first + 1] -= 1
    return codes
