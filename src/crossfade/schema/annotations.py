"""What a change's SQL cannot say: annotations, written as SQL comments.

Rule: an annotation that is not understood is an error, because one that is passed over changes what happens to data.

    -- crossfade: up orders.code = upper(reference)        the new column, from the old shape
    -- crossfade: down orders.reference = lower(code)      the old column, from the new shape
    -- crossfade: partial orders.code reject               values of code without counterpart: reject, or record
    -- crossfade: reads-null orders.note                   the old version is proven to read NULL there
    -- crossfade: retype orders.code                       no prepared statement that reads it is kept
    -- crossfade: binds orders_positive now                the old version keeps to this constraint already
    -- crossfade: data expand                              the statement below runs as written then, or at detach
    -- crossfade: undo DELETE FROM orders WHERE id < 0     how it is taken back: SQL, or nothing

`-- crossfade: allow RULE because REASON` speaks to `crossfade check` and is no annotation of a change.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.model.change import Policy
from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.parser import Comment, equals_sign, parse_expression, unwrap, words

VERBS = ("up", "down", "partial", "reads-null", "retype", "binds", "data", "undo")
_SHAPES = {
    "up": "up TABLE.COLUMN = EXPRESSION",
    "down": "down TABLE.COLUMN = EXPRESSION",
    "partial": "partial TABLE.COLUMN reject, or record",
    "reads-null": "reads-null TABLE.COLUMN",
    "retype": "retype TABLE.COLUMN",
    "binds": "binds CONSTRAINT now",
    "data": "data expand, or data detach",
    "undo": "undo SQL, or undo nothing",
}


@dataclass(frozen=True)
class Annotation:
    """One annotation: about which column, and the expression or the policy it gives."""

    verb: str
    schema: str  # empty: along the search path
    table: str
    column: str
    expression: str
    policy: Policy
    text: str
    where: str

    @property
    def normal(self) -> str:
        """The same text for the same meaning, whatever the spaces."""
        return " ".join((self.verb, self.schema, self.table, self.column, self.expression, self.policy.value)).strip()


def read_annotations(comments: Sequence[Comment]) -> Sequence[Annotation]:
    """Read all annotations. Raises `schema-annotation`."""
    return tuple(_read(comment) for comment in comments if comment.text.split(None, 1)[:1] != ["allow"])


def misplaced(annotation: Annotation, reason: str, hint: str) -> CrossfadeError:
    """Say that an annotation is written well and does not fit the change."""
    return fail("schema-annotation", where=annotation.where, text=annotation.text, reason=reason, hint=hint)


def _read(comment: Comment) -> Annotation:
    verb, _, rest = comment.text.partition(" ")
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, 1, 0.5)
        known = f"the annotations are: {', '.join(VERBS)}"
        raise _wrong(comment, f"there is no annotation {verb!r}", f"did you mean {near[0]}?" if near else known)
    rest = rest.strip()
    expression, policy = "", Policy.NONE
    if verb in ("up", "down"):
        rest, expression = _split(comment, verb, rest)
    elif verb == "partial":
        rest, _, word = rest.rpartition(" ")
        if word not in ("reject", "record"):
            near = difflib.get_close_matches(word, ("reject", "record"), 1, 0.5)
            shape = f"write it as: {_SHAPES[verb]}"
            reason = f"{word!r} is no policy for a value without counterpart"
            raise _wrong(comment, reason, f"did you mean {near[0]}?" if near else shape)
        policy = Policy(word)
    elif verb == "binds":
        return Annotation(verb, "", "", _constraint(comment, rest), "", policy, comment.text, comment.where)
    elif verb in ("data", "undo"):
        if not rest or (verb == "data" and rest not in ("expand", "detach")):
            raise _wrong(comment, "it does not say when" if verb == "data" else "it does not say how", _SHAPES[verb])
        return Annotation(verb, "", "", "", rest, policy, comment.text, comment.where)
    parts = _column(comment, verb, rest)
    return Annotation(verb, parts[0], parts[1], parts[2], expression, policy, comment.text, comment.where)


def _split(comment: Comment, verb: str, rest: str) -> tuple[str, str]:
    try:
        at = equals_sign(rest)
    except ValueError as exc:
        raise _wrong(comment, str(exc), f"write it as: {_SHAPES[verb]}") from exc
    if at < 0 or not rest[at + 1 :].strip():
        raise _wrong(comment, "it gives no expression", f"write it as: {_SHAPES[verb]}")
    return rest[:at].strip(), rest[at + 1 :].strip()


def _column(comment: Comment, verb: str, text: str) -> tuple[str, str, str]:
    try:
        kind, node = unwrap(parse_expression(text))
    except ValueError:
        kind, node = "", None
    parts = words(node.fields) if kind == "column_ref" else ()
    if len(parts) not in (2, 3) or "*" in parts:
        raise _wrong(comment, f"{text!r} names no column with its table", f"write it as: {_SHAPES[verb]}")
    return ("", *parts) if len(parts) == 2 else parts  # type: ignore[return-value]


def _constraint(comment: Comment, rest: str) -> str:
    name, _, now = rest.rpartition(" ")
    try:
        kind, node = unwrap(parse_expression(name))
    except ValueError:
        kind, node = "", None
    if now != "now" or kind != "column_ref" or len(node.fields) != 1:
        raise _wrong(comment, f"{rest!r} names no constraint that binds now", f"write it as: {_SHAPES['binds']}")
    return words(node.fields)[0]


def _wrong(comment: Comment, reason: str, hint: str) -> CrossfadeError:
    return fail("schema-annotation", where=comment.where, text=comment.text, reason=reason, hint=hint)
