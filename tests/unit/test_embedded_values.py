"""Versions and settings as text."""

from __future__ import annotations

import pytest

from crossfade.embedded.postgres_conf import render_settings
from crossfade.embedded.program import version_key


@pytest.mark.parametrize(
    ("older", "newer"),
    [("2.6.12-1+deb12u4", "2.8.25-5cf5d06"), ("2.8", "2.10"), ("9.6.24", "15.18"), ("18beta1", "18.6")],
)
def test_versions_are_compared_by_their_numbers(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


def test_settings_are_quoted_and_listening_is_not_the_callers_choice() -> None:
    text = render_settings(5433, {"shop.note": "it's\na \\", "timezone": "Asia/Tokyo", "listen_addresses": "*"})
    assert text.splitlines()[1:] == [
        "timezone = 'Asia/Tokyo'",
        "log_timezone = 'UTC'",
        "log_line_prefix = '%m [%p] %a '",
        "shop.note = 'it''s\\na \\\\'",
        "listen_addresses = '127.0.0.1'",
        "port = '5433'",
        "unix_socket_directories = ''",
    ]


def test_durability_is_left_as_it_is() -> None:
    text = render_settings(5433, {})
    assert not [name for name in ("fsync", "synchronous_commit", "full_page_writes") if name in text]


def test_a_line_cannot_be_smuggled_in_by_a_name() -> None:
    with pytest.raises(AssertionError, match="not the name of a setting"):
        render_settings(5433, {"a = 1\nport": "1"})
