"""Statements of a script that are about its own session: which are passed over, and which would change the rest.

Rule: each step of a change has a transaction and settings of its own, so BEGIN, COMMIT and time limits mean nothing
to it. A setting that decides what the other statements mean is never passed over: it is refused with its line, and
a search path is held against the one that names are looked up with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.model.errors import fail

_ALWAYS = ("variable_show_stmt", "constraints_set_stmt")
_TAKES_BACK = frozenset(
    {"ROLLBACK", "ROLLBACK_TO", "PREPARE", "COMMIT_PREPARED", "ROLLBACK_PREPARED"}
)  # of TransactionStmtKind
_OWNER = "what is made belongs to the role that crossfade walks with"
_OWNER_WAY = "take it out, and let that role be a member of the one that owns the tables"
_PLAIN = "write the statements so that they mean the same without it"
# Settings that decide what other statements mean: values that mean what is meant anyway, the reason, the way.
_DECIDES: dict[str, tuple[frozenset[str], str, str]] = {
    "role": (frozenset({"none"}), _OWNER, _OWNER_WAY),
    "session_authorization": (frozenset(), _OWNER, _OWNER_WAY),
    "session_replication_role": (
        frozenset({"origin"}),
        "triggers and foreign keys do not work with it, and crossfade's triggers must",
        "take it out",
    ),
    "default_tablespace": (frozenset({"", "pg_default"}), "each step has settings of its own", _PLAIN),
    "default_table_access_method": (frozenset({"heap"}), "each step has settings of its own", _PLAIN),
    "standard_conforming_strings": (frozenset({"on", "true", "yes", "1"}), "texts are read with it on", _PLAIN),
    "timezone": (frozenset(), "times without a zone would be read in the server's zone", _PLAIN),
    "datestyle": (frozenset(), "dates would be read in the server's own style", _PLAIN),
    "intervalstyle": (frozenset(), "intervals would be read in the server's own style", _PLAIN),
}


@dataclass(frozen=True)
class Path:
    """A search path that a script sets, and where."""

    schemas: Sequence[str]
    where: str

    def hold(self, search_path: Sequence[str], schemas: frozenset[str]) -> None:
        """Refuse the path if names would be found by another one. Raises `schema-not-staged`."""
        meant = list(dict.fromkeys(one for one in self.schemas if one in schemas or one in search_path))
        looked_up = [one for one in search_path if one != "pg_catalog"]
        if self.schemas and [one for one in meant if one != "pg_catalog"] != looked_up:
            found, wanted = ", ".join(looked_up) or "no schema", ", ".join(self.schemas)
            raise fail(
                "schema-not-staged",
                where=self.where,
                what="SET search_path",
                reason=f"names without a schema are looked up in {found}, and this says {wanted}",
                way="write the schema in front of each name",
            )


def is_of_session(kind: str, node: Any, form: str, where: str) -> bool | Path:
    """Whether a statement is about its session alone; its search path if it sets one. Raises `schema-not-staged`.

    `form` is the name of the node's own `kind`, where it has one: `TRANS_STMT_ROLLBACK`, `VAR_SET_VALUE`.
    """
    if kind == "transaction_stmt":
        said = form.removeprefix("TRANS_STMT_")
        if said in _TAKES_BACK:
            raise fail(
                "schema-not-staged",
                where=where,
                what=said.replace("_", " "),
                reason="each step has a transaction of its own, and what stands before it would be in force",
                way="take it out, and the statements that it takes back",
            )
        return True
    if kind == "select_stmt":
        return _set_config(node)
    if kind != "variable_set_stmt":
        return kind in _ALWAYS
    if form != "VAR_SET_VALUE":  # RESET, DEFAULT, SET TRANSACTION
        return True
    name = node.name.lower()
    values = [_text(one.a_const) for one in node.args]
    if name == "search_path":
        return Path(values, where)
    harmless, reason, way = _DECIDES.get(name, (None, "", ""))
    if harmless is not None and not {value.lower() for value in values} <= harmless:
        raise fail("schema-not-staged", where=where, what=f"SET {name}", reason=reason, way=way)
    return True


def _set_config(node: Any) -> bool:
    """Whether it is what pg_dump begins with: an empty search path, because it writes every schema."""
    if len(node.target_list) != 1 or node.from_clause:
        return False
    value = node.target_list[0].res_target.val
    call = value.func_call
    if value.WhichOneof("node") != "func_call" or call.funcname[-1].string.sval != "set_config":
        return False
    return [_text(one.a_const) for one in call.args][:2] == ["search_path", ""]


def _text(constant: Any) -> str:
    kind = constant.WhichOneof("val")
    if kind == "sval":
        return str(constant.sval.sval)
    return str(constant.ival.ival) if kind == "ival" else str(constant.boolval.boolval).lower() if kind else ""
