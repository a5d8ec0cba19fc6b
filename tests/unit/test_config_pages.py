"""One description per key makes parser, schema, reference page and example; none of them is stale."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossfade.model.requirement import Config
from crossfade.model.settings.example import annotated, annotated_example, example_values
from crossfade.model.settings.field import Key, keys_of
from crossfade.model.settings.pages import json_schema, reference_page, schema_text
from crossfade.model.settings.parse import parse_config
from crossfade.model.settings.toml_text import toml_value

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def every_key(cls: type = Config, around: str = "") -> Iterator[tuple[str, Key]]:
    for key in keys_of(cls):
        yield f"{around}{key.name}", key
        if key.is_table:
            yield from every_key(key.of, f"{around}{key.name}.")


@pytest.mark.parametrize(
    ("name", "text"), [("configuration.md", reference_page()), ("crossfade.schema.json", schema_text())]
)
def test_the_pages_are_what_the_code_says(name: str, text: str) -> None:
    stale = f"docs/reference/{name} is stale; run: python tools/write_config_reference.py"
    assert (REFERENCE / name).read_text(encoding="utf-8") == text, stale


def test_the_annotated_example_is_a_file_without_problems() -> None:
    config = parse_config(annotated_example())
    assert config.service.name == "shop"
    assert config.endpoints[0].smoke_request == ("POST", "/orders")


def test_what_is_written_is_what_was_given() -> None:
    values = example_values()
    assert json.loads(json.dumps(tomllib.loads(annotated(values)), default=str)) == json.loads(
        json.dumps(values, default=str)
    )


def test_a_setting_that_is_off_shows_its_default() -> None:
    lines = annotated({"service": {"name": "shop"}}).splitlines()
    assert 'name = "shop"' in lines
    assert '#environment = "production"' in lines
    assert "#[requirement]" in lines
    assert "#[[endpoint]]" in lines
    assert tomllib.loads("\n".join(lines)) == {"service": {"name": "shop"}}


def test_a_guess_is_marked_with_its_source() -> None:
    text = annotated({"service": {"name": "shop"}}, {("service", "name"): "the folder's name"})
    assert 'name = "shop"  # guess: the folder\'s name' in text.splitlines()


@pytest.mark.parametrize("path", [path for path, _ in every_key()])
def test_every_key_has_a_sentence_and_an_example_within_its_bounds(path: str) -> None:
    key = dict(every_key())[path]
    about = key.about
    assert about.doc.endswith((".", "...", "name", "again"))
    if not key.is_table and not about.from_table_name:
        assert not key.required or about.example is not None, path
    for value in (about.example, None if key.required else key.default):
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not isinstance(number, bool):
                assert about.minimum is not None, path
                assert about.minimum <= number <= (about.maximum or number), path


def test_times_carry_their_unit() -> None:
    words = {"seconds": "_s", "milliseconds": "_ms", "days": "_days"}
    for path, key in every_key():
        if key.about.unit in words:
            assert key.name.endswith(words[key.about.unit]), path
        if key.name.endswith(("_s", "_ms", "_days")):
            assert key.about.unit, path


def test_the_schema_knows_every_key_and_no_other() -> None:
    def names(schema: dict[str, Any], around: str = "") -> Iterator[str]:
        for name, inner in schema.get("properties", {}).items():
            yield f"{around}{name}"
            table = inner.get("items", inner) if inner.get("type") == "array" else inner
            nested = inner.get("additionalProperties")
            if isinstance(nested, dict) and "properties" in nested:
                table = nested
            yield from names(table, f"{around}{name}.")

    assert set(names(json_schema())) == {path for path, key in every_key() if not key.about.from_table_name}


@pytest.mark.parametrize(
    "value", [True, 3, 0.001, 1e-6, 'a "quoted" \\ text\n\t\x07é\U0001f600', [1, 2], {"a b": "c", "d": "e"}, {}]
)
def test_values_survive_being_written(value: object) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value
