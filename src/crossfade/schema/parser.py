"""Reads SQL with PostgreSQL's own grammar; the one module that knows the parser.

Rule: what is not understood is an error with its file and line, never passed over. What is about the script's own
session is passed over by the rule of `session_statements`. Trees are protobuf messages, which travel as `Node`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import postgast
from postgast import pg_query_pb2 as tree

from crossfade.model.errors import fail
from crossfade.schema.inputs.migration import Source as Source
from crossfade.schema.session_statements import Path, is_of_session
from crossfade.schema.version_tables import VersionTable, known_table

Node: TypeAlias = Any  # a protobuf message of the parse tree

_FORMED = ("transaction_stmt", "variable_set_stmt")  # whose node has a `kind`
_ANNOTATION = re.compile(r"--\s*crossfade\s*:\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """One statement: what kind of node it is, its tree, its text as PostgreSQL prints it, and where it stands."""

    kind: str  # the parser's word: "alter_table_stmt"
    node: Node
    text: str
    where: str  # file:line


@dataclass(frozen=True)
class Comment:
    """One annotation as it stands: the text behind `-- crossfade:`."""

    text: str
    where: str


@dataclass(frozen=True)
class Located:
    """One statement of a text, transaction control and SET among them; its bytes, without what stands before it."""

    kind: str
    node: Node
    start: int
    end: int


class SyntaxFault(ValueError):
    """What PostgreSQL's grammar says of a text that it cannot read, and at which byte."""

    def __init__(self, detail: str, at: int) -> None:
        super().__init__(detail)
        self.at = at


@dataclass(frozen=True)
class Script:
    """The statements of a change in order, rows of a migration tool's own table apart."""

    statements: Sequence[Statement] = ()
    version_rows: Sequence[Statement] = ()
    comments: Sequence[Comment] = field(default=())
    paths: Sequence[Path] = ()  # that names are said to be looked up with


def read_sources(sources: Sequence[Source]) -> Script:
    """Read SQL files in order. Raises `schema-syntax`, `schema-not-staged`."""
    statements: list[Statement] = []
    rows: list[Statement] = []
    comments: list[Comment] = []
    paths: list[Path] = []
    for source in sources:
        for statement in _statements(source):
            form = enum_name(statement.node, "kind") if statement.kind in _FORMED else ""
            of_session = is_of_session(statement.kind, statement.node, form, statement.where)
            table = version_table(statement.kind, statement.node)
            if isinstance(of_session, Path):
                paths.append(of_session)
            elif table is not None and not table.is_lock and statement.kind != "lock_stmt":
                rows.append(statement)
            elif table is None and not of_session:
                statements.append(statement)
        comments += _comments(source)
    return Script(tuple(statements), tuple(rows), tuple(comments), tuple(paths))


def parse_expression(text: str) -> Node:
    """Parse one expression; raises ValueError with PostgreSQL's message."""
    try:
        parsed = postgast.parse(f"SELECT {text}")
    except postgast.PgQueryError as exc:
        raise ValueError(str(exc)) from exc
    select = parsed.stmts[0].stmt.select_stmt if len(parsed.stmts) == 1 else None
    if (
        select is None
        or len(select.target_list) != 1
        or select.target_list[0].res_target.name
        or select.distinct_clause
    ):
        raise ValueError("this is not one expression")
    empty = tree.SelectStmt()
    empty.CopyFrom(select)
    del empty.target_list[:]
    if postgast.deparse(_wrapped(empty)).strip() != "SELECT":
        raise ValueError("this is more than an expression")
    node = tree.Node()
    node.CopyFrom(select.target_list[0].res_target.val)
    return node


def parse_statements(text: str) -> Sequence[tuple[str, Node]]:
    """Parse statements; raises ValueError with PostgreSQL's message."""
    try:
        return [unwrap(one.stmt) for one in postgast.parse(text).stmts]
    except postgast.PgQueryError as exc:
        raise ValueError(str(exc)) from exc


def locate(text: str) -> Sequence[Located]:
    """Parse a whole text, printing nothing anew. Raises SyntaxFault."""
    data = text.encode()
    try:
        parsed = postgast.parse(text)
    except postgast.PgQueryError as exc:
        before = text[: max((exc.cursorpos or 1) - 1, 0)]
        raise SyntaxFault(str(exc), len(before.encode())) from exc
    found = []
    for raw in parsed.stmts:
        kind, node = unwrap(raw.stmt)
        end = raw.stmt_location + raw.stmt_len if raw.stmt_len else len(data.rstrip())
        found.append(Located(kind, node, raw.stmt_location + _blank(data[raw.stmt_location : end]), end))
    return found


def line_comments(text: str) -> Sequence[tuple[int, str]]:
    """Each annotation: the byte at which its comment begins, and the text behind `-- crossfade:`."""
    data = text.encode()
    found = []
    for token in postgast.scan(text).tokens:
        if token.token == tree.SQL_COMMENT:
            match = _ANNOTATION.match(data[token.start : token.end].decode())
            if match:
                found.append((token.start, match[1].strip()))
    return found


def top_commas(text: str) -> Sequence[int]:
    """Byte positions of what follows each comma outside of parentheses: where the actions of ALTER TABLE begin."""
    depth, after_comma, starts = 0, False, []
    for token in postgast.scan(text).tokens:
        if token.token in (tree.SQL_COMMENT, tree.C_COMMENT):
            continue
        if after_comma:
            starts.append(token.start)
        depth += (token.token == tree.ASCII_40) - (token.token == tree.ASCII_41)
        after_comma = token.token == tree.ASCII_44 and depth == 0
    return starts


def parse_statement(text: str) -> Node:
    """Parse one statement that PostgreSQL printed, and hand back its tree."""
    return copied(unwrap(postgast.parse(text).stmts[0].stmt)[1])


