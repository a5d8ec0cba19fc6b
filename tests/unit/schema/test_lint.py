"""Given migrations, when they are checked without a database, then each finding is at its place, and no others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from crossfade.cli.main import group
from crossfade.schema.lint.findings import Report, Wrapped, lint
from crossfade.schema.lint.rules import OF_FILES, RULES
from crossfade.schema.parser import Source


def check(*texts: str, wrapped: Wrapped = Wrapped.AUTO) -> Report:
    return lint([Source(f"{number}.sql", text) for number, text in enumerate(texts, 1)], wrapped)


def ids(report: Report) -> list[str]:
    return [one.rule.id for one in report.findings if one.rule.id != "lock-timeout-missing"]


def command(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(group, ["check", *arguments], input=given)


def test_a_finding_stands_at_its_action_not_at_the_statement() -> None:
    report = check(
        "\n".join(["ALTER TABLE é", "  ADD COLUMN a text, -- ,", "  ADD COLUMN p numeric(10, 2),", "  DROP COLUMN b;"])
    )
    found = [one for one in report.findings if one.rule.id == "drop-column"]
    assert [(one.file, one.line, one.column, one.source) for one in found] == [("1.sql", 4, 3, "  DROP COLUMN b;")]


def test_what_a_file_created_itself_is_nobodys_yet() -> None:
    mine = (
        "CREATE TABLE t (a int); CREATE INDEX i ON t (a); ALTER TABLE t ADD CHECK (a > 0); ALTER TABLE t DROP COLUMN a;"
    )
    assert ids(check(mine)) == []
    later = ids(check("CREATE TABLE t (a int);", "CREATE INDEX i ON t (a);"))
    assert later == ["create-index-blocks-writes"]


def test_the_history_tells_types_and_not_null() -> None:
    history = "CREATE TABLE t (a varchar(20), b int NOT NULL, c int);"
    assert ids(check(history, "ALTER TABLE t ALTER a TYPE varchar(40);")) == []
    assert ids(check(history, "ALTER TABLE t ALTER a TYPE varchar(10);")) == ["change-type-rewrites"]
    assert ids(check(history, "ALTER TABLE t ALTER b SET NOT NULL;")) == []
    assert ids(check(history, "ALTER TABLE t ALTER c SET NOT NULL;")) == ["set-not-null-scan"]
    proven = (
        "ALTER TABLE t ADD CONSTRAINT k CHECK (c IS NOT NULL) NOT VALID; COMMIT; ALTER TABLE t VALIDATE CONSTRAINT k;"
    )
    assert ids(check(history, proven, "ALTER TABLE t ALTER c SET NOT NULL;")) == []


def test_where_the_type_is_not_known_a_widening_is_a_warning() -> None:
    report = check("ALTER TABLE t ALTER a TYPE text;", "ALTER TABLE t ALTER b TYPE bigint;")
    found = [(one.rule.id, str(one.severity)) for one in report.findings if one.rule.id != "lock-timeout-missing"]
    assert found == [("change-type-rewrites", "warning"), ("change-type-rewrites", "error")]


def test_concurrently_is_refused_only_inside_a_transaction() -> None:
    alone = "CREATE INDEX CONCURRENTLY i ON t (a);"
    assert ids(check(alone)) == []
    assert ids(check(alone, wrapped=Wrapped.FILE)) == ["concurrently-in-transaction"]
    assert ids(check(f"BEGIN; {alone} COMMIT;")) == ["concurrently-in-transaction"]
    assert ids(check(f"BEGIN; COMMIT; {alone}")) == []


def test_a_limit_on_waiting_silences_the_warning() -> None:
    add = "ALTER TABLE t ADD COLUMN a int;"
    assert [one.rule.id for one in check(add).findings] == ["lock-timeout-missing"]
    for limit in (
        "SET lock_timeout = '2s';",
        "SET LOCAL lock_timeout TO 500;",
        "SELECT set_config('lock_timeout', '1s', true);",
    ):
        assert check(limit + add).findings == []
    assert [one.rule.id for one in check("SET lock_timeout = 0;" + add).findings] == ["lock-timeout-missing"]


def test_rows_of_a_migration_tool_are_left_alone() -> None:
    assert ids(check("UPDATE alembic_version SET version_num = 'b'; DELETE FROM django_migrations;")) == []


def test_a_comment_allows_a_finding_with_a_reason() -> None:
    comment, drop = "-- crossfade: allow drop-column because nobody reads it", "ALTER TABLE t DROP COLUMN a;"
    for text in (f"{comment}\n{drop}", f"{drop} {comment}"):
        assert (ids(check(text)), check(text).allowed) == ([], 1)
    assert ids(check(f"{drop} {comment}\n{drop}")) == ["drop-column"]


@pytest.mark.parametrize(
    ("comment", "expected", "problem"),
    [
        ("allow drop-column", ["allow-unclear", "drop-column"], "this allows nothing: it gives no reason"),
        (
            "allow drop-colum because x",
            ["allow-unclear", "drop-column"],
            "this allows nothing: there is no rule 'drop-colum'; did you mean drop-column?",
        ),
        (
            "allow truncate because x",
            ["drop-column", "allow-unused"],
            "nothing here needs to be allowed truncate",
        ),
    ],
)
def test_a_comment_that_allows_nothing_is_a_finding(comment: str, expected: list[str], problem: str) -> None:
    report = check(f"-- crossfade: {comment}\nALTER TABLE t DROP COLUMN a;")
    assert sorted(ids(report)) == sorted(expected)
    assert problem in [one.problem for one in report.findings]


def test_a_file_that_cannot_be_read_is_a_finding_at_its_place() -> None:
    report = check("SELECT 1;\n  ALTER TABEL t;", "ALTER TABLE t DROP COLUMN a;")
    assert ids(report) == ["syntax-error", "drop-column"]
    assert (report.findings[0].line, report.findings[0].column) == (2, 9)


@pytest.mark.parametrize("rule", OF_FILES, ids=lambda one: one.id)
def test_each_rule_of_files_meets_its_example(rule: object) -> None:
    one = RULES[rule.id]  # type: ignore[attr-defined]
    assert one.id in ids(check(one.example))


def test_people_read_the_place_the_reason_and_the_way(tmp_path: Path) -> None:
    file = tmp_path / "1_index.sql"
    file.write_text("SET lock_timeout = '2s';\nCREATE INDEX by_day ON orders (day);\n")
    result = command(str(file))
    assert result.exit_code == 1
    assert (
        result.output
        == f"""\
{file}:2:1: error[create-index-blocks-writes]: CREATE INDEX blocks every write to orders until the index is built
  2 | CREATE INDEX by_day ON orders (day);
    | ^
  why:       It holds SHARE on orders while it reads the whole table. With CONCURRENTLY it takes longer and blocks\
 nobody; it cannot stand in a transaction, and where it fails it leaves an invalid index that must be dropped.
  staged:    CREATE INDEX CONCURRENTLY by_day ON orders USING btree (day);
  crossfade: builds it concurrently, watches it, and drops an invalid attempt
  more:      docs/operations/index.md

