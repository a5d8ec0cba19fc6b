"""Lines and values: what goes into a spool comes out, and a torn line never does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.journal.framing import DamagedError, encode, scan
from crossfade.journal.storable import storable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), max_size=4)


@given(RECORDS, st.dictionaries(st.text(max_size=5), JSON, min_size=1, max_size=3), st.data())
def test_a_torn_tail_is_left_out_at_every_byte(records, last, data) -> None:
    whole, torn = b"".join(map(encode, records)), encode(last)
    cut = data.draw(st.integers(0, len(torn) - 1))
    assert scan(whole + torn[:cut]) == (records, len(whole))
    assert scan(whole + torn) == ([*records, last], len(whole + torn))
    assert scan(whole + b"\0" * len(torn)) == (records, len(whole)), "blocks that never reached the disk"


@given(RECORDS.filter(bool), st.data())
def test_one_changed_byte_is_never_read_as_a_record(records, data) -> None:
    content = bytearray(b"".join(map(encode, records)))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        found, _ = scan(bytes(content))
    except DamagedError:
        return
    assert found == records[: len(found)]
    assert len(found) < len(records)


@given(st.dictionaries(st.text(st.characters()), JSON | st.text(st.characters()), max_size=4))
def test_whatever_text_is_given_can_be_stored(value) -> None:
    stored = storable(value)
    json.dumps(stored, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert "\0" not in repr(stored).replace("\\x00", "\0")
    assert storable(stored) == stored


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes", {1: "key"}, {"a": {2, 3}}])
def test_what_would_be_lost_is_refused(value) -> None:
    with pytest.raises((TypeError, ValueError)):
        storable({"x": value})
