"""Write an annotated `crossfade.toml` from values, with every key's sentence above it.

Rule: a key that has no value is written too, commented out with its default, so the file is its own manual;
`#key` is a setting that is off, `# text` is a comment. A guess is marked `# guess:` with its source.

Invariant: what is written parses, and holds exactly the values given.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from crossfade.model.requirement import Config
from crossfade.model.settings.field import Key, keys_of
from crossfade.model.settings.problem import KeyPath
from crossfade.model.settings.toml_text import toml_key, toml_value

_WIDTH = 100
Values = Mapping[str, Any]
Guesses = Mapping[KeyPath, str]


def annotated(values: Values, guesses: Guesses | None = None, opening: str = "") -> str:
    """The whole file for these values. `guesses` says where the value at a path was guessed from."""
    lines = [*_comment(opening)] if opening else []
    for key in keys_of(Config):
        lines += _tables(key, values.get(key.name), (), guesses or {}, True)
    return "\n".join(lines).strip("\n") + "\n"


def example_values() -> dict[str, Any]:
    """Every key with its example: the values of the annotated example."""
    return _example_of(Config)


def annotated_example() -> str:
    """The annotated example of the reference page; a test reads it back."""
    return annotated(example_values(), opening="crossfade.toml with every key, each with an example.")


def _example_of(cls: type) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in keys_of(cls):
        if key.about.from_table_name:
            continue
        match key.kind:
            case "table":
                if key.required or key.default is not None or key.name == "smoke":
                    values[key.name] = _example_of(key.of)
            case "tables":
                values[key.name] = [_example_of(key.of)]
            case "named":
                values[key.name] = {name: _example_of(key.of) for name in key.about.example}
            case _:
                value = key.about.example if key.about.example is not None else key.default
                if value not in ("", (), {}):
                    values[key.name] = value
    return values


def _tables(key: Key, value: Any, around: tuple[str, ...], guesses: Guesses, active: bool) -> Iterator[str]:
    """One key that is written as a table, as often as it has values; once, switched off, where it has none."""
    header = (*around, key.name)
    name = ".".join(toml_key(part) for part in header)
    if key.kind == "tables":
        for number, item in enumerate(value or [None]):
            yield from _body(key, f"[[{name}]]", item, header, (*header, number), guesses, active and item is not None)
    elif key.kind == "named":
        for part, item in (value or {}).items():
            yield from _body(key, f"[{name}.{toml_key(part)}]", item, (*header, part), (*header, part), guesses, active)
    else:
        yield from _body(key, f"[{name}]", value, header, header, guesses, active and value is not None)


def _body(
    key: Key,
    line: str,
    value: Values | None,
    header: tuple[str, ...],
    path: KeyPath,
    guesses: Guesses,
    active: bool,
) -> Iterator[str]:
    shown = value if value is not None else _example_of(key.of)
    yield ""
    yield from _comment(str(key.of.__doc__).splitlines()[0])
    yield line if active else f"#{line}"
    for inner in keys_of(key.of):
        if not inner.is_table and not inner.about.from_table_name:
            yield from _line(inner, shown, path, guesses, active)
    for inner in keys_of(key.of):
        if inner.is_table:
            yield from _tables(inner, shown.get(inner.name) if active else None, header, guesses, active)


def _line(key: Key, values: Values, path: KeyPath, guesses: Guesses, active: bool) -> Iterator[str]:
    yield from _comment(sentence(key))
    is_set = key.name in values
    value = values[key.name] if is_set else key.default
    guess = guesses.get((*path, key.name)) if is_set else None
    tail = f"  # guess: {guess}" if guess else ""
    off = "" if active and is_set else "#"
    yield f"{off}{toml_key(key.name)} = {toml_value(value)}{tail}"


def sentence(key: Key) -> str:
    """What a key is for, with its unit, bounds and choices."""
    about = key.about
    facts = [about.unit] if about.unit else []
    if about.minimum is not None and about.maximum is not None:
        facts.append(f"{toml_value(about.minimum)} to {toml_value(about.maximum)}")
    if about.choices:
        facts.append("one of " + ", ".join(about.choices))
    return about.doc + (f" ({'; '.join(facts)})" if facts else "")


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
