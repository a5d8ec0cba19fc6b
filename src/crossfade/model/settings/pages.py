"""The JSON Schema for editors and the reference page, computed from the descriptions of the keys.

Invariant: the files under `docs/reference/` are what these functions return (tests/unit/test_config_pages.py);
`python tools/write_config_reference.py` writes them anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from crossfade.model.requirement import Config
from crossfade.model.settings.example import annotated_example, sentence
from crossfade.model.settings.field import Key, keys_of
from crossfade.model.settings.toml_text import toml_value

_JSON_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "flag": {"type": "boolean"},
    "whole": {"type": "integer"},
    "number": {"type": "number"},
    "date": {"type": "string", "format": "date"},
}
_WORDS = {
    "text": "text",
    "flag": "true or false",
    "whole": "whole number",
    "number": "number",
    "date": "date",
    "list": "list",
    "map": "table",
}


def json_schema() -> dict[str, Any]:
    """The schema of the file; draft 7, which TOML editors read."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "crossfade.toml",
        **_object(Config),
    }


def schema_text() -> str:
    """The schema as it stands in `docs/reference/crossfade.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _object(cls: type) -> dict[str, Any]:
    keys = [key for key in keys_of(cls) if not key.about.from_table_name]
    schema: dict[str, Any] = {
        "description": str(cls.__doc__).splitlines()[0],
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _property(key) for key in keys},
    }
    required = [key.name for key in keys if key.required]
    return {**schema, "required": required} if required else schema


def _property(key: Key) -> dict[str, Any]:
    match key.kind:
        case "table":
            return _object(key.of)
        case "tables":
            return {"type": "array", "items": _object(key.of)}
        case "named":
            return {
                "description": key.about.doc,
                "type": "object",
                "minProperties": 1,
                "additionalProperties": _object(key.of),
            }
        case "list":
            schema: dict[str, Any] = {"type": "array", "items": _scalar(key, key.of)}
            if key.required or key.default:
                schema["minItems"] = 1
        case "map":
            schema = {"type": "object", "additionalProperties": _scalar(key, key.of)}
        case _:
            schema = _scalar(key, key.kind)
    schema["description"] = sentence(key)
    if not key.required:
        schema["default"] = _plain(key.default)
    return schema


def _scalar(key: Key, kind: str) -> dict[str, Any]:
    about = key.about
    schema = dict(_JSON_TYPES[kind])
    if kind in ("whole", "number"):
        schema |= {} if about.minimum is None else {"minimum": about.minimum}
        schema |= {} if about.maximum is None else {"maximum": about.maximum}
    if about.choices:
        schema["enum"] = [*about.choices] if key.required or key.default in about.choices else ["", *about.choices]
    elif kind == "text" and key.required:
        schema["minLength"] = 1
    return schema


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def reference_page() -> str:
    """The page `docs/reference/configuration.md`."""
    lines = [
        "# crossfade.toml",
        "",
        "<!-- Computed from src/crossfade/model/requirement.py; see tools/write_config_reference.py. -->",
        "",
        "One file states what a service promises and the parts it is kept with. `crossfade init` writes a first",
        "one, `crossfade check` reads it and says everything that is wrong with it at once. Times carry their",
        "unit in the key, ratios are parts of one, shares are percent. A secret is never written out: its place",
        "holds a reference, `env:NAME`, `file:PATH` or `command:PROGRAM`. Editors complete the file with",
        "[crossfade.schema.json](crossfade.schema.json).",
    ]
    for key in keys_of(Config):
        lines += _section(key, "")
    lines += ["", "## A whole file", "", "```toml", annotated_example().rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _section(key: Key, around: str) -> Iterator[str]:
    name = f"{around}.{key.name}" if around else key.name
    header = {"tables": f"[[{name}]]", "named": f"[{name}.NAME]"}.get(key.kind, f"[{name}]")
    need = " Required." if key.required else ""
    yield from ("", f"## `{header}`", "", str(key.of.__doc__).splitlines()[0] + need, "")
    yield from ("| key | value | default | |", "|---|---|---|---|")
    for inner in keys_of(key.of):
        if not inner.is_table and not inner.about.from_table_name:
            yield f"| `{inner.name}` | {_words(inner)} | {_default(inner)} | {_cell(sentence(inner))} |"
    for inner in keys_of(key.of):
        if inner.is_table:
            yield from _section(inner, name + (".NAME" if key.kind == "named" else ""))


def _words(key: Key) -> str:
    return f"list: {_WORDS[key.of]}" if key.kind == "list" else _WORDS[key.kind]


def _default(key: Key) -> str:
    return "required" if key.required else f"`{_cell(toml_value(key.default))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
