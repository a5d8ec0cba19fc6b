"""Given the pages of operations, when their SQL is checked, then the raw form is found and the staged form is not."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from crossfade.schema.lint.findings import lint
from crossfade.schema.lint.rules import RULES
from crossfade.schema.parser import Source

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(one for one in (ROOT / "docs/operations").glob("*.md") if one.name != "README.md")
BASE = (ROOT / "tests/integration/schema/lint_base.sql").read_text()
SQL = re.compile(r"^```sql\n(.*?)^```$", re.S | re.M)


def section(page: Path, title: str) -> str:
    return page.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def found(*texts: str) -> list[str]:
    """The rules met by migrations, with the tables of the examples before them."""
    sources = [Source("base.sql", BASE), *(Source(f"{number}.sql", text) for number, text in enumerate(texts, 1))]
    findings = lint(sources).findings
    return [one.rule.id for one in findings if one.file != "base.sql" and one.rule.id != "lock-timeout-missing"]


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.stem)
def test_the_raw_form_is_found_as_the_page_says(page: Path) -> None:
    raw = section(page, "Raw")
    said = re.findall(r"^```sql\n(.*?)^```\n\n`crossfade check` says (.*?)\.$", raw, re.S | re.M)
    assert len(said) == len(SQL.findall(raw)) > 0
    for text, rules in said:
        assert sorted(found(text)) == sorted(re.findall(r"`([\w-]+)`", rules)), text


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.stem)
def test_the_staged_form_is_no_finding(page: Path) -> None:
    blocks = SQL.findall(section(page, "Staged"))
    assert blocks
    sources = [Source("base.sql", BASE), *(Source(f"{number}.sql", text) for number, text in enumerate(blocks, 1))]
    assert [(one.rule.id, one.source) for one in lint(sources).findings if one.file != "base.sql"] == []


def test_each_rule_has_a_page_that_shows_it() -> None:
    shown = {rule for page in PAGES for rule in re.findall(r"`crossfade check` says (.*?)\.$", page.read_text(), re.M)}
    names = set(re.findall(r"`([\w-]+)`", " ".join(shown)))
    assert set(RULES) - names == {"lock-timeout-missing"}
    assert {rule.page for rule in RULES.values()} <= {page.stem for page in PAGES}


def test_the_tables_of_rules_are_fresh() -> None:
    spec = spec_from_file_location("write_operation_pages", ROOT / "tools/write_operation_pages.py")
    assert spec is not None
    assert spec.loader is not None
    writer = module_from_spec(spec)
    spec.loader.exec_module(writer)
    stale = [page.stem for page in PAGES if page.read_text() != writer.with_rules(page.read_text(), page.stem)]
    assert stale == []
    assert (ROOT / "docs/operations/README.md").read_text() == writer.index(writer.titles())