1 file checked: 1 error, 0 warnings in 1 file
"""
    )


def test_a_folder_is_read_in_the_order_of_its_numbers_without_the_ways_back(tmp_path: Path) -> None:
    for name, text in {
        "10_wider/up.sql": "SET lock_timeout = '1s'; ALTER TABLE t ALTER a TYPE varchar(9);",
        "09_table/up.sql": "CREATE TABLE t (a varchar(5));",
        "09_table/down.sql": "DROP TABLE t;",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    result = command(str(tmp_path))
    assert (result.exit_code, result.output) == (0, "2 files checked: nothing found\n")


def test_standard_input_is_checked() -> None:
    result = command("-", "--output", "json", given="DROP TABLE t;")
    answer = json.loads(result.output)
    assert (answer["errors"], answer["findings"][0]["file"], result.exit_code) == (1, "<stdin>", 1)
    assert {one["rule"] for one in answer["findings"]} == {"drop-table", "lock-timeout-missing"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [((), 1), (("--fail-on", "error"), 0), (("--fail-on", "never"), 0), (("--ignore", "lock-timeout-missing"), 0)],
)
def test_warnings_need_not_fail(arguments: tuple[str, ...], code: int) -> None:
    assert command("-", *arguments, given="ALTER TABLE t ADD COLUMN a int;").exit_code == code


def test_a_rule_that_does_not_exist_cannot_be_ignored() -> None:
    result = command("-", "--ignore", "lock-timeout", given="SELECT 1;")
    assert (result.exit_code, "there is no rule 'lock-timeout'" in result.output) == (2, True)


def test_sarif_has_what_its_schema_requires(tmp_path: Path) -> None:
    file = tmp_path / "a.sql"
    file.write_text("DROP TABLE t;")
    log = json.loads(command(str(file), "--output", "sarif").output)
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    run = log["runs"][0]
    driver = run["tool"]["driver"]
    assert driver["name"] == "crossfade"
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == str(file)
        assert place["region"] == {"startLine": 1, "startColumn": 1}


def test_github_shows_findings_beside_the_lines() -> None:
    lines = command("-", "--output", "github", given="SET lock_timeout = 5;\nTRUNCATE t;").output.splitlines()
    assert lines[0].startswith(
        "::error file=<stdin>,line=2,col=1,title=truncate::TRUNCATE empties t under ACCESS EXCLUSIVE%0A"
    )
    assert lines[1] == "1 file checked: 1 error, 0 warnings in 1 file"


def test_every_rule_has_texts_that_can_be_filled() -> None:
    for rule in RULES.values():
        report = check(rule.setup, rule.example)
        for one in report.findings:
            assert one.problem
            assert one.why
            assert one.engine
            assert "{" not in one.staged + one.problem + one.why


def test_a_check_imports_nothing_that_it_does_not_need() -> None:
    """Start-up time is a promise to whoever commits; what would make it slow is named, not timed."""
    program = (
        "import sys; from crossfade.cli.main import group;"
        "group(['check', '-'], standalone_mode=False);"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input="SELECT 1;", capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "postgast" in loaded
    assert loaded & {"psycopg", "rich", "numpy", "psutil", "urllib3", "supervisor"} == set()


@pytest.mark.parametrize(
    ("path", "checked"),
    [
        ("migrations/0001_a.sql", True),
        ("db/migration/V1__a.sql", True),
        ("migrations/2024_x/up.sql", True),
        ("migrations/2024_x/down.sql", False),
        ("migrations/1_a.down.sql", False),
        ("queries/report.sql", False),
    ],
)
def test_the_hook_checks_migrations_and_no_ways_back(path: str, checked: bool) -> None:
    hook = (Path(__file__).parents[3] / ".pre-commit-hooks.yaml").read_text()
    patterns = dict(re.findall(r"^  (files|exclude): (.*)$", hook, re.M))
    assert bool(re.search(patterns["files"], path) and not re.search(patterns["exclude"], path)) is checked
