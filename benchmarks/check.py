"""`crossfade check` beside `squawk`, on the same generated migrations, with a real PostgreSQL as the judge.

    python benchmarks/check.py [--files 1000] [--seed 7] [--output json]

squawk (squawk-cli on PyPI, Apache-2.0 or MIT) is installed into a virtual environment of its own, in a temporary
folder.
Printed are the time of either (median of 5 runs of the command), and what either says of each statement beside what the
server does when it runs it, on tables with rows, in the order of the history:

- *long*: a table is rewritten or scanned under a lock that blocks readers or writers;
- *fails*: the statement fails;
- *breaks*: a column or table that was there before the file is gone, or an INSERT that was complete no longer is;
- *null*: a column that was NOT NULL before the file can hold NULL.

Findings that no server can judge (styles, timeouts) are counted apart.
"""

from __future__ import annotations

import argparse
import collections
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import psycopg
from check_history import history

from crossfade.embedded.cluster import Cluster
from crossfade.embedded.postgres import find_postgres
from crossfade.host.ports import free_port
from crossfade.schema.lint.rules import RULES
from crossfade.schema.parser import locate
from crossfade.testing.server_facts import observe
from crossfade.walk.clock import SystemClock

CLASSES = ("long", "fails", "breaks", "null")
SQUAWK = {
    "adding-field-with-default": "long",
    "adding-foreign-key-constraint": "long",
    "constraint-missing-not-valid": "long",
    "changing-column-type": "long",
    "adding-not-nullable-field": "long",
    "disallowed-unique-constraint": "long",
    "require-concurrent-index-creation": "long",
    "require-concurrent-reindex": "long",
    "adding-serial-primary-key-field": "long",
    "adding-required-field": "fails",
    "ban-concurrent-index-creation-in-transaction": "fails",
    "ban-drop-column": "breaks",
    "ban-drop-table": "breaks",
    "renaming-column": "breaks",
    "renaming-table": "breaks",
    "ban-drop-default": "breaks",
    "ban-drop-not-null": "null",
}
OURS = {
    **{rule.id: "long" for rule in RULES.values() if rule.claim.scan or (rule.claim.rewrite and rule.id != "truncate")},
    **{rule.id: "fails" for rule in RULES.values() if rule.claim.error},
    **dict.fromkeys(("drop-column", "rename-column", "drop-table", "rename-table", "drop-default"), "breaks"),
    "drop-not-null": "null",
}
SHAPE = """
SELECT c.relname || '.' || a.attname, a.attnotnull, a.atthasdef OR a.attidentity <> ''
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""
FAILED: list[str] = []  # statements that the server refused, with the SQLSTATE
Place = tuple[str, int]  # file, line of the statement's start


def shape(connection: psycopg.Connection[Any]) -> dict[str, tuple[bool, bool]]:
    return {name: (required, default) for name, required, default in connection.execute(SHAPE).fetchall()}


def judged(before: dict[str, tuple[bool, bool]], now: dict[str, tuple[bool, bool]], tables: set[str]) -> set[str]:
    """What a step took from the version that knew the tables as they were before the file."""
    found = set()
    for name in before:
        if name.split(".")[0] in tables and (name not in now or (now[name] == (True, False) and before[name][1])):
            found.add("breaks")
        if name in now and before[name][0] and not now[name][0] and name.split(".")[0] in tables:
            found.add("null")
    for name, state in now.items():
        if name not in before and state == (True, False) and name.split(".")[0] in tables:
            found.add("breaks")
    return found


def verdicts(url: str, files: dict[str, str]) -> dict[Place, set[str]]:
    """What the server does with each statement, run in order."""
    found: dict[Place, set[str]] = {}
    FAILED.clear()
    with psycopg.connect(url) as connection, psycopg.connect(url, autocommit=True) as alone:
        for name, text in files.items():
            tables = {one.split(".")[0] for one in shape(connection)}
            within = "BEGIN" in text
            data = text.encode()
            for statement in locate(text):
                if statement.kind in ("transaction_stmt", "variable_set_stmt"):
                    continue
                place = (name, data[: statement.start].count(b"\n") + 1)
                sql = data[statement.start : statement.end].decode()
                if "CONCURRENTLY" in sql and not within:
                    connection.commit()
                    try:
                        alone.execute(sql.encode())
                        found[place] = set()
                    except psycopg.Error:
                        found[place] = {"fails"}
                    continue
                before = shape(connection)
                seen = observe(connection, [sql])
                if seen.error:
                    connection.rollback()
                    FAILED.append(f"{name}: {sql} ({seen.error})")
                    found[place] = {"fails"}
                    continue
                found[place] = judged(before, shape(connection), tables) | (
                    {"long"} if seen.blocks_long() & tables else set()
                )
                connection.commit()
    return found


def said_by_crossfade(folder: Path) -> tuple[dict[Place, dict[str, str]], collections.Counter[str]]:
    """Its findings by statement: class and rule; and those without a class."""
    command = [sys.executable, "-m", "crossfade.cli.main", "check", str(folder), "--output", "json"]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return grouped([(one["file"], one["line"], one["rule"]) for one in answer["findings"]], OURS)


def said_by_squawk(squawk: str, paths: list[str]) -> tuple[dict[Place, dict[str, str]], collections.Counter[str]]:
    """Its findings by statement; its lines begin at 0."""
    command = [squawk, "--reporter", "json", *paths]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return grouped([(one["file"], one["line"] + 1, one["rule_name"]) for one in answer], SQUAWK)


def grouped(
    findings: list[tuple[str, int, str]], classes: dict[str, str]
) -> tuple[dict[Place, dict[str, str]], collections.Counter[str]]:
    found: dict[Place, dict[str, str]] = collections.defaultdict(dict)
    apart: collections.Counter[str] = collections.Counter()
    for file, line, rule in findings:
        if rule in classes:
            found[Path(file).name, line][classes[rule]] = rule
        else:
            apart[rule] += 1
    return found, apart


def timed(command: list[str]) -> list[float]:
    """Seconds of five runs."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=False)
        taken.append(time.perf_counter() - start)
    return taken


