"""For all names: an expression is rewritten at its column references alone, and what is quoted reads back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crossfade.schema.catalog import Catalog, Function
from crossfade.schema.expressions import Reader, read_text
from crossfade.schema.naming import hidden, literal, quote, short
from crossfade.schema.parser import Source, parse_expression, print_expression, read_sources, unwrap, words

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1, max_size=20
).filter(lambda name: len(name.encode()) <= 63)
KEYWORDS = st.sampled_from(["select", "new", "old", "user", "left", "Order", "a b", 'a"b', "a.b", "é", "$x$", "a''b"])
COLUMNS = st.one_of(NAMES, KEYWORDS)
CATALOG = Catalog({}, {"pg_catalog.upper": Function("i", True, True)}, ("public",))


def reads(text: str) -> list[tuple[str, ...]]:
    """All column references of an expression, by the parser."""
    found: list[tuple[str, ...]] = []

    def look(node: object) -> None:
        kind, inner = unwrap(node)
        if kind == "column_ref":
            found.append(words(inner.fields))
        for field, value in inner.ListFields() if inner is not None else ():
            for one in value if field.is_repeated else [value]:
                if field.message_type is not None and field.message_type.name == "Node":
                    look(one)

    look(parse_expression(text))
    return found


@given(COLUMNS, COLUMNS, COLUMNS)
def test_a_renamed_column_is_renamed_where_it_is_read_and_nowhere_else(one: str, other: str, to: str) -> None:
    text = f"upper({quote(one)}) || {literal(one)} || {quote(other)}::text || CASE WHEN {quote(one)} = 'x' THEN 'y' END"
    reader = Reader(CATALOG, "public", "t", {one, other})
    expression = read_text(text, reader, "a.sql:1")
    rendered = expression.render("new", {one: to})
    second = to if other == one else other
    assert reads(rendered) == [("new", to), ("new", second), ("new", to)]
    assert literal(one) in rendered
    assert expression.render("new") == expression.render("new", {})
    assert expression.columns == {one, other}


@given(COLUMNS, COLUMNS, COLUMNS)
def test_a_column_may_stand_behind_its_table(schema: str, table: str, name: str) -> None:
    reader = Reader(CATALOG, schema, table, {name})
    for text in (quote(name), f"{quote(table)}.{quote(name)}", f"{quote(schema)}.{quote(table)}.{quote(name)}"):
        assert reads(read_text(text, reader, "a.sql:1").render()) == [(name,)]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40))
def test_a_text_reads_back_as_it_was(text: str) -> None:
    kind, node = unwrap(parse_expression(literal(text)))
    assert (kind, node.sval.sval) == ("a_const", text)
    assert print_expression(parse_expression(literal(text))) == print_expression(
        parse_expression(print_expression(parse_expression(literal(text))))
    )


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=80))
def test_made_names_fit_and_are_the_same_each_time(name: str) -> None:
    assert len(short(name).encode()) <= 63
    assert short(name) == short(name)
    assert len(hidden("c0123456789ab", name).encode()) <= 63
    assert short(name) == name or len(name.encode()) > 63


@given(COLUMNS, st.integers(0, 5), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_a_line_is_counted_whatever_stands_before(name: str, before: int, newline: str) -> None:
    text = f"/* {'é' * before} */{newline}" * before + f"DROP TABLE {quote(name)};"
    (statement,) = read_sources([Source("a.sql", text)]).statements
    assert statement.where == f"a.sql:{text[: text.index('DROP')].count(chr(10)) + 1}"
