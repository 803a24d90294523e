"""Content hashes."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from tracecube.archive.hashing import hash_of_file, hash_of_value

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_files(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"some bytes" * 100_000)
    assert hash_of_file(path) == hashlib.sha256(b"some bytes" * 100_000).hexdigest()
    assert hash_of_file(str(path)) == hash_of_file(path)


@given(st.dictionaries(st.text(), PLAIN, max_size=5))
def test_the_order_of_keys_does_not_matter(value):
    assert hash_of_value(dict(reversed(value.items()))) == hash_of_value(value)


@given(PLAIN, PLAIN)
def test_different_values_have_different_hashes(one, other):
    if repr(one) != repr(other):
        assert hash_of_value([one]) != hash_of_value([other])


def test_numbers_and_their_text_differ():
    assert hash_of_value(1) != hash_of_value("1")
    assert hash_of_value(0.1) == hash_of_value(0.1)
    assert hash_of_value(0.1) != hash_of_value(0.1 + 1e-17 + 2e-17)
