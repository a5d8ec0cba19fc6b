"""Which functions give each row a value of its own, so that a default that calls one rewrites the table.

Rule: the names here are held against pg_proc of the server by a test; none may be volatile there. A function that
nobody declared, here or in an earlier file, counts as volatile, as PostgreSQL itself takes one that does not say.
"""

from __future__ import annotations

from crossfade.schema.lint.known import Known, joined
from crossfade.schema.parser import Node, every, kind_of, words

# Only what stands in defaults and expressions of migrations; all are the same for every row, or of its arguments only.
_STEADY = """
now transaction_timestamp statement_timestamp current_setting current_schema current_database timezone date_trunc
date_part extract to_char to_date to_timestamp to_number make_date make_time make_timestamp make_timestamptz
make_interval age justify_days justify_hours justify_interval lower upper initcap concat concat_ws length
char_length octet_length btrim ltrim rtrim lpad rpad left right replace translate repeat reverse split_part substr
substring strpos position overlay regexp_replace regexp_match regexp_split_to_array format quote_literal quote_ident
md5 sha224 sha256 sha384 sha512 encode decode convert_from convert_to ascii chr to_hex abs ceil ceiling floor round
trunc mod power sqrt sign div ln log exp array_length array_append array_prepend array_cat array_fill array_remove
array_position array_to_string string_to_array cardinality to_json to_jsonb json_build_object jsonb_build_object
json_build_array jsonb_build_array json_object jsonb_object jsonb_set jsonb_strip_nulls json_extract_path_text
jsonb_extract_path_text row_to_json to_tsvector setweight int4range int8range numrange tsrange tstzrange daterange
lower_inc upper_inc isempty host network masklen family pg_get_serial_sequence
"""
STEADY = frozenset(_STEADY.split())


def volatile_call(expression: Node, known: Known) -> str:
    """The first function of an expression that gives each row its own value; empty where there is none."""
    for one in every(expression):
        if kind_of(one) != "FuncCall":
            continue
        parts = words(one.funcname)
        name = joined(parts)
        plain = parts[-1] if len(parts) == 1 or parts[0] == "pg_catalog" else ""
        if name in known.volatility:
            if known.volatility[name] == "volatile":
                return name
        elif plain not in STEADY:
            return name
    return ""
