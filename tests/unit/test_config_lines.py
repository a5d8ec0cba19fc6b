"""The line of every key of a TOML document."""

from __future__ import annotations

import tomllib

from crossfade.model.settings.locate import Lines
from crossfade.model.settings.problem import KeyPath, dotted

DOCUMENT = '''\
# a comment with [brackets] and = signs
top = 1
a.b."c.d" = 2      # dotted, quoted
[table]  # comment
text = "with # no comment, \\" and ]"
long = """
[not.a.table]
x = 1
"""
raw = \'\'\'
y = "\'\'\'
list = [
  1,  # [one]
  "two",

  { three = 3, four = "}" },
]
date = 2030-01-01 10:00:00
inline = { p.q = 1, r = [{ s = 1 }] }
[[row]]
v = 1
[row.sub]
w = 2
[[row]]
[row.sub]
w = 3
[[row.more]]
z = 1
[[row.more]]
z = 2
["odd key".'and this']
k = true
'''


def test_every_kind_of_key_is_found() -> None:
    lines = Lines(DOCUMENT)
    expected: dict[KeyPath, int] = {
        ("top",): 2,
        ("a", "b", "c.d"): 3,
        ("table",): 4,
        ("table", "text"): 5,
        ("table", "long"): 6,
        ("table", "raw"): 10,
        ("table", "list"): 12,
        ("table", "list", 0): 13,
        ("table", "list", 1): 14,
        ("table", "list", 2): 16,
        ("table", "list", 2, "four"): 16,
        ("table", "date"): 18,
        ("table", "inline", "p", "q"): 19,
        ("table", "inline", "r", 0, "s"): 19,
        ("row",): 20,
        ("row", 0): 20,
        ("row", 0, "v"): 21,
        ("row", 0, "sub"): 22,
        ("row", 0, "sub", "w"): 23,
        ("row", 1): 24,
        ("row", 1, "sub", "w"): 26,
        ("row", 1, "more", 0, "z"): 28,
        ("row", 1, "more", 1, "z"): 30,
        ("odd key", "and this"): 31,
        ("odd key", "and this", "k"): 32,
    }
    assert {path: lines.of(path) for path in expected} == expected


def test_no_path_is_invented_and_none_is_missed() -> None:
    def paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
        here = {path} if path else set()
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return here.union(*(paths(inner, (*path, key)) for key, inner in items)) if items else here

    assert set(Lines(DOCUMENT).known()) == paths(tomllib.loads(DOCUMENT))


def test_a_missing_key_is_answered_with_its_table() -> None:
    lines = Lines(DOCUMENT)
    assert lines.of(("row", 1, "sub", "missing")) == 25
    assert lines.of(("nowhere", "at", "all")) == 1


def test_windows_line_ends_count_once() -> None:
    assert Lines("a = 1\r\n[b]\r\nc = 2\r\n").of(("b", "c")) == 3


def test_paths_read_as_people_write_them() -> None:
    assert dotted(("endpoint", 0, "smoke", "headers", "X-A")) == "endpoint[0].smoke.headers.X-A"
    assert dotted(("versions", "directories", "v 1.0")) == 'versions.directories."v 1.0"'