def squawk_program(folder: Path) -> str:
    venv.create(folder / "squawk", with_pip=True)
    binary = folder / "squawk/bin"
    subprocess.run([binary / "pip", "install", "--quiet", "squawk-cli"], check=True)
    return str(binary / "squawk")


def score(said: dict[Place, dict[str, str]], truth: dict[Place, set[str]]) -> dict[str, dict[str, Any]]:
    """By class: right, false alarms and misses, the rules of the false ones named."""
    table: dict[str, dict[str, Any]] = {}
    for kind in CLASSES:
        right = sum(kind in said.get(place, {}) for place, facts in truth.items() if kind in facts)
        wrong = collections.Counter(
            rules[kind] for place, rules in said.items() if kind in rules and kind not in truth.get(place, set())
        )
        real = sum(kind in facts for facts in truth.values())
        table[kind] = {
            "real": real,
            "found": right,
            "missed": real - right,
            "false": sum(wrong.values()),
            "by": dict(wrong),
        }
    return table


def measure(files: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="crossfade-check-") as name:
        base = Path(name)
        base.chmod(0o711)
        squawk = squawk_program(base)
        folder = base / "migrations"
        folder.mkdir()
        texts = history(files, seed)
        for file, text in texts.items():
            (folder / file).write_text(text)
        paths = [str(folder / file) for file in texts]
        ours = [sys.executable, "-m", "crossfade.cli.main", "check", str(folder), "--output", "json"]
        times = {"crossfade": timed(ours), "squawk": timed([squawk, "--reporter", "json", *paths])}
        start = timed([*ours[:3], "check", paths[0]])
        (base / "server").mkdir(mode=0o711)
        cluster = Cluster(base / "server", free_port(), find_postgres(None))
        cluster.create({"fsync": "off"}, lambda: "bench")
        cluster.start(SystemClock())
        try:
            truth = verdicts(cluster.admin_url(), texts)
        finally:
            cluster.stop()
        mine, mine_apart = said_by_crossfade(folder)
        theirs, theirs_apart = said_by_squawk(squawk, paths)
        version = subprocess.run([squawk, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        return {
            "files": files,
            "statements": len(truth),
            "postgresql": cluster.programs.version,
            "squawk_version": version,
            "seconds": {who: round(statistics.median(took), 3) for who, took in times.items()},
            "start_s": round(statistics.median(start), 3),
            "crossfade": score(mine, truth),
            "squawk": score(theirs, truth),
            "failed": FAILED,
            "not judged": {"crossfade": dict(mine_apart), "squawk": dict(theirs_apart)},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    asked = parser.parse_args()
    result = measure(asked.files, asked.seed)
    if asked.output == "json":
        print(json.dumps(result))
        return
    print(f"{result['files']} files, {result['statements']} statements, PostgreSQL {result['postgresql']},", end=" ")
    print(result["squawk_version"])
    mine, theirs = result["seconds"]["crossfade"], result["seconds"]["squawk"]
    print(f"time: crossfade {mine} s, squawk {theirs} s (ratio {mine / theirs:.1f}); one file: {result['start_s']} s")
    print(f"{'':8}{'real':>6}   crossfade: found missed false   squawk: found missed false")
    for kind in CLASSES:
        a, b = result["crossfade"][kind], result["squawk"][kind]
        row = f"{a['found']:>17}{a['missed']:>7}{a['false']:>6}{b['found']:>16}{b['missed']:>7}{b['false']:>6}"
        print(f"{kind:8}{a['real']:>6}{row}")
        for who in ("crossfade", "squawk"):
            for rule, count in result[who][kind]["by"].items():
                print(f"{'':10}{who}, false: {rule} {count}")
    for who in ("crossfade", "squawk"):
        print(f"not judged, {who}: {result['not judged'][who]}")


if __name__ == "__main__":
    main()