def print_expression(node: Node) -> str:
    """Print an expression's tree as SQL."""
    select = tree.SelectStmt(limit_option=tree.LIMIT_OPTION_DEFAULT, op=tree.SETOP_NONE)
    select.target_list.add().res_target.val.CopyFrom(node)
    text: str = postgast.deparse(_wrapped(select))
    return text.removeprefix("SELECT ")


def print_type(type_name: Node) -> str:
    """Print a type's tree as SQL."""
    null = tree.Node()
    null.type_cast.arg.a_const.isnull = True
    null.type_cast.type_name.CopyFrom(type_name)
    return print_expression(null).removeprefix("NULL::")


def print_statement(kind: str, node: Node) -> str:
    """Print a statement's tree as SQL."""
    result = tree.ParseResult()
    getattr(result.stmts.add().stmt, kind).CopyFrom(node)
    text: str = postgast.deparse(result)
    return text


def unwrap(node: Node) -> tuple[str, Node]:
    """What a wrapping node holds: the parser's word for it, and the message."""
    kind = node.WhichOneof("node") or ""
    return kind, getattr(node, kind) if kind else None


def every(node: Node) -> Iterator[Node]:
    """Every message at and below a node, depth first."""
    for _name, message in postgast.walk(node):
        yield message


def kind_of(message: Node) -> str:
    """The name of a message's type: `FuncCall`."""
    return str(message.DESCRIPTOR.name)


def relations(node: Node) -> Iterator[tuple[str, str]]:
    """The tables and views that a statement names: schema (empty where none is written) and name."""
    for message in every(node):
        if kind_of(message) == "RangeVar":
            yield message.schemaname, message.relname
        elif kind_of(message) == "DropStmt":
            for one in message.objects:
                if one.WhichOneof("node") == "list":
                    named = words(one.list.items)
                    yield ("" if len(named) == 1 else named[-2]), named[-1]


def words(nodes: Sequence[Node]) -> tuple[str, ...]:
    """The parts of a qualified name; `*` for anything else."""
    return tuple(one.string.sval if one.WhichOneof("node") == "string" else "*" for one in nodes)


def column_ref(*parts: str) -> Node:
    """Build the tree of a column reference."""
    node = tree.Node()
    for part in parts:
        node.column_ref.fields.add().string.sval = part
    return node


def copied(message: Node) -> Node:
    """Copy a tree, to be changed."""
    other = type(message)()
    other.CopyFrom(message)
    return other


def enum_name(message: Node, name: str) -> str:
    """The name of an enumeration's value: `AT_AddColumn`."""
    return str(message.DESCRIPTOR.fields_by_name[name].enum_type.values_by_number[getattr(message, name)].name)


def equals_sign(text: str) -> int:
    """Where the first `=` stands that is a token of its own; -1 if there is none. Raises ValueError."""
    try:
        tokens = postgast.scan(text).tokens
    except postgast.PgQueryError as exc:
        raise ValueError(str(exc)) from exc
    starts = [token.start for token in tokens if token.token == tree.ASCII_61]
    return len(text.encode()[: starts[0]].decode()) if starts else -1


def _statements(source: Source) -> Iterator[Statement]:
    data = source.text.encode()
    try:
        parsed = postgast.parse(source.text)
    except postgast.PgQueryError as exc:
        line = source.text[: max((exc.cursorpos or 1) - 1, 0)].count("\n") + 1
        raise fail("schema-syntax", where=f"{source.name}:{line}", detail=str(exc)) from exc
    for raw in parsed.stmts:
        kind, node = unwrap(raw.stmt)
        start = raw.stmt_location + _blank(data[raw.stmt_location :])
        where = _where(source, data, start)
        yield Statement(kind, node, print_statement(kind, node), where)


def _where(source: Source, data: bytes, at: int) -> str:
    line = data[:at].count(b"\n") + 1
    return f"{source.name}:{line}"


def _blank(data: bytes) -> int:
    """How many bytes of white space and comments a statement begins with."""
    match = re.match(rb"(\s|--[^\n]*(\n|$)|/\*.*?\*/)*", data, re.DOTALL)
    return match.end() if match else 0


def _comments(source: Source) -> Iterator[Comment]:
    data = source.text.encode()
    for token in postgast.scan(source.text).tokens:
        if token.token == tree.SQL_COMMENT:
            match = _ANNOTATION.match(data[token.start : token.end].decode())
            if match:
                yield Comment(match[1].strip(), _where(source, data, token.start))


def is_version_row(kind: str, node: Node) -> bool:
    """Whether a statement writes or locks a migration tool's own table."""
    return version_table(kind, node) is not None


def version_table(kind: str, node: Node) -> VersionTable | None:
    """The migration tool's table that a statement writes or locks, and nothing else."""
    if kind == "lock_stmt":
        found = [known_table(one.range_var.relname, ()) for one in node.relations]
        return found[0] if all(found) else None
    if kind == "insert_stmt":
        columns = [one.res_target.name for one in node.cols]
    elif kind == "update_stmt":
        columns = [one.res_target.name for one in node.target_list]
    elif kind == "delete_stmt":
        columns = [words(one.fields)[-1] for one in every(node) if kind_of(one) == "ColumnRef"]
    else:
        return None
    table = known_table(node.relation.relname, columns)
    rows = node.select_stmt.select_stmt.values_lists if kind == "insert_stmt" else ()
    return table if table and all(len(one.list.items) <= len(table.columns) for one in rows) else None


def _wrapped(select: Node) -> Node:
    result = tree.ParseResult()
    result.stmts.add().stmt.select_stmt.CopyFrom(select)
    return result
