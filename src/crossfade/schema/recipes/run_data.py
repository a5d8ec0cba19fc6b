"""Statements that change rows, run as they are written: only where somebody said when, and how they are taken back.

Rule: what a statement did to rows cannot be read back from its text, so the way back is the author's; it is run as it
is written, too, in one transaction. Where it stands: after the tables of expand, or at the end of detach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.model.errors import fail
from crossfade.schema.annotations import Annotation, misplaced
from crossfade.schema.beside import Beside, When
from crossfade.schema.operations import NetChange
from crossfade.schema.parser import Node, Statement, copied, every, kind_of, parse_statements, print_statement

CHANGES_ROWS = ("insert_stmt", "update_stmt", "delete_stmt")
SAY_IT = (
    "run it as a step of its own: -- crossfade: data expand, or data detach, and -- crossfade: undo SQL, on the lines"
    " before it"
)
_WHEN = {"expand": When.LATE, "detach": When.DETACH}


@dataclass
class Said:
    """What was said of one statement: the stage it runs in, and how it is taken back."""

    data: Annotation | None = None
    undo: Annotation | None = None


def said_of(statements: Sequence[Statement], annotations: Sequence[Annotation]) -> dict[str, Said]:
    """By statement, what the annotations on or above its first line say. Raises `schema-annotation`."""
    found: dict[str, Said] = {}
    for annotation in annotations:
        if annotation.verb not in ("data", "undo"):
            continue
        below = [one for one in statements if _below(one.where, annotation.where)]
        if not below or below[0].kind not in CHANGES_ROWS:
            hint = "write it on a line before INSERT, UPDATE or DELETE"
            raise misplaced(annotation, "what follows it changes no rows", hint)
        said = found.setdefault(below[0].where, Said())
        if getattr(said, annotation.verb) is not None:
            raise misplaced(annotation, "it is said twice of one statement", "say it once")
        setattr(said, annotation.verb, annotation)
    for said in found.values():
        if said.data is None and said.undo is not None:
            raise misplaced(said.undo, "it is not said when the statement runs", "add: -- crossfade: data expand")
    return found


def read(net: NetChange, statement: Statement, said: Said) -> None:
    """Read an INSERT, UPDATE or DELETE that runs as it is written. Raises `schema-undecided`, `schema-not-found`."""
    assert said.data is not None
    relation = statement.node.relation
    made = net.made(relation)
    table = net.catalog.find(relation.schemaname, relation.relname)
    name = f"{made.schema}.{made.name}" if made else f"{table.schema}.{table.name}" if table else relation.relname
    if said.undo is None:
        raise fail(
            "schema-undecided",
            where=statement.where,
            what=f"how what this does to {name} is taken back is not known",
            reason="what the rows held before is not in the file",
            way="say it before the statement: -- crossfade: undo SQL; where nothing has to be taken back:"
            " -- crossfade: undo nothing",
        )
    number = sum(one.kind == "data" for one in net.beside) + 1
    stage = said.data.expression
    net.beside.append(
        Beside(
            "data",
            name,
            _WHEN[stage],
            f"change rows of {name} as it is written",
            [_whole(net, statement.kind, statement.node, statement.where)],
            _undo(net, said.undo),
            statement.where,
            part=str(number),
            scans=True,
            notes=(
                f"{statement.where} changes rows of {name} at {stage} in one transaction: who writes the same rows"
                " waits for it; it is taken back by what the file says, which is not checked",
            ),
        )
    )


def _undo(net: NetChange, undo: Annotation) -> list[str]:
    if undo.expression == "nothing":
        return ["SELECT true"]
    try:
        statements = parse_statements(undo.expression)
    except ValueError as exc:
        raise misplaced(undo, str(exc), "write INSERT, UPDATE or DELETE, or: undo nothing") from exc
    if not statements or any(kind not in CHANGES_ROWS for kind, _ in statements):
        reason = "it is not an INSERT, UPDATE or DELETE"
        raise misplaced(undo, reason, "write INSERT, UPDATE or DELETE, or: undo nothing")
    return [_whole(net, kind, node, undo.where) for kind, node in statements]


def _whole(net: NetChange, kind: str, node: Node, where: str) -> str:
    """The statement with the schema of each table that it names."""
    fresh = copied(node)
    ctes = {one.ctename for one in every(fresh) if kind_of(one) == "CommonTableExpr"}
    for relation in [one for one in every(fresh) if kind_of(one) == "RangeVar"]:
        if relation.relname in ctes and not relation.schemaname:
            continue
        made = net.made(relation)
        table = made or net.catalog.find(relation.schemaname, relation.relname)
        if table is None:
            known = ", ".join(f"{one.schema}.{one.name}" for one in net.catalog.tables.values()) or "no table"
            what = f"there is no table {relation.relname}"
            raise fail("schema-not-found", where=where, what=what, known=known)
        relation.schemaname = table.schema
    return print_statement(kind, fresh)


def _below(statement: str, annotation: str) -> bool:
    (file, line), (of, at) = statement.rsplit(":", 1), annotation.rsplit(":", 1)
    return file == of and int(line) >= int(at)
